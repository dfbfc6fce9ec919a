"""The points of members as rectangles.

Members of about the same length stand in one block; what is missing at the end of a row has weight 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.noise import saturated_binomial
from cogfit.formulas.form import Array

Index = NDArray[np.int64]

_POINTS = 1 << 18  # of a block at the most: what is worked on at a time stays in the cache of a core
_PADDING = 1.25  # how much longer than the shortest the longest of a block may be
_LOG_2PI = math.log(2.0 * math.pi)
_SMALL = 1 << 13  # points up to which one rectangle is faster than several, whatever is empty in it


@dataclass(frozen=True)
class Points:
    """Points of all members, end to end.

    Attributes
    ----------
    x, y, w : ndarray, shape (n,)
        The variance of y is σ²/w.
    begin, size : ndarray of int, shape (members,)
    covariates : mapping of str to ndarray, shape (n,)
    """

    x: Array
    y: Array
    w: Array
    begin: Index
    size: Index
    covariates: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """Members in a rectangle.

    Attributes
    ----------
    members : ndarray of int, shape (m,)
        Their numbers.
    x, y, w : ndarray, shape (m, n)
        With weight 0 where there is no point.
    covariates : mapping of str to ndarray, shape (m, n)
    size : ndarray of int, shape (m,)
        Points of each.
    log_constant : ndarray, shape (m,)
        Log-likelihood of each at a curve through all of its points, for errors of size 1.
    """

    members: Index
    x: Array
    y: Array
    w: Array
    covariates: Mapping[str, Array]
    size: Index
    log_constant: Array


def make_blocks(points: Points, noise: str = "gaussian") -> list[Block]:
    """Put members of similar length together.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 6.0)
    >>> (block,) = make_blocks(Points(x, x, np.ones(5), begin=np.array([0, 3]), size=np.array([3, 2])))
    >>> block.members.tolist(), block.w.tolist()
    ([1, 0], [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    """
    order = np.argsort(points.size, kind="stable")
    if order.size and order.size * int(points.size.max()) <= _SMALL:
        return [_block(points, order, noise)]
    blocks, first = [], 0
    while first < order.size:
        shortest = int(points.size[order[first]])
        last = int(np.searchsorted(points.size[order], _PADDING * shortest, side="right"))
        longest = int(points.size[order[last - 1]])
        last = min(last, first + max(1, _POINTS // longest))
        blocks.append(_block(points, order[first:last], noise))
        first = last
    return blocks


def _block(points: Points, members: Index, noise: str) -> Block:
    begin, size = points.begin[members], points.size[members]
    step = np.arange(int(size.max()))
    is_there = step < size[:, None]
    place = begin[:, None] + np.minimum(step, size[:, None] - 1)
    w = np.where(is_there, points.w[place], 0.0)
    if noise == "binomial":
        saturated = saturated_binomial(points.y[place], w)
    else:
        saturated = np.where(is_there, 0.5 * (np.log(np.where(is_there, w, 1.0)) - _LOG_2PI), 0.0)
    return Block(
        members=members,
        x=points.x[place],
        y=points.y[place],
        w=w,
        covariates={name: values[place] for name, values in points.covariates.items()},
        size=size,
        log_constant=saturated.sum(axis=1),
    )
