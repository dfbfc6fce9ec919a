"""All logs in the tree below a folder.

Find the files, read them, keep one format of each log.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cogfit.errors import CogfitError, InputError, printable
from cogfit.logs.clean import Part, prepare
from cogfit.logs.columns import ALIASES, NoLogColumns
from cogfit.logs.formats.contents import bare_suffix, is_text, read_head, stays_within
from cogfit.logs.formats.guard import guarded
from cogfit.logs.formats.reader import Checkpoints, Reader, ReadOptions
from cogfit.logs.formats.refusals import is_pickle, why_unreadable
from cogfit.logs.formats.registry import is_recognised, read_raw, reader_for, readers, text_suffixes, titles
from cogfit.logs.labels import natural_key
from cogfit.logs.units import Table, Unit, one_folder_each, one_format_each, with_splits
from cogfit.progress import Progress, Stages

MAX_DEPTH = 6
MAX_FILES = 10_000

_NO_LOGS = re.compile(
    r"(run|config|package|package-lock|datapackage|tokenizer|tokenizer_config|special_tokens_map|generation_config"
    r"|vocab|added_tokens|all_results|train_results|eval_results)\.json|.*\.index\.json|requirements.*\.txt|readme.*"
)
_NO_FOLDERS = (".", "__pycache__", "node_modules")  # starts of names


@dataclass(frozen=True)
class LogFile:
    """A file that a reader recognised.

    Or one that is a log by its name, and why it cannot be read.
    """

    path: Path
    reader: Reader
    head: bytes
    error: InputError | None = None


@dataclass(frozen=True)
class Unreadable:
    """The start of a damaged text, and what is wrong with it.

    It need not be a log, which depends on the columns that are asked for.
    """

    head: bytes
    error: InputError
    reader: Reader
    label: str


def read_folder(
    folder: Path, forced: Reader | None, options: ReadOptions
) -> tuple[Iterator[Table | Unreadable], list[str]]:
    """Find every log in the tree below a folder.

    Parameters
    ----------
    folder : Path
    forced : Reader or None
        The user's choice of a format; the others are then passed over.
    options : ReadOptions

    Returns
    -------
    tables : iterator of Table or Unreadable
        Files are read as they are asked for.
    warnings : list of str

    Raises
    ------
    InputError
        One cannot be read.
    """
    files, warnings = find_files(folder, forced)
    files, notes = keep_final(files, folder)
    return _Reading(folder, options, files).tables(), warnings + notes


def units_of(
    tables: Iterable[Table | Unreadable], options: ReadOptions, folder: Path, warnings: list[str]
) -> list[Unit]:
    """Take the logs out of the tables of a folder.

    Parameters
    ----------
    tables : iterable of Table or Unreadable
    options : ReadOptions
        The user's choice of columns.
    folder : Path
        For messages.
    warnings : list of str
        What has been noticed so far; more is added.

    Returns
    -------
    list of Unit

    Raises
    ------
    InputError
        There is no log.
    """
    search = _Units(folder, options)
    for table in tables:
        search.take(table)
    search.check()
    warnings += [f"left out: {error}" for _, _, error in search.unusable]
    warnings += search.missing_logs()
    warnings += [f"left out: {error}" for error in search.refused if error.option in (None, "x", "y")]
    units = _without_repetitions(search.units, warnings)
    return one_format_each(with_splits(one_folder_each(units)), warnings)


def _without_repetitions(units: Sequence[Unit], warnings: list[str]) -> Sequence[Unit]:
    """Leave out formats that give way to others."""
    kept = [unit for unit in units if not unit.reader.gives_way]
    if not any(len(unit.part.table) for unit in kept):
        return units
    warnings += [
        f"{unit.part.path.name} was left out: the folder has logs that were not just printed (choose with --format)"
        for unit in units
        if unit.reader.gives_way
    ]
    return kept


def report_end(progress: Progress | None, total: int) -> None:
    """Report that all bytes have been read."""
    if progress is not None:
        progress(total, total, "")


# --- finding files ----------------------------------------------------------------------------------------------------


def find_files(folder: Path, forced: Reader | None) -> tuple[list[LogFile], list[str]]:
    """Find the files that may be logs.

    Also return warnings.
    """
    search = _Search(folder, forced)
    search.walk()
    return search.files, list(dict.fromkeys(search.warnings))


class _Search:
    """A walk through a tree of folders.

    Each folder is visited once, however links run.
    """

    def __init__(self, folder: Path, forced: Reader | None) -> None:
        self.folder, self.forced = folder, forced
        self.files: list[LogFile] = []
        self.warnings: list[str] = []
        self._visited: set[tuple[int, int]] = set()
        self._n_files = 0

    def walk(self) -> None:
        """Collect files in natural order.

        Those of a folder come before those below it.
        """
        stack: list[tuple[Path, int]] = [(self.folder, 0)]
        while stack:
            here, depth = stack.pop()
            below: list[tuple[Path, int]] = []
            for entry in self._entries(here):
                if not self._may_follow(entry):
                    continue
                is_folder, is_file = _kind(entry)
                if is_folder and depth < MAX_DEPTH:
                    below.append((Path(entry.path), depth + 1))
                elif is_folder:
                    self.warnings.append(f"folders more than {MAX_DEPTH} levels down were left out")
                elif is_file and self._n_files == MAX_FILES:
                    self.warnings.append(f"only the first {MAX_FILES} files were looked at")
                    return
                elif is_file:
                    self._n_files += 1
                    file = _recognised(Path(entry.path), self.forced)
                    self.files += [file] if file is not None else []
            stack += reversed(below)

    def _may_follow(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry lies in the folder, wherever it leads.

        See :func:`stays_within`; a link that is not followed is named.
        """
        where = Path(entry.path).relative_to(self.folder).as_posix()
        if entry.is_symlink() and not os.path.exists(entry.path):
            self.warnings.append(f"link {where} leads nowhere and was left out")
            return False
        if stays_within(os.path.realpath(self.folder), entry.path):
            return True
        self.warnings.append(f"link {where} leads out of the folder and was not followed; to read it, name its target")
        return False

    def _entries(self, here: Path) -> list[os.DirEntry[str]]:
        """The contents of a folder.

        Nothing where it was visited before or cannot be opened.
        """
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in self._visited:
                return []
            self._visited.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(here), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if here == self.folder:
                raise InputError(f"cannot be opened: {error.strerror}", path=here, hint="check its access") from None
            where = here.relative_to(self.folder)
            self.warnings.append(f"folder {where} cannot be opened ({error.strerror}) and was left out")
            return []
        return [entry for entry in entries if not entry.name.startswith(_NO_FOLDERS)]


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Whether an entry is a folder, and whether a file.

    Neither where it cannot be determined.
    """
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:
        return False, False


def _recognised(path: Path, forced: Reader | None) -> LogFile | None:
    """The file with its reader.

    None if it is no log.
    """
    if _NO_LOGS.fullmatch(path.name.casefold()):
        return None
    try:
        head = guarded(path, lambda: read_head(path))
    except CogfitError:
        if bare_suffix(path) in text_suffixes() and forced is None:
            raise  # a damaged or unreadable file that is a log by its name
        return None
    if is_pickle(head):
        return None
    reader = _choose_reader(path, head, forced) if head else None
    if reader is None:
        return _unrecognised(path, head) if forced is None else None
    is_other_text = reader.is_text and bare_suffix(path) not in text_suffixes()
    return None if is_other_text else LogFile(path, reader, head)


def _unrecognised(path: Path, head: bytes) -> LogFile | None:
    """A file that is a log by its name only: empty, or no text."""
    meant = [reader for reader in readers() if reader.is_text and bare_suffix(path) in reader.suffixes]
    if not meant or (head and is_text(head)):
        return None
    return LogFile(path, meant[-1], head, why_unreadable(path, head))  # the last is the plainest


def _choose_reader(path: Path, head: bytes, forced: Reader | None) -> Reader | None:
    if forced is None:
        return reader_for(path, head)
    return forced if is_recognised(forced, path, head) else None


# --- checkpoints ------------------------------------------------------------------------------------------------------


def keep_final(files: Sequence[LogFile], folder: Path) -> tuple[list[LogFile], list[str]]:
    """Keep the final file of each run.

    This is for formats of which each file repeats the history of its run.

    Copies of the same values in another format are left out, too (see `Checkpoints`).
    """
    by_run: dict[tuple[Checkpoints, Path], list[LogFile]] = defaultdict(list)
    for file in files:
        if file.reader.checkpoints is not None and file.error is None:
            by_run[file.reader.checkpoints, _run_folder(file, folder)].append(file)
    left_out: list[LogFile] = []
    notes = []
    for (checkpoints, owner), states in by_run.items():
        final = _final(states, owner, checkpoints)
        left_out += [file for file in states if file is not final]
        if len(states) > 1 or final.path.parent != owner:
            where = final.path.relative_to(folder).as_posix()
            notes.append(f"{where} was read; the other {checkpoints.noun}s of this run hold earlier parts of it")
        copies = _copies(files, owner, checkpoints)
        if copies:
            left_out += copies
            notes.append(
                f"{checkpoints.copies_noun} in '{checkpoints.copies_folder}' repeat the "
                f"{checkpoints.noun} and were left out (choose with --format)"
            )
    paths = {file.path for file in left_out}
    return [file for file in files if file.path not in paths], notes


def _final(states: Sequence[LogFile], owner: Path, checkpoints: Checkpoints) -> LogFile:
    """The file that holds the whole history.

    It lies in the folder of the run, or else is the one that reached the highest step.
    """
    beside_run = next((file for file in states if file.path.parent == owner), None)
    return beside_run or max(states, key=lambda file: checkpoints.step_reached(file.path))


def _copies(files: Sequence[LogFile], owner: Path, checkpoints: Checkpoints) -> list[LogFile]:
    place = owner / checkpoints.copies_folder
    return [file for file in files if file.reader.name == checkpoints.copies_format and place in file.path.parents]


def _run_folder(file: LogFile, folder: Path) -> Path:
    """The folder whose name a file's run bears."""
    parent, checkpoints = file.path.parent, file.reader.checkpoints
    if checkpoints is not None and parent != folder and parent.name.startswith(checkpoints.folder_prefix):
        return parent.parent
    return parent


