"""Records are split as the csv module splits them, and their places are known."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cogfit.logs.formats.records import split_records


@given(st.text('ab1,;\t"\n\r ', max_size=40), st.sampled_from(",;\t"))
@example('a,"b""c"\n"d"e,f\n', ",")
@example('"a\r\nb",c\r"', ",")
def test_fields_are_those_of_the_csv_module(text: str, delimiter: str) -> None:
    # the csv module gives no field at all for a blank line
    expected = [fields or [""] for fields in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
    assert [record.fields for record in split_records(text, delimiter)] == expected


@given(st.lists(st.sampled_from(["1,2", '"a",b', '"a\nb",c', 'd,"e\r\n\n"', "", 'x"y,z']), max_size=8))
def test_records_know_their_lines(written: list[str]) -> None:
    lines, line = [], 5
    for text in written:
        lines.append(line)
        line += 1 + text.count("\n")
    records = list(split_records("".join(text + "\n" for text in written), ",", first_line=5))
    assert [record.line for record in records] == lines
    assert [record.text for record in records] == written
    assert all(record.is_closed and record.is_clean for record in records)
    assert [record.quote_line is not None for record in records] == ["\n" in text for text in written]


def test_a_quote_that_never_closes_is_known_by_its_line() -> None:
    *_, record = split_records('1,a\n"b\nc","d\n2,e\n', ",")
    assert (record.line, record.quote_line, record.is_closed) == (2, 2, False)
    *_, record = split_records('1,a\n2,"d\n3,e', ",")
    assert (record.line, record.quote_line, record.is_closed, record.fields) == (2, 2, False, ["2", "d\n3,e"])
    *_, record = split_records('1,"d\n3,"e\n', ",")
    assert (record.is_closed, record.is_clean) == (True, False)


@pytest.mark.parametrize("size", [131_073, 1_000_000])
def test_fields_of_any_length(size: int) -> None:
    (record,) = split_records(f'"{"a" * size}",{"b" * size}', ",")
    assert [len(text) for text in record.fields] == [size, size]
