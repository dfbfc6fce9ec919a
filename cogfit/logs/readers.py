"""Readers of text tables, JSON and Parquet, and the registry of all readers.

The fast path of each format is pyarrow's. Only when that fails does a slow and careful path in plain Python read the
file again, to find out which line is wrong. Nothing in a file is ever executed or unpickled.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.logs.clean import MISSING
from cogfit.logs.columns import NoLogColumns, find_columns
from cogfit.logs.raw import HEAD_BYTES, Progress, Raw, Reader, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

CHUNK_BYTES = 1 << 22

TRUNCATED = "truncated last line"
REPEATED_HEADER = "repeated header line"

FORMATS = "CSV or TSV, JSON, JSON lines, Parquet, TensorBoard, Hugging Face trainer_state.json, W&B export, MLflow"
"""What can be read, for messages."""

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")
_CONVERT = "export the log to CSV, JSON lines or Parquet"
_SEEN_BEFORE = (  # start of the file, what it is
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive (a PyTorch checkpoint, an .npz or a spreadsheet)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
)
TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson"})
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz"})


# --- bytes ------------------------------------------------------------------------------------------------------------


def suffix_of(path: Path) -> str:
    """Suffix of a file's name without that of its compression, in lower case.

    Examples
    --------
    >>> suffix_of(Path("routing.PARQUET")), suffix_of(Path("log.csv.gz"))
    ('.parquet', '.csv')
    """
    name = path.name.casefold()
    for suffix in _COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    return Path(name).suffix


class _Watched(io.RawIOBase):
    """A file, or a stretch of it, that tells how much has been read."""

    def __init__(self, path: Path, progress: Progress | None, start: int = 0, end: int | None = None) -> None:
        self._file: BinaryIO = path.open("rb")
        self._file.seek(start)
        self._total = path.stat().st_size
        self._end = self._total if end is None else end
        self._progress = progress
        self._done = start

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        left = max(self._end - self._done, 0)
        data = self._file.read(left if size < 0 else min(size, left))
        self._done += len(data)
        if self._progress is not None and data:
            self._progress(self._done, self._total)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


def _stretch(path: Path, start: int, end: int | None, progress: Progress | None) -> Any:
    """A file from an offset on as Arrow reads it; without Python where nobody watches it and it has no other end."""
    import pyarrow as pa

    if end is not None or progress is not None:
        return pa.PythonFile(_Watched(path, progress, start, end), mode="r")
    file = pa.OSFile(str(path))
    file.seek(start)
    return file


def _decompressed(path: Path, start: bytes, watched: _Watched) -> Any:
    """Something with ``read(size)`` that gives a file's bytes, decompressed if its first bytes say so."""
    codec = "gzip" if start.startswith(_GZIP) else "zstd" if start.startswith(_ZSTD) else None
    if codec is None:
        return watched
    import pyarrow as pa

    if codec == "zstd" and not _arrow_has_zstd():
        try:
            from zstandard import ZstdDecompressor
        except ImportError:
            raise MissingDependencyError("zstandard", "logs", f"reading {path.name}") from None
        return ZstdDecompressor().stream_reader(cast(BinaryIO, watched), read_across_frames=True)
    return pa.CompressedInputStream(pa.PythonFile(watched, mode="r"), codec)


def _arrow_has_zstd() -> bool:
    import pyarrow as pa

    return bool(pa.Codec.is_available("zstd"))


def _read(path: Path, limit: int | None, progress: Progress | None = None) -> bytes:
    """Bytes of a file after decompression, the first `limit` or all of them."""
    with path.open("rb") as file:
        start = file.read(4)
        if limit is None and progress is None and not start.startswith((_GZIP, _ZSTD)):
            file.seek(0)
            return file.read()
    chunks: list[bytes] = []
    size = 0
    with _Watched(path, progress) as watched:
        stream = _decompressed(path, start, watched)
        while limit is None or size < limit:
            chunk = stream.read(CHUNK_BYTES if limit is None else limit - size)
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def head_of(path: Path) -> bytes:
    """First bytes of a file, decompressed, as `Reader.recognise` wants them."""
    return _read(path, HEAD_BYTES)


