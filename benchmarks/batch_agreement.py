"""Do fits of many curves end in the best minimum? Against single fits and against scipy from many starts.

Run ``python benchmarks/batch_agreement.py`` (``--help`` for the options). Every cell fits one form to curves of all
kinds: truths of every form, 20 to 2,000 points on even, logarithmic and irregular axes, noise from 10^-4 of the drop to
the whole of it. The rival is ``scipy.optimize.least_squares``, which ``curve_fit`` calls within bounds, in the form's
own bounds and with the analytic Jacobian, from the truth where the form is that of the truth and from random starts
besides: five in all. Ten blocks make 10^5 curves; ``--part 1/10`` is a tenth of them, with every form and length.

Columns: curves on which ``fit_many`` ends more than 10^-8 (relative) above a single fit, and above scipy; of the latter
those with each status; the largest excess; curves on which scipy ends above ``fit_many``, and where it finds nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from grid import Cell, Study, main

import cogfit
from cogfit.engine import estimate, separable
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import forms, get_form

STARTS = 5
SLACK = 1e-8
LENGTHS = {"short": (20, 60), "middle": (60, 300), "long": (300, 2000)}
BLOCKS = range(1, 11)
FORMS = [form.name for form in forms().values() if form.basis is not None]


def draw(rng: np.random.Generator, form: Form, x: Array, wide: bool = False) -> Array:
    """Parameters of a form, anywhere in the range in which it looks like something on this axis."""
    out = []
    for q in form.parameters:
        if q.role == "shape":
            low, high = q.absolute((q.lower, q.upper) if wide else q.grid[:2], x)
            out.append(np.exp(rng.uniform(np.log(low), np.log(high))) if q.log else rng.uniform(low, high))
        elif q.role == "floor":
            out.append(float(rng.choice([0.0, rng.uniform(0.0, 0.5)])))
        else:
            out.append(rng.uniform(0.1, 1.0))
    return np.array(out)


def axis(rng: np.random.Generator, low: int, high: int) -> Array:
    n = round(np.exp(rng.uniform(np.log(low), np.log(high))))
    kind = rng.integers(3)
    if kind == 0:
        return np.arange(1.0, n + 1.0)
    if kind == 1:
        return np.geomspace(1.0, 10.0 ** rng.uniform(1.5, 5.0), n)
    return np.sort(rng.uniform(1.0, 10.0 ** rng.uniform(1.0, 4.0), n))


def curve(rng: np.random.Generator, low: int, high: int) -> tuple[Array, Array, Form, Array]:
    """x, y, and the truth behind it."""
    while True:
        x, truth = axis(rng, low, high), get_form(str(rng.choice(FORMS)))
        params = draw(rng, truth, x)
        f = truth.evaluate(x, params)
        drop = float(np.ptp(f))
        if np.all(np.isfinite(f)) and 1e-3 < drop < 1e3:
            return x, f + rng.normal(0.0, drop * 10.0 ** rng.uniform(-4.0, 0.0), x.size), truth, params


def rival(form: Form, x: Array, y: Array, starts: list[Array]) -> float:
    """Least RSS that scipy reaches within the bounds of the form: 150 evaluations from each start, then on from two.

    ``least_squares`` is what ``curve_fit`` calls where there are bounds; it keeps what it has when evaluations run out.
    """
    from scipy.optimize import least_squares

    low, high = separable.bounds_of(form, x)
    margin = np.where(np.isfinite(high), 1e-9 * (high - np.where(np.isfinite(low), low, 0.0)), 0.0)

    def descend(start: Array, evaluations: int) -> tuple[float, Array]:
        inside = np.clip(start, low + np.where(np.isfinite(low), margin + 1e-12, 0.0), high - margin)
        try:
            p = least_squares(
                lambda p: form.evaluate(x, p) - y, inside, lambda p: form.jacobian(x, p), (low, high), method="trf",
                x_scale="jac", ftol=1e-14, xtol=1e-14, gtol=1e-14, max_nfev=evaluations,
            ).x  # fmt: skip
        except (ValueError, np.linalg.LinAlgError):
            return np.inf, start
        rss = float(((y - form.evaluate(x, p)) ** 2).sum())
        return (rss, p) if np.isfinite(rss) else (np.inf, start)

    first = sorted((descend(start, 150) for start in starts), key=lambda pair: pair[0])
    return min(first[0][0], *(descend(p, 500)[0] for _, p in first[:2]))


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> Mapping[str, Any]:
    warnings.simplefilter("ignore")
    form = get_form(str(cell["form"]))
    made = [curve(rng, *LENGTHS[str(cell["length"])]) for _ in range(repeats)]
    table = pd.concat([pd.DataFrame({"curve": i, "x": x, "y": y}) for i, (x, y, _, _) in enumerate(made)])
    fits = cogfit.fit_many(table, form=form.name)
    single = failed = behind = 0
    worse: list[float] = []
    statuses: list[str] = []
    for row, (x, y, truth, params) in zip(fits.to_dict("records"), made, strict=True):
        starts = [draw(rng, form, x, wide=k > 2) for k in range(STARTS - 1)]
        starts.append(params if truth is form else draw(rng, form, x))
        other = rival(form, x, y, starts)
        failed += not np.isfinite(other)
        alone = estimate.estimate(form, x, y, np.ones(x.size)).rss
        single += not row["rss"] <= alone * (1.0 + SLACK)
        rounding = x.size * (1e-14 * float(np.abs(y).max())) ** 2
        if not row["rss"] <= other * (1.0 + SLACK) + rounding:
            worse.append(row["rss"] / other - 1.0)
            statuses.append(str(row["status"]))
        behind += other > row["rss"] * (1.0 + SLACK) + rounding
    return {
        "worse_than_fit": single, "worse_than_scipy": len(worse), "of_these_ok": statuses.count("ok"),
        "of_these_at_bound": statuses.count("at_bound"), "of_these_not_identified": statuses.count("not_identified"),
        "of_these_failed": statuses.count("failed"), "largest_excess": max(worse, default=0.0),
        "scipy_worse": behind, "scipy_failed": failed,
    }  # fmt: skip


STUDY = Study(
    "batch_agreement",
    "Curves on which fit_many ends in a worse minimum than a single fit, or than scipy from several starts.",
    [{"block": block, "form": form, "length": length} for block in BLOCKS for form in FORMS for length in LENGTHS],
    measure,
    repeats=197,  # of 10 blocks of 51 cells: 10^5 curves
)

if __name__ == "__main__":
    main(STUDY)
