"""Forecasts of real learning curves: from the first 60 % of the anchors to the last.

Run: python benchmarks/forecast_field.py [--most 100] [--split development] [--out FILE] [--fresh]
Curves of LCDB 1.0 (lcdb.py). The weights of the forms before any data, and what a form may miss by beyond the data,
were chosen on a third of the data sets (drawn with SEED); the table is of the others. All forms are continued, as no
test refuses any: a curve has 8 to 22 points here, on which a test refuses few and costs a second. Beside the average
stand every form alone, the form of the lowest AICc (all fitted by the batch engine) and the last value.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import positive_whole, run_script
from grid import FOLDER, versions
from lcdb import CURVES, LearningCurve, learning_curves
from numpy.typing import NDArray

from cogfit.curves.arrays import array_curve
from cogfit.engine.estimate import Estimate, Estimates, estimate_many
from cogfit.files import write_atomic
from cogfit.forecasting.answers import predict
from cogfit.forecasting.drawing import Candidate, ensemble_of
from cogfit.forecasting.records import MOST_DISAGREEMENT
from cogfit.formulas.registry import candidate_forms
from cogfit.many.collection import Columns, from_table
from cogfit.native.blas import single_threaded

SEED = 20261129
SHARE = 0.6  # of the anchors, rounded up, that are fitted
STEP = 100  # curves between two tables
WORST = 0.5  # an error counts as this much at most
FORMS = candidate_forms("x", "error")
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """Forecast of the last anchor of one curve; `value` is what would be said if nothing were refused."""

    value: float
    low: float
    high: float
    is_answered: bool


def split(curves: Sequence[LearningCurve], name: str) -> list[LearningCurve]:
    """Curves of the data sets for development (a third), or of the others."""
    datasets = np.unique([curve.dataset for curve in curves])
    chosen = set(np.random.default_rng(SEED).permutation(datasets)[: datasets.size // 3].tolist())
    return [curve for curve in curves if (curve.dataset in chosen) == (name == "development")]


def first_anchors(curve: LearningCurve) -> int:
    """How many anchors are fitted."""
    return math.ceil(SHARE * curve.size.size - 1e-9)


@single_threaded()
def answer(curve: LearningCurve, fits: Sequence[Estimate]) -> Answer:
    """Forecast the last anchor of a curve by the average of all forms, which were fitted to the first."""
    n = first_anchors(curve)
    data = replace(array_curve(curve.size[:n], curve.error[:n]), measure="error")
    candidates = [
        Candidate(f, fit, fit.covariance) for f, fit in zip(FORMS, fits, strict=True) if fit.status != "failed"
    ]
    ensemble = ensemble_of(data, candidates, float(n))
    told = predict(ensemble, curve.size[-1:], 0.95, refuses=False)
    is_answered = bool(told.disagreement[0] <= MOST_DISAGREEMENT)
    return Answer(float(told.value[0]), float(told.low[0]), float(told.high[0]), is_answered)


def fit_forms(curves: Sequence[LearningCurve]) -> list[Estimates]:
    """Every form fitted to the first anchors of all curves, by the batch engine."""
    parts = [(number, curve, first_anchors(curve)) for number, curve in enumerate(curves)]
    table = pd.concat([pd.DataFrame({"curve": i, "x": c.size[:n], "y": c.error[:n]}) for i, c, n in parts])
    collection = from_table(table, Columns(("curve",), "x", "y", None, None))
    assert collection.labels["curve"].tolist() == list(range(len(curves)))
    return [estimate_many(form, collection.bundle) for form in FORMS]


def alone(curves: Sequence[LearningCurve], fits: Sequence[Estimates]) -> Iterator[tuple[str, Array]]:
    """Forecasts of every form by itself, of AICc's choice and of no change."""
    lowest, choice = np.full(len(curves), np.inf), np.full(len(curves), np.nan)
    for form, fit in zip(FORMS, fits, strict=True):
        values = np.array([form.evaluate(c.size[-1:], fit.params[i])[0] for i, c in enumerate(curves)])
        choice = np.where(fit.aicc < lowest, values, choice)
        lowest = np.fmin(lowest, fit.aicc)
        yield form.title, values
    yield "form of the lowest AICc", choice
    yield "last value", np.array([curve.error[first_anchors(curve) - 1] for curve in curves])


