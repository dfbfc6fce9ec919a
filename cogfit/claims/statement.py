"""What is claimed, read from a line such as ``gamma=0.43±0.04``.

A claim states a value, with or without an error of its own, or a range of values. Both are a range here: that of a
value is a point. Its error widens the interval of the difference; its margin says how near is near enough.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from cogfit.errors import InputError, nearest
from cogfit.formulas.registry import POWER_LAWS, forms, get_form
from cogfit.native import distributions
from cogfit.records.codec import Document, High, Low

PlusMinus = Literal["se", "ci"]
"""What stands behind a ±: a standard error, or half a 95 % interval."""

PLUS_MINUS = get_args(PlusMinus)
LEVEL = 0.95
"""Level of an interval that a claim states."""


@dataclass(frozen=True)
class Claim(Document):
    """What is claimed of a parameter.

    Attributes
    ----------
    text : str
        As it was written.
    parameter : str
        Name of a parameter of a form.
    low, high : float
        Values that are claimed; equal for a single value, infinite on the open side of a bound.
    below, above : float
        How far a 95 % interval of the claimed value reaches, from the claim's own error; 0 where it states none.
    margin : float
        Deviations up to this count as none.

    Examples
    --------
    >>> claim = parse_claim("gamma = 0.43 +- 0.04")
    >>> claim.low, claim.margin, round(claim.above, 3)
    (0.43, 0.04, 0.078)
    """

    text: str
    parameter: str
    low: Low
    high: High
    below: float
    above: float
    margin: float

    @property
    def symbol(self) -> str:
        """The parameter as it is printed."""
        return "γ" if self.parameter == "gamma" else self.parameter

    @property
    def is_value(self) -> bool:
        """Whether a single value is claimed."""
        return self.low == self.high

    @property
    def stated(self) -> str:
        """The claimed values in words, such as ``0.43 ± 0.04``."""
        if self.is_value:
            return f"{self.low:g}"
        if math.isinf(self.low):
            return f"{self.high:g} or less"
        return f"{self.low:g} or more" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"

    @property
    def zone(self) -> tuple[float, float]:
        """The claimed values, widened by the margin."""
        return self.low - self.margin, self.high + self.margin


def parse_claim(
    text: str, *, margin: float | None = None, plus_minus: PlusMinus = "se", form: str | None = None
) -> Claim:
    """Read a claim.

    Parameters
    ----------
    text : str
        Such as ``gamma=0.43±0.04``, ``gamma = 0.43 +- 0.04``, ``gamma=0.43(4)``, ``gamma=0.43 [0.40, 0.47]``,
        ``gamma=0.43``, ``gamma in 0.4-0.5``, ``gamma>=0.4``, ``0.4 < gamma < 0.5``.
    margin : float, optional
        Deviations up to this count as none. By default the ± of the claim (half its interval), and 0 for a range.
    plus_minus : {"se", "ci"}
        What stands behind a ±: a standard error, or half a 95 % interval.
    form : str, optional
        The form whose parameter is meant; by default a power law.

    Returns
    -------
    Claim

    Raises
    ------
    InputError
        If the text is no claim, or a value without ± has no margin.

    Examples
    --------
    >>> parse_claim("γ in 0.4–0.5").zone
    (0.4, 0.5)
    >>> parse_claim("gamma=0.43", margin=0.05).above
    0.0
    """
    if plus_minus not in PLUS_MINUS:
        raise InputError(f"unknown `plus_minus={plus_minus}`", hint=nearest(str(plus_minus), PLUS_MINUS))
    if margin is not None and not 0.0 <= margin < math.inf:
        raise InputError(f"`margin` must be a number of 0 or more, not {margin:g}")
    name, values = _read(text)
    parameter = _parameter(name, form)
    if values.default_margin is None and margin is None:
        raise InputError(
            f"the claim '{_short(text)}' has no ±, so that nothing says how near is near enough",
            hint=f"give `margin`, such as 0.04, or write {name}={values.low:g}±0.04",
        )
    z = distributions.normal_quantile(0.5 + 0.5 * LEVEL) if values.is_deviation and plus_minus == "se" else 1.0
    return Claim(
        text=" ".join(text.split()),
        parameter=parameter,
        low=values.low,
        high=values.high,
        below=float(z * values.below),
        above=float(z * values.above),
        margin=float(values.default_margin or 0.0) if margin is None else float(margin),
    )


# --------------------------------------------------------------------------------------------------------- grammar


@dataclass(frozen=True)
class _Values:
    """What a claim says in numbers.

    ``is_deviation``: whether `below` and `above` were written as a ±. ``default_margin``: None where nothing says one.
    """

    low: float
    high: float
    below: float = 0.0
    above: float = 0.0
    is_deviation: bool = False
    default_margin: float | None = 0.0


def _value(number: str) -> _Values:
    return _Values(_number(number), _number(number), default_margin=None)


def _deviation(number: str, error: str) -> _Values:
    value, size = _number(number), _number(error)
    if not size > 0.0:
        raise InputError("the ± of a claim must be more than 0", hint="leave it out, and say how near is near enough")
    return _Values(value, value, size, size, is_deviation=True, default_margin=size)


def _concise(number: str, digits: str) -> _Values:
    """An error in units of the last digit: 0.43(4) is 0.43 ± 0.04."""
    decimals = len(number.partition(".")[2])
    return _deviation(number, f"{digits}e-{decimals}")


def _with_limits(number: str, low: str, high: str) -> _Values:
    value, bottom, top = map(_number, (number, low, high))
    if not bottom < value < top:
        raise InputError(f"the claimed value {value:g} does not lie within its interval, {bottom:g} to {top:g}")
    return _Values(value, value, value - bottom, top - value, default_margin=(top - bottom) / 2.0)


def _range(low: str, high: str) -> _Values:
    bottom, top = _number(low), _number(high)
    if not bottom < top:
        raise InputError(f"the claimed range runs from {bottom:g} to {top:g}", hint="give the lower end first")
    return _Values(bottom, top)


def _below(number: str) -> _Values:
    return _Values(-math.inf, _number(number))


def _above(number: str) -> _Values:
    return _Values(_number(number), math.inf)


_NAME = r"(?P<name>[^\W\d]\w*)"
_N = r"([-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+−]?\d+)?)"
_PLAIN = r"([-+−]?(?:\d+\.?\d*|\.\d+))"
_IS = r"(?:=|≈|~|:|\bis\b)"
_PM = r"(?:±|\+\s?/?\s?[-−]|\\pm)"
_TO = r"(?:-|–|—|−|,|;|\.\.\.?|…|\bto\b|\band\b)"
_CI = r"(?:95\s*%\s*(?:CI|interval)?\s*:?)?"

_GRAMMAR: tuple[tuple[str, Callable[..., _Values]], ...] = (
    (rf"{_NAME} {_IS} {_N}", _value),
    (rf"{_NAME} {_IS} {_N} {_PM} {_N}", _deviation),
    (rf"{_NAME} {_IS} {_PLAIN}\((\d+)\)", _concise),
    (rf"{_NAME} {_IS} {_N} ,? [\[(] {_CI} {_N} {_TO} {_N} [\])]", _with_limits),
    (rf"{_NAME} (?:{_IS}|∈|\bin\b|\bbetween\b) [\[(]? {_N} {_TO} {_N} [\])]?", _range),
    (rf"{_N} (?:<=?|≤) {_NAME} (?:<=?|≤) {_N}", _range),
    (rf"{_NAME} (?:<=?|≤) {_N}", _below),
    (rf"{_NAME} (?:>=?|≥) {_N}", _above),
)
"""How claims are written, spaces wherever they please, and what each says."""

_PATTERNS = tuple((re.compile(pattern.replace(" ", r"\s*")), read) for pattern, read in _GRAMMAR)


def _read(text: str) -> tuple[str, _Values]:
    """The parameter's name as written, and its values."""
    line = unicodedata.normalize("NFC", text).strip()
    for pattern, read in _PATTERNS:
        found = pattern.fullmatch(line)
        if found is not None:
            name = found.group("name")
            numbers = [part for i, part in enumerate(found.groups(), 1) if i != pattern.groupindex["name"]]
            return name, read(*numbers)
    hint = "write gamma=0.43±0.04 (or +-), gamma=0.43, or gamma in 0.4-0.5"
    if re.search(r"\d,\d", line):
        hint = f"write numbers with a point, such as 0.43; {hint}"
    raise InputError(f"'{_short(text)}' is no claim about a parameter", hint=hint)


