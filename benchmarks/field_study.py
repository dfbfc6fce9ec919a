"""A field study: what ``cogfit fit`` says of real learning curves.

Run: python benchmarks/field_study.py [--repeats 40] [--part 1/4] [--workers 1] [--only SVC]
Curves of LCDB 1.0 (lcdb.py), drawn at random for each learner. Nobody knows the truth about them, so that what is
counted are verdicts, warnings, and answers that look odd: fits that raise, an interval that does not hold its estimate
or ends exactly there, a supported power law without an exponent, sentences that cannot be true together.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from grid import Cell, Study, main
from lcdb import LearningCurve, learning_curves

import cogfit

VERDICTS = ("supported", "not_supported", "not_distinguishable", "not_identified")


def odd(fit: cogfit.FitResult) -> list[str]:
    """What looks odd about a fit, in words."""
    out = []
    for item in fit.forms:
        limits = item.intervals.get(item.gamma_name or "")
        if item.gamma is None or limits is None or not item.standing().is_measured:
            continue
        if item.gamma in (limits.low, limits.high):
            out.append("interval ends at the estimate")
        elif not limits.low < item.gamma < limits.high:
            out.append("interval without its estimate")
        elif limits.high - limits.low < 1e-6 * max(abs(item.gamma), 1e-3):
            out.append("interval of no width")
    if fit.verdict.power_law == "supported" and fit.gamma is None:
        out.append("supported without an exponent")
    if fit.verdict.power_law == "supported" and any("no single exponent" in text for text in fit.findings):
        out.append("supported, and no exponent describes it")
    return out


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Fit curves of one learner."""
    curves = [curve for curve in learning_curves() if curve.learner == cell["learner"]]
    drawn = rng.choice(len(curves), size=min(repeats, len(curves)), replace=False)
    verdicts, oddities, count = Counter[str](), Counter[str](), Counter[str]()
    for at in drawn:
        fit = _fit(curves[at])
        if fit is None:
            count["raised"] += 1
            continue
        verdicts[fit.verdict.power_law] += 1
        found = set(odd(fit))
        count["odd"] += bool(found)
        oddities.update(found)
        count["warned"] += bool(fit.warnings)
        count["unreliable"] += fit.selected.standing().kind == "unreliable"
        count["power"] += fit.selected.gamma is not None and fit.selected.standing().is_measured
    return {
        "curves": len(drawn),
        **{name: verdicts[name] for name in VERDICTS},
        "with_exponent": count["power"],
        "unreliable": count["unreliable"],
        "warned": count["warned"],
        "raised": count["raised"],
        "odd": count["odd"],
        "oddities": "; ".join(f"{name} {number}" for name, number in sorted(oddities.items())),
    }


def _fit(curve: LearningCurve) -> cogfit.FitResult | None:
    """Fit one curve as ``cogfit fit`` does, None where that raises."""
    try:
        return cogfit.fit(curve.size, curve.error, measure="error", rng=0)
    except Exception:  # counted: whatever it is, it must not be
        return None


LEARNERS = (
    *(f"SVC_{kernel}" for kernel in ("linear", "poly", "rbf", "sigmoid")),
    *(f"sklearn.tree.{kind}Classifier" for kind in ("DecisionTree", "ExtraTree")),
    *(f"sklearn.linear_model.{kind}Classifier" for kind in ("PassiveAggressive", "Ridge", "SGD")),
    *(f"sklearn.linear_model.{kind}" for kind in ("LogisticRegression", "Perceptron")),
    *(f"sklearn.discriminant_analysis.{kind}DiscriminantAnalysis" for kind in ("Linear", "Quadratic")),
    *(f"sklearn.naive_bayes.{kind}NB" for kind in ("Bernoulli", "Multinomial")),
    *(f"sklearn.ensemble.{kind}Classifier" for kind in ("ExtraTrees", "RandomForest", "GradientBoosting")),
    "sklearn.neighbors.KNeighborsClassifier",
    "sklearn.neural_network.MLPClassifier",
)
STUDY = Study("field_study", (__doc__ or "").split("\n")[0], [{"learner": name} for name in LEARNERS], measure, 40)

if __name__ == "__main__":
    rows = main(STUDY)
    total = {name: sum(int(row[name]) for row in rows) for name in ("curves", *VERDICTS, "odd", "raised", "unreliable")}
    print(total)
