"""Records to documents and back: nothing is lost, nothing is NaN, and what is damaged is refused with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.records.codec import OMIT, Document, High, Low, Nan, decode, dump, encode, read_json, wire

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

    import pandas as pd

    table = pd.DataFrame({"a": [1, 2], "b": [0.5, math.nan], "c": ["x", None]})
    assert encode({"t": table, "f": Fraction(1, 3), "n": np.int64(3), "b": np.bool_(True)}) == {
        "t": {"a": [1, 2], "b": [0.5, None], "c": ["x", None]},
        "f": "1/3",
        "n": 3,
        "b": True,
    }


class Pair(NamedTuple):
    """A named tuple."""

    low: float
    high: float


@dataclass(frozen=True)
class Plain:
    """A dataclass that is no document."""

    numbers: tuple[float, ...]


def test_whatever_json_can_hold_is_written_as_json_and_the_rest_as_text() -> None:
    assert encode([True, 3, "a", None, 1.5]) == [True, 3, "a", None, 1.5]
    assert encode((math.nan, -math.inf, np.float32("inf"), np.float32(0.5))) == [None, None, None, 0.5]
    assert encode({1: Pair(0.5, math.nan)}) == {"1": {"low": 0.5, "high": None}}
    assert encode(Plain((1.0, math.inf))) == {"numbers": [1.0, None]}
    assert (encode({"a"}), encode(frozenset([2]))) == (["a"], [2])
    assert (encode(np.array([[1, 2]])), encode(np.array(0.5)), encode(np.str_("x"))) == ([[1, 2]], 0.5, "x")
    assert encode(Fraction(6, 4)) == "3/2"
    assert encode(Path("a") / "b") == str(Path("a") / "b")
    assert encode(Plain) == str(Plain)  # a type, not a record


def test_lists_of_numbers_stand_on_one_line_and_everything_else_on_its_own() -> None:
    text = dump({"x": [1, -2.5e-7, None], "t": ["a", "1"], "n": [[1, 2], [3]], "e": [], "é": "[ 1 ]"})
    assert json.loads(text) == {"x": [1, -2.5e-7, None], "t": ["a", "1"], "n": [[1, 2], [3]], "e": [], "é": "[ 1 ]"}
    assert '"x": [ 1, -2.5e-07, null ]' in text
    assert '"é": "[ 1 ]"' in text
    assert text.endswith("}\n")
    assert text.splitlines()[0] == "{"
    assert text.splitlines()[1].startswith(' "x"')  # indented by one
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            dump({"x": value})


@dataclass(frozen=True, eq=False)
class Kinds(Document):
    """A field of every kind that is read."""

    SCHEMA: ClassVar[str] = "test.kinds/1"

    share: Fraction = Fraction(1, 2)
    maybe: High | None = None
    pair: tuple[Low, High] = (0.0, 1.0)
    limits: tuple[Low, High] | None = None
    noted: Annotated[tuple[Low, High], "a note for people"] = (0.0, 1.0)
    many: list[Nan] = field(default_factory=list)
    parts: tuple[Part, ...] = ()
    array: Array | None = None
    deep: Nan = field(default=0.0, metadata=wire("a.b.c"))
    scratch: int = field(default=7, metadata=wire(skip=True))
    errors: dict[str, Nan] = field(default_factory=dict, metadata=wire("e.value", infinite="e.endless"))


def test_null_is_what_its_place_says() -> None:
    document = {
        "schema": "test.kinds/1", "share": "2/6", "maybe": None, "pair": [None, None],
        "limits": [None, 2], "noted": [1, None], "many": [1, None],
        "parts": [{"low": None, "high": None}], "array": [[1, None], [3, 4.5]], "a": {"b": {"c": None}},
        "e": {"value": {"x": None, "y": None, "z": 1}, "endless": ["y", "absent"]}, "scratch": 99, "unknown": 1,
    }  # fmt: skip
    record = Kinds.from_json(document)
    assert record.share == Fraction(1, 3)
    assert record.maybe is None
    assert (record.pair, record.limits, record.noted) == ((-math.inf, math.inf), (-math.inf, 2.0), (1.0, math.inf))
    assert record.many[0] == 1.0
    assert math.isnan(record.many[1])
    assert record.parts == (Part(-math.inf, math.inf),)
    np.testing.assert_array_equal(record.array, [[1.0, math.nan], [3.0, 4.5]])  # type: ignore[arg-type]
    assert math.isnan(record.deep)
    assert record.scratch == 7  # neither written nor read
    assert set(record.errors) == {"x", "y", "z"}
    assert math.isnan(record.errors["x"])
    assert (record.errors["y"], record.errors["z"]) == (math.inf, 1.0)
    written = record.to_json()
    assert "scratch" not in written
    assert written["e"] == {"value": {"x": None, "y": None, "z": 1.0}, "endless": ["y"]}
    assert written["a"] == {"b": {"c": None}}
    assert written["share"] == "1/3"
    assert Kinds.from_json(written).to_json() == written


def test_what_a_document_leaves_out_takes_its_default() -> None:
    record = Kinds.from_json({"schema": "test.kinds/1"})
    assert (record.pair, record.share, record.deep, record.errors) == ((0.0, 1.0), Fraction(1, 2), 0.0, {})
    assert Kinds.from_json({"schema": "test.kinds/1", "maybe": 3}).maybe == 3.0


def test_what_is_empty_is_left_out_where_that_was_declared() -> None:
    assert "note" not in Part(0.0, 1.0).to_json()
    assert Part(0.0, 1.0, "x").to_json()["note"] == "x"
    assert "sides" not in Part(0.0, 1.0).to_json()
    assert Part(0.0, 1.0).to_json()["width"] == 1.0
    assert "schema" not in Part(0.0, 1.0).to_json()
    assert Part.from_json({"low": 0, "high": 1, "width": "never read"}) == Part(0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"array": [1, "x"]}, "expected a number, got text"),
        ({"array": [1, True]}, "expected a number, got true or false"),
        ({"array": [1, {}]}, "expected a number, got an object"),
        ({"array": [[1, 2], [3]]}, "is a damaged test.kinds/1"),
        ({"array": 3.5}, None),
        ({"share": "a half"}, "is a damaged test.kinds/1"),
        ({"share": "1/0"}, "is a damaged test.kinds/1"),
        ({"pair": [1]}, r"\$.pair"),
        ({"pair": [1, 2, 3]}, r"\$.pair"),
        ({"parts": {}}, r"\$.parts"),
        ({"parts": [3]}, r"\$.parts\[0\]"),
        ({"e": {"value": {"x": "1"}}}, r"\$.errors"),
        ({"e": 3}, None),
        ({"a": {"b": 3}}, None),
        ({"many": [10**400]}, "is a damaged test.kinds/1"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_a_missing_one_is_not(
    change: dict[str, object], message: str | None
) -> None:
    document = {"schema": "test.kinds/1", **change}
    if message is None:
        Kinds.from_json(document)
        return
    with pytest.raises(InputError, match=message):
        Kinds.from_json(document)


@pytest.mark.parametrize(
    ("document", "kind"), [(None, "null"), ([], "a list"), ("text", "text"), (3, "a number"), (True, "true or false")]
)
def test_what_stands_in_place_of_an_object_is_named(document: object, kind: str) -> None:
    with pytest.raises(InputError, match=f"is no test.whole/1: it holds no JSON object, but {kind}"):
        Whole.from_json(document)
    with pytest.raises(InputError, match="is no fit: it holds no JSON object"):
        decode(Whole, document, "fit")
    with pytest.raises(InputError, match="is no Part: it holds no JSON object"):
        Part.from_json(document)
    with pytest.raises(InputError, match="its schema is None"):
        Whole.from_json({})


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text(dump({"é": [1, None]}), encoding="utf-8")
    assert read_json(path) == {"é": [1, None]}
    with pytest.raises(InputError, match=r"absent\.json.*cannot be read as JSON"):
        read_json(tmp_path / "absent.json")
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="nested too deeply"):
        read_json(path)


@given(WHOLES)
def test_a_record_survives_its_document_and_the_document_has_no_nan(record: Whole) -> None:
    text = dump(record.to_json())
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    back = Whole.from_json(json.loads(text))
    assert back.to_json() == record.to_json()
    assert (back.name, back.count, back.part, back.parts, back.pairs) == (
        record.name, record.count, record.part, record.parts, record.pairs,
    )  # fmt: skip
    np.testing.assert_array_equal(back.rows.reshape(-1, 2), record.rows)
    assert back.errors == pytest.approx(record.errors, nan_ok=True)


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
