"""Records to documents and back: nothing is lost, nothing is NaN, and what is damaged is refused with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.records.codec import OMIT, Document, High, Low, Nan, dump, encode, read_json, wire

NUMBERS = st.floats(allow_nan=True, allow_infinity=False)


@dataclass(frozen=True)
class Part(Document):
    """A record inside another."""

    DERIVED: ClassVar[Mapping[str, str]] = {"width": "width", "sides": "_sides"}

    low: Low
    high: High
    note: str = field(default="", metadata=wire(omit=True))

    @property
    def width(self) -> float:
        """Derived, never read."""
        return self.high - self.low

    @property
    def _sides(self) -> object:
        return [name for name in ("low", "high") if math.isinf(getattr(self, name))] or OMIT


@dataclass(frozen=True, eq=False)
class Whole(Document):
    """A record with everything that the codec knows."""

    SCHEMA: ClassVar[str] = "test.whole/1"

    name: str
    value: Nan = field(metadata=wire("numbers.value"))
    count: int = field(metadata=wire("numbers.count"))
    part: Part = field(metadata=wire(flat=True))
    parts: dict[str, Part]
    pairs: tuple[tuple[int, float], ...]
    errors: dict[str, Nan] = field(metadata=wire(infinite="endless"))
    rows: Array
    hidden: object = field(default=None, metadata=wire(skip=True))


PARTS = st.builds(
    Part,
    low=st.floats(-1e6, 1e6) | st.just(-math.inf),
    high=st.floats(-1e6, 1e6) | st.just(math.inf),
    note=st.text(max_size=5),
)
WHOLES = st.builds(
    Whole,
    name=st.text(),
    value=NUMBERS,
    count=st.integers(-(2**53), 2**53),
    part=PARTS,
    parts=st.dictionaries(st.text(max_size=3), PARTS, max_size=3),
    pairs=st.lists(st.tuples(st.integers(0, 9), st.floats(-9, 9)), max_size=3).map(tuple),
    errors=st.dictionaries(st.text(max_size=3), NUMBERS | st.just(math.inf), max_size=3),
    rows=st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=3).map(lambda v: np.array(v).reshape(-1, 2)),
)


@given(WHOLES)
def test_a_record_survives_its_document_and_the_document_has_no_nan(record: Whole) -> None:
    text = dump(record.to_json())
    assert "NaN" not in text.replace(json.dumps(record.name), "") or "NaN" in record.name
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    back = Whole.from_json(json.loads(text))
    assert back.to_json() == record.to_json()
    assert (back.name, back.count, back.part, back.parts, back.pairs) == (
        record.name, record.count, record.part, record.parts, record.pairs,
    )  # fmt: skip
    np.testing.assert_array_equal(back.rows.reshape(-1, 2), record.rows)
    assert back.errors == pytest.approx(record.errors, nan_ok=True)


def test_names_groups_and_flat_records_stand_where_they_are_declared() -> None:
    record = Whole("a", math.nan, 3, Part(-math.inf, 2.0), {}, (), {"b": math.inf, "c": math.nan}, np.zeros((0,)))
    assert record.to_json() == {
        "schema": "test.whole/1",
        "name": "a",
        "numbers": {"value": None, "count": 3},
        "low": None,
        "high": 2.0,
        "width": None,
        "sides": ["low"],
        "parts": {},
        "pairs": [],
        "errors": {"b": None, "c": None},
        "endless": ["b"],
        "rows": [],
    }


OTHERS = st.sampled_from([None, True, "text", [], {}, [1], {"a": 1}, 1.5])


def places(document: object, where: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Paths of all values in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)  # type: ignore[call-overload]
    out = []
    for key, value in items:
        out.append((*where, key))
        if isinstance(value, dict | list):
            out += places(value, (*where, key))
    return out


def damaged(document: object, where: tuple[object, ...], value: object) -> object:
    """Copy of a document with one value replaced; the value `...` removes it."""
    copy = json.loads(json.dumps(document))
    here = copy
    for key in where[:-1]:
        here = here[key]
    if value is ...:
        del here[where[-1]]
    else:
        here[where[-1]] = value
    return copy


@given(WHOLES, st.data())
def test_a_damaged_document_is_read_or_refused_and_nothing_else(record: Whole, data: st.DataObject) -> None:
    document = record.to_json()
    where = data.draw(st.sampled_from(places(document)))
    broken = damaged(document, where, data.draw(OTHERS | st.just(...)))
    try:
        result = Whole.from_json(broken)
    except InputError as error:
        message = str(error)
    else:
        assert isinstance(result, Whole)
        return
    assert "test.whole/1" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 3}, r"Expected `str`, got `int` - at `\$.name`"),
        ({"rows": [["x"]]}, "expected a number, got text"),
        ({"numbers": {"count": 1}}, "missing required field `value`"),
        ({"parts": {"a": {"low": "0", "high": 1}}}, r"Expected `float`, got `str` - at `\$.parts\[...\].low`"),
        ({"schema": "test.whole/2"}, "its schema is 'test.whole/2'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, object], said: str) -> None:
    record = Whole("a", 1.0, 3, Part(0.0, 2.0), {}, (), {}, np.zeros((0,)))
    with pytest.raises(InputError, match=said):
        Whole.from_json({**record.to_json(), **change})


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(InputError, match="holds no JSON object"):
        Whole.from_json(document)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1e999999}'[:9], "\x00"])
def test_a_file_that_is_no_json_is_refused(tmp_path, text: str) -> None:
    path = tmp_path / "fit.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"fit\.json"):
        read_json(path)


def test_tables_fractions_and_numbers_of_numpy_are_plain() -> None:
    from fractions import Fraction

    import pandas as pd

    table = pd.DataFrame({"a": [1, 2], "b": [0.5, math.nan], "c": ["x", None]})
    assert encode({"t": table, "f": Fraction(1, 3), "n": np.int64(3), "b": np.bool_(True)}) == {
        "t": {"a": [1, 2], "b": [0.5, None], "c": ["x", None]},
        "f": "1/3",
        "n": 3,
        "b": True,
    }
