"""Statements that the ledger has judged."""

from __future__ import annotations

from theory.ledger.recordings import Recordings
from theory.ledger.records import assess as assess_row
from theory.ledger.rows import ROWS
from theory.phenomena.records import Finding, Statement

_BY_ID = {row.id: row for row in ROWS}


def of_ledger(work: str, row_id: str, *, by: str = "") -> Statement:
    """Take the verdict of a row of the ledger.

    Parameters
    ----------
    work, row_id : str
    by : str
        The work that says it, if it is said of another one.
    """
    row = _BY_ID[row_id]

    def measure(data: Recordings) -> Finding:
        entry = assess_row(row, data)
        measured = entry.measured
        return Finding(
            entry.ruling.outcome,
            measured.quantities,
            measured.basis,
            entry.ruling.reason,
            measured.training,
            command=entry.row.command,
            record=entry.row.folder,
        )

    return Statement(
        id=f"ledger-{row_id}",
        work=work,
        says=f"{by} says: {row.title}" if by else row.title,
        place=row.place,
        measure=measure,
        command=row.command,
        record=row.folder,
        page=f"ledger.md#{row_id}",
        is_claimed=row.is_claimed,
    )
