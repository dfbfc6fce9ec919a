"""The contents of files, whatever their format.

Bytes are decompressed, and text is told from other data.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cogfit.errors import InputError, MissingDependencyError
from cogfit.logs.columnar import as_frame
from cogfit.logs.formats.reader import HEAD_BYTES, ReadOptions
from cogfit.progress import Progress

if TYPE_CHECKING:
    from cogfit.logs.columnar import Frame

CHUNK_BYTES = 1 << 22

MAX_BYTES = 16 * 10**9
"""Largest content of a compressed file, and of a pipe."""

_USUAL_RATIO, _SMALL = 1000, 10**9  # logs are compressed 5 to 100 times; what is small does no harm

TRUNCATED = "truncated last line"
CONVERT = "export the log to CSV, JSON lines or Parquet"

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_DOWNLOAD, _DOWNLOAD_ROWS = ("Wall time", "Step", "Value"), 1000  # TensorBoard's CSV, and its largest number of points
_CONTROL = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f]")  # characters that no text has
_COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")


def bare_suffix(path: Path) -> str:
    """Suffix of a file without that of its compression.

    In lower case.

    Examples
    --------
    >>> bare_suffix(Path("routing.PARQUET")), bare_suffix(Path("log.csv.gz"))
    ('.parquet', '.csv')
    """
    name = path.name.casefold()
    for suffix in _COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def walk_files(folder: Path) -> Iterator[Path]:
    """All files in the tree below a folder.

    Links are followed within the tree, each folder is visited once, and hidden folders are left out. Files of a folder
    come in the order of their names, before those of the folders below it.
    """
    visited: set[tuple[int, int]] = set()
    root = os.path.realpath(folder)
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and stays_within(root, os.path.join(parent, name))
        )
        yield from (Path(parent, name) for name in sorted(files) if stays_within(root, os.path.join(parent, name)))


def stays_within(root: str, entry: str) -> bool:
    """Whether an entry of a tree leads nowhere else.

    Links that lead elsewhere may have been laid by whoever made the folder, and are not followed unasked.
    """
    return not os.path.islink(entry) or Path(os.path.realpath(entry)).is_relative_to(root)


class Watched(io.RawIOBase):
    """A file, or a stretch of it, that reports progress."""

    def __init__(self, path: Path, progress: Progress | None, start: int = 0, end: int | None = None) -> None:
        self._file: BinaryIO = path.open("rb")
        self._file.seek(start)
        self._total = path.stat().st_size
        self._end = self._total if end is None else end
        self._progress = progress
        self._name = path.name
        self._done = start

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        left = max(self._end - self._done, 0)
        data = self._file.read(left if size < 0 else min(size, left))
        self._done += len(data)
        if self._progress is not None and data:
            self._progress(self._done, self._total, self._name)
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def stretch(path: Path, start: int, end: int | None, progress: Progress | None) -> Any:
    """A file from an offset on as Arrow reads it.

    It is read to its end, and without Python in between, if `end` is None.
    """
    import pyarrow as pa

    if end is not None:
        return pa.PythonFile(Watched(path, progress, start, end), mode="r")
    file = pa.OSFile(os.fsencode(path))
    file.seek(start)
    return file


def decompressed(path: Path, start: bytes, watched: Watched) -> Any:
    """A stream of a file's bytes, decompressed if need be.

    It has ``read(size)``; the first bytes say whether the file is compressed.
    """
    codec = "gzip" if start.startswith(GZIP) else "zstd" if start.startswith(ZSTD) else None
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


def most_bytes(size: int, max_bytes: int | None) -> int:
    """How much a compressed file may hold.

    Examples
    --------
    >>> most_bytes(50_000_000, None), most_bytes(1000, None), most_bytes(1000, 5000)
    (16000000000, 1000000000, 5000)
    """
    return min(MAX_BYTES, max(_SMALL, _USUAL_RATIO * size)) if max_bytes is None else max_bytes


def too_large(what: str, limit: int, path: Path) -> InputError:
    """The error of too large a file or pipe."""
    hint = "if this is no mistake, allow more with --max-bytes (in Python, max_bytes=)"
    return InputError(f"{what} more than {limit:,} bytes", path=path, hint=hint)


def read_bytes(path: Path, limit: int | None, progress: Progress | None = None, max_bytes: int | None = None) -> bytes:
    """Bytes of a file after decompression.

    The first `limit` or all of them. More than `max_bytes` out of a compressed file are an `InputError`; by default
    1,000 times its size, but at least 1 GB and at most `MAX_BYTES`.
    """
    with path.open("rb") as file:
        start = file.read(4)
        if limit is None and progress is None and not start.startswith((GZIP, ZSTD)):
            file.seek(0)
            return file.read()
    chunks: list[bytes] = []
    size = 0
    most = most_bytes(path.stat().st_size, max_bytes)
    with Watched(path, progress) as watched:
        stream = decompressed(path, start, watched)
        while limit is None or size < limit:
            chunk = stream.read(CHUNK_BYTES if limit is None else limit - size)
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
            if limit is None and size > most and stream is not watched:
                raise too_large("decompresses to", most, path)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_head(path: Path) -> bytes:
    """First bytes of a file, decompressed, as `Reader.recognise` wants them."""
    return read_bytes(path, HEAD_BYTES)


def text_bytes(path: Path, options: ReadOptions) -> bytes:
    """All bytes of a text file.

    Without byte order mark and without the zeros that a crash may leave at its end.
    """
    data = read_bytes(path, None, options.progress, options.max_bytes)
    if (encoding := wide_encoding(data)) is not None:
        raise InputError(f"is encoded in {encoding}", path=path, hint="save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.endswith(b"\0"):
        data = data.rstrip(b"\0")
    zero = data.find(b"\0")
    if zero >= 0:
        raise InputError("holds zero bytes and is no text", path=path, line=line_at(data, zero), hint=CONVERT)
    if not data[:4096].strip() and not data.strip():
        raise InputError("is empty", path=path, hint="give a log with a header and at least two rows")
    return data


def line_at(data: bytes, position: int) -> int:
    """Number of the line, from 1, at an offset."""
    return data.count(b"\n", 0, position) + 1


def offset_lines(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Offset and content of each line, with its line end."""
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield start, data[start:end]
        start = end


