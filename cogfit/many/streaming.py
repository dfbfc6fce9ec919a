"""Fit tidy tables larger than memory or one machine.

They are fitted in parts, written part by part, and resumed where the work stopped.

A table is split by a hash of the labels into as many *parts* as memory asks for, so that all rows of a curve are in one
part wherever they stand in the table; the rows of each part are spooled to disk. A part is then fitted by itself and
written atomically: it is there whole or not at all, so that after an interruption, or the death of a worker, nothing is
lost and nothing is there twice. Parts are fitted one after the other here, or by the workers of a Dask cluster, which
need nothing but the folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, MissingDependencyError
from cogfit.files import csv_for_people, write_atomic
from cogfit.many.batch import Options, fit_collection, fit_table
from cogfit.many.collection import Collection, Columns
from cogfit.progress import Progress, Stages

if TYPE_CHECKING:
    import pandas as pd

MEMORY = 1 << 30
"""Bytes that the rows of one part may take while they are fitted, by default."""

_ROW = 160.0  # bytes that a row of a tidy table takes at the most while its curve is fitted (measured: 60 to 140)
_PARTS = 900  # files that one process keeps open while it sorts rows into parts
_BATCH = 1 << 17  # rows read at a time
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
_CURVES, _SLOW_CURVES = 20_000, 50  # of a log in one part
_PLAN, _SPOOL = "_plan.json", "_spool"  # names that readers of Parquet folders pass over


# ---------------------------------------------------------------------------------------------------- reading


def open_table(path: str | os.PathLike[str], columns: Columns) -> Any:
    """Open a tidy table as a dataset of pyarrow.

    It is a Parquet or CSV file or a folder of such.

    Raises
    ------
    InputError
        If it cannot be read, or lacks a column.
    """
    target = Path(path)
    table = _dataset(target, *_table_files(target))
    try:
        columns.check(table.schema.names)
    except InputError as error:
        raise InputError(error.what, path=target, hint=error.hint) from None
    return table


def _table_files(target: Path) -> tuple[list[Path], str]:
    """The files of a table and their common format."""
    if not target.exists():
        raise InputError("does not exist", path=target, hint="name a Parquet or CSV file, or a folder of such")
    files = [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.suffix.lower() in _SUFFIXES)
    files = [file for file in files if not any(part.startswith((".", "_")) for part in file.relative_to(target).parts)]
    formats = {_SUFFIXES.get(file.suffix.lower(), "") for file in files}
    if len(formats) != 1 or "" in formats:
        what = "holds files of several formats" if len(formats) > 1 else "is no tidy table"
        raise InputError(what, path=target, hint="name a Parquet or CSV file, or a folder of files of one of them")
    return files, formats.pop()


def _dataset(target: Path, files: Sequence[Path], format: str) -> Any:
    """Files as one dataset of pyarrow.

    Names of folders such as ``seed=1`` are values of columns.
    """
    import pyarrow as pa
    from pyarrow import csv, dataset

    container: Any = format
    if format == "csv":
        is_tab = files[0].suffix.lower() == ".tsv"
        container = dataset.CsvFileFormat(parse_options=csv.ParseOptions(delimiter="\t" if is_tab else ","))
    try:
        return dataset.dataset(
            [str(file) for file in files],
            format=container,
            partitioning="hive",
            partition_base_dir=str(target),
        )
    except (pa.ArrowInvalid, OSError, pa.ArrowNotImplementedError) as error:
        raise InputError(f"cannot be read ({error})", path=target) from error


def _rows(plan: Plan) -> Iterator[Any]:
    """Record batches of the columns that are needed.

    Dictionaries are written out.
    """
    import pyarrow as pa

    assert plan.columns is not None
    try:
        for batch in open_table(plan.source, plan.columns).to_batches(
            columns=list(plan.columns.names), batch_size=_BATCH
        ):
            plain = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
            yield pa.record_batch(plain, names=batch.schema.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"cannot be read ({error})", path=plan.source) from error


def _assign_parts(batch: Any, columns: Columns, parts: int) -> NDArray[np.uint64]:
    """Part of each row: a hash of its labels."""
    import pandas as pd

    labels = batch.select(list(columns.by)).to_pandas()
    code = labels.groupby(list(columns.by), sort=False, observed=True, dropna=False).ngroup().to_numpy()
    _, first = np.unique(code, return_index=True)
    columns_of = [labels.iloc[first, i].astype(str) for i in range(labels.shape[1])]  # whatever type a batch gives it
    text = columns_of[0].str.cat(columns_of[1:], sep="\x1f") if len(columns_of) > 1 else columns_of[0]
    return np.asarray(pd.util.hash_array(text.to_numpy(dtype=object))[code] % np.uint64(parts), dtype=np.uint64)


# ------------------------------------------------------------------------------------------------------- plan


@dataclass(frozen=True)
class Plan:
    """What is done, as the folder of parts says.

    Attributes
    ----------
    source : str
        The table or log.
    fingerprint : str
        Of its files: names, sizes, times.
    size : int
        Rows of a table, curves of a log.
    parts : int
    columns : Columns or None
        Of a table; None for a log.
    options : Options
    detail : mapping
        How a log is read.
    """

    source: str
    fingerprint: str
    size: int
    parts: int
    columns: Columns | None
    options: Options
    detail: Mapping[str, Any] = field(default_factory=dict)

    def dump(self) -> str:
        """Text of the plan.

        Threads are left out, since results do not depend on them.
        """
        data = asdict(self)
        data["options"]["threads"] = None
        return json.dumps(data, indent=1) + "\n"

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Inverse of :meth:`dump`."""
        data = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
        columns, options = data.pop("columns"), data.pop("options")
        if columns is not None:
            columns = Columns(**{**columns, "by": tuple(columns["by"])})
        options["form"] = None if options["form"] is None else tuple(options["form"])
        return cls(columns=columns, options=Options(**options), **data)

    def begin(self, folder: Path) -> None:
        """Make the folder, or go on in it.

        An `InputError` where it belongs to something else.
        """
        note = folder / _PLAN
        if note.exists():
            if note.read_bytes() != self.dump().encode():
                what = "holds the results of another table or of other options"
                raise InputError(what, path=folder, hint="remove it, or name another output")
            return
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError("exists and is not empty", path=folder, hint="name another output")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot be made ({error.strerror or error})", path=folder) from error
        write_atomic(note, self.dump())


