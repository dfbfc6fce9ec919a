"""What a terminal obeys becomes visible; what an encoding lacks is spelled out."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.records.printable import printable, spelled, spelling_streams

HOSTILE = (*map(chr, (*range(32), *range(127, 160), 0x61C, 0x200E, *range(0x202A, 0x202F), *range(0x2066, 0x206A))),)
"""Controls of ASCII and Latin-1, and marks that turn text round."""

ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from(HOSTILE)))


@given(ANY_TEXT)
def test_nothing_that_is_printed_is_obeyed(text: str) -> None:
    shown = printable(text)
    assert all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in shown)
    assert printable(shown) == shown
    assert printable(text, keeps_lines=True).split("\n") == [printable(line) for line in text.split("\n")]


@given(ANY_TEXT, st.sampled_from(["ascii", "cp1252", "latin-1", "cp437", "utf-8"]))
def test_every_printable_text_can_be_encoded_once_it_is_spelled_out(text: str, encoding: str) -> None:
    shown = spelled(printable(text), encoding)
    shown.encode(encoding)
    assert printable(shown) == shown
    if text.isascii():
        assert shown == printable(text)


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("γ ≤ ½ → ΔAICc ≥ 2σ²", "gamma <= 1/2 -> DeltaAICc >= 2sigma2"),
        ("λ ∈ [0, ∞) − ‖a − â‖", "lambda in [0, inf) - ||a - a||"),
        ("Ebbinghaus, Über das Gedächtnis · § 28–29 …", "Ebbinghaus, Uber das Gedachtnis - sec.  28-29 ..."),
        ("日本", r"\u65e5\u672c"),
    ],
)
def test_signs_of_the_package_are_spelled_in_words(text: str, ascii_text: str) -> None:
    assert spelled(text, "ascii") == ascii_text
    assert spelled(text, "utf-8") == text


def test_streams_take_everything_and_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with spelling_streams():
        sys.stdout.write("γ\udcff")
    stream.flush()
    assert stream.buffer.getvalue() == rb"gamma\udcff"  # type: ignore[attr-defined]
    assert stream.errors == "strict"
