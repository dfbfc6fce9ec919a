"""Whatever is given as data, the answer is a result or one line that names the argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cogfit
from cogfit.errors import InputError
from cogfit.records.given import described, way_to_numbers

K = np.arange(1.0, 21.0)
Y = 0.9 * K**-0.4 * np.exp(0.01 * np.random.default_rng(0).normal(size=K.size))

GIVEN: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"x": K, "y": Y},
    "dict of members": lambda: {"anna": [1.0, 0.5], "ben": [1.0, 0.6]},
    "list of lists": lambda: [[1.0, 2.0], [3.0, 4.0]],
    "ragged": lambda: [[1.0, 2.0], [3.0]],
    "records": lambda: [{"x": 1, "y": 2.0}, {"x": 2, "y": 1.0}],
    "table": lambda: pd.DataFrame({"a": K, "b": Y}),
    "empty table": pd.DataFrame,
    "no file": lambda: Path("no/such/file.csv"),
    "None": lambda: None,
    "empty list": list,
    "empty array": lambda: np.array([]),
    "texts": lambda: ["a", "b", "c"],
    "empty text": str,
    "bytes": lambda: b"abc",
    "complex": lambda: Y * 1j,
    "dates": lambda: np.array(["2020-01-01"], dtype="M8[D]"),
    "masked": lambda: np.ma.masked_array(Y, mask=[True] + [False] * 19),
    "number": lambda: 3,
    "set": lambda: {1.0, 2.0},
    "generator": lambda: (value for value in Y),
    "object": object,
    "class": lambda: dict,
    "not finite": lambda: np.full(20, np.nan),
}

FIT = cogfit.fit(K, Y, form="power", noise="gaussian")

CALLS: dict[str, tuple[Callable[[Any], object], str]] = {
    "fit": (lambda data: cogfit.fit(data, form="power"), "data|y"),
    "fit x": (lambda data: cogfit.fit(data, Y, form="power"), "x|data"),
    "fit y": (lambda data: cogfit.fit(K, data, form="power"), "y"),
    "fit_many": (lambda data: cogfit.fit_many(data), "data|y"),
    "fit_many y": (lambda data: cogfit.fit_many(K, data), "x|y|Y"),
    "fit_population": (lambda data: cogfit.fit_population(data, form="power"), "data|y"),
    "fit_population y": (lambda data: cogfit.fit_population(K, data, form="power"), "x|y|Y"),
    "compare model": (lambda data: cogfit.compare(data, cogfit.human("audrain2022_recall")), "model"),
    "compare people": (lambda data: cogfit.compare(FIT, data), "people"),
    "inspect": (lambda data: cogfit.inspect(data), "path"),
    "read_log": (lambda data: cogfit.read_log(data), "path"),
    "follow": (lambda data: next(cogfit.follow(data)), "path"),
    "load": (lambda data: cogfit.load(data), "path"),
    "human": (lambda data: cogfit.human(data), "id|data set"),
    "transition y": (lambda data: cogfit.transition(K, data, replicates=19), "y"),
    "exposure_curve": (lambda data: cogfit.exposure_curve(data), "routing"),
    "check_claim": (lambda data: cogfit.check_claim("gamma=0.4±0.1", data, form="power"), "data|y"),
    "check_claim claim": (lambda data: cogfit.check_claim(data, FIT), "claim"),
    "design": (lambda data: cogfit.design(data, simulations=1), "data|y"),
}
CHEAP_WITHOUT = {"design": {"None"}, "compare people": {"None"}}  # None stands for a default, which takes its time

OF_FILES = r"does not exist|no column|no model|path of the log is empty|cannot be read|the table has no column"


@pytest.mark.parametrize("call", CALLS)
def test_wrong_data_are_refused_in_one_line_that_names_the_argument(call: str) -> None:
    """Other errors than InputError are faults; what happens to be usable may give a result."""
    function, names = CALLS[call]
    refusals = 0
    for name, make in GIVEN.items():
        if name in CHEAP_WITHOUT.get(call, ()):
            continue
        try:
            function(make())
        except InputError as error:
            message = str(error)
            assert "\n" not in message
            assert re.search(rf"`?\b({names})\b`?|{OF_FILES}", message), (name, message)
            refusals += 1
    assert refusals >= 0.7 * len(GIVEN)


@pytest.mark.parametrize("function", [cogfit.fit, cogfit.fit_many, cogfit.fit_population])
def test_a_dict_is_named_with_the_way_to_a_table(function: Callable[..., object]) -> None:
    with pytest.raises(InputError) as refusal:
        function({"x": K, "y": Y}, form="power")
    assert str(refusal.value).startswith(
        "`y` is missing, and `data` is a dict with the keys 'x', 'y'; make a table of it: pandas.DataFrame(data), or "
        f"call cogfit.{function.__name__}("
    )


def test_the_way_that_is_named_works() -> None:
    """What a message tells the user to write does what it says."""
    for make in (GIVEN["dict"], GIVEN["records"]):
        data = make()
        assert way_to_numbers(data, "data") == "make a table of it: pandas.DataFrame(data)"
        table = pd.DataFrame(data)
        assert cogfit.fit(table, "y", x="x", form="power", noise="gaussian").n == len(table)
    assert way_to_numbers({"x": [1, 2], "y": [1]}, "data") is None  # of no table
    assert way_to_numbers({"x": 1}, "data") is None
    data = GIVEN["generator"]()
    assert way_to_numbers(data, "y") == "make a list of it: list(y)"
    assert cogfit.fit(K, list(data), form="power", noise="gaussian").n == K.size


def test_tensors_are_numbers_everywhere() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(Y)
    assert cogfit.fit(torch.tensor(K), tensor, form="power", noise="gaussian").gamma == FIT.gamma
    assert cogfit.fit_many(K, tensor[None], form="power")["gamma"][0] == pytest.approx(FIT.gamma)
    assert cogfit.transition(K, tensor, replicates=19).p_value == cogfit.transition(K, Y, replicates=19).p_value
    with pytest.raises(InputError, match=r"`data` is a Tensor of shape \(20,\)"):
        cogfit.fit(tensor, form="power")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1.0], "a list of 1 float"),
        ([1, "a"], "a list of 2 values"),
        (np.zeros((2, 3)), "an ndarray of shape (2, 3)"),
        (pd.DataFrame({"a": [1]}), "a DataFrame with the columns 'a'"),
        ({}, "an empty dict"),
        (object(), "an object"),
        ("x" * 99, "the text 'xxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxx'"),
        (1j, "the complex 1j"),
    ],
)
def test_what_was_given_in_words(value: object, words: str) -> None:
    assert described(value) == words
