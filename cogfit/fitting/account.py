"""Where the points came from, what they average over, and what made the result."""

from __future__ import annotations

import platform
from collections import Counter
from typing import Any

import numpy as np

from cogfit.curves.curve import MIN_CLUSTERS, Curve, thinned
from cogfit.engine.arma import Arma
from cogfit.formulas.form import Array
from cogfit.inference import averaging
from cogfit.inference.verdict import FEW
from cogfit.logs.model import Branch, Source
from cogfit.records.sentence import say
from cogfit.result import Account


def averaging_of(curve: Curve) -> dict[str, Any] | None:
    """What single patterns, runs or groups say.

    They are what the curve averages over. None where there are none.
    """
    if curve.clusters is None:
        return None
    near_binary = None if curve.trajectories is None else curve.trajectories.near_binary
    return averaging.analyse(curve, near_binary).to_json()


def trajectories_of(curve: Curve) -> dict[str, Any] | None:
    """Facts of the exposure curve and its single patterns.

    Both stand in one document.
    """
    if curve.facts is None:
        return None
    trajectories = {} if curve.trajectories is None else curve.trajectories.to_json()
    return {**curve.facts.to_json(), **trajectories}


def account_of(source: Source, curve: Curve) -> Account:
    """Where the points came from.

    Down to the rows behind them.
    """
    account: Account = {
        "path": source.path or None,
        "format": source.format,
        "rows_read": source.rows_read,
        "rows_used": curve.n_rows,
        "rows_dropped": dict(Counter(source.rows_dropped) + Counter(curve.left_out)),
        "notes": list(source.notes),
        "choices": [{"kind": c.kind, "name": c.name, "others": list(c.others)} for c in source.choices],
        "averaged_over": dict(curve.averaged),
        "restarts": [_restart(branch) for branch in source.branches],
    }
    if source.course is not None:
        account["course"] = _drawn(*source.course)
    return account


def _restart(branch: Branch) -> dict[str, Any]:
    return {
        **branch.labels,
        "reached": branch.reached,
        "step": branch.step,
        "rows_void": branch.rows,
        "declared": branch.is_declared,
        "branch": _drawn(branch.x, branch.y),
    }


def _drawn(x: Array, y: Array) -> dict[str, list[float]]:
    """A line for pictures."""
    x, y = thinned(x, y)
    return {"x": x.tolist(), "y": y.tolist()}


def fit_notes(curve: Curve, errors: Arma, points: float) -> list[str]:
    """What the errors along the curve do to its information."""
    notes = []
    clusters = curve.clusters
    if curve.resampleable:
        return []
    if not errors.white and points < curve.x.size:
        text = (
            "residuals are autocorrelated ({errors}): about the exponent the {n} points tell as much as {points:.0f} "
            "independent ones"
        )
        notes.append(say(text, errors=errors.title, n=curve.x.size, points=points, by=fit_notes))
    if points < FEW:
        text = "fewer than {few:.0f} effective points: intervals and comparison are unreliable"
        notes.append(say(text, few=FEW, points=points, threshold=f"points < {FEW:.0f}", by=fit_notes))
    if clusters is not None:
        text = "only {count} {kind}: too few to resample, so intervals speak of these {kind} only"
        rule = f"{clusters.kind} < {MIN_CLUSTERS}"
        notes.append(say(text, count=clusters.size, kind=clusters.kind, threshold=rule, by=fit_notes))
    return list(notes)


def versions() -> dict[str, str]:
    """Versions of what produced a result."""
    import scipy

    from cogfit import __version__

    return {
        "cogfit": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
