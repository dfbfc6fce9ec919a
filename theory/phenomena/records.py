"""Works, what they say, and what was found. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from theory.ledger.quantities import Quantity
from theory.ledger.recordings import NotHere, Recordings
from theory.ledger.records import Outcome

Verdict = Literal["reversed", "not tested yet"] | Outcome

VERDICTS: dict[Verdict, str] = {
    "reproduced": "the interval of what is said to be positive lies above zero, or as the row says",
    "reproduced under conditions": "found in a part of the cases, or with a condition that the work does not state",
    "not reproduced": "measured, and not found; these sizes may be unable to show it",
    "reversed": "the interval of what is said to be positive lies below zero",
    "not testable here": "it needs what is not at hand: data, longer runs, or a test that can come out either way",
    "not tested yet": "nothing stands in the way; the row says what it takes",
}
"""Each verdict with its meaning, in the order of the page."""


@dataclass(frozen=True)
class Work:
    """A work of the list of sources, or one that is compared with them.

    Attributes
    ----------
    id, name : str
        Identifier, and name as in the list.
    reference : str
        Authors, year, title.
    source : str
        arXiv number; empty where it is not known.
    beside : bool
        Whether it is not of the list, and is here because something is compared with it.
    policies, models : tuple of str
        Identifiers of :data:`theory.policies.POLICIES` and kinds of :mod:`theory.models` that come from it.
    """

    id: str
    name: str
    reference: str
    source: str
    beside: bool = False
    policies: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What was found.

    Attributes
    ----------
    verdict : str
        Of :data:`VERDICTS`.
    numbers : tuple of Quantity
    tested : str
        What exactly was tested, and on what.
    reason : str
        Why the verdict is not a plain one; empty where the numbers say it.
    training : str
        Streams that the models were trained on whose numbers stand here; empty where nothing was trained on streams.
    told : str
        What a policy reads that no language model offers; empty where it reads nothing of the kind.
    command, record : str
        Those of the statement, where they depend on what was found on record.
    """

    verdict: Verdict
    numbers: tuple[Quantity, ...] = ()
    tested: str = ""
    reason: str = ""
    training: str = ""
    told: str = ""
    command: str = ""
    record: str = ""


Measure = Callable[[Recordings], Finding]


@dataclass(frozen=True)
class Statement:
    """What a work says, and how it is tested.

    Attributes
    ----------
    id, work : str
        Identifier, and that of the :class:`Work`.
    says : str
        In our words, one clause.
    place : str
        Where in the work.
    measure : callable or None
        Recordings -> :class:`Finding`; may raise :class:`~theory.ledger.recordings.NotHere`. None where it was not
        tested.
    command : str
        Repeats what was measured, or begins what is missing; empty where there is none.
    record : str
        Recorded data, below the data folder; empty where the command computes everything.
    page : str
        Page of the documentation that says more.
    missing : str
        Where it was not tested, what that would take.
    is_claimed : bool
        Whether the work claims it. If not, it follows from the rule of the work.
    """

    id: str
    work: str
    says: str
    place: str
    measure: Measure | None
    command: str = ""
    record: str = ""
    page: str = ""
    missing: str = ""
    is_claimed: bool = True


@dataclass(frozen=True)
class Row:
    """A statement with what was found."""

    statement: Statement
    finding: Finding


def assess(statement: Statement, data: Recordings) -> Row:
    """Test a statement."""
    if statement.measure is None:
        return Row(statement, Finding("not tested yet", reason=statement.missing))
    try:
        finding = statement.measure(data)
        command, record = finding.command or statement.command, finding.record or statement.record
        return Row(replace(statement, command=command, record=record), finding)
    except NotHere as reason:
        return Row(statement, Finding("not testable here", reason=str(reason)))
