"""Looking forms up, adding one's own, and which are candidates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cogfit
from cogfit.formulas import registry
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form
from cogfit.formulas.on_request import ON_REQUEST
from cogfit.formulas.registry import candidate_forms, forms, get_form

BUILT_IN_NAMES = [form.name for form in (*BUILT_IN, *ON_REQUEST)]


def line(x: Any, a: Any, b: Any) -> Any:
    """A user's function."""
    return a * x + b


def test_every_form_is_found_by_its_name() -> None:
    for name, form in forms().items():
        assert form.name == name
        assert get_form(name) is form
    assert list(forms())[: len(BUILT_IN_NAMES)] == BUILT_IN_NAMES


def test_the_lookup_is_a_copy() -> None:
    copy = forms()
    copy.clear()
    assert "power" in forms()


@pytest.mark.parametrize("name", ["powerfloor", None, [], 3])
def test_what_names_no_form_is_refused_and_the_nearest_named(name: Any) -> None:
    with pytest.raises(cogfit.InputError, match="unknown form .*registered in every process") as caught:
        get_form(name)
    if name == "powerfloor":
        assert "did you mean 'power_floor'" in str(caught.value)


def test_the_simplest_power_law_and_the_null_form() -> None:
    """A power law has an exponent, and the simplest of them no floor; the null form is its own level everywhere."""
    assert registry.POWER == registry.POWER_LAWS[0] == "power"
    sizes = [len(get_form(name).parameters) for name in registry.POWER_LAWS]
    assert sizes == sorted(sizes)
    x = np.geomspace(1.0, 100.0, 5)
    assert np.ptp(get_form(registry.CONSTANT).evaluate(x, [0.3])) == 0.0
    for name in registry.POWER_LAWS:
        form = get_form(name)
        assert form.gamma == "gamma"
        values = form.evaluate(x, {"A": 2.0, "gamma": 0.7, "c": 0.0} if form.floor else {"A": 2.0, "gamma": 0.7})
        np.testing.assert_allclose(np.diff(np.log(values)) / np.diff(np.log(x)), -0.7)
    assert "power" in registry.SCOUTS


def test_a_form_of_an_installed_package_stands_between_built_in_and_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = cogfit.register("test_own", line, replace=True)
    plugged = replace(own, name="test_plugged")
    asked: list[tuple[Any, ...]] = []

    def plugins(*request: Any) -> tuple[Form, ...]:
        asked.append(request)
        return (plugged,)

    monkeypatch.setattr(registry, "plugins", plugins)
    names = list(forms())
    assert names[: len(BUILT_IN_NAMES) + 1] == [*BUILT_IN_NAMES, "test_plugged"]
    assert names.index("test_own") > names.index("test_plugged")
    assert get_form("test_plugged") is plugged
    group, kind, key, taken = asked[0]
    assert (group, kind, key) == ("cogfit.forms", Form, "name")
    assert tuple(taken) == tuple(BUILT_IN_NAMES)  # none of these can be replaced by a package
    with pytest.raises(cogfit.InputError, match="registered already"):
        cogfit.register("test_plugged", line)


def test_a_registered_form_is_what_was_said_of_it() -> None:
    def derivative(x: Any, a: Any, b: Any) -> Any:
        return np.stack([x, np.ones_like(x)], axis=1)

    form = cogfit.register(
        "test_line", line, start={"a": 2.0}, bounds={"b": (-1, 5)}, jac=derivative, gamma="a", title="a line",
        formula="a x + b", replace=True,
    )  # fmt: skip
    assert form is get_form("test_line")
    assert (form.names, form.gamma, form.title, form.formula) == (("a", "b"), "a", "a line", "a x + b")
    assert (form.start, form.derivative, form.function) == ({"a": 2.0}, derivative, line)
    assert [(q.lower, q.upper) for q in form.parameters] == [(-math.inf, math.inf), (-1.0, 5.0)]
    assert form.positive_x is False
    np.testing.assert_array_equal(form.evaluate([0.0, 1.0], {"a": 2.0, "b": 1.0}), [1.0, 3.0])


def test_what_is_not_said_is_left_open() -> None:
    form = cogfit.register("test_bare", line, replace=True)
    assert (form.title, form.gamma, form.start, form.derivative) == ("test_bare", None, None, None)
    assert form.basis is None
    assert cogfit.register("test_named", line, params=("slope", "level"), replace=True).names == ("slope", "level")
    assert cogfit.register("test_exponent", line, params=("gamma", "level"), replace=True).gamma == "gamma"


