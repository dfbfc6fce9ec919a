"""A study in words and tables.

For the terminal and for docs/policies.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from theory.policies.phenomena import Phenomenon
from theory.policies.study import Cell, Study

CAPTION = {
    "mix": "SRCD: recurring and novel keys, every query with a binding of its own (mix)",
    "independent": "All bindings first, then independent queries by Zipf's law (independent)",
    "recurrent": "Keys that come back at intervals of their own, among novel ones (recurrent)",
}


def classes(study: Study) -> list[list[str]]:
    """Table of the class and kind of each policy.

    The first row is the header.
    """
    rows = [["policy", "class", "kind"]]
    for system in study.systems:
        traits = study.traits[system.id]
        secret = "" if traits.declared else "; UNDECLARED memory"
        rows.append([system.title, traits.klass, traits.kind + secret])
    return rows


def law_table(study: Study, law: str) -> list[list[str]]:
    """Table of accuracy and cost by policy and budget.

    The first row is the header.
    """
    rows = [["policy", *(f"budget {share:.3g}" for share in study.budgets), "rows", "bits", "bytes"]]
    for system in study.systems:
        cells = study.at(system.id, law)
        rows.append(
            [
                f"{system.title} †" if system.reads else system.title,
                *(_cell(cell) for cell in cells),
                f"{100 * cells[-1].rows:.3g} %",
                f"{cells[-1].carried_bits:,.0f}",
                f"{cells[-1].bytes_read.total:,.0f}",
            ]
        )
    return rows


def limit_lines(study: Study) -> list[str]:
    """How policies fared against the bounds."""
    lines = [
        "Cells: accuracy in % ± half of its 95 % interval over streams @ attended tokens in % of full attention; rows "
        "(share of tokens and heads at which attention runs), bits (state and cache) and bytes at the largest budget. "
        "Bytes are read per token: keys and values attended to and vectors compared with, 16 bits a number, the state "
        "as a whole, and scores. A policy is called below its bound at a level of 1e-5; the intervals are 95 % each. "
        "† reads more than queries, keys and attention weights."
    ]
    every = [(cell, comparison) for cell in study.cells for comparison in cell.comparisons]
    classes = {
        "T1": "no memory",
        "T2": "S bits",
        "T3": "learns from attention alone",
        "T9": "values that change",
    }
    for theorem, what in classes.items():
        own = [(cell, comparison) for cell, comparison in every if comparison.theorem == theorem]
        if own:
            cell, least = min(own, key=lambda pair: pair[1].excess)
            where = f"{cell.policy}, {cell.law}, budget {cell.budget:.3g}"
            beaten = sum(comparison.beaten for _, comparison in own)
            lines.append(
                f"{theorem} ({what}): {len(own)} comparisons, {beaten} below the bound; "
                f"least excess {least.excess:+.4f} [{least.low:+.4f}, {least.high:+.4f}] per query ({where})."
            )
    return lines


def claim_lines(claims: Sequence[Phenomenon]) -> list[str]:
    """What the sources say of their policies, one line each."""
    return [
        f"{claim.policy}: {claim.claim}: {claim.verdict} ({claim.difference.value:+.3f} [{claim.difference.low:+.3f}, "
        f"{claim.difference.high:+.3f}]; "
        + ", ".join(f"{name} {value:.3f}" for name, value in claim.numbers.items())
        + (f"; {claim.reason})" if claim.reason else ")")
        for claim in claims
    ]


def _cell(cell: Cell) -> str:
    half = (cell.accuracy.high - cell.accuracy.low) / 2
    return f"{100 * cell.accuracy.value:.1f} ± {100 * half:.1f} @ {100 * cell.tokens.value:.3g}"
