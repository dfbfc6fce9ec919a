"""Reader of TensorBoard event files.

Every scalar is read and both checksums of every record are checked. Nothing is subsampled.

An event file is a sequence of records::

    length (8 bytes) | masked CRC-32C of the length (4) | data: one protobuf Event | masked CRC-32C of the data (4)

Nearly all records of a training log have one shape, ``Event{wall_time, step, summary{value{tag, simple_value}}}``, or
that of one float in a tensor. These are decoded by numpy, many at a time; whatever differs from them in any byte goes
through the generated protobuf class. Checksums come from the C library google-crc32c.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, MissingDependencyError, printable
from cogfit.logs.formats.contents import GZIP, ZSTD, read_bytes, walk_files
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.wide import Series, join, widen
from cogfit.progress import Stages

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

CHUNK_BYTES = 1 << 24
"""How much of a file is held in memory at once (more only where one record is larger)."""

HEADER_BYTES, FOOTER_BYTES = 12, 4
_NOT_EVENTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".png", ".svg", ".html", ".py", ".zip")

RESTART_VERSION = 2
"""First version of event files whose session logs say where training went on."""

DAMAGED = "damaged record"
TRUNCATED = "truncated last record"

# number of a tensor's type -> (field that holds its values, numpy type of `tensor_content` and of the value)
_TENSOR_TYPES: dict[int, tuple[str, str]] = {
    1: ("float_val", "<f4"),
    2: ("double_val", "<f8"),
    3: ("int_val", "<i4"),
    4: ("int_val", "|u1"),
    5: ("int_val", "<i2"),
    6: ("int_val", "|i1"),
    9: ("int64_val", "<i8"),
    10: ("bool_val", "|b1"),
    14: ("half_val", "bfloat16"),
    17: ("int_val", "<u2"),
    19: ("half_val", "<f2"),
    22: ("uint32_val", "<u4"),
    23: ("uint64_val", "<u8"),
}

# What surrounds the four bytes of a value after its tag: a simple value, or a tensor of one float as torch, TensorFlow
# and others write it (without or with a shape, as float_val or tensor_content) with the metadata of a scalar.
_USUAL = [
    (b"\x15", b""),
    *(
        (b"\x42" + bytes([len(start) + 8]) + b"\x08\x01" + start + kind + b"\x04", metadata)
        for start in (b"", b"\x12\x00")
        for kind in (b"\x2a", b"\x22")
        for metadata in (b"\x4a\x0b\x0a\x09\x0a\x07scalars", b"\x4a\x0d\x0a\x09\x0a\x07scalars\x20\x01")
    ),
]


def recognise(path: Path, head: bytes) -> bool:
    """Whether a file or folder is TensorBoard's.

    A file is known by its name or first record, a folder by its files.
    """
    try:
        if path.is_dir():
            return next(_event_files(path), None) is not None
    except OSError:
        return False
    return _is_event_name(path.name) or _starts_with_record(head)


def read(path: Path, options: ReadOptions) -> Raw:
    """Read one event file or all below a folder.

    Parameters
    ----------
    path : Path
        A file: one run. A folder: each folder with event files is a run, named by its path relative to `path`
        (``"."`` for `path` itself); several event files of one folder are one run, in the order of time.
    options : ReadOptions

    Returns
    -------
    Raw
        The wide form made by `cogfit.logs.formats.wide.widen`. `Raw.rows_read` counts the rows of the frame and the
        records that could not be read.

    Raises
    ------
    InputError
        Nothing can be read, or no record holds a scalar.
    """
    path = Path(path)
    names = _Names()
    runs = _read_runs(path, names, options)
    account = [file for parts in runs.values() for file in parts]
    _check_account(account, path)
    ordered = [(run, _parts(sorted(parts, key=_File.age))) for run, parts in sorted(runs.items())]
    frame, notes, restarts = widen(ordered, names.decoded(), path=path, options=options)
    dropped = {
        DAMAGED: sum(file.damaged for file in account),
        TRUNCATED: sum(file.truncated for file in account),
    }
    dropped = {reason: count for reason, count in dropped.items() if count}
    return Raw(
        table=frame,
        format=READER.name,
        rows_read=len(frame) + sum(dropped.values()),
        dropped=dropped,
        notes=(*_notes(account, path), *notes),
        restarts=restarts,
    )


def _read_runs(path: Path, names: _Names, options: ReadOptions) -> dict[str, list[_File]]:
    """Read event files, by run.

    Tags get their codes in `names`.
    """
    try:
        is_folder = path.is_dir()
        files = sorted(_event_files(path)) if is_folder else [path]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if not files:
        raise InputError("holds no TensorBoard event file", path=path, hint="give the folder that training wrote to")
    total, done = sum(_size(file) for file in files), 0
    runs: dict[str, list[_File]] = {}
    for file in files:
        run = printable(file.parent.relative_to(path).as_posix()) if is_folder else ""
        runs.setdefault(run, []).append(
            _read_file(file, names, Stages(options.progress, total, done), options.max_bytes)
        )
        done += _size(file)
    return runs


READER = Reader(
    name="tensorboard",
    title="TensorBoard",
    recognise=recognise,
    read=read,
    takes_folders=True,
    rank=7,
    other_names=("tfevents",),
    evidence=Evidence.MAGIC,
)


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass
class _Start:
    """A session log that says where training went on.

    Attributes
    ----------
    value : int
        How many values lie before it in the file.
    step : int
    version : float or None
        Of the file, as far as it was declared before.
    """

    value: int
    step: int
    version: float | None


@dataclass
class _File:
    """What one event file gave."""

    path: Path
    series: Series = field(default_factory=lambda: join([]))
    records: int = 0
    damaged: int = 0
    truncated: int = 0
    no_scalar: int = 0
    lost_bytes: int = 0
    first_time: float = float("inf")
    error: str = ""
    version: float | None = None
    starts: list[_Start] = field(default_factory=list)

    def age(self) -> tuple[float, float, str]:
        """Sort key: when the file was begun.

        It is the second in its name, then the time of its first event, which is finer.
        """
        second = re.search(r"tfevents\.(\d{1,15})", self.path.name)
        return (float(second[1]) if second else self.first_time, self.first_time, self.path.name)


def _parts(files: Sequence[_File]) -> list[Series]:
    """Values of a run between its restarts.

    As TensorBoard does, believe session logs of files of version 2 and later. The version is that of the run, since an
    earlier file may have declared it.
    """
    parts = []
    version: float | None = None
    for file in files:
        begin, restart = 0, None
        for start in file.starts:
            declared = version if start.version is None else start.version
            if declared is not None and declared >= RESTART_VERSION:
                parts.append(replace(file.series[begin : start.value], restart=restart))
                begin, restart = start.value, float(start.step)
        parts.append(replace(file.series[begin:], restart=restart))
        version = version if file.version is None else file.version
    return parts


def _event_files(folder: Path) -> Iterator[Path]:
    return (file for file in walk_files(folder) if _is_event_name(file.name))


def _is_event_name(name: str) -> bool:
    return "tfevents" in name and not name.endswith(_NOT_EVENTS)


def _starts_with_record(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    if len(head) < HEADER_BYTES or b"brain.Event" not in head[HEADER_BYTES : HEADER_BYTES + min(length, 64)]:
        return False
    try:
        crc = _crc32c()
    except MissingDependencyError:
        return True  # so that `read` can say what to install
    return _masked(crc(head[:8])) == int.from_bytes(head[8:HEADER_BYTES], "little")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _check_account(files: list[_File], path: Path) -> None:
    """Raise an `InputError` if no file gave a scalar."""
    if not any(file.records for file in files):
        what, hint = _why_nothing(files)
        raise InputError(what, path=path, hint=hint)
    if not any(len(file.series) for file in files):
        raise InputError(
            "holds no scalar", path=path, hint="log attention_utilization with add_scalar, or give another file"
        )


def _why_nothing(files: list[_File]) -> tuple[str, str]:
    for file in files:
        if file.error:
            return f"cannot be read: {file.error}", "check the path and its permissions"
    hint = "give an event file that TensorBoard can open"
    if any(file.damaged for file in files):
        return "holds no valid TensorBoard record (checksums do not match)", hint
    if any(file.truncated for file in files):
        return "holds no complete TensorBoard record", hint
    return "is empty", "wait until training has written something, or give another file"


def _notes(files: list[_File], path: Path) -> list[str]:
    notes = []
    for file in files:
        name = printable(file.path.relative_to(path).as_posix() if file.path != path else file.path.name)
        if file.error:
            notes.append(f"{name} cannot be read: {file.error}")
        elif not file.records and not file.damaged:
            notes.append(f"{name} holds no complete record")
        if file.lost_bytes:
            notes.append(f"{name}: {file.lost_bytes} bytes after a damaged record header could not be read")
    if no_scalar := sum(file.no_scalar for file in files):
        notes.append(f"{no_scalar} summaries are no scalars (histograms, images, text, …) and were left out")
    return notes


def _read_file(path: Path, names: _Names, progress: Stages, max_bytes: int | None) -> _File:
    file = _File(path)
    parts: list[Series] = []
    try:
        with _opened(path, max_bytes) as handle:
            for records in _records(handle, _end(handle), file, progress):
                parts.append(_decode(records, names, file, sum(map(len, parts))))
    except InputError:
        raise
    except (OSError, ValueError) as error:  # the latter: damage to a compressed file
        file.error = getattr(error, "strerror", None) or str(error)
    file.series = join(parts)
    return file


def _opened(path: Path, max_bytes: int | None) -> BinaryIO:
    """An event file, decompressed if need be."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((GZIP, ZSTD)):
        return io.BytesIO(read_bytes(path, None, max_bytes=max_bytes))
    return path.open("rb", buffering=0)


