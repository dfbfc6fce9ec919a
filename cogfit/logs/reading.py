"""`read_log`: from a path to a `Log`. Finds the files, asks the readers, and puts what they give together."""

from __future__ import annotations

import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cogfit.errors import CogfitError, InputError, nearest
from cogfit.logs.clean import Part, prepare
from cogfit.logs.columns import ALIASES, NoLogColumns
from cogfit.logs.formats.contents import head_of, suffix_of
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions
from cogfit.logs.formats.refusals import FORMATS, TEXT_SUFFIXES, guarded, is_pickle, why_unreadable
from cogfit.logs.formats.registry import read_raw, reader_for, reader_named
from cogfit.logs.joining import join_routing, join_utilization
from cogfit.logs.labels import natural_key, one_label
from cogfit.logs.model import Log
from cogfit.progress import Progress, Stages

if TYPE_CHECKING:
    import pandas as pd

MAX_DEPTH = 6
MAX_FILES = 10_000

_TEXT_READERS = frozenset({"csv", "wandb", "json", "jsonl", "huggingface"})
_NO_LOGS = re.compile(
    r"(run|config|package|package-lock|datapackage|tokenizer|tokenizer_config|special_tokens_map|generation_config"
    r"|vocab|added_tokens|all_results|train_results|eval_results)\.json|.*\.index\.json|requirements.*\.txt|readme.*"
)
_PREFERENCE = ("parquet", "csv", "jsonl", "json", "wandb", "huggingface", "tensorboard", "mlflow")


@dataclass(frozen=True)
class _Found:
    """A file that a reader recognised."""

    path: Path
    reader: Reader
    head: bytes


@dataclass(frozen=True)
class _Unit:
    """A part of a log, and the folder (relative to the one that was asked for) that it belongs to."""

    label: str
    part: Part


def read_log(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    x: str | None = None,
    y: str | None = None,
    pattern: str | None = None,
    run: str | None = None,
    progress: Progress | None = None,
) -> Log:
    r"""Read a training log, whatever its format.

    Format and columns are recognised by what the files hold. Nothing is subsampled, executed or unpickled, and each
    row that cannot be used is counted in ``source.rows_dropped``.

    Parameters
    ----------
    path : str or path-like
        A file, or a folder. Of a folder all logs in the tree below it are read, each subfolder being a run; files
        that are no logs are passed over.
    format : str, optional
        Name of the reader, where it is not to be found by content.
    x, y, pattern, run : str, optional
        Columns to use instead of those that would be recognised: the step, the utilisation (in a routing log the
        decision or its probability), the pattern, the run.
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes, name)``.

    Returns
    -------
    Log
        With a routing log, a utilisation log, or both.

    Raises
    ------
    InputError
        There is no log, it cannot be read, or a value is impossible; the message says where and what to do.
    MissingDependencyError
        The format needs a library that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name, "log.csv")
    >>> _ = file.write_text("step,attn_util,loss\n0,1.0,4.2\n10,0.5,NaN\n20,nan,3.9\n")
    >>> log = read_log(file)
    >>> log.utilization.frame["attention_utilization"].tolist(), log.utilization.source.rows_dropped
    ([1.0, 0.5], {"no value in 'attn_util'": 1})
    >>> folder.cleanup()
    """
    if not os.fspath(path):
        raise InputError("the path of the log is empty", hint="name a file or folder")
    place = Path(os.fspath(path))
    forced = reader_named(format) if format is not None else None
    options = ReadOptions(x=x, y=y, pattern=pattern, run=run, progress=progress)
    if _is_folder(place):
        units, warnings = _read_folder(place, forced, options)
    else:
        units, warnings = [_Unit(".", part) for part in _read_file(place, forced, options)], []
    return _log(place, units, warnings)


