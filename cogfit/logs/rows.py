"""All rows of a log and what becomes of each.

Rows are void after a restart, superseded, or of another split, run or training; the others are fitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, nearest, shortlist
from cogfit.logs.clean import Mask, Numbers, Part, whole_steps
from cogfit.logs.columnar import as_frame
from cogfit.logs.labels import NO_LABEL, labels_from_codes, natural_key
from cogfit.logs.model import FILE_ROW, GROUP_COLUMNS, Branch, Choice
from cogfit.logs.restarts import Resolution, constant_rows, resolve_restarts
from cogfit.logs.splits import SPLITS, preferred, split_key, split_named

if TYPE_CHECKING:
    from cogfit.logs.columnar import Frame

SUPERSEDED_ROW = "superseded by a later row of the same step"
SUPERSEDED_TAIL = "superseded after a restart"

OTHER_RUN = "of another run"
OTHER_TRAINING = "of an earlier training"
OTHER_SPLIT = "of the split '{}'"

_SEPARATOR = ", "  # between the name of a run and that of its training


@dataclass(frozen=True)
class Wanted:
    """Split and run that the user wants.

    None where the choice is left to the package.
    """

    split: str | None = None
    run: str | None = None


ANY = Wanted()
"""Nothing in particular is wanted."""


def is_choice(reason: str) -> bool:
    """Whether rows were left out for others to be chosen.

    Examples
    --------
    >>> is_choice("of the split 'test'"), is_choice(SUPERSEDED_ROW)
    (True, False)
    """
    return reason in (OTHER_RUN, OTHER_TRAINING) or reason.startswith(OTHER_SPLIT.format("")[:-1])


def group_codes(frame: Frame) -> NDArray[np.int64]:
    """One number for each row's run, layer and head.

    In the order of the labels.
    """
    codes = constant_rows(0, len(frame), np.int64)
    for name in GROUP_COLUMNS:
        if name in frame:
            labels = frame[name].cat
            codes = codes * (len(labels.categories) + 1) + labels.codes.to_numpy()
    return codes


class Rows:
    """All rows of several parts, and what becomes of each.

    Attributes
    ----------
    frame : pandas.DataFrame or ColumnTable
        In file order.
    codes : int64 array
        Group of each row.
    resolution : Resolution
    reasons : list of str
        Why rows are left out; a row's `fate` counts them from 1.
    fate : int array
        0 for rows that are fitted.
    """

    def __init__(self, parts: Sequence[Part], frame: Frame) -> None:
        self.file_row = _file_rows(parts)
        self.parts, self.frame = parts, frame if self.file_row is None else frame.assign(**{FILE_ROW: self.file_row})
        self.codes = group_codes(frame)
        self.resolution = self._resolved(whole_steps(np.asarray(frame["step"])))
        self.has_trainings = False
        self.is_last_training: Mask = constant_rows(True, len(frame), np.bool_)
        self.reasons: list[str] = []
        self.fate = constant_rows(0, len(frame), np.int32)  # a log may name hundreds of splits
        if self.resolution.falls:  # nothing else makes rows void, and masks of a long log take time
            self.leave_out(~self.resolution.kept, SUPERSEDED_TAIL)

    def _resolved(self, steps: Numbers) -> Resolution:
        """Restarts of the rows.

        Where columns of the file became rows, they are restarts of rows of the file, whichever cells these have.
        """
        melted = {name for part in self.parts for name in part.columns_by}
        writers = _writers(self.parts)
        if self.file_row is None or not melted:
            starts = np.cumsum([0, *(len(part.table) for part in self.parts)])
            is_routing = self.parts[0].kind == "routing"
            patterns = self.frame["pattern"].cat.codes.to_numpy() if is_routing else None
            declared = _declared(self.parts, starts)
            if writers is None:
                return resolve_restarts(steps, self.codes, declared, patterns)
            codes = self.codes * (int(writers.max()) + 1) + writers
            found = resolve_restarts(steps, codes, declared, patterns)
            return replace(found, order=np.lexsort((steps, found.training, self.codes)))
        codes = group_codes(self.frame.drop(columns=sorted(melted)))
        if writers is not None:
            codes = codes * (int(writers.max()) + 1) + writers
        width = int(codes.max()) + 1 if len(codes) else 1
        pairs, first, back = np.unique(self.file_row * width + codes, return_index=True, return_inverse=True)
        declared = [
            (int(np.searchsorted(pairs, row * width)), step, int(np.searchsorted(pairs, start * width)))
            for row, step, start in _declared(self.parts, _offsets(self.parts))
        ]
        found = resolve_restarts(steps[first], codes[first], declared)
        return replace(found, order=None, void=found.void[back], training=found.training[back], is_rising=False)

    @property
    def is_kept(self) -> Mask:
        """Rows that are fitted."""
        return np.asarray(self.fate == 0) if self.reasons else constant_rows(True, len(self.fate), np.bool_)

    def leave_out(self, rows: Mask, reason: str) -> None:
        """Leave rows out that have been kept so far."""
        rows = rows & self.is_kept
        if rows.any():
            if not self.reasons:
                self.fate = self.fate.copy()
            self.reasons.append(reason)
            self.fate[rows] = len(self.reasons)

    def dropped(self) -> Counter[str]:
        """Rows of the files that are left out, by reason."""
        total = sum((Counter(part.dropped) for part in self.parts), Counter[str]())
        if not self.reasons:
            return total
        fate = self.fate
        if self.file_row is not None:
            # a row of the file that gave several is used if any of these is
            _, code = np.unique(self.file_row, return_inverse=True)
            fate = np.full(int(code.max()) + 1 if len(code) else 0, np.iinfo(np.int32).max, dtype=np.int32)
            np.minimum.at(fate, code, self.fate)
        counts = np.bincount(fate, minlength=len(self.reasons) + 1)[1:]
        return total + Counter(dict(zip(self.reasons, counts.tolist(), strict=True)))

    def name_trainings(self) -> None:
        """Name the trainings of each run that has several.

        They become runs of their own, so that nothing takes a mean over them.
        """
        training = self.resolution.training
        if not self.resolution.falls or not training.any():
            return
        names, run = [""], np.zeros(len(training), dtype=np.int64)
        if "run" in self.frame:
            names = self.frame["run"].cat.categories.tolist()
            run = self.frame["run"].cat.codes.to_numpy().astype(np.int64)
        n_trainings = np.ones(len(names), dtype=np.int64)
        np.maximum.at(n_trainings, run, training + 1)
        keys, codes = np.unique(run * int(n_trainings.max()) + training, return_inverse=True)
        labels = []
        for key in keys.tolist():
            number, index = divmod(key, int(n_trainings.max()))
            own = f"training {index + 1} of {n_trainings[number]}" if n_trainings[number] > 1 else ""
            labels.append(_SEPARATOR.join(text for text in (names[number], own) if text) or NO_LABEL)
        self.has_trainings = True
        self.is_last_training = training == n_trainings[run] - 1
        self.frame = as_frame(self.frame).assign(run=labels_from_codes(codes, labels))
        self.codes = group_codes(self.frame)

    # ------------------------------------------------------------------------------------------ choices

    def choose(self, wanted: Wanted, path: Path) -> list[Choice]:
        """Choose a run, a split and the last training.

        Parameters
        ----------
        wanted : Wanted
        path : Path
            For messages.

        Returns
        -------
        list of Choice
            Where there were several.

        Raises
        ------
        InputError
            There is no such split or run.
        """
        choices = list(self.parts[0].choices)
        is_whole_label = False
        if wanted.run is not None and not any(part.run_is_chosen for part in self.parts):
            choice, is_whole_label = self._choose_run(wanted.run, path)
            choices.append(choice)
        by_column = next((choice for choice in choices if choice.kind == "split"), None)
        if len(self.frame) and (
            not self.reasons or self.is_kept.any()
        ):  # or else no row is usable, which is said of the whole log
            choices += self._choose_split(wanted.split, path, by_column)
        if self.has_trainings and not is_whole_label and not self.is_last_training.all():
            choices.append(self._choose_training())
        return choices

    def _choose_run(self, name: str, path: Path) -> tuple[Choice, bool]:
        """Keep the rows of one run, or of one of its trainings."""
        runs = self.frame["run"].cat.categories.tolist() if "run" in self.frame else []
        chosen = _runs_called(name, runs)
        if not chosen:
            listed = f"the runs are: {shortlist(runs)}" if runs else "the log names no runs"
            near = nearest(name, runs) if runs else ""
            raise InputError(
                f"there is no column or run '{name}'" + (f"; {near}" if near.startswith("did") else ""),
                path=path,
                hint=listed,
            )
        self.leave_out(~self.frame["run"].isin(chosen).to_numpy(), OTHER_RUN)
        others = tuple(run for run in runs if run not in chosen)
        return Choice("run", name, others), chosen == [name]

    def _choose_split(self, wanted: str | None, path: Path, by_column: Choice | None) -> list[Choice]:
        """Keep the rows of one split: training, unless another is wanted.

        Columns may have chosen one already.
        """
        if "split" not in self.frame:
            self._check_split(wanted, path, by_column)
            return []
        labels = self.frame["split"].astype(str)
        present = sorted(set(labels[self.is_kept]), key=split_key)
        chosen = _preferred_label(present) if wanted is None else _split_called(wanted, present)
        if chosen not in present:
            raise InputError(f"the log has no split '{chosen}'", path=path, hint="it has: " + ", ".join(present))
        others = tuple(split for split in present if split != chosen)
        for split in others:
            self.leave_out((labels == split).to_numpy(), OTHER_SPLIT.format(split))
        shown = "train" if chosen == NO_LABEL else chosen
        return [Choice("split", shown, others)] if others or shown != "train" else []

    @staticmethod
    def _check_split(wanted: str | None, path: Path, by_column: Choice | None) -> None:
        """Refuse a split that the columns of a log do not have."""
        if wanted is None:
            return
        present = () if by_column is None else (by_column.name, *by_column.others)
        name = _split_called(wanted, present)
        if by_column is None or name != by_column.name:
            hint = "it has: " + ", ".join(present) if present else "leave --split out"
            raise InputError(f"the log has no split '{name}'", path=path, hint=hint)

    def _choose_training(self) -> Choice:
        """Keep the last training of each run."""
        runs = self.frame["run"].astype(str)
        last = sorted(set(runs[self.is_last_training & self.is_kept]), key=natural_key)
        earlier = sorted(set(runs[~self.is_last_training & self.is_kept]), key=natural_key)
        self.leave_out(~self.is_last_training, OTHER_TRAINING)
        return Choice("training", shortlist([name for name in last if "training " in name]), tuple(earlier))

    # ------------------------------------------------------------------------------------------ the account

    def doubts(self) -> list[str]:
        """What may be other than it seems, one sentence each."""
        return [
            f"the step starts anew {times} times after the same {reached:g}: if it counts within epochs and not "
            "through the training, choose another x (--x row counts the rows)"
            for times, reached in self.resolution.rounds[:1]
        ]

    def branches(self, values: NDArray[np.float64]) -> tuple[Branch, ...]:
        """What restarts have made void, with mean values for pictures."""
        if not self.resolution.falls:
            return ()
        void = self.resolution.void
        melted = {name for part in self.parts for name in part.columns_by}
        steps = np.asarray(self.frame["step"], dtype=np.float64)
        made = []
        for number, fall in enumerate(self.resolution.falls, 1):
            rows = np.flatnonzero(void == number)
            if not len(rows):
                continue
            x, y = _mean_by_step(steps[rows], values[rows])
            first = int(rows[0])
            named = [name for name in GROUP_COLUMNS if name in self.frame and name not in melted]
            labels = {name: str(self.frame[name].iloc[first]) for name in named}
            made.append(Branch(labels, fall.reached, fall.step, fall.n_void, fall.is_declared, x, y))
        return tuple(made)

    def course(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Mean value of fitted rows against step.

        None where there were no restarts.
        """
        if not self.resolution.falls or self.resolution.kept.all():
            return None
        return _mean_by_step(np.asarray(self.frame["step"], dtype=np.float64)[self.is_kept], values[self.is_kept])

    def notes(self) -> list[str]:
        """Say what restarts and late rows there were."""
        found, sentences = self.resolution, []
        restarts = [fall for fall in found.falls if not fall.is_new_training]
        if restarts:
            steps = list(dict.fromkeys(f"{fall.step:g} (after {fall.reached:g})" for fall in restarts))
            listed = ", ".join(steps[:6]) + (", …" if len(steps) > 6 else "")
            void = sum(fall.n_void for fall in restarts)
            sentences.append(
                f"training was restarted: the step falls back to {listed}; {void:,} earlier rows of the steps from "
                "there on are void"
            )
        if found.n_late:
            sentences.append(f"{found.n_late:,} rows were written after rows of later steps and were sorted in")
        return sentences


