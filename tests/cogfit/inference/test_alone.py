"""A form that was fitted alone says beside its numbers where it misses the curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import cogfit
from cogfit.formulas.form import Array
from cogfit.inference.interval import MISSES
from cogfit.inference.standing import WORDS
from cogfit.show import plots, tables

X = np.arange(1.0, 201.0)
TRUTHS: dict[str, Callable[[Array], Array]] = {
    "power": lambda x: 0.9 * x**-0.4,
    "exponential": lambda x: 0.9 * np.exp(-x / 40.0),
}


def curve(truth: str, seed: int) -> Array:
    return TRUTHS[truth](X) + 0.02 * np.random.default_rng([seed, 3]).normal(size=X.size)


@pytest.mark.parametrize(
    ("form", "truth"),
    [
        ("power", "exponential"),
        ("exponential", "power"),
        ("logarithmic", "exponential"),
    ],
)
def test_it_stands_beside_the_number_wherever_that_is_printed(form: str, truth: str) -> None:
    fit = cogfit.fit(X, curve(truth, 0), form=form)
    item = fit.selected
    assert all(limits.caveat == MISSES for limits in item.intervals.values())
    assert set(fit.tidy().standing).isdisjoint({"measured"})
    words = (MISSES, WORDS["misses"])
    assert any(text in fit.headline() for text in words)
    assert any(text in str(fit) for text in words)
    assert any(text in " ".join(tables.parameters_table(fit).notes) + fit.headline() for text in words)
    assert item.gamma is None or WORDS["misses"] in plots.form_label(item)


def test_the_right_form_seldom_says_so() -> None:
    """At 5 % each: more than 6 of 30 would be seen once in 1,000 times."""
    said = 0
    for truth in ("power", "exponential"):
        for seed in range(15):
            limits = cogfit.fit(X, curve(truth, seed), form=truth, noise="gaussian").selected.intervals
            said += any(one.caveat == MISSES for one in limits.values())
    assert said <= 6


def test_alone_and_among_others_a_refused_form_has_the_same_numbers() -> None:
    y = curve("exponential", 1)
    alone, among = cogfit.fit(X, y, form="power", noise="gaussian"), cogfit.fit(X, y, noise="gaussian")
    assert among["power"].intervals["gamma"].caveat == MISSES
    assert (alone.gamma, alone.interval) == (among["power"].gamma, among["power"].interval)