def row(name: str, values: Array, truth: Array) -> dict[str, str]:
    """Errors of one method."""
    error = np.minimum(np.abs(np.where(np.isfinite(values), values, np.inf) - truth), WORST)
    told = {"median": np.median(error), "mean": error.mean(), "percentile_90": np.quantile(error, 0.9)}
    return {"method": name, "curves": str(truth.size), **{key: f"{value:.4f}" for key, value in told.items()}}


def rows_of(
    curves: Sequence[LearningCurve], answers: Sequence[Answer], fits: Sequence[Estimates]
) -> list[dict[str, str]]:
    """The table."""
    truth = np.array([curve.error[-1] for curve in curves])
    value, low, high = (np.array([getattr(item, key) for item in answers]) for key in ("value", "low", "high"))
    told, is_within = np.array([item.is_answered for item in answers]), (low <= truth) & (truth <= high)

    def limits(rows: NDArray[np.bool_], refused: int) -> dict[str, str]:
        width = float(np.nanmedian((high - low)[rows]))
        return {"covered": f"{is_within[rows].mean():.4f}", "refused": str(refused), "width": f"{width:.4f}"}

    everything = np.ones(truth.size, dtype=bool)
    blank = dict.fromkeys(("covered", "refused", "width"), "")
    return [
        row("average, where answered", value[told], truth[told]) | limits(told, int((~told).sum())),
        row("average, refusals ignored", value, truth) | limits(everything, 0),
        *(row(name, values, truth) | blank for name, values in alone(curves, fits)),
    ]


def write(out: Path, curves: Sequence[LearningCurve], answers: Sequence[Answer], options: argparse.Namespace) -> None:
    """Write the table of the curves that were forecast so far."""
    done = curves[: len(answers)]
    rows = rows_of(done, answers, fit_forms(done))
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(out, buffer.getvalue())
    about = {
        "study": "forecast_field",
        "about": (__doc__ or "").split("\n")[0],
        "command": "python benchmarks/forecast_field.py",
        "split": options.split,
        "curves": len(done),
        "of": len(curves),
        "seed": SEED,
        "median_distance": float(np.median([c.size[-1] / c.size[first_anchors(c) - 1] for c in done])),
        "versions": versions(),
    }
    write_atomic(out.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Run the study: curves in random order, the table written anew every :data:`STEP` of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--split", choices=("development", "report"), default="report", help="data sets")
    parser.add_argument("--most", type=positive_whole, help="curves; all by default")
    parser.add_argument("--out", type=Path, default=FOLDER / "forecast_field.csv", help="the table")
    parser.add_argument("--fresh", action="store_true", help="start anew instead of going on")
    options = parser.parse_args()
    curves = split(learning_curves(), options.split)
    curves = [curves[i] for i in np.random.default_rng(SEED).permutation(len(curves)).tolist()]
    kept = CURVES.parent / f"forecasts-{options.split}.json"
    stored = [] if options.fresh or not kept.exists() else json.loads(kept.read_text(encoding="utf-8"))
    answers = [Answer(*item) for item in stored][: options.most]
    wanted = len(curves) if options.most is None else min(options.most, len(curves))
    for begin in range(len(answers), wanted, STEP):
        part = curves[begin : min(begin + STEP, wanted)]
        fits = fit_forms(part)
        answers += [answer(curve, [fit.one(i) for fit in fits]) for i, curve in enumerate(part)]
        write_atomic(kept, json.dumps([astuple(item) for item in answers]))
        write(options.out, curves, answers, options)
        print(f"{len(answers):,} of {len(curves):,} curves", file=sys.stderr, flush=True)
    write(options.out, curves, answers, options)
    print(options.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    raise SystemExit(run_script(main))