def _mean_by_step(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, at = np.unique(steps, return_inverse=True)
    return x, np.bincount(at, values) / np.bincount(at)


def _preferred_label(labels: Sequence[str]) -> str:
    """Label of the split that is fitted unless another is wanted."""
    return preferred(None if label == NO_LABEL else label for label in labels) or NO_LABEL


def _split_called(wanted: str, present: Sequence[str]) -> str:
    """The split that the user names, under its usual name or that of the log."""
    name = split_named(wanted) or next((split for split in present if split == wanted), None)
    if name is None:
        raise InputError(f"there is no split '{wanted}'", hint="choose one of " + ", ".join(present or SPLITS))
    return name


def _offsets(parts: Sequence[Part]) -> NDArray[np.int64]:
    """Number of the first row of the file that each part comes from."""
    return np.cumsum([0, *(_last_row(part) + 1 for part in parts)])[:-1]


def _last_row(part: Part) -> int:
    """Highest number of a row of the file that a part speaks of."""
    own = len(part.table) if part.file_rows is None else int(part.file_rows.max(initial=0))
    return max(own, *(restart.row for restart in part.restarts), 0)


def _writers(parts: Sequence[Part]) -> NDArray[np.int64] | None:
    """Which process wrote each row, None if there is one."""
    if all(part.writers is None for part in parts):
        return None
    none = [np.zeros(len(part.table), dtype=np.int64) for part in parts]
    return np.concatenate(
        [own if part.writers is None else part.writers for own, part in zip(none, parts, strict=True)]
    )


def _file_rows(parts: Sequence[Part]) -> NDArray[np.int64] | None:
    """Number of the row of the files behind each row.

    None if each comes from a row of its own.
    """
    if all(part.file_rows is None for part in parts):
        return None
    rows = [np.arange(len(part.table)) if part.file_rows is None else part.file_rows for part in parts]
    return np.concatenate([own + before for own, before in zip(rows, _offsets(parts).tolist(), strict=True)])


def _declared(parts: Sequence[Part], starts: NDArray[np.int64]) -> list[tuple[int, float, int]]:
    """Restarts that the files declare, as `resolve_restarts` takes them."""
    return [
        (start + restart.row, restart.step, start + restart.first)
        for start, part in zip(starts.tolist(), parts, strict=False)
        for restart in part.restarts
    ]


def _runs_called(name: str, runs: Sequence[str]) -> list[str]:
    """Runs of a name, trainings of such a run, or runs below a path.

    What all paths of a folder have in common is not in the names of its runs.
    """
    return (
        [run for run in runs if run == name]
        or [run for run in runs if run.startswith(name + _SEPARATOR)]
        or [run for run in runs if name.endswith("/" + run)]
    )
