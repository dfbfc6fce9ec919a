"""Curves and logs with a known truth.

Any form of the registry, any noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import get_form
from cogfit.records.arrays import as_numbers

if TYPE_CHECKING:
    import pandas as pd

NOISES = ("gaussian", "lognormal", "binomial")
_DEFAULT = {"y": 0.9, "x": 30.0, "1/x": 0.02, "1": 0.43, "patterns": 100.0, "user": 1.0}
_DEFAULT_BY_NAME = {"c": 0.05, "s": 3.0, "beta": 0.7, "gamma1": 0.2, "gamma2": 1.0, "a": 0.9}


def default_params(form: Form) -> dict[str, float]:
    """Parameters of a curve within [0, 1].

    The axis runs over 1 … a few hundred.
    """
    return {q.name: form.example.get(q.name, _DEFAULT_BY_NAME.get(q.name, _DEFAULT[q.unit])) for q in form.parameters}


def simulate(
    form: str = "power",
    params: Mapping[str, float] | None = None,
    *,
    n: int = 300,
    x: Array | None = None,
    kind: str = "utilization",
    noise: str = "gaussian",
    sigma: float = 0.01,
    rho: float = 0.0,
    trials: int = 100,
    patterns: int = 100,
    rng: int | np.random.Generator = 0,
) -> pd.DataFrame:
    r"""Simulate a log whose form and exponent are known.

    Parameters
    ----------
    form : str, default "power"
    params : mapping of str to float, optional
        By name; what is missing gets a default.
    n : int, default 300
        Points of a utilisation log (steps 1 … n), or presentations of each pattern of a routing log.
    x : ndarray, optional
        Steps, instead of 1 … n.
    kind : {"utilization", "routing"}
        A utilisation log has one row per step; a routing log one row per query (n·patterns rows), in which the outcome
        is drawn from the form at k = earlier presentations (at k = 0 the query always attends).
    noise : {"gaussian", "lognormal", "binomial"}
        Of a utilisation log: additive with SD `sigma`; multiplicative with SD `sigma` of log y; `trials` outcomes
        a step.
    sigma : float
    rho : float, default 0
        Autocorrelation of lag 1 of the (Gaussian or log-normal) errors; their marginal SD stays `sigma`.
    trials : int
    patterns : int
        Recurring patterns of a routing log.
    rng : int or numpy Generator

    Returns
    -------
    pandas.DataFrame
        ``step``, ``attention_utilization``; or ``step``, ``pattern``, ``exposure``, ``attended``, ``p_episodic``.

    Raises
    ------
    InputError
        For unknown names, or where the curve leaves [0, 1] and so is no utilisation.

    Examples
    --------
    >>> import cogfit
    >>> log = cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=5, sigma=0.0)
    >>> [round(v, 4) for v in log["attention_utilization"]]
    [0.9, 0.668, 0.5612, 0.4959, 0.4505]
    """
    import pandas as pd

    record = get_form(form)
    _check_options(noise, kind, {"n": (n, 2), "trials": (trials, 1), "patterns": (patterns, 1)}, sigma, rho)
    vector = record.vector({**default_params(record), **(params or {})})
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as wrong:
        raise InputError(f"`rng` must be a whole number of 0 or more, not {rng!r}") from wrong

    # the truth, which must be a utilisation
    steps = np.arange(1.0, n + 1.0) if x is None else as_numbers("x", x)
    truth = record.evaluate(steps, vector)
    _check_fraction(truth, "the curve itself", "change the parameters")
    if kind == "routing":
        return _routing(truth, patterns, generator)

    # noise about it, after which it must still be one
    if noise == "binomial":
        y = generator.binomial(trials, truth) / trials
    else:
        error = sigma * _ar1(steps.size, rho, generator)
        y = truth + error if noise == "gaussian" else truth * np.exp(error)
    _check_fraction(y, "with this noise the curve", "lower sigma, or choose noise='lognormal' or 'binomial'")
    is_whole = np.array_equal(steps, np.rint(steps))
    return pd.DataFrame({"step": steps.astype(np.int64) if is_whole else steps, "attention_utilization": y})


def _check_options(noise: str, kind: str, counts: Mapping[str, tuple[int, int]], sigma: float, rho: float) -> None:
    """Refuse options out of range.

    `counts` are whole numbers and the least that each may be.
    """
    if noise not in NOISES:
        raise InputError(f"unknown noise {noise!r}", hint=nearest(noise, NOISES))
    if kind not in ("utilization", "routing"):
        raise InputError(f"unknown kind {kind!r}", hint="choose from utilization, routing")
    for name, (value, minimum) in counts.items():
        if value < minimum:
            raise InputError(f"`{name}` must be at least {minimum}, not {value}")
    if not 0.0 <= sigma < math.inf:
        raise InputError(f"`sigma` must be 0 or more, not {sigma}")
    if not -1.0 < rho < 1.0:
        raise InputError(f"`rho` must lie between −1 and 1, not {rho}")


def _check_fraction(y: Array, subject: str, hint: str) -> None:
    if not np.all(np.isfinite(y)) or y.min() < 0.0 or y.max() > 1.0:
        raise InputError(
            f"{subject} leaves [0, 1] (from {y.min():.4g} to {y.max():.4g}), so it is no utilisation", hint=hint
        )


def _ar1(n: int, rho: float, rng: np.random.Generator) -> Array:
    """Stationary AR(1) series with unit marginal variance."""
    shock = rng.normal(size=n)
    if rho == 0.0:
        return shock
    shock[1:] *= math.sqrt(1.0 - rho * rho)
    return np.array(list(accumulate(shock.tolist(), lambda before, own: rho * before + own)))


def _routing(truth: Array, patterns: int, rng: np.random.Generator) -> pd.DataFrame:
    import pandas as pd

    n = truth.size
    probability = np.concatenate([[1.0], truth])
    exposure = np.repeat(np.arange(n + 1), patterns)
    pattern = np.concatenate([rng.permutation(patterns) for _ in range(n + 1)])
    p = probability[exposure]
    return pd.DataFrame(
        {
            "step": exposure,
            "pattern": pattern.astype(np.int32),
            "exposure": exposure,
            "attended": rng.random(p.size) < p,
            "p_episodic": p,
        }
    )