def _end(handle: BinaryIO) -> int:
    """Size of an open file, as it is now."""
    end = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    return end


# --- records ----------------------------------------------------------------------------------------------------------


class _Records(NamedTuple):
    """Records with right checksums within a buffer."""

    buffer: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def _crc32c() -> Callable[[bytes], int]:
    try:
        from google_crc32c import value
    except ImportError:
        raise MissingDependencyError("google-crc32c", "logs", "reading TensorBoard event files") from None
    return value  # type: ignore[no-any-return,unused-ignore]


def _masked(crc: int) -> int:
    """Mask a checksum as the record format does.

    The checksum of data that hold a checksum is thus no fixed point.
    """
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(handle: BinaryIO, size: int, file: _File, progress: Stages) -> Iterator[_Records]:
    """Yield the records of a file, chunk by chunk.

    What is damaged or truncated is counted in `file`.

    A record's data are skipped when their checksum is wrong. When the checksum of a length is wrong nothing says where
    the next record begins, and the file ends there. No length is believed beyond the end of the file, so that none
    makes us allocate more than there is.
    """
    crc = _crc32c()
    lengths: dict[bytes, int] = {}  # headers that have been checked: few lengths occur, each of them often
    unread, left = b"", size
    want = CHUNK_BYTES
    while left > 0 and (chunk := handle.read(min(max(want - len(unread), CHUNK_BYTES), left))):
        left -= len(chunk)
        buffer = unread + chunk
        end_of_buffer, position, want = len(buffer), 0, 0
        starts: list[int] = []
        ends: list[int] = []
        crcs: list[int] = []
        # walk from header to header; the checksums of the data are compared all at once below
        while position + HEADER_BYTES <= end_of_buffer:
            header = buffer[position : position + HEADER_BYTES]
            length = lengths.get(header)
            if length is None:
                if _masked(crc(header[:8])) != int.from_bytes(header[8:], "little"):
                    file.damaged += 1
                    file.lost_bytes = end_of_buffer - position + left
                    break
                length = lengths[header] = int.from_bytes(header[:8], "little")
            start = position + HEADER_BYTES
            end = start + length
            # the record goes on in the next chunk, which must be long enough to end it
            if end + FOOTER_BYTES > end_of_buffer:
                want = end + FOOTER_BYTES - position
                break
            starts.append(start)
            ends.append(end)
            crcs.append(crc(buffer[start:end]))
            position = end + FOOTER_BYTES
        if starts:
            yield _checked(buffer, starts, ends, crcs, file)
        progress(size - left, size, file.path.name)
        if file.lost_bytes:
            return
        unread = buffer[position:]
        # the last record would reach beyond the end of the file: it was cut short
        if want > len(unread) + left:
            break
    if unread:
        file.truncated += 1


