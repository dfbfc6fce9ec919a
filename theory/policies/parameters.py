"""Ranges of the parameters of policies.

A policy names the range of each numeric field in ``RANGES``; those of its base classes hold too. A number outside of it
is refused when the policy is made, and one that the streams of a study are too short for before they are played.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cogfit.errors import InputError
from theory.policies.streams import LONGEST


@dataclass(frozen=True)
class Range:
    """The numbers that a parameter may be.

    Both limits are finite, so that NaN and infinities lie outside of every range.

    Attributes
    ----------
    least, most : float
    above, below : bool
        Whether the lower limit, or the upper one, is itself excluded.
    in_stream : bool
        Whether the number counts tokens, of which a stream has to have as many.

    Examples
    --------
    >>> 1 in Range(0, 1), 1 in Range(0, 1, below=True), float("nan") in Range(0, 1)
    (True, False, False)
    >>> str(Range(0, 1, below=True))
    '0 to below 1'
    """

    least: float
    most: float
    above: bool = False
    below: bool = False
    in_stream: bool = False

    def __contains__(self, value: Any) -> bool:
        is_above = value > self.least if self.above else value >= self.least
        return bool(is_above and (value < self.most if self.below else value <= self.most))

    def __str__(self) -> str:
        return f"{'above ' * self.above}{self.least:g} to {'below ' * self.below}{self.most:g}"


SHARE = Range(0, 1)
FACTOR_BELOW_1 = Range(0, 1, below=True)
TOKENS = Range(1, LONGEST, in_stream=True)
POSITIVE = Range(0, 1000, above=True)
_FINITE = Range(-sys.float_info.max, sys.float_info.max)


def ranges(kind: type) -> dict[str, Range]:
    """Ranges that a class and its bases declare.

    Examples
    --------
    >>> from theory.policies.eviction import A2SF
    >>> str(ranges(A2SF)["alpha"])
    '0 to 1'
    """
    declared: dict[str, Range] = {}
    for base in reversed(kind.__mro__):
        declared |= base.__dict__.get("RANGES", {})
    return declared


def numbers(policy: Any) -> dict[str, tuple[Any, bool]]:
    """Values of the fields that are numbers.

    With each, whether it has to be a whole one: where its default is, unless it is annotated as a ``float``.
    """
    found = {}
    for field in fields(policy):
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            is_whole = isinstance(field.default, int) and field.type not in (float, "float")
            found[field.name] = getattr(policy, field.name), is_whole
    return found


def check_ranges(policy: Any) -> None:
    """Refuse numbers that a policy is not defined for.

    Raises
    ------
    InputError
        If a field is not finite, out of its range, or no whole number where its default is one.
    """
    declared = ranges(type(policy))
    for name, (value, is_whole) in numbers(policy).items():
        allowed = declared.get(name, _FINITE)
        # a number with a point is none of tokens, even 4.0: it would count as a share elsewhere
        if value not in allowed or (is_whole and not _is_whole(value)):
            what = "a whole number" if is_whole else "a number"
            limits = " that is finite" if allowed is _FINITE else f" from {allowed}"
            raise InputError(f"'{name}' cannot be {_shown(value)}", hint=f"use {what}{limits}")


def check_length(policy: Any, length: int) -> None:
    """Refuse numbers of tokens that a stream does not have.

    Not part of a policy's beginning: interventions play it on short streams too, whatever it is studied on.

    Raises
    ------
    InputError
    """
    declared: Mapping[str, Range] = ranges(type(policy))
    for name, (value, _) in numbers(policy).items():
        if name in declared and declared[name].in_stream and value > length:
            raise InputError(f"'{name}' cannot be {value} in streams of {length} tokens", hint=f"use {length} or fewer")


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__")


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
