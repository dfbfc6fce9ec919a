"""Whatever finite numbers come in: no exception, no warning, and no number where nothing is determined."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError

ODD = (0.0, 5e-324, 1e-310, 1e-200, 1e-30, 1e30, 1e60, 1e99, 1.0, 1e-5, 3e5, 2.0**53)
NAMES = [name for name, form in cogfit.forms().items() if form.basis is not None]


@st.composite
def axes(draw: st.DrawFn) -> np.ndarray:
    """Steps, ties, equal x, denormal and huge x."""
    n = draw(st.sampled_from([2, 3, 4, 5, 8, 25, 60]))
    kinds = {
        "steps": np.arange(1.0, n + 1.0),
        "from 0": np.arange(float(n)),
        "equal": np.full(n, 7.0),
        "two": np.where(np.arange(n) < n // 2, 1.0, 2.0),
        "odd": np.array(draw(st.lists(st.sampled_from(ODD), min_size=n, max_size=n))),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]


@st.composite
def curves(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Points that no form was made for."""
    x = draw(axes())
    rng, n = np.random.default_rng(draw(st.integers(0, 99))), x.size
    law = np.arange(1.0, n + 1.0) ** -0.5
    outlier = law + 0.01 * rng.normal(size=n)
    outlier[rng.integers(n)] = draw(st.sampled_from([1e30, -1e30, 1e99]))
    kinds = {
        "law": law + 0.01 * rng.normal(size=n),
        "exact": law,
        "negative": -law,
        "noise": rng.normal(size=n),
        "outlier": outlier,
        "spike": np.where(np.arange(n) == 0, 1.0, 0.0),
        "constant": np.full(n, draw(st.sampled_from(ODD))),
        "nearly constant": 1.0 + 1e-13 * rng.normal(size=n),
        "denormal": np.concatenate([[1.0], law[1:] * 1e-310]),
        "odd": np.array(draw(st.lists(st.sampled_from((*ODD, -1.0, -1e30)), min_size=n, max_size=n))),
    }
    return x, kinds[draw(st.sampled_from(sorted(kinds)))]


def determined(result: Any) -> None:
    """A number that stands for itself has a finite standard error and points to spare."""
    for item in result.forms:
        fit = item.estimate
        if fit.status == "ok":
            assert fit.n > len(fit.params), item.name
            assert all(math.isfinite(error) for error in fit.stderr.values()), item.name


@settings(max_examples=150)
@given(points=curves(), form=st.sampled_from(NAMES), noise=st.sampled_from(["auto", "gaussian", "lognormal"]))
def test_one_form_takes_any_points(points: tuple[np.ndarray, np.ndarray], form: str, noise: str) -> None:
    x, y = points
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = cogfit.fit(x, y, form=form, noise=noise)
        except InputError:  # what cannot be used is refused in words
            return
        determined(result)
        json.dumps(result.to_json(), allow_nan=False)


@settings(max_examples=15)
@given(points=curves())
def test_all_forms_take_any_points(points: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = points
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = cogfit.fit(x, y)
        except InputError:
            return
        determined(result)
        assert result.methods()
        assert str(result)


@settings(max_examples=60)
@given(points=curves(), form=st.sampled_from([*NAMES, None]), noise=st.sampled_from(["auto", "gaussian", "lognormal"]))
def test_many_curves_take_any_points(points: tuple[np.ndarray, np.ndarray], form: str | None, noise: str) -> None:
    x, y = points
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = cogfit.fit_many(x, np.stack([y, y[::-1]]), form=form, noise=noise)
    assert len(table) == 2
    assert not table.reason.str.contains("internal").any()
    assert (table.reason[table.status == "failed"] != "").all()


@pytest.mark.parametrize("n", [2, 3])
def test_so_few_points_identify_nothing(n: int) -> None:
    fit = cogfit.fit([1.0, 2.0, 3.0][:n], [1.0, 0.7, 0.6][:n])
    assert fit.verdict.power_law == "not_identified"


def test_equal_x_identify_no_exponent() -> None:
    for form in ("power", "power_floor", "shifted_power"):
        fit = cogfit.fit(np.full(10, 5.0), np.random.default_rng(0).uniform(1, 2, 10), form=form)
        assert fit.status == "not_identified"
        assert fit.interval == (-math.inf, math.inf)


def test_as_many_points_as_parameters_are_said_to_be_too_few() -> None:
    fit = cogfit.fit([1.0, 2.0, 3.0], [1.0, 0.7, 0.6], form="power_floor")
    assert (fit.status, fit.reason) == (
        "not_identified", "3 points and 3 parameters leave nothing to tell errors by"
    )  # fmt: skip
    assert fit.interval == (-math.inf, math.inf)


def test_a_flat_fit_has_no_exponent() -> None:
    y = np.arange(1.0, 31.0) ** -0.5
    y[7] = 1e30
    fit = cogfit.fit(np.arange(1.0, 31.0), y, form="power")
    assert "A is 0" in fit.reason
    assert fit.interval == (-math.inf, math.inf)