def _number(text: str) -> float:
    value = float(text.replace("−", "-"))
    if not math.isfinite(value):
        raise InputError(f"a claim of {text} is no finite number")
    return value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


# ------------------------------------------------------------------------------------------------------- parameters

_ALIASES: Mapping[str, str] = {"exponent": "gamma", "floor": "c"}
"""Words for parameters of the power laws."""


def _parameter(name: str, form: str | None) -> str:
    """The parameter that is meant, of one form or of any power law."""
    chosen = [get_form(form)] if form is not None else [get_form(power) for power in POWER_LAWS]
    names = dict.fromkeys(name for item in chosen for name in item.names)
    found = _match(name, names)
    if found is not None:
        return found
    titles = " and ".join(item.title for item in chosen)
    elsewhere = [item.name for item in forms().values() if _match(name, item.names)]
    hint = nearest(name, names)
    if form is None and elsewhere:
        hint = f"it is one of {', '.join(elsewhere)}: name the form with `form`"
    raise InputError(f"'{_short(name)}' is no parameter of {titles}", hint=hint)


def _match(name: str, names: Iterable[str]) -> str | None:
    """The parameter that a word means, None where it means none."""
    known = tuple(names)
    word = _spelled_out(name)
    word = word if word in known else _ALIASES.get(word.casefold(), word)
    folded = [item for item in known if item.casefold() == word.casefold()]
    return word if word in known else folded[0] if len(folded) == 1 else None


def _spelled_out(name: str) -> str:
    """A Greek letter by its name: γ is gamma."""
    if len(name) != 1:
        return name
    words = unicodedata.name(name, "").split()
    return words[-1].lower() if words[:1] == ["GREEK"] else name
