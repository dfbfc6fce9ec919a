"""What was found, as text and as a page."""

from __future__ import annotations

from collections.abc import Sequence

from theory.ledger.records import NOT_CLAIMED
from theory.phenomena.measures.margins import NATS, RELATIVE, SHARE
from theory.phenomena.records import VERDICTS, Row, Work
from theory.phenomena.works import LISTED, WORKS, listed

_HEAD = """# What the sources say, and what was found

Written by `python -m theory.phenomena > docs/phenomena.md` (half a minute) from streams that are played anew and from
the records in [data/runs](../data/runs); a test checks that it is current. One row per statement of a work. Statements
are in our words; the works were read by their abstracts, figures where it says so.

{counts}

{meanings}

{listed} works are on the list of sources: {scoped} have rows here, {left} are left out with a reason
([policies.md](policies.md#what-is-not-played-here)), and surveys have no rule of their own. {beside} others stand
beside them because something is compared with them. The claims of the two papers on consolidation and retention stand
one by one in the [ledger](ledger.md) and the [claims](claims.md); here are those that other works share.

How to read it:

- **These are small tests**: streams of 256 tokens without training, one language model of 135 million weights, one
  task. A row says what was found there, and not that a work is right or wrong on its own models and data.
- **Intervals are 95 % each**, and there are many rows: one in forty that shows nothing would come out on one side by
  chance. On streams differences are paired. In the language model two policies count as apart where their intervals do
  not overlap, which is stricter than 5 %.
- **That nothing is lost has to be shown, too**: an interval that reaches zero does not show it. The whole interval has
  to lie within a margin of {points:g} points of a share, {nats:g} nats of an answer, or {relative:g} % of an error.
- **Some policies are told more** than a language model offers, such as a mark of bindings. A † stands beside their
  verdicts ([policies.md](policies.md#what-each-one-reads)).
- **Models that were trained on SRCD** stand with the streams and updates that they were trained on, and only those that
  have converged are compared.
"""


def in_full(row: Row) -> str:
    """A row as text."""
    statement, finding = row.statement, row.finding
    lines = [f"{statement.id}: {finding.verdict.upper()}", f"  says: {statement.says} ({statement.place})"]
    lines += [f"  why: {finding.reason}"] if finding.reason else []
    lines += [f"  {number}" for number in finding.numbers]
    lines += [f"  tested: {finding.tested}"] if finding.tested else []
    lines += [f"  streams of training: {finding.training}"] if finding.training else []
    lines += [f"  it reads: {finding.told}"] if finding.told else []
    lines += [f"  recorded in: data/{statement.record}"] if statement.record else []
    lines += [f"  repeat it: {statement.command}"] if statement.command else []
    return "\n".join(lines)


def page(rows: Sequence[Row]) -> str:
    """The page: a table, then every work."""
    own = [work for work in WORKS if any(row.statement.work == work.id for row in rows)]
    scoped = sum(not work.beside for work in WORKS)
    head = _HEAD.format(
        counts=_counts(rows),
        meanings="\n".join(f"- **{verdict}**: {meaning}." for verdict, meaning in VERDICTS.items()),
        listed=LISTED,
        scoped=scoped,
        left=len(listed()) - scoped,
        beside=len(WORKS) - scoped,
        points=100 * SHARE,
        nats=NATS,
        relative=100 * RELATIVE,
    )
    lines = [head, "## All statements", "", "| work | it says | found | verdict |", "| --- | --- | --- | --- |"]
    for work in own:
        lines += [
            f"| [{work.name}](#{_anchor(work)}) | {_claim(row)} | {_first(row)} | "
            f"{row.finding.verdict}{' †' if row.finding.told else ''} |"
            for row in rows
            if row.statement.work == work.id
        ]
    lines += ["", *(line for work in own for line in _section(work, rows))]
    return "\n".join(lines)


def _counts(rows: Sequence[Row]) -> str:
    """Count the verdicts on what works claim.

    What follows from the rule of a work only is not counted.
    """
    claimed = [row.finding.verdict for row in rows if row.statement.is_claimed]
    counts = "; ".join(f"{claimed.count(verdict)} {verdict}" for verdict in VERDICTS)
    others = len(rows) - len(claimed)
    return f"{counts}." + (f" {others} more, marked as not claimed, {_are(others)} not counted." if others else "")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _anchor(work: Work) -> str:
    """Anchor of a heading, as GitHub makes it."""
    return "".join(c for c in work.name.casefold().replace(" ", "-") if c.isalnum() or c in "-_")


def _claim(row: Row) -> str:
    """What is said, and by whom if not by the work."""
    return row.statement.says + ("" if row.statement.is_claimed else f" {NOT_CLAIMED}")


def _first(row: Row) -> str:
    """The first numbers of a row, and what the models behind them were trained on."""
    training = [f"trained on streams: {row.finding.training}"] if row.finding.training else []
    return "<br>".join([*map(str, row.finding.numbers[:2]), *training]) or "–"


def _section(work: Work, rows: Sequence[Row]) -> list[str]:
    """A work with all its rows."""
    link = f"[arXiv {work.source}](https://arxiv.org/abs/{work.source})" if work.source else "no arXiv number at hand"
    lines = [f"## {work.name}", "", f"{work.reference} ({link}).", ""]
    for row in rows:
        if row.statement.work == work.id:
            lines += _item(row)
    return [*lines, ""]


def _item(row: Row) -> list[str]:
    """A row as an item of a list."""
    statement, finding = row.statement, row.finding
    says = _claim(row)
    lines = [f"- **{finding.verdict}**: {says[0].upper()}{says[1:]} ({statement.place}; `{statement.id}`)."]
    lines += (
        [f"  - {'It takes' if finding.verdict == 'not tested yet' else 'Why'}: {finding.reason}."]
        if finding.reason
        else []
    )
    lines += ["  - Found: " + "; ".join(map(str, finding.numbers)) + "."] if finding.numbers else []
    lines += [f"  - Tested: {finding.tested.rstrip('.')}."] if finding.tested else []
    lines += [f"  - Trained on streams: {finding.training}."] if finding.training else []
    lines += [f"  - † It reads {finding.told}."] if finding.told else []
    where = [f"recorded in `data/{statement.record}`"] if statement.record else []
    where += [f"more in [{statement.page}]({statement.page})"] if statement.page else []
    name = "Begin with" if finding.verdict == "not tested yet" else "Repeat it"
    if statement.command:
        lines += ["  - " + "; ".join([f"{name}: `{statement.command}`", *where]) + "."]
    elif where:
        lines += [f"  - {'; '.join(where).capitalize()}."]
    return lines