# --- reading ----------------------------------------------------------------------------------------------------------


class _Reading:
    """Files as they are read."""

    def __init__(self, folder: Path, options: ReadOptions, files: Sequence[LogFile]) -> None:
        self.folder, self.options, self.files = folder, options, files
        self._sizes = {file.path: _size(file.path) for file in files}
        self._total, self._done = sum(self._sizes.values()), 0

    def tables(self) -> Iterator[Table | Unreadable]:
        """Yield what the files hold."""
        for file in self.files:
            if not file.reader.takes_folders:
                yield from self._read_file(file)
        for reader in dict.fromkeys(file.reader for file in self.files if file.reader.takes_folders):
            yield self._read_tree(reader, [file for file in self.files if file.reader is reader])
        report_end(self.options.progress, self._total)

    def _read_file(self, file: LogFile) -> Iterator[Table | Unreadable]:
        """Read one file, of which text may be no log."""
        options = self._with_progress()
        self._done += self._sizes[file.path]
        label = printable(_run_folder(file, self.folder).relative_to(self.folder).as_posix())
        if file.error is not None:
            yield Unreadable(file.head, file.error, file.reader, label)
            return
        try:
            raw = read_raw(file.reader, file.path, options)
        except NoLogColumns:
            return
        except InputError as error:
            if not file.reader.is_text:
                raise
            yield Unreadable(file.head, error, file.reader, label)
            return
        yield Table(raw, Path(printable(str(file.path))), file.reader, label)

    def _read_tree(self, reader: Reader, files: Sequence[LogFile]) -> Table:
        """Read all files of a format that takes whole folders."""
        options = self._with_progress()
        self._done += sum(self._sizes[file.path] for file in files)
        raw = read_raw(reader, self.folder, options)
        common = Path(os.path.commonpath([file.path.parent for file in files]))
        return Table(raw, self.folder, reader, printable(common.relative_to(self.folder).as_posix()))

    def _with_progress(self) -> ReadOptions:
        progress = self.options.progress
        return replace(self.options, progress=progress and Stages(progress, self._total, self._done))