def first_line(data: bytes) -> bytes:
    """The first line, without its line end."""
    end = data.find(b"\n")
    return (data if end < 0 else data[:end]).rstrip(b"\r")


def last_line(data: bytes, blanks: bytes = b"\r\n \t") -> int:
    """Offset of the last line that is not blank.

    It is found without a copy of the data.
    """
    end = len(data)
    while end and data[end - 1] in blanks:
        end -= 1
    return data.rfind(b"\n", 0, end) + 1


def decoded(data: bytes, path: Path, start: int = 0) -> str:
    """Text of `data` from an offset on."""
    try:
        return data[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "is not encoded in UTF-8", path=path, line=line_at(data, start + error.start), hint="save it as UTF-8"
        ) from None


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, if a text is encoded so.

    They are known by their marks, or by where the zeros are. None for other data.

    Examples
    --------
    >>> wide_encoding("step,loss".encode("utf-16-le")), wide_encoding(b"step,loss")
    ('UTF-16', None)
    """
    for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):  # first, since those of UTF-16 begin alike
        if head.startswith(mark):
            return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    start = head[:256]
    start = start[: len(start) // 4 * 4]
    if len(start) < 8 or b"\0" not in start:
        return None
    zeros = [start[place::4].count(0) * 4 == len(start) for place in range(4)]
    if zeros in ([False, True, True, True], [True, True, True, False]):
        return "UTF-32"
    return "UTF-16" if zeros in ([False, True, False, True], [True, False, True, False]) else None


def is_text(head: bytes) -> bool:
    """Whether a file that begins so is text in UTF-8."""
    head = head.rstrip(b"\0")  # a crash may leave zeros at the end
    if b"\0" in head or not head.strip():
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end within a character
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(head, 0, 2048) is None


def thinning_notes(table: Frame) -> tuple[str, ...]:
    """Note that a download of TensorBoard is a sample.

    It then has as many rows as a download may have, in all or for each run.

    Examples
    --------
    >>> import pandas as pd
    >>> download = pd.DataFrame({"Wall time": 1.7e9, "Step": range(1000), "Value": 0.5})
    >>> len(thinning_notes(download)), thinning_notes(download[1:])
    (1, ())
    """
    names = [str(name) for name in table.columns]
    runs = [name for name in names if name not in _DOWNLOAD]
    if not set(_DOWNLOAD) <= set(names) or len(runs) > 1:
        return ()
    counts = as_frame(table)[runs[0]].value_counts().tolist() if runs else [len(table)]
    if _DOWNLOAD_ROWS not in counts:
        return ()
    sample = f"TensorBoard's download holds at most {_DOWNLOAD_ROWS:,} points, a random sample"
    return (f"{sample}: read the event files instead",)


def check_unique(names: Sequence[str], path: Path, line: int | None = None) -> None:
    """Refuse a table with two columns of one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"two columns are called '{name}'", path=path, line=line, hint="rename or remove one")
        seen.add(name)