def test_a_name_is_taken_until_its_replacement_is_asked_for() -> None:
    cogfit.register("test_taken", line, replace=True)
    with pytest.raises(cogfit.InputError, match="'test_taken' is registered already; choose another name or pass rep"):
        cogfit.register("test_taken", lambda x, c: c * x)
    assert get_form("test_taken").names == ("a", "b")
    cogfit.register("test_taken", lambda x, c: c * x, replace=True)
    assert get_form("test_taken").names == ("c",)
    with pytest.raises(cogfit.InputError, match="registered already"):
        cogfit.register("power", line)


def test_register_needs_only_a_function() -> None:
    form = cogfit.register("test_root", lambda x, a, b: a * np.sqrt(x) + b, replace=True)
    assert form.names == ("a", "b")
    with pytest.raises(cogfit.InputError, match="registered already"):
        cogfit.register("test_root", lambda x, a: a * x)
    assert cogfit.register("test_root", lambda x, gamma: x**-gamma, replace=True).gamma == "gamma"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": ()}, "different, non-empty"),
        ({"params": ("a", "a")}, "different, non-empty"),
        ({"params": ("a", "")}, "different, non-empty"),
        ({"bounds": {"a": (1.0, 1.0)}}, "lower < upper"),
        ({"bounds": {"b": (0.0, 1.0)}}, "`bounds` names an unknown parameter 'b'"),
        ({"start": {"aa": 1.0}}, "did you mean 'a'"),
        ({"bounds": {"a": (2.0, 1.0)}}, "lower < upper"),
        ({"gamma": "g"}, "unknown parameter 'g'"),
    ],
)
def test_register_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        cogfit.register("test_refused", lambda x, a: a * x, **options)  # type: ignore[arg-type]
    assert "test_refused" not in cogfit.forms()


@pytest.mark.parametrize(
    "function",
    [lambda x, *values: x, lambda x, a, **named: x, lambda x, *, a: x, lambda x, a, *more: x],
    ids=["any number", "by name", "only by name", "one and more"],
)
def test_parameters_that_cannot_be_read_off_have_to_be_named(function: Callable[..., Any]) -> None:
    with pytest.raises(cogfit.InputError, match="cannot be read off the signature of `func`; pass params="):
        cogfit.register("test_refused", function)
    assert "test_refused" not in forms()


@pytest.mark.parametrize(("name", "function", "message"), [("", line, "non-empty"), ("test_refused", 3, "callable")])
def test_a_form_needs_a_name_and_a_function(name: str, function: Any, message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        cogfit.register(name, function)
    assert name not in forms()


def test_candidates_follow_axis_and_measure() -> None:
    names = {form.name for form in candidate_forms("exposure", "probability")}
    assert "beta_geometric" in names
    assert not {"truncated_zipf", "two_process"} & names
    assert "truncated_zipf" in {form.name for form in candidate_forms("stream", "utilization")}
    assert "two_process" in {form.name for form in candidate_forms("repetition", "latency")}
    assert "beta_geometric" in {form.name for form in candidate_forms("repetition", "latency")}


def test_without_axis_and_measure_only_forms_for_all_of_them_are_candidates() -> None:
    names = [form.name for form in candidate_forms(None, None)]
    assert names == [form.name for form in BUILT_IN if form.axes is None and form.measures is None]
    assert "power" in names


def test_forms_on_request_are_known_and_no_candidates() -> None:
    names = {form.name for form in ON_REQUEST}
    assert names
    assert names <= set(forms())
    for axis, measure in (("exposure", "probability"), ("stream", "utilization"), ("repetition", "latency")):
        assert names.isdisjoint(form.name for form in candidate_forms(axis, measure))


def test_the_smoothly_broken_power_law_is_fitted_on_request() -> None:
    x = np.arange(1.0, 401.0)
    truth = {"A": 0.3, "gamma1": 0.2, "gamma2": 1.5, "xb": 60.0, "width": 0.4, "c": 0.1}
    y = get_form("smooth_break").evaluate(x, truth)
    result = cogfit.fit(x, y + 1e-4 * np.random.default_rng(0).normal(size=x.size), form="smooth_break")
    assert result.params["xb"] == pytest.approx(60.0, rel=0.05)
    assert result.params["gamma2"] == pytest.approx(1.5, rel=0.1)


def test_a_form_of_ones_own_is_fitted_on_request_only() -> None:
    cogfit.register("test_request", line, replace=True)
    assert "test_request" not in {form.name for form in candidate_forms("step", "utilization")}
