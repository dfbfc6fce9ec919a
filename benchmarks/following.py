"""How often a verdict is ever false while a log grows: at every look, and at the looks that count.

Run: python benchmarks/following.py [--repeats 5] [--part 1/2] [--workers 2]
Each log grows from 20 to 320 points and is judged at every doubling, as ``cogfit fit --follow`` judges at the looks
that count. "Supported" is false where the law is no power law, "not supported" where it is one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from claims import TRUTHS
from grid import Cell, Study, clopper_pearson, main
from judging import judge

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.following.records import FIRST, is_confirmed

POINTS = tuple(FIRST * 2**step for step in range(5))
SD = 0.05


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of the logs of a law with a false verdict at a look."""
    form, false = cogfit.forms()[cell["truth"]], "not_supported" if "power" in cell["truth"] else "supported"
    x = np.arange(1.0, POINTS[-1] + 1.0)
    mean = form.evaluate(x, TRUTHS[cell["truth"]])
    counts = Counter[str]()
    for _ in range(repeats):
        y = mean * np.exp(SD * rng.standard_normal(x.size))
        looks = [judge(array_curve(x[:n], y[:n]), rng) for n in POINTS]
        wrong = [look.ruling.power_law == false for look in looks]
        p_values = [{name: test.p_value for name, test in look.tests.items()} for look in looks]
        sure = [is_confirmed(false, p) for p in p_values]
        counts["last"] += wrong[-1]
        counts["ever"] += any(wrong)
        counts["confirmed"] += any(a and b for a, b in zip(wrong, sure, strict=True))
    limits = {name: clopper_pearson(counts[name], repeats, 0.95) for name in ("last", "ever", "confirmed")}
    return {
        key: value
        for name, (low, high) in limits.items()
        for key, value in ((name, counts[name] / repeats), (f"{name}_low", low), (f"{name}_high", high))
    }


CELLS = [{"truth": truth} for truth in ("power", "exponential_floor")]
STUDY = Study("following", (__doc__ or "").split("\n")[0], CELLS, measure, 30)

if __name__ == "__main__":
    for row in main(STUDY):
        print(row["truth"], {name: row[name] for name in ("last", "ever", "confirmed")})