def _checked(buffer: bytes, starts: list[int], ends: list[int], crcs: list[int], file: _File) -> _Records:
    first, end = np.array(starts), np.array(ends)
    crc = np.array(crcs, dtype=np.uint32)
    masked = (crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)  # wraps, as `_masked` does
    valid = masked == _gather(np.frombuffer(buffer, np.uint8), end, "<u4")
    file.damaged += int(np.count_nonzero(~valid))
    return _Records(buffer, first[valid], end[valid])


def _gather(data: NDArray[np.uint8], positions: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """Little-endian numbers at any positions."""
    width = np.dtype(dtype).itemsize
    windows = np.lib.stride_tricks.sliding_window_view(data, width)
    return np.ascontiguousarray(windows[positions]).view(dtype)[:, 0]


# --- events -----------------------------------------------------------------------------------------------------------


class _Names(dict[bytes, int]):
    """Codes of tags, in order of first appearance.

    −1 for bytes that are no text.
    """

    def __init__(self) -> None:
        self.not_scalar: set[int] = set()  # tags whose metadata name another plugin (hparams, pr_curves, …)
        self.tags: list[str] = []

    def __missing__(self, tag: bytes) -> int:
        try:
            self.tags.append(tag.decode())
        except UnicodeDecodeError:
            code = -1
        else:
            code = len(self.tags) - 1
        self[tag] = code
        return code

    def decoded(self) -> list[str]:
        return self.tags


def _decode(records: _Records, names: _Names, file: _File, before: int) -> Series:
    """Decode the values of records, in file order.

    Session logs among them are noted in `file`, by the number of values before them; `before` is that of earlier
    records.
    """
    file.records += len(records.starts)
    usual, index = _decode_usual(records, names)
    if len(usual):
        file.first_time = min(file.first_time, float(usual.wall_time[0]))
    unusual = np.delete(np.arange(len(records.starts)), index)
    earlier = len(file.starts)
    other, other_index = _decode_any(records, unusual, names, file)
    for start in file.starts[earlier:]:  # from the number of the record to that of the value
        start.value = before + int(np.sum(index < start.value)) + int(np.sum(other_index < start.value))
    if not len(other):
        return usual
    both = join([usual, other])
    order = np.argsort(np.concatenate([index, other_index]), kind="stable")  # back into file order
    return Series(both.step[order], both.wall_time[order], both.name[order], both.value[order])


def _decode_usual(records: _Records, names: _Names) -> tuple[Series, NDArray[np.int64]]:
    """Decode the records of the usual shape.

    Also return which ones they are.

    The shape, with n a length, v a varint, and before and after one of `_USUAL`::

        09 wall_time:8  10 v:step  2A n  0A n  0A n tag  before value:4 after
    """
    data = np.frombuffer(records.buffer + bytes(64), np.uint8)  # so that looking ahead stays inside
    # follow the fields of all records side by side; what differs no longer fits
    index = np.flatnonzero((data[records.starts] == 0x09) & (data[records.starts + 9] == 0x10))
    begin, end = records.starts[index] + 1, records.ends[index]
    step, at, fits = _varints(data, begin + 9, 9)
    for key in (0x2A, 0x0A):  # summary, value: each reaches to the end of the record, so there is exactly one value
        fits &= data[at] == key
        length, at, ended = _varints(data, at + 1, 3)
        fits &= ended & (at + length == end)
    fits &= data[at] == 0x0A
    length, at, ended = _varints(data, at + 1, 3)
    fits &= ended & (at + length < end)
    index, begin, end, step, at, length = (array[fits] for array in (index, begin, end, step, at, length))

    # find the value between the bytes that surround it in one of the usual shapes
    after_tag = at + length
    place = np.zeros(len(index), np.int64)  # of the value
    left = np.arange(len(index))
    for before, after in _USUAL:
        if not len(left):
            break
        start = after_tag[left]
        same = end[left] - start == len(before) + 4 + len(after)
        for offset, byte in (*enumerate(before), *enumerate(after, len(before) + 4)):
            # Positions past the end of the buffer belong to records of another length.
            same &= data[np.minimum(start + offset, len(data) - 1)] == byte
        place[left[same]] = start[same] + len(before)
        left = left[~same]

    # tags are few, so a dictionary gives their codes
    buffer = records.buffer
    name = np.full(len(index), -1, np.int64)
    usual = place > 0
    spans = zip(at[usual].tolist(), after_tag[usual].tolist(), strict=True)
    name[usual] = [names[buffer[first:last]] for first, last in spans]
    usual = name >= 0  # a tag that is no text: let protobuf decide
    wall_time = _gather(data, begin[usual], "<f8").astype(np.float64)
    value = _gather(data, place[usual], "<f4").astype(np.float64)
    return Series(step[usual], wall_time, name[usual], value), index[usual]


def _varints(
    data: NDArray[np.uint8], at: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Numbers of variable length, 7 bits a byte.

    Return values, positions after them, and which end within `most` bytes.

    Where a number does not end, or would run out of the buffer, the position stays near where it was.
    """
    byte = data[at].astype(np.int64)
    value = byte & 0x7F
    after = at + 1
    open_ = np.flatnonzero(byte & 0x80)
    for number in range(1, most):
        if not len(open_):
            break
        byte = data[at[open_] + number].astype(np.int64)
        value[open_] |= (byte & 0x7F) << (7 * number)
        after[open_] += 1
        open_ = open_[(byte & 0x80) != 0]
    ends = np.ones(len(at), bool)
    ends[open_] = False
    return value, after, ends


def _decode_any(
    records: _Records, which: NDArray[np.int64], names: _Names, file: _File
) -> tuple[Series, NDArray[np.int64]]:
    """Decode the scalars of any events.

    Also return which record each of them is from. Session logs are noted in `file` with the number of their record.
    """
    if not len(which):
        return join([]), which
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError:
        raise MissingDependencyError("tensorboard", "logs", "reading TensorBoard event files") from None
    rows: list[tuple[int, int, float, int, float]] = []
    starts, ends = records.starts[which].tolist(), records.ends[which].tolist()
    for number, start, end in zip(which.tolist(), starts, ends, strict=True):
        try:
            event = Event.FromString(records.buffer[start:end])
        except DecodeError:
            file.damaged += 1
            continue
        wall_time = event.wall_time
        file.first_time = min(file.first_time, wall_time)
        _note_session(event, number, file)
        # an event may hold many values, or none
        for item in event.summary.value:
            name = names[item.tag.encode()]
            plugin = item.metadata.plugin_data.plugin_name
            if plugin not in ("", "scalars"):
                names.not_scalar.add(name)
            kind = item.WhichOneof("value")
            value = None
            if kind == "simple_value":
                value = item.simple_value
            elif kind == "tensor" and (plugin == "scalars" or name not in names.not_scalar):
                value = _tensor_value(item.tensor)
            if value is None:
                file.no_scalar += 1
            else:
                rows.append((number, event.step, wall_time, name, value))
    # events in columns, as the usual ones come
    index, step, times, codes, values = zip(*rows, strict=True) if rows else ((),) * 5
    series = Series(
        np.array(step, np.int64), np.array(times, np.float64), np.array(codes, np.int64), np.array(values, np.float64)
    )
    return series, np.array(index, np.int64)


def _note_session(event: Event, number: int, file: _File) -> None:
    """Note the version of a file, or where training went on."""
    if event.HasField("file_version"):
        file.version = _version(event.file_version)
    elif event.HasField("session_log") and event.session_log.status == event.session_log.START:
        file.starts.append(_Start(number, event.step, file.version))


def _version(text: str) -> float:
    """Version of an event file.

    −1 if it is none.

    Examples
    --------
    >>> _version("brain.Event:2"), _version("?")
    (2.0, -1.0)
    """
    try:
        return float(text.split("brain.Event:")[-1])
    except ValueError:
        return -1.0


def _tensor_value(tensor: TensorProto) -> float | None:
    """The number in a tensor of one element.

    None for all other tensors.

    Examples
    --------
    >>> from tensorboard.compat.proto.tensor_pb2 import TensorProto
    >>> _tensor_value(TensorProto(dtype=2, double_val=[0.25]))
    0.25
    """
    if tensor.dtype not in _TENSOR_TYPES or tensor.tensor_shape.unknown_rank:
        return None
    for dimension in tensor.tensor_shape.dim:
        if dimension.size != 1:
            return None
    place, dtype = _TENSOR_TYPES[tensor.dtype]
    content = tensor.tensor_content
    if place == "half_val":  # the bits of a 16-bit float, either way
        if not content and len(tensor.half_val) == 1:
            content = (tensor.half_val[0] & 0xFFFF).to_bytes(2, "little")
        if len(content) != 2:
            return None
        if dtype == "bfloat16":  # the upper half of a float32
            content, dtype = bytes(2) + content, "<f4"
        return float(np.frombuffer(content, dtype)[0])
    if content:
        return float(np.frombuffer(content, dtype)[0]) if len(content) == np.dtype(dtype).itemsize else None
    values = getattr(tensor, place)
    return float(values[0]) if len(values) == 1 else None
