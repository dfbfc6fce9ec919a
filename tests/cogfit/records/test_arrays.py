"""Numbers of every library are numbers; texts, dates and complex numbers are none."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import cogfit
from cogfit.errors import InputError
from cogfit.records.arrays import as_array, as_numbers

VALUES = [0.5, 2.0, 0.25, 8.0]
"""Which every type of floats holds exactly."""

Make = Callable[[list[float]], Any]


def of_torch(dtype: str, grad: bool = False) -> Make:
    def make(values: list[float]) -> Any:
        torch = pytest.importorskip("torch")
        return torch.tensor(values, dtype=getattr(torch, dtype), requires_grad=grad)

    return make


MAKERS: dict[str, Make] = {
    "list": list,
    "tuple": tuple,
    "float16": lambda values: np.array(values, np.float16),
    "big-endian": lambda values: np.array(values, ">f8"),
    "0-d": lambda values: [np.array(value) for value in values],
    "masked, nothing masked": lambda values: np.ma.masked_array(values, mask=False),
    "series": pd.Series,
    "nullable": lambda values: pd.Series(values, dtype="Float64"),
    "pandas array": lambda values: pd.array(values, dtype="Float32"),
    "arrow in pandas": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.float64())),
    "categories": lambda values: pd.Series(pd.Categorical(values)),
    "index": pd.Index,
    "arrow": pa.array,
    "chunks": lambda values: pa.chunked_array([values[:1], values[1:]]),
    "arrow decimals": lambda values: pa.array([Decimal(str(value)) for value in values]),
    "arrow scalars": lambda values: [pa.scalar(value) for value in values],
    "decimals": lambda values: [Decimal(str(value)) for value in values],
    "fractions": lambda values: [Fraction(value) for value in values],
    "torch": of_torch("float32"),
    "torch with gradients": of_torch("float64", grad=True),
    "bfloat16": of_torch("bfloat16", grad=True),
    "half": of_torch("float16"),
    "tensors in a list": lambda values: list(of_torch("bfloat16", grad=True)(values)),
    "tensors of one element": lambda values: [value.reshape(1)[0] for value in of_torch("float32")(values)],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_numbers_of_every_library_are_taken(make: Make) -> None:
    found = as_numbers("x", make(VALUES))
    assert found.dtype == np.float64
    assert found.tolist() == VALUES


WRONG: dict[str, Any] = {
    "complex": [1j, 2.0],
    "text": ["1.0", "2.0"],
    "text among numbers": [1.0, "2.0"],
    "text in a column": pd.Series(["1.0", "2.0"]),
    "text in Arrow": pa.array(["1", "2"]),
    "bytes": [b"1", b"2"],
    "dates": pd.date_range("2020-01-01", periods=2),
    "dates with a zone": pd.Series(pd.date_range("2020-01-01", periods=2, tz="UTC")),
    "dates of Arrow": pa.array([datetime.date(2020, 1, 1)] * 2),
    "dates of Python": [datetime.date(2020, 1, 1)] * 2,
    "times of NumPy": np.array([1, 2], "m8[s]"),
    "periods": pd.period_range("2020", periods=2, freq="Y"),
    "masked": np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    "huge": [10**400, 1],
    "ragged": [[1.0], [1.0, 2.0]],
    "objects": [object(), object()],
    "a mapping": {"a": 1.0},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_what_is_no_number_is_refused_by_name(values: Any) -> None:
    for call in (
        lambda: as_numbers("x", values),
        lambda: cogfit.fit(values, [1.0, 2.0], form="power"),
        lambda: cogfit.transition(values, [1.0, 2.0]),
        lambda: cogfit.simulate("power", x=values),
        lambda: cogfit.fit_many([1.0, 2.0], [[1.0, 0.5]], weights=values),
    ):
        with pytest.raises(InputError):
            call()


def test_complex_tensors_are_refused() -> None:
    torch = pytest.importorskip("torch")
    for tensor in (torch.tensor([1j]), torch.zeros(3, device="meta")):
        with pytest.raises(InputError, match="`x`"):
            as_numbers("x", tensor)


def test_what_is_missing_is_not_finite_and_is_named() -> None:
    for column in (pd.Series([1.0, None], dtype="Float64"), pa.array([1.0, None]), [1.0, pd.NA], [1.0, None]):
        assert np.isnan(as_numbers("x", column)[1])
        with pytest.raises(InputError, match="`x` is not finite at index 1"):
            cogfit.fit(column, [1.0, 2.0], form="power")


def test_labels_keep_their_type() -> None:
    assert as_array("groups", pd.Series(["a", "b"])).tolist() == ["a", "b"]
    assert as_array("groups", pa.array(["a", "b"])).tolist() == ["a", "b"]
    assert as_array("groups", of_torch("int64")([1, 2])).tolist() == [1, 2]


@pytest.mark.parametrize("name", ["nullable", "arrow", "decimals", "torch with gradients", "tensors in a list"])
def test_every_public_function_takes_them(name: str) -> None:
    make = MAKERS[name]
    x = [float(k) for k in range(1, 33)]
    y = [round(256 * k**-0.5) / 256 for k in x]  # exact in half precision
    expected = cogfit.fit(x, y, form="power")
    assert cogfit.fit(make(x), make(y), form="power").gamma == expected.gamma
    assert cogfit.fit(make(x), make(y), weights=make(x), form="power").gamma == pytest.approx(expected.gamma, abs=0.1)
    many = cogfit.fit_many(make(x), [make(y), make(y)], form="power", weights=make([1.0] * 32))
    assert many["gamma"].to_numpy() == pytest.approx(expected.gamma, abs=1e-6)
    found = cogfit.transition(make(x), make(y), weights=make([1.0] * 32), schedule={"rate": make(x)}, rng=0)
    assert found.p_value == cogfit.transition(x, y, rng=0).p_value
    form = cogfit.forms()["power"]
    np.testing.assert_array_equal(form.evaluate(make(x), expected.params), form.evaluate(x, expected.params))
    np.testing.assert_array_equal(form.jacobian(make(x), expected.params), form.jacobian(x, expected.params))


@pytest.mark.parametrize("name", MAKERS)
def test_the_logger_takes_them(name: str, tmp_path: Path) -> None:
    values = MAKERS[name]([0.5, 0.25])
    with cogfit.UtilizationLogger(tmp_path) as logger:
        for step, value in enumerate(values):
            logger.log(
                step, value, loss=value if name not in {"decimals", "fractions", "arrow decimals"} else float(step)
            )
        logger.log_routing(2, pattern=[1, 2], p_episodic=values)
        logger.log(3, 0.5, loss=pd.NA)
    rows = [json.loads(line) for line in logger.utilization_path.read_text().splitlines()]
    assert [row["attention_utilization"] for row in rows] == [0.5, 0.25, 0.5]
    assert rows[1]["loss"] in (0.25, 1.0)
    assert rows[2]["loss"] is None
    rows = [json.loads(line) for line in logger.routing_path.read_text().splitlines()]
    assert [row["p_episodic"] for row in rows] == [0.5, 0.25]
