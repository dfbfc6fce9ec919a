"""How often a verdict is ever false while a log grows: at every look, and at the looks that count.

Run: python benchmarks/following.py [--repeats 5] [--part 1/2] [--workers 2]
Each log grows from 20 to 320 points and is judged at every doubling, as ``cogfit fit --follow`` judges at the looks
that count. "Supported" is false where the law is no power law, "not supported" where it is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from claims import TRUTHS
from command_line import is_page_asked
from grid import Cell, Study, clopper_pearson, filled, main, recorded, wrapped
from judging import judge

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.following.records import FIRST, is_confirmed

POINTS = tuple(FIRST * 2**step for step in range(5))
SD = 0.05
VERDICTS = ("supported", "not_supported")
"""The right one of a power law first."""
COUNTED = ("last", "ever", "confirmed", "right_last", "right_confirmed")
"""False at the last look, ever, or ever confirmed; right at the last look, or ever confirmed."""


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of the logs of a law with a false verdict at a look."""
    form = cogfit.forms()[cell["truth"]]
    right, false = VERDICTS if "power" in cell["truth"] else VERDICTS[::-1]
    x = np.arange(1.0, POINTS[-1] + 1.0)
    mean = form.evaluate(x, TRUTHS[cell["truth"]])
    counts = Counter[str]()
    for _ in range(repeats):
        y = mean * np.exp(SD * rng.standard_normal(x.size))
        looks = [judge(array_curve(x[:n], y[:n]), rng) for n in POINTS]
        verdicts = [look.ruling.power_law for look in looks]
        p_values = [{name: test.p_value for name, test in look.tests.items()} for look in looks]
        confirmed = {verdict for verdict, p in zip(verdicts, p_values, strict=True) if is_confirmed(verdict, p)}
        counts["last"] += verdicts[-1] == false
        counts["ever"] += false in verdicts
        counts["confirmed"] += false in confirmed
        counts["right_last"] += verdicts[-1] == right
        counts["right_confirmed"] += right in confirmed
    limits = {name: clopper_pearson(counts[name], repeats, 0.95) for name in COUNTED}
    return {
        key: value
        for name, (low, high) in limits.items()
        for key, value in ((name, counts[name] / repeats), (f"{name}_low", low), (f"{name}_high", high))
    }


CELLS = [{"truth": truth} for truth in ("power", "exponential_floor")]
STUDY = Study("following", (__doc__ or "").split("\n")[0], CELLS, measure, 30)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fitting-your-log.md"


def sentences(rows: Sequence[Mapping[str, str]]) -> str:
    """What the table says of power laws and of the others."""
    power, other = rows

    def said(row: Mapping[str, str], name: str) -> str:
        hits, limits = round(float(row[name]) * int(row["repeats"])), (row[f"{name}_low"], row[f"{name}_high"])
        return "{} of {} ({} to {})".format(hits, row["repeats"], *(f"{float(limit):.0%}" for limit in limits))

    return (
        "How much that matters: logs of a power law with errors of 5 % that grow from 20 to 320 points, judged at each "
        f"doubling, were falsely called no power law at the last look in {said(power, 'last')}, at any of the five in "
        f"{said(power, 'ever')}, and confirmed as none in {said(power, 'confirmed')}. In return, what is right takes "
        f"longer: {said(power, 'right_last')} were supported at the last look, {said(power, 'right_confirmed')} had "
        f"been confirmed by then. Logs of an exponential with a floor were ever called a power law in "
        f"{said(other, 'ever')}, and confirmed as none in {said(other, 'right_confirmed')}. `make benchmark-following` "
        "measures it ([following.csv](../data/benchmarks/following.csv)), `python benchmarks/following.py --page` "
        "writes it here."
    )


def page(text: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The page with its paragraph made anew, between ``<!--FOLLOWING-->`` and ``<!--/FOLLOWING-->``."""
    return filled(text, "FOLLOWING", wrapped(sentences(rows)))


if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), recorded(STUDY.name)), encoding="utf-8")
        raise SystemExit
    for row in main(STUDY):
        print(row["truth"], {name: row[name] for name in COUNTED})
