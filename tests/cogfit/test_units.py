"""The same answer in any unit of x and y."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.curves.simulation import default_params
from cogfit.engine.noise import NOISE
from cogfit.engine.units import Units, closed_under
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form
from cogfit.formulas.registry import get_form

X = np.arange(1.0, 61.0)
POWERS = st.floats(-25.0, 25.0)
FORMS = st.sampled_from([form for form in BUILT_IN if form.name != "constant"])
PER_WIDTH = 1e-6


def axis_of(form: Form) -> str | None:
    return None if form.axes is None else form.axes[0]


def curve(kind: str, seed: int) -> np.ndarray:
    """A power law with a floor under one kind of errors."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=X.size)
    if kind == "red":
        for t in range(1, X.size):
            e[t] += 0.8 * e[t - 1]
    f = 0.1 + 0.8 * X**-0.5
    return np.asarray(f * np.exp(0.05 * e) if kind == "lognormal" else f + 0.01 * e)


@pytest.mark.parametrize("form", BUILT_IN, ids=lambda form: form.name)
def test_a_form_is_the_same_function_in_another_unit(form: Form) -> None:
    """What `closed_under` promises, and what the units of parameters mean."""
    units = Units(x=1e7 if "x" in form.closed_under else 1.0, y=3e-9 if "y" in form.closed_under else 1.0)
    own = form.vector(default_params(form))
    told = units.params(form, own)
    assert form.evaluate(X * units.x, told) == pytest.approx(units.y * form.evaluate(X, own), rel=1e-12)
    assert units.inverse.params(form, told) == pytest.approx(own, rel=1e-12)


@pytest.mark.parametrize("form", BUILT_IN, ids=lambda form: form.name)
def test_a_covariance_follows_the_parameters(form: Form) -> None:
    units, own = Units(x=50.0, y=0.2), form.vector(default_params(form))
    step = 1e-6 * np.maximum(np.abs(own), 0.1)
    ends = [(units.params(form, own + d) - units.params(form, own - d)) / (2 * d.max()) for d in np.diag(step)]
    slopes = np.stack(ends, axis=1)
    root = np.random.default_rng(0).normal(size=(own.size, own.size))
    expected = slopes @ (root @ root.T) @ slopes.T
    assert units.covariance(form, own, root @ root.T) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_probabilities_have_no_other_unit() -> None:
    power = get_form("power")
    assert closed_under([power], NOISE["binomial"]) == {"x"}
    assert closed_under([power], NOISE["gaussian"]) == {"x", "y"}
    assert closed_under([power, get_form("truncated_zipf")], NOISE["gaussian"]) == {"y"}


def differences(base: Any, other: Any, form: Form, units: Units) -> dict[str, float]:
    """How far two fits are apart, relative to the width of the interval or to the value."""
    out = {"rss": abs(other.rss / units.y**2 / base.rss - 1.0)}
    if form.gamma is not None and base.interval is not None:
        width = base.interval[1] - base.interval[0]
        width = width if math.isfinite(width) else 1.0
        for name, a, b in (
            ("gamma", base.gamma, other.gamma),
            ("low", base.interval[0], other.interval[0]),
            ("high", base.interval[1], other.interval[1]),
        ):
            out[name] = 0.0 if a == b else abs(a - b) / width
    return out


