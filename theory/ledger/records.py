"""Rows of the replication ledger, and what comes of them.

A row (:mod:`theory.ledger.rows`) names figures of a paper, says how to measure the same from recorded runs, tables and
certificates, and has a rule that turns both into a verdict. Nothing is typed in but the papers' figures, which stand in
``data/published`` and :mod:`theory.claims`. Where a recording is missing the row says what to run. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cogfit.errors import InputError, nearest
from cogfit.records.codec import encode
from theory.claims import PAPERS
from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import NotHere, Recordings
from theory.training.sets import EQUAL, find_set

Outcome = Literal["reproduced", "reproduced under conditions", "not reproduced", "not testable here"]
NOT_CLAIMED = "(not claimed; it follows from the rule)"
"""Stands beside what a work does not say itself."""

OUTCOMES: tuple[Outcome, ...] = ("reproduced", "reproduced under conditions", "not reproduced", "not testable here")


@dataclass(frozen=True)
class Trained:
    """How a set of runs was trained.

    Attributes
    ----------
    title : str
    streams, updates, runs : int
    open_ends : tuple of str
        How the runs ended that had not converged (:data:`theory.training.convergence.ENDINGS`).
    """

    title: str
    streams: int
    updates: int
    runs: int
    open_ends: tuple[str, ...] = ()

    @property
    def left(self) -> str:
        """Runs that had not converged, in words."""
        parts = [f"{self.open_ends.count(how)} of {self.runs} {how}" for how in dict.fromkeys(self.open_ends)]
        return f"{self.title}: {', '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes
    ----------
    quantities : tuple of Quantity
    basis : str
        What the numbers rest on, in words.
    status : str
        For a claim with a certificate: proved, verified, conditional or refuted.
    notes : tuple of str
        Findings that are no numbers.
    trained : tuple of Trained
        Sets of runs whose numbers stand side by side; empty where nothing was trained on streams.
    unequal : str
        How training differs where it is not counted in streams here.
    chosen : str
        Set of runs that was taken for that of the row: the one of equal training, where it has enough seeds.
    """

    quantities: tuple[Quantity, ...] = ()
    basis: str = ""
    status: str = ""
    notes: tuple[str, ...] = ()
    trained: tuple[Trained, ...] = ()
    unequal: str = ""
    chosen: str = ""

    @property
    def training(self) -> str:
        """Streams and updates of training, in words.

        And how many runs had not converged.

        Examples
        --------
        >>> cram = Trained("cram-n256", 38400, 2400, 5)
        >>> Measured(trained=(Trained("mamba-n256", 4800, 600, 3, ("still climbing",) * 3), cram)).training
        'mamba-n256 4,800 in 600 updates, cram-n256 38,400 in 2,400 (not equal); mamba-n256: 3 of 3 still climbing'
        >>> Measured(trained=(Trained("mamba-n256-equal", 38400, 4800, 3), cram)).training
        'mamba-n256-equal 38,400 in 4,800 updates, cram-n256 38,400 in 2,400'
        >>> Measured(trained=(cram,)).training
        '38,400'
        """
        if not self.trained:
            return self.unequal
        streams, updates = ({getattr(own, name) for own in self.trained} for name in ("streams", "updates"))
        if len(streams) == len(updates) == 1:
            text = f"{self.trained[0].streams:,}"
        else:
            first, *others = (f"{own.title} {own.streams:,} in {own.updates:,}" for own in self.trained)
            text = ", ".join((f"{first} updates", *others)) + (" (not equal)" if len(streams) > 1 else "")
        return "; ".join((text, *(own.left for own in self.trained if own.left)))

    def __getitem__(self, name: str) -> Quantity:
        return next(quantity for quantity in self.quantities if quantity.name == name)


@dataclass(frozen=True)
class Ruling:
    """Verdict of a row, with its reason in one sentence."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class LedgerRow:
    """A number or claim of a paper.

    Attributes
    ----------
    id, title : str
    paper : str
        Key of :data:`theory.claims.PAPERS`.
    place : str
        Where in the paper.
    printed : callable
        Recordings -> the paper's figures.
    measure : callable
        Recordings -> :class:`Measured`; raises :class:`NotHere`.
    judge : callable
        (printed by name, measured) -> :class:`Ruling`.
    command : str
        Repeats it.
    folder : str
        Recorded data, below the data folder; empty where there are none.
    certificate : str
        Claim identifier for ``cogfit theory check``; empty where there is none.
    page : str
        Page of the documentation, or a figure there.
    is_claimed : bool
        Whether the paper claims it. If not, it follows from a rule of the paper, and does not count among its claims.
    """

    id: str
    title: str
    paper: str
    place: str
    printed: Callable[[Recordings], tuple[Quantity, ...]]
    measure: Callable[[Recordings], Measured]
    judge: Callable[[Quantities, Measured], Ruling]
    command: str
    folder: str = ""
    certificate: str = ""
    page: str = ""
    is_claimed: bool = True

    @property
    def says(self) -> str:
        """What is said, and by whom.

        The latter where it is not the paper.
        """
        return self.title if self.is_claimed else f"{self.title} {NOT_CLAIMED}"


@dataclass(frozen=True)
class Entry:
    """A row with what came out of it."""

    row: LedgerRow
    printed: tuple[Quantity, ...]
    measured: Measured
    ruling: Ruling

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: row, figures and verdict."""
        row, measured = self.row, self.measured
        document: dict[str, Any] = encode(
            {
                "id": row.id,
                "title": row.title,
                "claimed": row.is_claimed,
                "paper": PAPERS[row.paper],
                "place": row.place,
                "printed": self.printed,
                "measured": measured.quantities,
                "basis": measured.basis,
                "notes": measured.notes,
                "trained": measured.trained,
                "certificate_status": measured.status or None,
                "verdict": self.ruling.outcome,
                "reason": self.ruling.reason,
                "command": row.command,
                "folder": row.folder or None,
                "certificate": f"cogfit theory check {row.certificate}" if row.certificate else None,
                "page": row.page or None,
            }
        )
        return document


def assess(row: LedgerRow, data: Recordings) -> Entry:
    """Measure a row and rule on it."""
    printed: tuple[Quantity, ...] = ()
    try:
        printed = row.printed(data)
        measured = row.measure(data)
        ruling = row.judge({quantity.name: quantity for quantity in printed}, measured)
        return Entry(_of_chosen(row, measured), printed, measured, ruling)
    except NotHere as reason:
        return Entry(row, printed, Measured(), Ruling("not testable here", str(reason)))


def _of_chosen(row: LedgerRow, measured: Measured) -> LedgerRow:
    """The row with command and folder of the set that was measured."""
    if not measured.chosen:
        return row
    own = row.folder == f"runs/{measured.chosen.removesuffix(EQUAL)}"
    folder = f"runs/{measured.chosen}" if own else row.folder
    return replace(row, command=find_set(measured.chosen).command, folder=folder)


def choose(rows: Sequence[LedgerRow], names: Sequence[str]) -> list[LedgerRow]:
    """Rows by identifier, in the order asked for.

    All of them by default.

    Raises
    ------
    InputError
        If there is no such row.
    """
    known = {row.id: row for row in rows}
    for name in names:
        if name.casefold() not in known:
            raise InputError(f"no row '{name}'", hint=nearest(name, known))
    return [known[name.casefold()] for name in dict.fromkeys(names)] if names else list(rows)
