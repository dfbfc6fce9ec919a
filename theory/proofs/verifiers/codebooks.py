"""Verify the least cost of codes (kind ``codebook``).

Serving queries from S bits about the table of values, by enumeration.

``patterns`` K, ``values`` V, ``bits`` S, ``probabilities`` of the patterns, ``price`` of an error (attending costs 1),
``value``: the least expected cost asserted, a number or a formula of numbers. A code sends each of the V^K equally
likely tables to one of 2^S decoders; a decoder says for every pattern "attend" or one value. For given decoders each
table goes to the cheapest of them.

All sets of 2^S decoders are covered by joining sets of half the size: what counts of a set is the cost of each table.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, numbers
from theory.proofs.expressions import constant
from theory.proofs.numerals import show_number
from theory.proofs.work import spend

_MAX_ENTRIES = 400_000_000
_MAX_TABLE = 20_000_000
_CHUNK = 2_000_000
_ENTRIES_PER_UNIT = 400  # of work: entries compared in a microsecond, sorting included


def verify(document: Document) -> Check:
    """Verifier of the kind ``codebook``.

    Examples
    --------
    One bit serves one of two patterns.

    >>> law = {"patterns": 2, "values": 2, "bits": 1, "probabilities": ["1/2", "1/2"]}
    >>> verify({**law, "price": "100", "value": "1/2"}).detail
    'the least expected cost is 1/2'
    """
    patterns, values, bits = _sizes(document)
    weights = numbers(document.get("probabilities"), "'probabilities'", patterns)
    price, value = exact(document.get("price"), "'price'"), constant(document.get("value"), "'value'")
    if any(p < 0 for p in weights) or sum(weights) != 1 or price < 0:
        raise InputError("certificate: 'probabilities' is no distribution, or the price of an error is negative")
    least = _least_cost(values, bits, weights, price)
    if least != value:
        detail = f"the least expected cost is {show_number(least)}, not {show_number(value)}"
        return Check(False, detail, {"value": least})
    return Check(True, f"the least expected cost is {show_number(least)}", {"value": least})


def _sizes(document: Document) -> tuple[int, int, int]:
    patterns, values, bits = (entry(document, name, int) for name in ("patterns", "values", "bits"))
    if not (1 <= patterns <= 8 and 2 <= values <= 16 and 0 <= bits <= 8):
        raise InputError("certificate: 'patterns' lies in 1..8, 'values' in 2..16, 'bits' in 0..8")
    return patterns, values, bits


def _least_cost(values: int, bits: int, weights: list[Fraction], price: Fraction) -> Fraction:
    """Least expected cost over all codes of so many bits."""
    # whole numbers, scaled so that sums over tables are exact and stay below 2^63
    denominators = [p.denominator for p in weights] + [(p * price).denominator for p in weights]
    scale = math.lcm(*denominators)
    if scale * (1 + price) > 2**40:
        raise InputError("certificate: the probabilities and the price have too large denominators")
    attend, wrong = [int(p * scale) for p in weights], [int(p * price * scale) for p in weights]
    costs = _costs(values, attend, wrong)
    # sets of 2, 4, … decoders; the last doubling needs the least sum only
    for _ in range(bits - 1):
        costs = _joined(costs)
    total = _least_pair(costs) if bits else int(costs.sum(axis=1).min())
    return Fraction(total, scale * costs.shape[1])


def _costs(values: int, attend: list[int], wrong: list[int]) -> NDArray[np.int64]:
    """Cost of every table (columns) under every decoder (rows)."""
    size = len(attend)
    if (values + 1) ** size * values**size > _MAX_TABLE:
        raise InputError("certificate: too many decoders and tables to enumerate")
    spend((values + 1) ** size * values**size // _ENTRIES_PER_UNIT)
    tables = np.array(list(itertools.product(range(1, values + 1), repeat=size)))
    decoders = np.array(list(itertools.product(range(values + 1), repeat=size)))
    total = np.zeros((len(decoders), len(tables)), np.int64)
    for k in range(size):
        output = decoders[:, k, None]
        total += np.where(output == 0, attend[k], np.where(output == tables[:, k], 0, wrong[k]))
    return np.unique(total, axis=0)


def _pairs(costs: NDArray[np.int64]) -> int:
    """Rows to take at a time.

    InputError where all pairs of rows are too many.
    """
    if len(costs) ** 2 * costs.shape[1] > _MAX_ENTRIES:
        raise InputError("certificate: too many sets of decoders to enumerate", hint="take fewer patterns or bits")
    spend(len(costs) ** 2 * costs.shape[1] // _ENTRIES_PER_UNIT)
    return max(1, _CHUNK // costs.size)


def _joined(costs: NDArray[np.int64]) -> NDArray[np.int64]:
    step = _pairs(costs)
    parts = [
        np.unique(np.minimum(costs[i : i + step, None], costs[None, i:]).reshape(-1, costs.shape[1]), axis=0)
        for i in range(0, len(costs), step)
    ]
    return np.unique(np.concatenate(parts), axis=0)


def _least_pair(costs: NDArray[np.int64]) -> int:
    step = _pairs(costs)
    return min(
        int(np.minimum(costs[i : i + step, None], costs[None, i:]).sum(axis=2).min())
        for i in range(0, len(costs), step)
    )
