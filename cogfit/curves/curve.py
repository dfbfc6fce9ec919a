"""What is fitted: points, weights, meaning, and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.trajectories import Trajectories
from cogfit.formulas.form import Array
from cogfit.records.codec import Document

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MIN_CLUSTERS = 10
"""With fewer clusters than this, resampling them says little."""

CONSTANT = 1e-12
"""Range of y, relative to its size, up to which a curve is constant."""

UNKNOWN = "unknown"
"""Mark of a curve that was smoothed by a filter that is not known."""

_DENSE_CELLS = 40_000_000  # cells of a pattern × exposure table kept as a dense matrix (320 MB); sparse beyond


def thinned(x: Array, y: Array, most: int = 400) -> tuple[Array, Array]:
    """A line for pictures, with few enough points.

    They are means over neighbours where there are very many.

    Examples
    --------
    >>> x, y = thinned(np.arange(6.0), np.arange(6.0), most=2)
    >>> x.tolist(), y.tolist()
    ([1.0, 4.0], [1.0, 4.0])
    """
    if x.size <= most:
        return x, y
    bin_of = np.arange(x.size) * most // x.size
    size = np.bincount(bin_of)
    return np.bincount(bin_of, x) / size, np.bincount(bin_of, y) / size


@dataclass(frozen=True)
class Clusters:
    """Per-cluster sums behind a mean curve.

    A cluster is what can be resampled (a pattern, a run).

    Attributes
    ----------
    kind : str
        ``"patterns"`` or ``"runs"`` (or layers, heads).
    sums, counts : ndarray or sparse array, shape (clusters, n)
        Sum and number of observations of each cluster at each point.
    """

    kind: str
    sums: Array | csr_array
    counts: Array | csr_array

    @property
    def size(self) -> int:
        """Number of clusters."""
        return int(self.sums.shape[0])

    def binned(self, label: NDArray[np.int64]) -> Clusters:
        """Add up columns of equal label. Labels are 0, 1, … in order."""
        gather = gather_columns(label)
        return replace(self, sums=self.sums @ gather, counts=self.counts @ gather)

    def scaled(self, factor: Array) -> Clusters:
        """Multiply what is observed by factors (n,)."""
        from scipy.sparse import dia_array

        return replace(self, sums=self.sums @ dia_array((factor[None], [0]), shape=(factor.size, factor.size)))

    def lowered(self, constant: float) -> Clusters:
        """Subtract a constant from what is observed."""
        return replace(self, sums=self.sums - constant * self.counts)

    def resampled(self, multiplicity: Array) -> tuple[Array, Array]:
        """Mean curves and weights under given multiplicities.

        The multiplicities are (replicates, clusters), the results two (replicates, n) arrays.
        """
        total = np.asarray((self.counts.T @ multiplicity.T).T)
        value = np.asarray((self.sums.T @ multiplicity.T).T)
        return np.divide(value, total, out=np.zeros_like(value), where=total > 0), total


@dataclass(frozen=True)
class ExposureFacts(Document):
    """How an exposure curve was made from a routing log.

    Attributes
    ----------
    patterns, risk_set : int
        Patterns in the log, and those that reach ``k_max``: they stand behind every point.
    outcome : {"soft", "hard"}
    convention : str
        Key of :data:`cogfit.curves.exposure.CONVENTIONS`.
    k_min, k_max : int
        Window.
    overridden_rows : int
        Rows whose decision was not the router's own.
    overridden_steps : (int, int) or None
        First and last step of these.
    novel_rows : int
    scope : str
        ``"this run"`` or ``"these runs"``.
    """

    patterns: int
    risk_set: int
    outcome: str
    convention: str
    k_min: int
    k_max: int
    overridden_rows: int
    overridden_steps: tuple[int, int] | None
    novel_rows: int
    scope: str


@dataclass(frozen=True)
class Curve:
    """What is fitted: x, y, weights, and what they mean.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
    weights : ndarray, shape (n,)
        Variance of y is σ²/weights.
    counts : ndarray or None
        Observations behind each y.
    axis : str
        ``"exposure"``, ``"step"`` or the name of the column.
    convention : str
        How x is counted, in words.
    measure : str
        One of :data:`cogfit.formulas.form.MEASURES`.
    x_label, y_label : str
    clusters : Clusters or None
    facts : ExposureFacts or None
        How P_episodic(k) was made (None for curves without patterns).
    trajectories : Trajectories or None
        What single patterns say (None for curves without patterns, or with too few).
    rows : ndarray or None
        Rows of the log behind each point (None: one each).
    left_out : mapping of str to int
        Rows of the log behind no point, by reason.
    averaged : mapping of str to int
        How many runs, layers or heads each y is the mean of at most.
    noise : str
        Noise model that is known of the values (of counted outcomes, of known standard errors); ``""``: none.
    warnings : tuple of str
    smoothing : str
        ``""``: none; ``"unknown"``: smoothed before it was logged, by a filter that is not known.
    serial : bool
        Whether the errors of neighbours along x may be correlated. False for values that were observed independently of
        each other (tests of other items, or other people, at every delay).
    """

    x: Array
    y: Array
    weights: Array
    counts: Array | None
    axis: str
    convention: str
    measure: str
    x_label: str = "x"
    y_label: str = "y"
    clusters: Clusters | None = None
    facts: ExposureFacts | None = None
    warnings: tuple[str, ...] = field(default=())
    smoothing: str = ""
    serial: bool = True
    trajectories: Trajectories | None = None
    rows: NDArray[np.int64] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    averaged: Mapping[str, int] = field(default_factory=dict)
    noise: str = ""

    def __repr__(self) -> str:
        return f"<Curve: {self.x.size:,} points of {self.y_label} against {self.x_label} ({self.axis} axis)>"

    @property
    def n_rows(self) -> int:
        """Rows of the log behind the points."""
        return self.x.size if self.rows is None else int(self.rows.sum())

    @property
    def resampleable(self) -> bool:
        """Whether there are clusters enough to resample."""
        return self.clusters is not None and self.clusters.size >= MIN_CLUSTERS

    def in_units(self, x: float, y: float) -> Curve:
        """Return the curve in units of x and y."""
        clusters = self.clusters
        if clusters is not None:
            clusters = replace(clusters, sums=clusters.sums / y)
        return replace(self, x=self.x / x, y=self.y / y, clusters=clusters)

    def take(self, keep: NDArray[np.bool_], reason: str = "") -> Curve:
        """Return the curve restricted to some points.

        The points where `keep` is true stay. The rows behind the others are left out for a reason.
        """
        clusters = self.clusters
        if clusters is not None:
            clusters = replace(clusters, sums=clusters.sums[:, keep], counts=clusters.counts[:, keep])
        counts = None if self.counts is None else self.counts[keep]
        rows = None if self.rows is None else self.rows[keep]
        shorter = replace(
            self,
            x=self.x[keep],
            y=self.y[keep],
            weights=self.weights[keep],
            counts=counts,
            clusters=clusters,
            rows=rows,
        )
        lost = self.n_rows - shorter.n_rows
        return replace(shorter, left_out={**self.left_out, reason: lost}) if lost else shorter


def dense_codes(code: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Like np.unique(..., return_inverse=True) for small non-negative integers, without sorting."""
    present = np.bincount(code) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[code]


def cluster_table(
    cluster: NDArray[np.int64],
    column: NDArray[np.int64],
    value: Array,
    rows: int,
    width: int,
    keep: NDArray[np.bool_],
) -> tuple[Any, Any]:
    """Sum and count of `value` by cluster and column.

    Restricted to the clusters kept.
    """
    if rows * width <= _DENSE_CELLS:
        cell = cluster * width + column
        sums = np.bincount(cell, value, rows * width).reshape(rows, width)
        counts = np.bincount(cell, minlength=rows * width).reshape(rows, width).astype(float)
        return (sums, counts) if keep.all() else (sums[keep], counts[keep])
    from scipy.sparse import coo_array

    shape = (rows, width)
    sums = coo_array((value, (cluster, column)), shape=shape).tocsr()
    counts = coo_array((np.ones(value.size), (cluster, column)), shape=shape).tocsr()
    return sums[keep], counts[keep]


def gather_columns(label: NDArray[np.int64]) -> csr_array:
    """Matrix that adds up columns of equal label.

    When it is multiplied from the right.
    """
    from scipy.sparse import coo_array

    shape = (label.size, int(label.max()) + 1)
    return coo_array((np.ones(label.size), (np.arange(label.size), label)), shape=shape).tocsr()
