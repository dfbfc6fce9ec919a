"""Claims as people write them: read as meant, or refused with what to write instead."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.claims.statement import Claim, parse_claim
from cogfit.errors import InputError

Z = 1.959963984540054
NUMBERS = st.floats(-50.0, 50.0, allow_nan=False).map(lambda value: round(value, 4))
ERRORS = st.floats(0.001, 5.0).map(lambda value: round(value, 4))


@given(value=NUMBERS, error=ERRORS, sign=st.sampled_from(["±", "+-", "+/-", " ± ", " +- ", r" \pm "]))
def test_a_value_with_its_error_is_read_however_it_is_spelled(value: float, error: float, sign: str) -> None:
    claim = parse_claim(f"gamma = {value:f}{sign}{error:f}")
    assert (claim.low, claim.high, claim.margin) == (value, value, error)
    assert claim.below == claim.above == pytest.approx(Z * error)
    assert parse_claim(f"γ={value:f}{sign}{error:f}", plus_minus="ci").above == error


@given(ends=st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] != pair[1]), to=st.sampled_from(["-", "–", " to "]))
def test_a_range_is_read_in_order_or_refused(ends: tuple[float, float], to: str) -> None:
    low, high = ends
    text = f"gamma in {low:f}{to}{high:f}"
    if low < high:
        assert parse_claim(text).zone == ends
    else:
        with pytest.raises(InputError, match="lower end first"):
            parse_claim(text)


@pytest.mark.parametrize(
    ("text", "parameter", "zone"),
    [
        ("gamma=0.43(4)", "gamma", (0.39, 0.47)),
        ("gamma = 0.43 [0.40, 0.48]", "gamma", (0.39, 0.47)),
        ("gamma=0.43 (95% CI: 0.40 to 0.48)", "gamma", (0.39, 0.47)),
        ("Gamma between 0.4 and 0.5", "gamma", (0.4, 0.5)),
        ("0.4 <= γ <= 0.5", "gamma", (0.4, 0.5)),
        ("gamma in [0.4, 0.5]", "gamma", (0.4, 0.5)),
        ("exponent < 0.5", "gamma", (-math.inf, 0.5)),
        ("gamma ≥ 0.4", "gamma", (0.4, math.inf)),
        ("gamma in -0.5--0.4", "gamma", (-0.5, -0.4)),
        ("floor=0.05+-0.01", "c", (0.04, 0.06)),
        ("a = .9 +- 1e-1", "A", (0.8, 1.0)),
    ],
)
def test_what_papers_write_is_read(text: str, parameter: str, zone: tuple[float, float]) -> None:
    claim = parse_claim(text)
    assert claim.parameter == parameter
    assert claim.zone == pytest.approx(zone)
    assert Claim.from_json(claim.to_json()) == claim


def test_a_stated_interval_is_the_error_of_the_claim_itself() -> None:
    claim = parse_claim("gamma=0.43 [0.40, 0.48]")
    assert (claim.below, claim.above, claim.margin) == pytest.approx((0.03, 0.05, 0.04))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is no claim"),
        ("gamma", {}, "is no claim"),
        ("gamma=", {}, "is no claim"),
        ("gamma=0.4±", {}, "is no claim"),
        ("gamma=nan±0.1", {}, "is no claim"),
        ("gamma=0,43±0,04", {}, "with a point"),
        ("gamma=0.43±0.04; rm", {}, "is no claim"),
        ("gamma=0.43", {}, "no ±"),
        ("gamma=0.43±0", {}, "more than 0"),
        ("gamma=0.43±-0.1", {}, "more than 0"),
        ("gamma=1e999±1", {}, "finite"),
        ("gamma=0.43 [0.5, 0.6]", {}, "does not lie within"),
        ("gama=0.43±0.04", {}, "did you mean 'gamma'"),
        ("tau=3±1", {}, "stretched_exponential"),
        ("tau=3±1", {"form": "power"}, "no parameter of power"),
        ("gamma=0.43", {"margin": -1.0}, "`margin`"),
        ("gamma=0.43", {"margin": math.nan}, "`margin`"),
        ("gamma=0.43±0.04", {"plus_minus": "sd"}, "unknown `plus_minus=sd`"),
        ("gamma=0.43±0.04", {"form": "pwer"}, "unknown form"),
    ],
)
def test_what_is_no_claim_is_refused_with_what_to_write(text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_claim(text, **options)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.text("gam γ=0.43±+-/[](),<>in\n", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_claim_or_refused(text: str) -> None:
    """Nothing but an InputError, whose message is one line by construction."""
    with contextlib.suppress(InputError):
        claim = parse_claim(text, margin=0.1)
        assert claim.low <= claim.high
        assert claim.parameter in ("A", "gamma", "c")