def plan_table(path: str | os.PathLike[str], columns: Columns, options: Options, memory: float = MEMORY) -> Plan:
    """Plan the parts of a tidy table.

    `memory` is in bytes.

    Raises
    ------
    InputError
        If the table cannot be read, or needs more than 900 parts.
    """
    source = Path(path)
    table = open_table(source, columns)
    rows = int(table.count_rows())
    if rows == 0:
        raise InputError("holds no rows", path=source)
    parts = max(1, math.ceil(rows * _ROW / memory))
    if parts > _PARTS:
        what = f"has {rows:,} rows, too many for parts of {memory / 1e9:.3g} GB ({parts:,}, and {_PARTS} are possible)"
        hint = f"allow {rows * _ROW / _PARTS / 1e9:.2g} GB (--memory), or fit folders of it one by one"
        raise InputError(what, path=source, hint=hint)
    return Plan(str(source.resolve()), _fingerprint(table.files), rows, parts, columns, options)


def plan_log(collection: Collection, path: Path, options: Options, detail: Mapping[str, Any]) -> Plan:
    """Plan for the curves of a log."""
    files = [p for p in ([path] if path.is_file() else sorted(path.rglob("*"))) if p.is_file()]
    curves = _SLOW_CURVES if options.verdicts or options.noise != "gaussian" else _CURVES
    parts = max(1, math.ceil(len(collection) / curves))
    return Plan(str(path.resolve()), _fingerprint(files), len(collection), parts, None, options, detail)


