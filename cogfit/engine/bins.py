"""Points in bins, and what a form is over them.

A long curve is condensed into means over bins. The mean of a form over a bin is not its value at the mean of x: for
x^−γ they differ by ½γ(γ+1) var(x)/x̄² of it, which a precise curve shows. So a bin keeps a few *nodes*, of which the
weighted mean of any polynomial in log x of degree ≤ 5 is that over all of its points: Gauss's quadrature for the
distribution of the points themselves (Golub & Welsch 1969, Math. Comp. 23:221), its recurrence from sums over the bin
(Stieltjes; Gautschi 2004, Orthogonal Polynomials, §2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array, Form, lifted_log

NODES = 3
"""Nodes of a bin."""

LONG = 10_000
"""Points from which on a curve is long: what would cost much more for nothing is then condensed.

Least squares start from its bins, noise for the tests of forms is drawn as sums over bins, and profiles hold the
coefficients of the errors. What this changes is far below the standard errors (tests/cogfit/inference/test_long.py).
"""

_SAME = 1e-12  # squared spread of the nodes, relative to the bin's, below which a bin has no further point


@dataclass(frozen=True)
class Axis:
    """Where a curve is known: at points, or on average over bins.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The points, or the mean of x over each bin.
    nodes, share : ndarray, shape (m, n)
        A form's value is Σ share · f(nodes), over m nodes; a single node is the point itself.
    """

    x: Array
    nodes: Array
    share: Array

    @classmethod
    def points(cls, x: Array) -> Axis:
        """The axis of single points (n,)."""
        x = np.ascontiguousarray(x, dtype=float)
        return cls(x, x[None], np.ones((1, x.size)))

    def in_units(self, unit: float) -> Axis:
        """The same axis in multiples of a unit of x."""
        return Axis(self.x / unit, self.nodes / unit, self.share)

    @property
    def is_binned(self) -> bool:
        """Whether values are averages."""
        return len(self.nodes) > 1

    def values(self, form: Form, params: Array) -> Array:
        """Values of a form, shape (n,)."""
        return self.mean(form.evaluate(self.nodes.ravel(), params))

    def mean(self, values: Array) -> Array:
        """Means over bins, shape (…, n).

        The values (…, m·n) are those at ``nodes.ravel()``.
        """
        if not self.is_binned:
            return values
        apart = values.reshape(*values.shape[:-1], *self.nodes.shape)
        return np.asarray((apart * self.share).sum(axis=-2))


@dataclass(frozen=True)
class Bins:
    """A curve's points in bins.

    Attributes
    ----------
    axis : Axis
    label : ndarray of int, shape (points,)
        Bin of each point, 0, 1, … in the order of x.
    weight : ndarray, shape (bins,)
        Sum of the points' weights.
    own : ndarray, shape (points,)
        The points' weights.
    """

    axis: Axis
    label: NDArray[np.int64]
    weight: Array
    own: Array

    @classmethod
    def of_points(cls, x: Array, count: int, weights: Array | None = None) -> Bins:
        """Gather points in about `count` bins.

        Parameters
        ----------
        x : ndarray, shape (points,)
            Not below 0.
        count : int
            Where there are no more points than this, each is a bin.
        weights : ndarray, shape (points,), optional
            Above 0; equal ones by default.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.arange(1.0, 1001.0)
        >>> bins = Bins.of_points(x, 20)
        >>> exact = bins.mean(x**-0.5)
        >>> bool(np.abs(bins.axis.mean(bins.axis.nodes.ravel() ** -0.5) / exact - 1).max() < 1e-7)
        True
        >>> round(float(np.abs(bins.axis.x**-0.5 / exact - 1).max()), 3)
        0.016
        """
        own = np.ones(x.size) if weights is None else weights
        label = bins_of(x, count)
        size = int(label.max()) + 1 if label.size else 0
        weight: Array = np.bincount(label, own, size).astype(float)
        if size == x.size:
            order = np.argsort(label)
            return cls(Axis.points(x[order]), label, weight, own)
        return cls(_axis(x, own, label, weight), label, weight, own)

    def in_units(self, unit: float) -> Bins:
        """The same bins in multiples of a unit of x."""
        return replace(self, axis=self.axis.in_units(unit))

    def mean(self, values: Array) -> Array:
        """Weighted means of values (points,) over each bin."""
        return np.asarray(np.bincount(self.label, self.own * values, self.weight.size) / self.weight)


def bins_of(x: Array, count: int) -> NDArray[np.int64]:
    """Labels 0, 1, … of points in about `count` bins.

    Half of them are equally filled, half equally wide in log x; points at 0 have a bin of their own.
    """
    if x.size <= count:
        return np.asarray(np.argsort(np.argsort(x, kind="stable"), kind="stable"))
    lx = lifted_log(x)
    filled = np.quantile(lx, np.linspace(0, 1, count // 2 + 1)[1:-1])
    wide = np.linspace(lx.min(), lx.max(), count // 2 + 1)[1:-1]
    edges = np.union1d(filled, wide)
    if np.all(lx[1:] >= lx[:-1]):  # in order, as most curves are, points need not be looked up one by one
        ends = np.append(np.searchsorted(lx, edges, side="right"), x.size)
        label = np.repeat(np.arange(1, ends.size + 1), np.diff(ends, prepend=0))
    else:
        label = np.searchsorted(edges, lx) + 1
    label[x <= 0.0] = 0
    # numbers without gaps
    is_used = np.bincount(label) > 0
    return np.asarray((np.cumsum(is_used) - 1)[label], dtype=np.int64)


def _axis(x: Array, own: Array, label: NDArray[np.int64], weight: Array) -> Axis:
    """Means of x, and the nodes of every bin."""
    size = weight.size

    def mean(values: Array) -> Array:
        return np.asarray(np.bincount(label, own * values, size) / weight)

    # orthogonal polynomials of the points of each bin, in log x from the middle in units of the spread
    lx = lifted_log(x)
    middle = mean(lx)
    u = lx - middle[label]
    unit = np.sqrt(mean(u * u))
    unit[unit <= 1e-14 * np.maximum(np.abs(middle), 1.0)] = 1.0  # equal points, apart from rounding
    u /= unit[label]
    diagonal, beside = np.zeros((NODES, size)), np.zeros((NODES - 1, size))
    before, here, length = np.zeros_like(u), np.ones_like(u), np.ones(size)
    for k in range(NODES):
        diagonal[k] = np.divide(mean(u * here * here), length, out=np.zeros(size), where=length > _SAME)
        if k == NODES - 1:
            break
        last = beside[k - 1] if k else np.zeros(size)
        before, here = here, (u - diagonal[k][label]) * here - last[label] * before
        square = mean(here * here)
        beside[k] = np.where((length > _SAME) & (square > _SAME), square / np.where(length > _SAME, length, 1.0), 0.0)
        length = np.where(beside[k] > 0.0, square, 0.0)

    # nodes are the eigenvalues of the recurrence, shares the squares of the first components
    matrix = np.zeros((size, NODES, NODES))
    for k in range(NODES):
        matrix[:, k, k] = diagonal[k]
        if k:
            matrix[:, k, k - 1] = matrix[:, k - 1, k] = np.sqrt(beside[k - 1])
    places, vectors = np.linalg.eigh(matrix)
    nodes = np.ascontiguousarray(np.exp(middle + unit * places.T))
    least, most = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(least, label, x)
    np.maximum.at(most, label, x)
    return Axis(mean(x), np.clip(nodes, least, most), np.ascontiguousarray(vectors[:, 0, :].T ** 2))