def _text_bytes(path: Path, options: ReadOptions) -> bytes:
    """All bytes of a text file, without byte order mark and without the zeros that a crash may leave at its end."""
    data = _read(path, None, options.progress)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError("is encoded in UTF-16", path=path, hint="save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.endswith(b"\0"):
        data = data.rstrip(b"\0")
    zero = data.find(b"\0")
    if zero >= 0:
        raise InputError("holds zero bytes and is no text", path=path, line=_line_at(data, zero), hint=_CONVERT)
    if not data[:4096].strip() and not data.strip():
        raise InputError("is empty", path=path, hint="give a log with a header and at least two rows")
    return data


def _line_at(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _last_line(data: bytes, blanks: bytes = b"\r\n \t") -> int:
    """Offset of the last line that is not blank, found without a copy of the data."""
    end = len(data)
    while end and data[end - 1] in blanks:
        end -= 1
    return data.rfind(b"\n", 0, end) + 1


def _decoded(data: bytes, path: Path, start: int = 0) -> str:
    """Text of `data` from an offset on."""
    try:
        return data[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "is not encoded in UTF-8", path=path, line=_line_at(data, start + error.start), hint="save it as UTF-8"
        ) from None


def _is_text(head: bytes) -> bool:
    head = head.rstrip(b"\0")  # a crash may leave zeros at the end
    if b"\0" in head or not head.strip():
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end within a character
    except UnicodeDecodeError:
        return False
    return not any(byte < 32 and byte not in b"\t\n\r\x0b\x0c\x1b" for byte in head[:2048])


# --- Arrow to pandas --------------------------------------------------------------------------------------------------


def _frame(table: Any) -> tuple[pd.DataFrame, list[str]]:
    """An Arrow table as a frame: objects flattened, lists left out, integers with gaps kept exact."""
    import pandas as pd
    import pyarrow as pa

    for _ in range(8):
        if not any(pa.types.is_struct(field.type) for field in table.schema):
            break
        table = table.flatten()
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    flat = [index for index, field in enumerate(table.schema) if not pa.types.is_nested(field.type)]
    table = table.select(flat)
    cells: dict[str, pd.Series[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        cells[name] = column.to_pandas(types_mapper=_nullable().get) if column.null_count else column.to_pandas()
    notes = [f"columns that hold lists were left out: {', '.join(nested[:6])}"] if nested else []
    return pd.DataFrame(cells, copy=False), notes


@cache
def _nullable() -> dict[Any, Any]:
    """Types that keep integers and truth values exact where some of them are missing."""
    import pandas as pd
    import pyarrow as pa

    names = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    integers = {getattr(pa, name.lower())(): pd.api.types.pandas_dtype(name) for name in names}
    return {**integers, pa.bool_(): pd.BooleanDtype()}


def _check_unique(names: Sequence[str], path: Path, line: int | None = None) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"two columns are called '{name}'", path=path, line=line, hint="rename or remove one")
        seen.add(name)


# --- CSV --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    """How a text table is written."""

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    header: bytes  # as written, without its line end; empty if a comment line served as header
    start: int  # offset of the first row
    start_line: int


_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE)
_CUT_NUMBER = re.compile(r"[-+]|[-+]?(\d+\.?\d*|\.\d*)[eE][-+]?|[-+]?\.|na|tru?|fals?|nul|inf?", re.IGNORECASE)


def _lines(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Offset and content of each line, with its line end."""
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield start, data[start:end]
        start = end


def _fields(line: bytes, delimiter: str, path: Path) -> list[str]:
    try:
        return next(csv.reader([_decoded(line, path).strip("\r\n")], delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(f"cannot be read as a table: {error}", path=path, hint=_CONVERT) from None


def _delimiter_of(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max((",", "\t", ";"), key=bare.count)


def _is_header_of_numbers(fields: Sequence[str]) -> bool:
    return any(field.strip() for field in fields) and all(
        _NUMBER.fullmatch(field.strip()) or not field.strip() for field in fields
    )


def _dialect(data: bytes, path: Path) -> _Dialect:
    comment, line_number = b"", 0
    for start, line in _lines(data):
        line_number += 1
        if not line.strip():
            continue
        if line.startswith(b"#"):
            comment = line
            continue
        text = _decoded(line, path)
        delimiter = _delimiter_of(text)
        fields = _fields(line, delimiter, path)
        first, header = start + len(line), line.rstrip(b"\r\n")
        if _is_header_of_numbers(fields):
            # numpy.savetxt and others write the header as a comment
            named = _fields(comment.lstrip(b"# "), delimiter, path)
            if len(named) != len(fields) or _is_header_of_numbers(named):
                raise InputError(
                    f"has no header: its first line is '{text.strip()[:60]}'",
                    path=path,
                    line=line_number,
                    hint="add a line with the names of the columns, such as step,attention_utilization",
                )
            fields, first, header = named, start, b""
            line_number -= 1
        names = tuple(field.strip() or f"unnamed_{index}" for index, field in enumerate(fields))
        _check_unique(names, path, line_number)
        following = data[first : first + 4096]
        decimal = "," if delimiter == ";" and re.search(rb"(^|;)\s*-?\d+,\d+\s*(;|\r?\n|$)", following) else "."
        return _Dialect(delimiter, decimal, names, header, first, line_number + 1)
    raise InputError("holds nothing but comments", path=path, hint="give a log with a header and at least two rows")


def _csv_rows(data: bytes, dialect: _Dialect, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row, read slowly; blank lines and repeated headers are passed over."""
    text = io.StringIO(_decoded(data, path, dialect.start), newline="")
    reader = csv.reader(text, delimiter=dialect.delimiter)
    names = list(dialect.names)
    before = 0
    try:
        for fields in reader:
            line, before = dialect.start_line + before, reader.line_num
            blank = not fields or (len(fields) == 1 and not fields[0].strip())
            if not blank and not (dialect.header and [field.strip() for field in fields] == names):
                yield line, fields
    except csv.Error as error:
        raise InputError(
            f"cannot be read as a table: {error}", path=path, line=dialect.start_line + before, hint=_CONVERT
        ) from None


def _cut_line(data: bytes, floor: int, dialect: _Dialect, path: Path) -> int | None:
    """Offset of the last line if a crash has cut it short: too few fields, or a number that breaks off."""
    begin = max(_last_line(data, b"\r\n " if dialect.delimiter == "\t" else b"\r\n \t"), floor)
    line = data[begin:]
    if not line or b'"' in line:  # a quoted field may hold a line end: left to the careful path
        return None
    try:
        fields = _fields(line, dialect.delimiter, path)
    except InputError:  # cut within a character
        return None if line.endswith(b"\n") else begin
    cut = len(fields) < len(dialect.names)
    if len(fields) == len(dialect.names) and not line.endswith((b"\n", b"\r")):
        cut = _CUT_NUMBER.fullmatch(fields[-1].strip()) is not None
    return begin if cut else None


def _read_csv(path: Path, options: ReadOptions) -> Raw:
    raw = _read_plain_csv(path, options)
    return raw if raw is not None else _read_any_csv(path, replace(options, progress=None))


def _read_plain_csv(path: Path, options: ReadOptions) -> Raw | None:
    """Stream a table without holding its text in memory; None if anything about it needs a closer look."""
    import pyarrow as pa
    from pyarrow import compute

    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(size - HEAD_BYTES, 0))
        tail = file.read()
    special = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, _GZIP, _ZSTD)
    whole_lines = head if len(head) == size else head[: head.rfind(b"\n") + 1]
    if head.startswith(special) or b"\0" in head or b"\0" in tail or b"\n" not in whole_lines:
        return None
    try:
        dialect = _dialect(whole_lines, path)
    except InputError:
        return None
    before = size - len(tail)  # what the tail leaves out
    if len(tail) < size and b"\n" not in tail[:-4096]:
        return None
    cut = _cut_line(tail, max(dialect.start - before, 0), dialect, path)
    end = size if cut is None else before + cut
    with _stretch(path, dialect.start, end if cut is not None else None, options.progress) as rows:
        try:
            table = _arrow_csv(rows if end > dialect.start else None, dialect)
        except pa.ArrowInvalid:
            return None
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_binary(column.type):
            return None
        if pa.types.is_string(column.type):  # a repeated header or a zero byte makes any column one of text
            odd = compute.or_(compute.equal(column, name), compute.match_substring(column, "\0"))
            if compute.any(odd).as_py():
                return None
    if not table.num_rows and cut is None:
        return None
    frame, notes = _frame(table)
    dropped = {TRUNCATED: 1} if cut is not None else {}

    def line_of(row: int) -> int:
        return _line_of_row(path.read_bytes(), row, dialect, path)

    return Raw(frame, "csv", len(frame) + len(dropped), dropped, tuple(notes), line_of)


def _line_of_row(data: bytes, row: int, dialect: _Dialect, path: Path) -> int:
    return next(line for index, (line, _) in enumerate(_csv_rows(data, dialect, path)) if index == row)


def _read_any_csv(path: Path, options: ReadOptions) -> Raw:
    """Read a table whose text is compressed, damaged or otherwise out of the ordinary."""
    import pyarrow as pa

    data = _text_bytes(path, options)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    dialect = _dialect(data, path)
    whole = data
    cut = _cut_line(data, dialect.start, dialect, path)
    dropped = {TRUNCATED: 1} if cut is not None else {}
    data = data[:cut]
    body: Any = pa.py_buffer(data).slice(dialect.start)
    if dialect.header and data.find(b"\n" + dialect.header, dialect.start - 1) >= 0:
        pattern = re.compile(rb"^" + re.escape(dialect.header) + rb"\r?(\n|\Z)", re.MULTILINE)
        kept, repeated = pattern.subn(b"", data[dialect.start :])
        body = pa.py_buffer(kept)
        dropped |= {REPEATED_HEADER: repeated} if repeated else {}
    notes: list[str] = []
    lines: list[int] | None = None
    try:
        table = _arrow_csv(pa.BufferReader(body) if body.size else None, dialect)
        if any(pa.types.is_binary(column) for column in table.schema.types):
            _decoded(data, path)  # says where it is not UTF-8
        frame, notes = _frame(table)
    except pa.ArrowInvalid:
        frame, lines, short = _careful_csv(data, dialect, path)
        dropped |= {TRUNCATED: 1} if short else {}
    if not len(frame) and not dropped:
        raise InputError("holds a header and no rows", path=path, hint="give a log with at least two rows")

    def line_of(row: int) -> int:
        if lines is not None:
            return lines[row]
        return _line_of_row(whole, row, dialect, path)

    return Raw(frame, "csv", len(frame) + sum(dropped.values()), dropped, tuple(notes), line_of)


@cache
def _null_texts() -> list[str]:
    return sorted({spelling for word in MISSING for spelling in (word, word.upper(), word.title())} | {"NaN", "-NaN"})


def _arrow_csv(rows: Any, dialect: _Dialect) -> Any:
    """Arrow's table of rows that are left to read from a file object, None if there are none."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    if rows is None:
        return pa.table({name: pa.array([], pa.float64()) for name in dialect.names})
    return arrow.read_csv(
        rows,
        read_options=arrow.ReadOptions(column_names=list(dialect.names), use_threads=True),
        parse_options=arrow.ParseOptions(delimiter=dialect.delimiter),
        convert_options=arrow.ConvertOptions(
            null_values=_null_texts(), strings_can_be_null=True, decimal_point=dialect.decimal
        ),
    )


def _careful_csv(data: bytes, dialect: _Dialect, path: Path) -> tuple[pd.DataFrame, list[int], bool]:
    """Rows, their lines, and whether the last one was cut short and left out."""
    import pandas as pd

    rows = list(_csv_rows(data, dialect, path))
    width = len(dialect.names)
    short = bool(rows) and len(rows[-1][1]) < width
    rows = rows[:-1] if short else rows
    for line, fields in rows:
        if len(fields) != width:
            raise InputError(
                f"has {len(fields)} field{'s' if len(fields) > 1 else ''} where the header has {width}",
                path=path,
                line=line,
                hint="correct or remove this line",
            )
    cells: dict[str, Any] = {}
    for index, name in enumerate(dialect.names):
        texts = [None if fields[index].strip().casefold() in MISSING else fields[index] for _, fields in rows]
        column = pd.Series(texts, dtype=object)
        if dialect.decimal == ",":
            column = column.str.replace(",", ".", regex=False)
        try:
            cells[name] = pd.to_numeric(column)
        except (ValueError, TypeError):
            cells[name] = pd.Series(texts, dtype="str")
    return pd.DataFrame(cells), [line for line, _ in rows], short


def _header_names(head: bytes) -> tuple[str, ...]:
    """Names of the columns if `head` is the start of a text table, else none."""
    if not _is_text(head):
        return ()
    data = head.removeprefix(codecs.BOM_UTF8)
    try:
        return _dialect(data, Path()).names
    except InputError:
        return ()


def _is_csv(path: Path, head: bytes) -> bool:
    if not _is_text(head) or head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return False
    return suffix_of(path) in (".csv", ".tsv") or len(_header_names(head)) > 1


# --- Weights & Biases -------------------------------------------------------------------------------------------------


def _wandb_columns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each run of a W&B chart export, its columns by metric; empty if this is no such export."""
    runs: dict[str, dict[str, str]] = {}
    for name in names[1:]:
        run, separator, metric = name.rpartition(" - ")
        if not separator:
            return {}
        if not metric.endswith(("__MIN", "__MAX")):
            runs.setdefault(run, {})[metric] = name
    return runs


def _is_wandb(path: Path, head: bytes) -> bool:
    return _is_csv(path, head) and bool(_wandb_columns(_header_names(head)))


def _read_wandb(path: Path, options: ReadOptions) -> Raw:
    """Read a chart export, one column for each run, into rows by run."""
    import pandas as pd

    raw = replace(_read_csv(path, options), format="wandb")
    names = [str(name) for name in raw.frame.columns]
    runs = _wandb_columns(names)
    if not runs:
        raise InputError(
            "is no W&B chart export: it has no columns such as 'run - metric'", path=path, hint="try --format csv"
        )
    if options.y in names or options.x in names[1:]:
        return raw  # the user means one column of one run
    parts = []
    for run, metrics in runs.items():
        part = raw.frame[[names[0], *metrics.values()]]
        part = part.rename(columns={column: metric for metric, column in metrics.items() if metric != names[0]})
        steps = [name for name in part.columns if str(name).casefold() == "_step" and name != names[0]]
        parts.append(part.drop(columns=steps).assign(run=run))
    rows, line_of = len(raw.frame), raw.line_of
    note = (f"W&B export: {len(runs)} runs, one column each, became rows",) if len(runs) > 1 else ()
    return replace(
        raw,
        frame=pd.concat(parts, ignore_index=True),
        rows_read=raw.rows_read + (len(runs) - 1) * rows,
        notes=(*raw.notes, *note),
        line_of=(lambda row: line_of(row % rows)) if line_of is not None else None,
    )


# --- JSON -------------------------------------------------------------------------------------------------------------


def _parsed(data: bytes | str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = line if line is not None else error.lineno
        raise InputError(f"is no valid JSON: {error.msg}", path=path, line=where, hint="correct this line") from None
    except UnicodeDecodeError:
        raise InputError("is not encoded in UTF-8", path=path, line=line, hint="save it as UTF-8") from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, line=line, hint=_CONVERT) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"cannot be read: {error}", path=path, line=line, hint=_CONVERT) from None