def _fingerprint(files: Sequence[str | Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        info = os.stat(file)
        digest.update(f"{file}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _spool(plan: Plan, folder: Path, report: Progress) -> None:
    """Sort rows into one file for each part."""
    import pyarrow as pa

    assert plan.columns is not None
    spool, done = folder / _SPOOL, folder / f"{_SPOOL}.done"
    if plan.parts == 1 or done.exists():
        return
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    writers: dict[int, Any] = {}
    seen = 0
    try:
        for batch in _rows(plan):
            part = _assign_parts(batch, plan.columns, plan.parts)
            order = np.argsort(part, kind="stable")
            ends = np.searchsorted(part[order], np.arange(plan.parts + 1))
            ordered = batch.take(pa.array(order))
            for number in np.unique(part).tolist():
                if number not in writers:
                    writers[number] = pa.ipc.new_file(str(spool / _name(number, "arrow")), batch.schema)
                writers[number].write_batch(ordered.slice(ends[number], ends[number + 1] - ends[number]))
            seen += batch.num_rows
            report(seen, plan.size, "reading")
    finally:
        for writer in writers.values():
            writer.close()
    write_atomic(done, "")


def _name(number: int, suffix: str) -> str:
    return f"part-{number:05d}.{suffix}"


def fit_part(folder: str, number: int, threads: int | None = None) -> int:
    """Fit one part of a table and write its rows.

    It follows the plan in a folder. A part that is there is left alone.

    It can run anywhere that reaches the folder and, for a plan of one part, the table.

    Returns
    -------
    int
        The part.
    """
    import pyarrow as pa

    place = Path(folder)
    target, spooled = place / _name(number, "parquet"), place / _SPOOL / _name(number, "arrow")
    plan = Plan.load(place)
    assert plan.columns is not None
    if target.exists() or (plan.parts > 1 and not spooled.exists()):  # no curve fell into it
        return number
    if plan.parts == 1:
        table = pa.Table.from_batches(list(_rows(plan)))
    else:
        with pa.memory_map(str(spooled)) as source:
            table = pa.ipc.open_file(source).read_all()
    _write(fit_table(table.to_pandas(), plan.columns, replace(plan.options, threads=threads)), target)
    return number


def _write(table: pd.DataFrame, target: Path) -> None:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(target, buffer.getvalue())


# -------------------------------------------------------------------------------------------------- the whole


def run(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    collection: Collection | None = None,
    scheduler: str | None = None,
    report: Progress | None = None,
) -> Path:
    """Fit all parts and put the results together.

    Parameters
    ----------
    plan : Plan
    out : path
        A folder, which holds one Parquet file for each part in the end; or a ``.parquet`` or ``.csv`` file, whose parts
        stand in ``<out>.parts`` until it is complete. Called again after an interruption, it goes on.
    collection : Collection, optional
        The curves of a log, for the plan of one.
    scheduler : str, optional
        Address of a Dask scheduler whose workers fit the parts; they must see the table and the folder under the same
        names. A part whose worker dies is done by another.
    report : callable, optional
        Called as ``report(done, total, task)``, the task being "reading", "parts" or "curves".

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If the output cannot be, or is that of something else.
    """
    target, notify = Path(out), report or _silent
    # refuse an output that cannot be written before anything is fitted
    suffix = target.suffix.lower()
    if suffix not in ("", ".parquet", ".csv"):
        raise InputError(
            f"the format '{suffix}' is not written", path=target, hint="name a .parquet or .csv, or a folder"
        )
    if suffix and target.is_dir():
        raise InputError("is a folder, not a file", path=target, hint="name a file in it")
    folder = target if not suffix else target.with_name(target.name + ".parts")
    # go on where an earlier call stopped: parts that are there are done
    plan.begin(folder)
    numbers = [i for i in range(plan.parts) if not (folder / _name(i, "parquet")).exists()]
    notify(plan.parts - len(numbers), plan.parts, "parts")
    if collection is not None:
        _fit_collection_parts(plan, collection, folder, numbers, notify)
    elif numbers:
        _spool(plan, folder, notify)
        for done, _ in enumerate(_fitted(folder, numbers, plan.options.threads, scheduler), start=1):
            notify(plan.parts - len(numbers) + done, plan.parts, "parts")
    # one file is made from the parts only when all are there
    if suffix:
        _join(folder, target)
        shutil.rmtree(folder)
    else:
        shutil.rmtree(folder / _SPOOL, ignore_errors=True)
    return target


def _silent(done: int, total: int, task: str) -> None:
    return None


def _fitted(folder: Path, numbers: Sequence[int], threads: int | None, scheduler: str | None) -> Iterator[int]:
    """Parts as they are done, here or on a cluster."""
    place = str(folder.resolve())
    if scheduler is None:
        yield from (fit_part(place, number, threads) for number in numbers)
        return
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise MissingDependencyError("distributed", "dask", "fitting on a cluster") from error
    try:
        client = Client(scheduler)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"no Dask scheduler answers at '{scheduler}' ({error})") from error
    with client:
        jobs = client.map(fit_part, [place] * len(numbers), numbers, threads=threads, pure=False)
        for job in as_completed(jobs):
            yield job.result()


def _fit_collection_parts(
    plan: Plan, collection: Collection, folder: Path, numbers: Sequence[int], notify: Progress
) -> None:
    edges = np.linspace(0, len(collection), plan.parts + 1).astype(int).tolist()
    for number in numbers:
        begin, end = edges[number], edges[number + 1]
        part = collection.part(begin, end)
        results = fit_collection(part, plan.options, Stages(notify, plan.size, begin))
        _write(results, folder / _name(number, "parquet"))


def result_files(folder: Path) -> list[Path]:
    """Result files in a folder, in order."""
    return sorted(folder.glob(_name(0, "parquet").replace("00000", "*")))


def read(out: Path) -> pd.DataFrame:
    """Results of :func:`run`.

    Raises
    ------
    InputError
        If a file of them is damaged.
    """
    import pandas as pd

    if out.is_dir():
        return pd.concat([_read_parquet(file) for file in result_files(out)], ignore_index=True)
    if out.suffix.lower() == ".csv":
        table = pd.read_csv(out)
        texts = table.select_dtypes(exclude="number").columns
        return table.fillna(dict.fromkeys(texts, ""))
    return _read_parquet(out)


def _read_parquet(file: Path) -> pd.DataFrame:
    import pandas as pd

    with _naming(file):
        return pd.read_parquet(file)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Context in which the errors of pyarrow name a file of results."""
    try:
        yield
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # of pyarrow, and of pandas' notes in it
        raise InputError(
            f"cannot be read ({error})", path=file, hint="remove it; the same command fits it anew"
        ) from None


def _join(folder: Path, target: Path) -> None:
    """One file from the parts, whole or not at all."""
    suffix = target.suffix.lower()
    temporary = folder / f"joined{suffix}"
    (_join_parquet if suffix == ".parquet" else _join_csv)(result_files(folder), temporary)
    os.replace(temporary, target)


def _join_parquet(files: Sequence[Path], target: Path) -> None:
    from pyarrow import parquet

    def read_table(file: Path) -> Any:
        with _naming(file):
            return parquet.read_table(file)

    tables = map(read_table, files)
    first = next(tables)
    with parquet.ParquetWriter(str(target), first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table.cast(first.schema))


def _join_csv(files: Sequence[Path], target: Path) -> None:
    with open(target, "w", encoding="utf-8", newline="") as out:
        for number, file in enumerate(files):
            out.write(csv_for_people(_read_parquet(file), header=number == 0, lineterminator="\n"))


def fit_table_file(
    path: str | os.PathLike[str], columns: Columns, options: Options, progress: Progress | None = None
) -> pd.DataFrame:
    """Fit the curves of a tidy table on disk.

    See :func:`cogfit.fit_many`. ``progress`` counts parts.
    """
    plan = plan_table(path, columns, options)
    notify: Progress = _silent
    if progress is not None:

        def notify(done: int, total: int, task: str) -> None:
            if task == "parts":
                progress(done, total, task)

    with tempfile.TemporaryDirectory(prefix="cogfit-") as folder:
        return read(run(plan, Path(folder, "out"), report=notify))