def _is_folder(path: Path) -> bool:
    """Tell folders from regular files; anything else is refused, since reading it might never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise _not_found(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be opened: {reason}", path=path, hint="name a file or folder") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(
            "is no regular file but a pipe, a socket or a device", path=path, hint="save the log to a file first"
        )
    return stat.S_ISDIR(mode)


def _not_found(path: Path) -> InputError:
    try:
        names = sorted(entry.name for entry in os.scandir(path.parent) if not entry.name.startswith("."))
    except OSError:
        return InputError("does not exist, nor does its folder", path=path, hint="check the path")
    hint = nearest(path.name, names)
    return InputError("does not exist", path=path, hint=hint if hint.startswith("did") else "check the path")


# --- one file ---------------------------------------------------------------------------------------------------------


def _read_file(path: Path, forced: Reader | None, options: ReadOptions) -> list[Part]:
    head: bytes = guarded(path, lambda: head_of(path))
    reader = forced or (None if is_pickle(head) else reader_for(path, head))
    if reader is None or is_pickle(head) or not head:
        raise why_unreadable(path, head)
    raw = read_raw(reader, path, options)
    _finish(options.progress, path.stat().st_size)
    return prepare(raw, options, path)


def _finish(progress: Progress | None, total: int) -> None:
    if progress is not None:
        progress(total, total, "")


# --- a folder ---------------------------------------------------------------------------------------------------------


def _read_folder(folder: Path, forced: Reader | None, options: ReadOptions) -> tuple[list[_Unit], list[str]]:
    found, warnings = _scan(folder, forced)
    found, more = _final_states(found, folder)
    warnings += more
    whole = [file for file in found if file.reader.takes_folders]
    single = [file for file in found if not file.reader.takes_folders]
    sizes = {file.path: _size(file.path) for file in found}
    total, done = sum(sizes.values()), 0
    units: list[_Unit] = []
    refused: list[NoLogColumns] = []
    met: set[str] = set()

    def use(raw: Raw, path: Path, label: str) -> None:
        part_options = options
        while True:
            try:
                parts = prepare(raw, part_options, path)
                break
            except NoLogColumns as error:
                refused.append(error)
                if error.option not in ("pattern", "run"):
                    return
                # another file may have this column: routing logs have patterns, utilisation logs have none
                part_options = replace(part_options, **{error.option: None})
        met.update(name for name in ("pattern", "run") if getattr(part_options, name) is not None)
        units.extend(_Unit(label, part) for part in parts)

    for file in single:
        part_options = replace(options, progress=options.progress and Stages(options.progress, total, done))
        try:
            raw = read_raw(file.reader, file.path, part_options)
        except NoLogColumns:
            raw = None
        except InputError:
            if file.reader.name in _TEXT_READERS and not _speaks_of_logs(file.head, options):
                raw = None
            else:
                raise
        done += sizes[file.path]
        if raw is not None:
            use(raw, file.path, _label(file, folder))
    for reader in dict.fromkeys(file.reader for file in whole):
        files = [file for file in whole if file.reader is reader]
        part_options = replace(options, progress=options.progress and Stages(options.progress, total, done))
        done += sum(sizes[file.path] for file in files)
        raw = read_raw(reader, folder, part_options)
        common = os.path.commonpath([file.path.parent for file in files])
        use(raw, folder, Path(common).relative_to(folder).as_posix())
    _finish(options.progress, total)

    for option in ("pattern", "run"):
        if getattr(options, option) is not None and option not in met:
            raise next((error for error in refused if error.option == option), _no_log(folder, refused))
    if not units:
        raise _no_log(folder, refused)
    left = [error for error in refused if error.option in (None, "x", "y")]
    warnings += [f"left out: {error}" for error in left]
    return _one_format_each(_by_run(units), warnings), warnings


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _no_log(folder: Path, refused: Sequence[NoLogColumns]) -> InputError:
    if refused:
        # the file in which a name was nearly right tells more than the others
        return max(refused, key=lambda error: (error.option is not None, "did you mean" in str(error)))
    return InputError("holds no log", path=folder, hint=f"give a file or folder with one of: {FORMATS}")


def _speaks_of_logs(head: bytes, options: ReadOptions) -> bool:
    """Whether a text that cannot be read was probably meant to be a log, so that passing over it would hide a fault."""
    text = re.sub(r"[-. ]+", "_", head.decode("utf-8", "replace").casefold())
    roles = ("utilization", "attended", "p_episodic")
    names = [name for role in roles for group in ALIASES[role] for name in group if "_" in name or name == "attended"]
    chosen = [re.sub(r"[-. ]+", "_", name.casefold()) for name in (options.y, options.pattern) if name]
    return any(name in text for name in (*names, *chosen))


def _scan(folder: Path, forced: Reader | None) -> tuple[list[_Found], list[str]]:
    """Find the files that may be logs in the tree below a folder, each folder once, however links run."""
    found: list[_Found] = []
    warnings: list[str] = []
    seen: set[tuple[int, int]] = set()
    looked_at = 0
    stack: list[tuple[Path, int]] = [(folder, 0)]
    while stack:
        here, depth = stack.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if here == folder:
                raise InputError(f"cannot be opened: {error.strerror}", path=folder, hint="check its access") from None
            warnings.append(f"folder {here.relative_to(folder)} cannot be opened ({error.strerror}) and was left out")
            continue
        below: list[tuple[Path, int]] = []
        for entry in entries:
            if entry.name.startswith((".", "__pycache__", "node_modules")):
                continue
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:
                continue
            if is_folder and depth < MAX_DEPTH:
                below.append((Path(entry.path), depth + 1))
            elif is_folder:
                warnings.append(f"folders more than {MAX_DEPTH} levels down were left out")
            elif is_file:
                looked_at += 1
                if looked_at > MAX_FILES:
                    warnings.append(f"only the first {MAX_FILES} files were looked at")
                    return found, list(dict.fromkeys(warnings))
                file = _recognised(Path(entry.path), forced)
                found += [file] if file is not None else []
        stack += reversed(below)
    return found, list(dict.fromkeys(warnings))


def _recognised(path: Path, forced: Reader | None) -> _Found | None:
    if _NO_LOGS.fullmatch(path.name.casefold()):
        return None
    try:
        head: bytes = guarded(path, lambda: head_of(path))
    except CogfitError:
        if suffix_of(path) in TEXT_SUFFIXES and forced is None:
            raise  # a damaged or unreadable file that is a log by its name
        return None
    if not head or is_pickle(head):
        return None
    reader = reader_for(path, head) if forced is None else forced if forced.recognise(path, head) else None
    if reader is None or (reader.name in _TEXT_READERS and suffix_of(path) not in TEXT_SUFFIXES):
        return None
    return _Found(path, reader, head)


def _final_states(found: Sequence[_Found], folder: Path) -> tuple[list[_Found], list[str]]:
    """Of the trainer states of one Hugging Face run, keep the final one: all of them repeat the same history."""
    of_run: dict[Path, list[_Found]] = defaultdict(list)
    for file in found:
        if file.reader.name == "huggingface":
            of_run[_owner(file, folder)].append(file)
    left: set[Path] = set()
    notes = []
    for owner, files in of_run.items():
        final = next((file for file in files if file.path.parent == owner), None)
        if final is None:
            final = max(files, key=lambda file: _global_step(file.path))
        if len(files) > 1 or final.path.parent != owner:
            where = final.path.relative_to(folder).as_posix()
            notes.append(f"{where} was read; the other trainer states of this run hold earlier parts of it")
        left |= {file.path for file in files if file is not final}
        beside = [file for file in found if file.reader.name == "tensorboard" and owner / "runs" in file.path.parents]
        if beside:
            left |= {file.path for file in beside}
            notes.append("event files in 'runs' repeat the trainer state and were left out (choose with --format)")
    return [file for file in found if file.path not in left], notes


def _owner(file: _Found, folder: Path) -> Path:
    parent = file.path.parent
    return parent.parent if parent != folder and parent.name.startswith("checkpoint-") else parent


def _global_step(path: Path) -> float:
    try:
        return float(json.loads(path.read_bytes())["global_step"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return -1.0


def _label(file: _Found, folder: Path) -> str:
    parent = _owner(file, folder) if file.reader.name == "huggingface" else file.path.parent
    return parent.relative_to(folder).as_posix()


# --- runs -------------------------------------------------------------------------------------------------------------


def _by_run(units: Iterable[_Unit]) -> list[_Unit]:
    """Split what a reader of whole folders gave, so that each unit belongs to one folder."""
    split: list[_Unit] = []
    for unit in units:
        frame = unit.part.frame
        if unit.part.format != "tensorboard" or "run" not in frame:
            split.append(unit)
            continue
        for index, (run, rows) in enumerate(frame.groupby("run", observed=True, sort=False)):
            first = index == 0  # carries the account of the whole
            part = replace(
                unit.part,
                frame=rows.drop(columns="run"),
                rows_read=unit.part.rows_read - len(frame) + len(rows) if first else len(rows),
                dropped=unit.part.dropped if first else {},
                notes=unit.part.notes if first else (),
                warnings=unit.part.warnings if first else (),
            )
            split.append(_Unit(str(run), part))
    return split


def _one_format_each(units: Sequence[_Unit], warnings: list[str]) -> list[_Unit]:
    """Where one folder has the same kind of log in several formats, keep one of them."""
    formats: dict[tuple[str, str], set[str]] = defaultdict(set)
    for unit in units:
        if len(unit.part.frame):
            formats[unit.label, unit.part.kind].add(unit.part.format)
    kept = []
    for unit in units:
        best = min(formats[unit.label, unit.part.kind], key=_PREFERENCE.index, default=unit.part.format)
        if unit.part.format == best:
            kept.append(unit)
        elif len(unit.part.frame):
            warnings.append(
                f"{unit.label}: the log is there as {best} and as {unit.part.format}; the first was read "
                "(choose with --format)"
            )
    return kept


def _log(path: Path, units: Sequence[_Unit], warnings: list[str]) -> Log:
    by_kind: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        by_kind[unit.part.kind].append(unit)
    for kind, members in by_kind.items():
        by_kind[kind] = _separate_files(members, warnings)
    labels = {kind: {unit.label for unit in members} for kind, members in by_kind.items()}
    if any(len(names) > 1 for names in labels.values()):
        by_kind = {kind: _with_runs(members, set.union(*labels.values())) for kind, members in by_kind.items()}
    routing = utilization = None
    more: tuple[str, ...] = ()
    if members := by_kind.get("routing", []):
        routing, new = join_routing([unit.part for unit in members], path)
        more += new
    if members := by_kind.get("utilization", []):
        utilization, new = join_utilization([unit.part for unit in members], path)
        more += new
    return Log(
        path=str(path),
        routing=routing,
        utilization=utilization,
        warnings=tuple(dict.fromkeys((*warnings, *more))),
    )


def _separate_files(units: Sequence[_Unit], warnings: list[str]) -> list[_Unit]:
    """Decide for several files of one folder whether they continue each other or are runs of their own."""
    of_folder: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        of_folder[unit.label].append(unit)
    separated: list[_Unit] = []
    for label, members in of_folder.items():
        members = sorted(members, key=lambda unit: natural_key(unit.part.path.name))
        filled = [unit for unit in members if len(unit.part.frame)]
        names = [unit.part.path.name for unit in filled]
        if len(filled) < 2 or all("run" in unit.part.frame for unit in filled):
            separated += members
        elif _continue_each_other([unit.part.frame for unit in filled]):
            warnings.append(f"{', '.join(names)} follow each other in steps and were read as one run")
            separated += members
        else:
            warnings.append(f"{', '.join(names)} overlap in steps and were read as separate runs")
            stems = [name.split(".", 1)[0] for name in names]
            chosen = dict(zip(names, stems if len(set(stems)) == len(stems) else names, strict=True))
            for unit in members:
                own = chosen.get(unit.part.path.name, unit.part.path.name)
                separated.append(replace(unit, label=(PurePosixPath(label) / own).as_posix()))
    return separated


def _continue_each_other(frames: Sequence[pd.DataFrame]) -> bool:
    spans = [(frame["step"].min(), frame["step"].max()) for frame in frames]
    return all(first[0] < second[0] and first[1] < second[1] for first, second in pairwise(spans))


def _with_runs(units: Sequence[_Unit], labels: Iterable[str]) -> list[_Unit]:
    """Write each unit's folder, without what all have in common, into its column ``run``."""
    paths = {label: PurePosixPath(label).parts for label in labels}
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*paths.values(), strict=False)))
    short: Mapping[str, str] = {label: "/".join(parts[common:]) or "." for label, parts in paths.items()}
    named = []
    for unit in units:
        frame, label = unit.part.frame, short[unit.label]
        if "run" in frame:
            runs = frame["run"].cat.rename_categories([f"{label}/{own}" for own in frame["run"].cat.categories])
            frame = frame.assign(run=runs)
        else:
            frame = frame.assign(run=one_label(label, len(frame)))
        named.append(replace(unit, part=replace(unit.part, frame=frame)))
    return named
