"""The ledger as JSON, as text and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from theory.claims import PAPERS
from theory.ledger.quantities import LEVEL, Quantity
from theory.ledger.records import NOT_CLAIMED, OUTCOMES, Entry

SCHEMA = "cogfit.ledger/1"


def document(entries: Sequence[Entry], version: str) -> dict[str, Any]:
    """JSON-ready mapping."""
    return {
        "schema": SCHEMA,
        "level": LEVEL,
        "counts": counts_of(entries),
        "rows": [entry.to_json() for entry in entries],
        "versions": {"cogfit": version},
    }


def counts_of(entries: Sequence[Entry]) -> dict[str, int]:
    """Count the verdicts on what the papers claim."""
    own = [entry.ruling.outcome for entry in entries if entry.row.is_claimed]
    return {outcome: own.count(outcome) for outcome in OUTCOMES}


def in_full(entry: Entry) -> str:
    """One row as text."""
    row, measured = entry.row, entry.measured
    lines = [f"{row.id}: {entry.ruling.outcome.upper()}", f"  {row.says}", f"  why: {entry.ruling.reason}"]
    lines += [f"  source: {row.paper}, {row.place} ({PAPERS[row.paper]})"]
    lines += ["  the paper:", *(f"    {quantity}" for quantity in entry.printed)] if entry.printed else []
    lines += ["  here:", *(f"    {quantity}" for quantity in measured.quantities)] if measured.quantities else []
    lines += [f"    {note}" for note in measured.notes]
    lines += [f"  measured on: {measured.basis}"] if measured.basis else []
    lines += [f"  streams of training: {measured.training}"] if measured.training else []
    lines += [f"  recorded in: data/{row.folder}"] if row.folder else []
    lines += [f"  repeat it: {row.command}"]
    lines += (
        [f"  certificate: cogfit theory check {row.certificate} ({measured.status or 'see there'})"]
        if (row.certificate and row.command != f"cogfit theory check {row.certificate}")
        else []
    )
    lines += [f"  more: docs/{row.page}"] if row.page else []
    return "\n".join(lines)


_HEAD = """# Replication ledger

Written by `cogfit ledger --markdown > docs/ledger.md`; a test checks that it is current. One row per number or claim of
the two papers, and one of a third that says how facts are forgotten. The papers' figures come from
[data/published](../data/published) and from the [claims](claims.md), ours from recorded runs, tables and certificates;
verdicts are rules of `theory/ledger/rows.py`.
Intervals are {level:.0f} %, over seeds (Student's t), documents or people, as said under *measured on*; "(a to b, n)"
is the least and the largest of n runs. Where numbers of trained models stand side by side, the streams and updates that
each was trained on stand beside them, and how runs ended that had not converged ([what that means](replication.md)). A
figure of Table 1 is compared with runs that have converged or stay on the plateau, and with those that are beyond it
already; sizes and rates were not matched ([training.md](training.md#equal-training)). What other works say is on
[a page of its own](phenomena.md).

- **reproduced**: the same within our interval, or proved.
- **reproduced under conditions**: true with a condition or a reading that the paper does not state.
- **not reproduced**: measured here and different, or not shown by our interval, or refuted by a counterexample.
- **not testable here**: the data, the weights or a run that is long enough are not at hand; the row says what to run.

{counts}
"""


def page(entries: Sequence[Entry]) -> str:
    """The page of the documentation.

    A table, then every row in full.
    """
    counts = "; ".join(f"{n} {outcome}" for outcome, n in counts_of(entries).items())
    others = sum(not entry.row.is_claimed for entry in entries)
    counts += f". {others} more, marked as not claimed, {'is' if others == 1 else 'are'} not counted" if others else ""
    parts = [_HEAD.format(level=100 * LEVEL, counts=f"{counts}.")]
    for paper, reference in PAPERS.items():
        own = [entry for entry in entries if entry.row.paper == paper]
        lines = [
            f"## {paper}",
            "",
            f"{reference}.",
            "",
            "| row | the paper | here | streams of training | verdict |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| [{e.row.id}](#{e.row.id}) | {_printed(e)} | {_cell(e.measured.quantities, '–')} | "
            f"{e.measured.training or '–'} | {e.ruling.outcome} |"
            for e in own
        ]
        parts += ["\n".join([*lines, ""]), *(_section(entry) for entry in own)]
    return "\n".join(parts)


def _cell(quantities: Sequence[Quantity], otherwise: str) -> str:
    return "<br>".join(map(str, quantities[:2])).replace("|", "\\|") or otherwise


def _printed(entry: Entry) -> str:
    """The paper's figures, marked where it does not claim the row."""
    row = entry.row
    return _cell(entry.printed, row.title) + ("" if row.is_claimed else f"<br>{NOT_CLAIMED}")


def _section(entry: Entry) -> str:
    row, measured = entry.row, entry.measured
    lines = [f"### {row.id}", "", f"{row.says[0].upper()}{row.says[1:]} ({row.place}).", ""]
    lines += [f"**{entry.ruling.outcome}**: {entry.ruling.reason}", ""]
    for title, items in (("The paper", entry.printed), ("Here", (*measured.quantities, *measured.notes))):
        lines += [f"- {title}: " + "; ".join(map(str, items))] if items else []
    lines += [f"- Measured on: {measured.basis}"] if measured.basis else []
    lines += [f"- Streams of training: {measured.training}"] if measured.training else []
    lines += [f"- Recorded in: `data/{row.folder}`"] if row.folder else []
    lines += [f"- Repeat it: `{row.command}`"]
    if row.certificate:
        lines += [f"- Certificate: `cogfit theory check {row.certificate}`, [claims](claims.md)"]
    lines += [f"- More: [{row.page}]({row.page})"] if row.page else []
    return "\n".join([*lines, ""])