@pytest.mark.long
@settings(max_examples=80)
@given(form=FORMS, kind=st.sampled_from(["white", "red", "lognormal"]), a=POWERS, b=POWERS, seed=st.integers(0, 3))
def test_every_form_gives_the_same_in_every_unit(form: Form, kind: str, a: float, b: float, seed: int) -> None:
    noise = "lognormal" if kind == "lognormal" else "gaussian"
    units = Units(10.0**a if "x" in form.closed_under else 1.0, 10.0**b)
    options: dict[str, Any] = {"form": form.name, "noise": noise, "axis": axis_of(form)}
    base = cogfit.fit(X, curve(kind, seed), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = cogfit.fit(X * units.x, curve(kind, seed) * units.y, **options)
    assert other.status == base.status
    assert other.selected.estimate.at_bound == base.selected.estimate.at_bound
    # along a ridge, and under errors that wander over the whole curve, the maximum itself is known less well
    interval = None if form.gamma is None else base.selected.intervals[form.gamma]
    is_sharp = base.status == "ok" and (interval is None or interval.reliable)
    most = PER_WIDTH if is_sharp else 100 * PER_WIDTH
    assert {key: value for key, value in differences(base, other, form, units).items() if value > most} == {}


@settings(max_examples=15)
@given(a=POWERS, seed=st.integers(0, 3))
def test_counted_outcomes_give_the_same_in_every_unit_of_x(a: float, seed: int) -> None:
    power, trials = get_form("power"), np.full(X.size, 50)
    hits = np.random.default_rng(seed).binomial(trials, 0.9 * X**-0.4)
    base = cogfit.fit(X, hits / trials, trials=trials, form="power")
    other = cogfit.fit(X * 10.0**a, hits / trials, trials=trials, form="power")
    assert max(differences(base, other, power, Units()).values()) <= PER_WIDTH


@settings(max_examples=25)
@given(form=FORMS, a=POWERS, b=POWERS)
def test_many_curves_give_the_same_in_every_unit(form: Form, a: float, b: float) -> None:
    units = Units(10.0**a if "x" in form.closed_under else 1.0, 10.0**b)
    y = np.stack([curve("white", seed) for seed in range(3)])
    base = cogfit.fit_many(X, y, form=form.name, axis=axis_of(form))
    other = cogfit.fit_many(X * units.x, y * units.y, form=form.name, axis=axis_of(form))
    assert other.status.tolist() == base.status.tolist()
    assert (other.rss / units.y**2).tolist() == pytest.approx(base.rss.tolist(), rel=1e-9)
    if form.gamma is not None:
        known = np.isfinite(base[f"{form.gamma}_se"])
        apart = np.abs(other[form.gamma] - base[form.gamma])[known]
        assert np.all(apart <= PER_WIDTH * base[f"{form.gamma}_se"][known])


@pytest.mark.parametrize(("a", "b"), [(25.0, -25.0), (-21.3, 17.9)])
@pytest.mark.parametrize("kind", ["red", "lognormal"])
def test_the_whole_answer_is_the_same_in_every_unit(kind: str, a: float, b: float) -> None:
    """Noise, verdict, tests, windows and transition, too."""
    y = curve(kind, 5)
    base, other = cogfit.fit(X, y), cogfit.fit(X * 10.0**a, y * 10.0**b)
    assert (other.noise, other.form, str(other.verdict)) == (base.noise, base.form, str(base.verdict))
    for item in base.forms:
        assert item.test is not None
        found = other[item.name]
        assert found.estimate.status == item.estimate.status
        assert found.test is not None
        assert abs(found.test.p_value - item.test.p_value) <= 2 / 199
    for before, after in zip(base.windows, other.windows, strict=True):
        assert after.x_min / 10.0**a == pytest.approx(before.x_min, rel=1e-12)
        assert abs(after.gamma - before.gamma) <= PER_WIDTH * (before.high - before.low)
    assert base.transition is not None
    assert other.transition is not None
    assert abs(base.transition["p_value"] - other.transition["p_value"]) <= 2 / 199


def test_a_bound_is_told_in_the_units_of_the_caller() -> None:
    y = 0.9 * np.exp(-0.001 * X) + 1e-3 * np.random.default_rng(0).normal(size=X.size)
    for unit, bound in ((1.0, "180"), (1e-6, "0.00018"), (1e9, "1.8e+11")):
        fit = cogfit.fit(X * unit, y, form="log_logistic_step", noise="gaussian")
        assert fit.reason == f"x50 is at its upper bound {bound}"