def _flattened(record: Mapping[str, Any], prefix: str = "", depth: int = 8) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict) and depth:
            flat |= _flattened(value, f"{prefix}{name}.", depth - 1)
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _frame_of_records(records: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    if any(isinstance(value, dict) for record in records for value in record.values()):
        records = [_flattened(record) for record in records]
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = {name: [record.get(name) for record in records] for name in names}
    nested = [name for name, values in cells.items() if any(isinstance(value, (list, dict)) for value in values)]
    frame = pd.DataFrame({name: _column(values) for name, values in cells.items() if name not in nested})
    return frame, [f"columns that hold lists were left out: {', '.join(nested[:6])}"] if nested else []


def _column(values: Sequence[Any]) -> Any:
    import pandas as pd

    if {type(value) for value in values} == {int, type(None)}:
        try:
            return pd.Series(list(values), dtype="Int64")  # as floats, integers beyond 2**53 would lose digits
        except (OverflowError, TypeError, ValueError):
            return pd.Series(list(values), dtype=object)
    return pd.Series(list(values))


def _read_jsonl(path: Path, options: ReadOptions) -> Raw:
    import pyarrow as pa
    from pyarrow import json as arrow

    data = _text_bytes(path, options)
    begin = _last_line(data)
    dropped: dict[str, int] = {}
    try:
        json.loads(data[begin:])
    except (ValueError, RecursionError):
        if not data[:begin].strip():
            _parsed(data, path)
        data, dropped = data[:begin], {TRUNCATED: 1}

    def line_of(row: int) -> int:
        numbered = (number for number, (_, line) in enumerate(_lines(data), 1) if line.strip())
        return next(number for index, number in enumerate(numbered) if index == row)

    try:
        table = arrow.read_json(
            pa.BufferReader(data), read_options=arrow.ReadOptions(block_size=1 << 22, use_threads=True)
        )
        _check_unique(table.column_names, path)
        frame, notes = _frame(table)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        frame, notes = _frame_of_records(_careful_jsonl(data, path))
    return Raw(frame, "jsonl", len(frame) + len(dropped), dropped, tuple(notes), line_of)


def _careful_jsonl(data: bytes, path: Path) -> list[dict[str, Any]]:
    numbered = [(number, line) for number, (_, line) in enumerate(_lines(data), 1) if line.strip()]
    records: list[Any]
    try:
        records = json.loads(b"[" + b",".join(line for _, line in numbered) + b"]")
    except (ValueError, RecursionError):
        records = []
    if len(records) != len(numbered):
        records = [_parsed(line, path, number) for number, line in numbered]
    for (number, _), record in zip(numbered, records, strict=True):
        if not isinstance(record, dict):
            raise InputError("is no JSON object", path=path, line=number, hint='write rows such as {"step": 0, …}')
    return records


def _read_json(path: Path, options: ReadOptions) -> Raw:
    content = _parsed(_text_bytes(path, options), path)
    notes: list[str] = []
    if isinstance(content, list) and content and all(isinstance(record, dict) for record in content):
        frame, notes = _frame_of_records(content)
    elif isinstance(content, dict) and content and all(isinstance(column, (list, dict)) for column in content.values()):
        frame = _frame_of_columns(content, path)
    else:
        raise NoLogColumns("is JSON, but no table", path=path, hint="give an array of objects or an object of columns")
    return Raw(frame, "json", len(frame), {}, tuple(notes))


def _frame_of_columns(content: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """An object of columns: lists, or objects by row as `pandas.DataFrame.to_json` writes them."""
    import pandas as pd

    columns = {name: list(column.values()) if isinstance(column, dict) else column for name, column in content.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or any(isinstance(value, (list, dict)) for column in columns.values() for value in column):
        raise NoLogColumns(
            "is JSON, but its columns are not equally long lists of values", path=path, hint="give a table"
        )
    return pd.DataFrame({name: _column(column) for name, column in columns.items()})


def _is_json_text(head: bytes) -> bool:
    return _is_text(head) and head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")


def _is_jsonl(path: Path, head: bytes) -> bool:
    if not _is_json_text(head):
        return False
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return False
    first, _, rest = text.partition(b"\n")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return suffix_of(path) in (".jsonl", ".ndjson")
    if rest.strip():
        return rest.lstrip()[:1] == b"{" or suffix_of(path) in (".jsonl", ".ndjson")
    return suffix_of(path) != ".json" or not any(isinstance(value, (list, dict)) for value in record.values())


def _is_json(path: Path, head: bytes) -> bool:
    return _is_json_text(head) and not _is_jsonl(path, head)


# --- Hugging Face -----------------------------------------------------------------------------------------------------


def _is_huggingface(path: Path, head: bytes) -> bool:
    return (
        _is_json_text(head)
        and head.lstrip()[:1] == b"{"
        and (b'"log_history"' in head or path.name == "trainer_state.json")
        and not _is_jsonl(path, head)
    )


def _read_huggingface(path: Path, options: ReadOptions) -> Raw:
    state = _parsed(_text_bytes(path, options), path)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(record, dict) for record in history):
        raise InputError("holds no list 'log_history'", path=path, hint="give a trainer_state.json of transformers")
    if not history:
        raise InputError("has an empty 'log_history'", path=path, hint="train with logging_steps set")
    frame, notes = _frame_of_records(history)
    return Raw(frame, "huggingface", len(frame), {}, tuple(notes))


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path, options: ReadOptions) -> Raw:
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("rb") as opened:
        compressed = opened.read(4).startswith((_GZIP, _ZSTD))
    with parquet.ParquetFile(pa.BufferReader(_read(path, None, options.progress)) if compressed else path) as file:
        implied = _implied_index(file.schema_arrow, file.metadata.num_rows)
        names = [*file.schema_arrow.names, *implied]
        _check_unique(names, path)
        needed = _needed(names, options, path)
        stored = None if needed is None else [name for name in needed if name not in implied]
        frame, notes = _frame(file.read(columns=stored))
    frame = frame.assign(**implied)
    if not len(frame):
        raise InputError("holds no rows", path=path, hint="give a log with at least two rows")
    return Raw(frame, "parquet", len(frame), {}, tuple(notes))


def _implied_index(schema: Any, n_rows: int) -> dict[str, range]:
    """Named index of a pandas table that was not stored because it is a range."""
    described = schema.pandas_metadata
    indexes = described.get("index_columns") if isinstance(described, dict) else None
    implied = {}
    for index in indexes if isinstance(indexes, list) else []:
        if isinstance(index, dict) and isinstance(index.get("name"), str) and index.get("kind") == "range":
            numbers = range(int(index["start"]), int(index["stop"]), int(index["step"]))
            if len(numbers) == n_rows and index["name"] not in schema.names:
                implied[index["name"]] = numbers
    return implied


def _needed(names: Sequence[str], options: ReadOptions, path: Path) -> list[str] | None:
    """Columns of a routing log, which is long; None (all of them) for everything else."""
    try:
        columns = find_columns(names, options, path)
    except InputError:
        return None  # said again, and better, when the table is cleaned
    return columns.used() if columns.routing else None


def _is_parquet(path: Path, head: bytes) -> bool:
    return head.startswith(_PARQUET)


# --- the registry -----------------------------------------------------------------------------------------------------

PARQUET = Reader("parquet", _is_parquet, _read_parquet)
HUGGINGFACE = Reader("huggingface", _is_huggingface, _read_huggingface)
JSON = Reader("json", _is_json, _read_json)
JSONL = Reader("jsonl", _is_jsonl, _read_jsonl)
WANDB = Reader("wandb", _is_wandb, _read_wandb)
CSV = Reader("csv", _is_csv, _read_csv)

OTHER_NAMES: Mapping[str, str] = {
    "tsv": "csv",
    "lightning": "csv",
    "ndjson": "jsonl",
    "json_lines": "jsonl",
    "pq": "parquet",
    "hf": "huggingface",
    "trainer_state": "huggingface",
    "tfevents": "tensorboard",
    "sqlite": "mlflow",
    "w&b": "wandb",
}
"""Further names that ``format=`` takes."""


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order in which they are asked whether a file is theirs.

    Examples
    --------
    >>> [reader.name for reader in readers()][:3]
    ['parquet', 'tensorboard', 'mlflow']
    """
    from cogfit.logs import mlflow, tensorboard

    return (PARQUET, tensorboard.READER, mlflow.READER, HUGGINGFACE, JSON, JSONL, WANDB, CSV)


def reader_named(name: str) -> Reader:
    """The reader that the user asked for.

    Raises
    ------
    InputError
        There is none of this name.
    """
    wanted = name.strip().casefold().replace(" ", "_").replace("-", "_")
    wanted = OTHER_NAMES.get(wanted, wanted)
    for reader in readers():
        if reader.name == wanted:
            return reader
    names = [reader.name for reader in readers()]
    raise InputError(f"there is no log format '{name}'; {nearest(name, [*names, *OTHER_NAMES])}")


def reader_for(path: Path, head: bytes) -> Reader | None:
    """The reader that recognises a file (or, with an empty `head`, a folder)."""
    return next((reader for reader in readers() if reader.recognise(path, head)), None)


def why_unreadable(path: Path, head: bytes) -> InputError:
    """Say what a file is that no reader recognises."""
    if not head.strip(b"\0\t\r\n "):
        return InputError("is empty", path=path, hint="give a log with a header and at least two rows")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return InputError("is encoded in UTF-16", path=path, hint="save it as UTF-8")
    if is_pickle(head) or suffix_of(path) in _PICKLE_SUFFIXES:
        return InputError("is or may be a pickle, which is never loaded", path=path, hint=_CONVERT)
    for start, name in _SEEN_BEFORE:
        if head.startswith(start):
            return InputError(f"is {name}", path=path, hint=_CONVERT)
    if suffix_of(path) in TEXT_SUFFIXES and not _is_text(head) and b"\0" not in head:
        return InputError("is not encoded in UTF-8", path=path, hint="save it as UTF-8")
    what = "is text, but no table" if _is_text(head) else "is binary and of no known format"
    return InputError(what, path=path, hint=f"give one of: {FORMATS}")


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as pickles of protocol 2 and later do."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Call `read`, and turn whatever a library or the system raises into an `InputError` that names the file."""
    import pyarrow as pa

    try:
        return read()
    except (InputError, MissingDependencyError):
        raise
    except MemoryError:
        raise InputError(
            "does not fit into memory, or a damaged header makes it seem so", path=path, hint=_CONVERT
        ) from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, hint=_CONVERT) from None
    except (OSError, ValueError, OverflowError, EOFError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read: {reason[:200]}", path=path, hint="check that the file is complete and readable"
        ) from None


def read_raw(reader: Reader, path: Path, options: ReadOptions) -> Raw:
    """Read a file or folder with a reader; whatever goes wrong is an `InputError`."""
    raw: Raw = guarded(path, lambda: reader.read(path, options))
    return raw