class _Units:
    """What tables hold, and what was refused.

    Attributes
    ----------
    units : list of Unit
    refused : list of NoLogColumns
        Why files hold no log.
    unusable : list of (label, reader, error)
        Texts that should hold a log and cannot be used.
    passed_over : list of Unreadable
        Texts that do not speak of logs and cannot be read.
    """

    def __init__(self, folder: Path, options: ReadOptions) -> None:
        self.folder, self.options = folder, options
        self.units: list[Unit] = []
        self.refused: list[NoLogColumns] = []
        self.unusable: list[tuple[str, Reader, InputError]] = []
        self.passed_over: list[Unreadable] = []
        self._has_pattern = False  # whether the chosen column was there

    def take(self, table: Table | Unreadable) -> None:
        """Keep the parts of a table.

        If it is no log, the reason is kept. An unreadable text that does not speak of logs is passed over.
        """
        if isinstance(table, Unreadable):
            if _mentions_logs(table.head, self.options):
                self.unusable.append((table.label, table.reader, table.error))
            else:
                self.passed_over.append(table)
            return
        options = self.options
        while True:
            try:
                self._keep(prepare(table.raw, options, table.path), options, table)
                return
            except NoLogColumns as error:
                self.refused.append(error)
                if error.option != "pattern":
                    return
                # another file may have this column: routing logs have patterns, utilisation logs have none
                options = replace(options, pattern=None)
            except InputError as error:
                if not table.reader.is_text:
                    raise
                self.unusable.append((table.label, table.reader, error))
                return

    def check(self) -> None:
        """Refuse a folder without log or without chosen columns.

        A file that cannot be used stops everything, unless the same log is there in another format.
        """
        for label, reader, error in self.unusable:
            if not any(unit.label == label and unit.reader is not reader for unit in self.units):
                raise error
        if self.options.pattern is not None and not self._has_pattern:
            raise next((error for error in self.refused if error.option == "pattern"), self._no_log())
        if not self.units:
            raise self._no_log()

    def missing_logs(self) -> list[str]:
        """Say what bears the name of a log that was read and is none, such as the file of a run that never began."""
        names = {unit.part.path.name for unit in self.units if len(unit.part.table)}
        found = [
            f"left out: {text.error}"
            for text in self.passed_over
            if text.error.path is not None and Path(text.error.path).name in names
        ]
        empty = [unit for unit in self.units if not len(unit.part.table) and unit.part.path.name in names]
        return found + [f"left out: {unit.part.path} holds no value of '{unit.part.y_name}'" for unit in empty]

    def _keep(self, parts: Sequence[Part], options: ReadOptions, table: Table) -> None:
        self._has_pattern |= options.pattern is not None
        self.units += [Unit(table.label, part, table.reader) for part in parts]

    def _no_log(self) -> InputError:
        if self.refused:
            # the file in which a name was nearly right tells more than the others
            return max(self.refused, key=lambda error: (error.option is not None, "did you mean" in str(error)))
        return InputError("holds no log", path=self.folder, hint=f"give a file or folder with one of: {titles()}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mentions_logs(head: bytes, options: ReadOptions) -> bool:
    """Whether an unreadable text was meant to be a log.

    Passing over it would then hide a fault.
    """
    head = head.replace(b"\0", b"")  # UTF-16 and UTF-32
    text = re.sub(r"[-. ]+", "_", head.decode("utf-8", "replace").casefold())
    roles = ("utilization", "attended", "p_episodic")
    names = [name for role in roles for group in ALIASES[role] for name in group if "_" in name or name == "attended"]
    chosen = [re.sub(r"[-. ]+", "_", name.casefold()) for name in (options.y, options.pattern) if name]
    return any(name in text for name in (*names, *chosen))
