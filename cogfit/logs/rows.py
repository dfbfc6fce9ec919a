"""All rows of a log and what becomes of each.

Rows are void after a restart, superseded, or of another split, run or training; the others are fitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, nearest, shortlist
from cogfit.logs.clean import Mask, Part, whole_steps
from cogfit.logs.labels import NO_LABEL, labels_from_codes, natural_key
from cogfit.logs.model import GROUP_COLUMNS, Branch, Choice
from cogfit.logs.restarts import resolve_restarts
from cogfit.logs.splits import SPLITS, preferred, split_named

if TYPE_CHECKING:
    import pandas as pd

SUPERSEDED_ROW = "superseded by a later row of the same step"
SUPERSEDED_TAIL = "superseded after a restart"

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


def group_codes(frame: pd.DataFrame) -> NDArray[np.int64]:
    """One number for each row's run, layer and head.

    In the order of the labels.
    """
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in GROUP_COLUMNS:
        if name in frame:
            labels = frame[name].cat
            codes = codes * (len(labels.categories) + 1) + labels.codes.to_numpy()
    return codes


class Rows:
    """All rows of several parts, and what becomes of each.

    Attributes
    ----------
    frame : pandas.DataFrame
        In file order.
    codes : int64 array
        Group of each row.
    resolution : Resolution
    reasons : list of str
        Why rows are left out; a row's `fate` counts them from 1.
    fate : int8 array
        0 for rows that are fitted.
    """

    def __init__(self, parts: Sequence[Part], frame: pd.DataFrame) -> None:
        self.parts, self.frame = parts, frame
        self.codes = group_codes(frame)
        steps = whole_steps(frame["step"].to_numpy())
        starts = np.cumsum([0, *(len(part.frame) for part in parts)])
        declared = [
            (int(start) + restart.row, restart.step, int(start) + restart.first)
            for start, part in zip(starts, parts, strict=False)
            for restart in part.restarts
        ]
        self.resolution = resolve_restarts(steps, self.codes, declared)
        self.is_last_training: Mask = np.ones(len(frame), dtype=bool)
        self.reasons: list[str] = []
        self.fate = np.zeros(len(frame), dtype=np.int8)
        self.leave_out(~self.resolution.kept, SUPERSEDED_TAIL)

    @property
    def is_kept(self) -> Mask:
        """Rows that are fitted."""
        return np.asarray(self.fate == 0)

    def leave_out(self, rows: Mask, reason: str) -> None:
        """Leave rows out that have been kept so far."""
        rows = rows & self.is_kept
        if rows.any():
            self.reasons.append(reason)
            self.fate[rows] = len(self.reasons)

    def dropped(self) -> Counter[str]:
        """Rows of the files that are left out, by reason."""
        total = sum((Counter(part.dropped) for part in self.parts), Counter[str]())
        fate = self.fate
        if any(part.file_rows is not None for part in self.parts):
            fate = self._fate_of_file_rows()
        counts = np.bincount(fate, minlength=len(self.reasons) + 1)[1:]
        return total + Counter(dict(zip(self.reasons, counts.tolist(), strict=True)))

    def _fate_of_file_rows(self) -> NDArray[np.int8]:
        """Fate of each row of the files that has a value.

        A row that gave several is used if any of these is.
        """
        _, code = np.unique(self.file_rows(), return_inverse=True)
        fate = np.full(int(code.max()) + 1 if len(code) else 0, np.iinfo(np.int8).max, dtype=np.int8)
        np.minimum.at(fate, code, self.fate)
        return fate

    def file_rows(self) -> NDArray[np.int64]:
        """Number, over all files, of the row of the file behind each row."""
        rows, before = [], 0
        for part in self.parts:
            own = np.arange(len(part.frame)) if part.file_rows is None else part.file_rows
            rows.append(own + before)
            before += int(own.max(initial=-1)) + 1
        return np.concatenate(rows)

    def name_trainings(self) -> None:
        """Name the trainings of each run that has several.

        They become runs of their own, so that nothing takes a mean over them.
        """
        training = self.resolution.training
        if not training.any():
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
        self.is_last_training = training == n_trainings[run] - 1
        self.frame = self.frame.assign(run=labels_from_codes(codes, labels))
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
        choices = [part.split for part in self.parts if part.split is not None][:1]
        is_whole_label = False
        if wanted.run is not None and not any(part.run_is_chosen for part in self.parts):
            choice, is_whole_label = self._choose_run(wanted.run, path)
            choices.append(choice)
        if self.is_kept.any():  # or else no row is usable, which is said of the whole log
            choices += self._choose_split(wanted.split, path, is_named=bool(choices))
        if not is_whole_label and not self.is_last_training.all():
            choices.append(self._choose_training())
        return choices

    def _choose_run(self, name: str, path: Path) -> tuple[Choice, bool]:
        """Keep the rows of one run, or of one of its trainings."""
        runs = self.frame["run"].cat.categories.tolist() if "run" in self.frame else []
        chosen = [run for run in runs if run == name] or [run for run in runs if run.startswith(name + _SEPARATOR)]
        if not chosen:
            listed = f"the runs are: {shortlist(runs)}" if runs else "the log names no runs"
            near = nearest(name, runs) if runs else ""
            raise InputError(
                f"there is no column or run '{name}'" + (f"; {near}" if near.startswith("did") else ""),
                path=path,
                hint=listed,
            )
        self.leave_out(~self.frame["run"].isin(chosen).to_numpy(), "of another run")
        others = tuple(run for run in runs if run not in chosen)
        return Choice("run", name, others), chosen == [name]

    def _choose_split(self, wanted: str | None, path: Path, *, is_named: bool) -> list[Choice]:
        """Keep the rows of one split: training, unless another is wanted."""
        name = None if wanted is None else split_named(wanted)
        if wanted is not None and name is None:
            raise InputError(f"there is no split '{wanted}'", hint="choose one of " + ", ".join(SPLITS))
        if "split" not in self.frame:
            if name is not None and not is_named:
                raise InputError(f"the log has no split '{name}'", path=path, hint="leave --split out")
            return []
        labels = self.frame["split"].astype(str)
        present = [split for split in (*SPLITS, NO_LABEL) if (labels[self.is_kept] == split).any()]
        chosen = name or preferred(None if split == NO_LABEL else split for split in present) or NO_LABEL
        if chosen not in present:
            raise InputError(f"the log has no split '{chosen}'", path=path, hint="it has: " + ", ".join(present))
        others = tuple(split for split in present if split != chosen)
        for split in others:
            self.leave_out((labels == split).to_numpy(), f"of the split '{split}'")
        if not others and chosen in ("train", NO_LABEL):
            return []
        return [Choice("split", "train" if chosen == NO_LABEL else chosen, others)]

    def _choose_training(self) -> Choice:
        """Keep the last training of each run."""
        runs = self.frame["run"].astype(str)
        last = sorted(set(runs[self.is_last_training & self.is_kept]), key=natural_key)
        earlier = sorted(set(runs[~self.is_last_training & self.is_kept]), key=natural_key)
        self.leave_out(~self.is_last_training, "of an earlier training")
        return Choice("training", shortlist([name for name in last if "training " in name]), tuple(earlier))

    # ------------------------------------------------------------------------------------------ the account

    def doubts(self) -> list[str]:
        """What may be other than it seems, one sentence each."""
        fresh = [fall for fall in self.resolution.falls if fall.is_new_training]
        if len(fresh) < 2 or len({fall.reached for fall in fresh}) > 1:
            return []
        return [
            f"the step starts anew {len(fresh)} times after the same {fresh[0].reached:g}: if it counts within epochs "
            "and not through the training, choose another x (--x row counts the rows)"
        ]

    def branches(self, values: NDArray[np.float64]) -> tuple[Branch, ...]:
        """What restarts have made void, with mean values for pictures."""
        void = self.resolution.void
        steps = self.frame["step"].to_numpy().astype(np.float64)
        made = []
        for number, fall in enumerate(self.resolution.falls, 1):
            rows = np.flatnonzero(void == number)
            if not len(rows):
                continue
            x, y = _mean_by_step(steps[rows], values[rows])
            first = int(rows[0])
            labels = {name: str(self.frame[name].iloc[first]) for name in GROUP_COLUMNS if name in self.frame}
            made.append(Branch(labels, fall.reached, fall.step, len(rows), fall.is_declared, x, y))
        return tuple(made)

    def course(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Mean value of fitted rows against step.

        None where there were no restarts.
        """
        if self.resolution.kept.all():
            return None
        return _mean_by_step(self.frame["step"].to_numpy().astype(np.float64)[self.is_kept], values[self.is_kept])

    def notes(self) -> list[str]:
        """Say what restarts and late rows there were."""
        found, sentences = self.resolution, []
        restarts = [fall for fall in found.falls if not fall.is_new_training]
        if restarts:
            steps = list(dict.fromkeys(f"{fall.step:g} (after {fall.reached:g})" for fall in restarts))
            listed = ", ".join(steps[:6]) + (", …" if len(steps) > 6 else "")
            void = int(np.count_nonzero(~found.kept))
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
