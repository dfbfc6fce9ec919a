"""What a log can show: rate of each verdict by points, errors, range of x and correlation.

Run: python benchmarks/design.py [--repeats 20] [--part 1/4] [--workers 2] [--only power_floor]
Curves follow x^−0.43 + 0.1, or the rival that comes nearest to it where it is observed; x runs evenly over the decades,
and the errors are a share of each value (AR(1) along the curve). Each is judged as ``cogfit fit`` judges. The interval
of γ is that of a power law with a floor, fitted alone. The numbers in docs/what-a-log-shows.md are written from the
table: python benchmarks/design.py --page
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, clopper_pearson, filled, main, markdown, recorded

import cogfit
from cogfit.designing import LogPlan
from cogfit.fitting import Judge, Options
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.rates import VERDICTS
from cogfit.planning.advice import separation
from cogfit.planning.laws import is_rival, nearest_rival
from cogfit.planning.situation import Law, Situation

LAW = Law(get_form("power_floor"), {"A": 1.0, "gamma": 0.43, "c": 0.1})
PAGE = Path(__file__).resolve().parents[1] / "docs" / "what-a-log-shows.md"


def observed(cell: Cell) -> tuple[Situation, Law]:
    """How the law of a cell is observed, and which it is."""
    situation = LogPlan(n=cell["n"], sd=cell["sd"], decades=cell["decades"], rho=cell["rho"]).situation(LAW)
    if cell["truth"] == "power_floor":
        return situation, LAW
    rival = nearest_rival(LAW, situation, candidate_forms("x", "other"), "lognormal")
    assert rival is not None
    return situation, rival


def clearness(cell: Cell) -> float:
    """λ of the rival that is hardest to tell from the law."""
    situation, _ = observed({**cell, "truth": "power_floor"})
    rivals = [form for form in candidate_forms("x", "other") if is_rival(form, LAW.form.name)]
    nearest = [nearest_rival(LAW, situation, [form], "lognormal") for form in rivals]
    return min(separation(situation, LAW, rival) for rival in nearest if rival is not None)


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Judge the curves of a cell."""
    situation, law = observed(cell)
    verdicts, covered, width = Counter[str](), 0, []
    for _ in range(repeats):
        curve = situation.draw(law, rng)
        verdicts[Judge(Options(rng))(curve, rng)] += 1
        if law is LAW:
            interval = cogfit.fit(curve, form="power_floor").interval
            assert interval is not None
            covered += interval[0] <= LAW.params["gamma"] <= interval[1]
            width.append(interval[1] - interval[0])
    low, high = clopper_pearson(verdicts["supported"], repeats, 0.95)
    return {
        "form": law.form.name,
        "separation": round(clearness(cell), 1),
        **{name: verdicts[name] / repeats for name in VERDICTS},
        "supported_low": low,
        "supported_high": high,
        "coverage": covered / repeats if width else "",
        "median_width": float(np.median(width)) if width else "",
    }


CELLS = [
    {"truth": truth, "n": n, "sd": sd, "decades": decades, "rho": rho}
    for truth in ("power_floor", "rival")
    for n in (50, 300, 2_000)
    for sd in (0.01, 0.03, 0.1)
    for decades in (1.5, 3.0)
    for rho in (0.0, 0.8)
]
STUDY = Study("design", (__doc__ or "").split("\n")[0], CELLS, measure, 75)


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Share of "supported" under the law and under its rival, by cell, as it stands on the page."""
    known = {STUDY.key(row): row for row in rows}

    def share(cell: Mapping[str, Any], truth: str) -> str:
        row = known.get(STUDY.key({**cell, "truth": truth}))
        return "–" if row is None else f"{float(row['supported']):.0%}"

    lines = []
    for cell in (cell for cell in CELLS if cell["truth"] == "power_floor"):
        own = known.get(STUDY.key(cell))
        if own is not None:
            coverage = f"{float(own['coverage']):.0%} ({float(own['median_width']):.2g})"
            settings = (f"{cell['n']:,}", f"{cell['sd']:.0%}", f"{cell['decades']:g}", f"{cell['rho']:g}")
            lines.append((*settings, own["separation"], share(cell, "power_floor"), share(cell, "rival"), coverage))
    header = ("points", "errors", "decades of x", "ρ", "λ", "supported, true", "supported, rival true", "interval of γ")
    return markdown(header, lines)


def page(text: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The page with its table made anew, between ``<!--POWER-->`` and ``<!--/POWER-->``."""
    return filled(text, "POWER", table_of(rows))


if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), recorded(STUDY.name)), encoding="utf-8")
    else:
        for row in main(STUDY):
            print({key: row[key] for key in (*CELLS[0], "supported", "not_supported", "coverage")})
