"""Who is left at the end of a curve.

Where items, people or patterns leave or enter as k grows, the mean over whoever is there changes although nobody does.
The power law is fitted to the fixed set beside the pooled one, over the same values of x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cogfit import fitting
from cogfit.curves.curve import Curve
from cogfit.curves.exposure import Outcome, exposure_curve
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER
from cogfit.inference.interval import format_interval
from cogfit.logs.model import Log, RoutingLog
from cogfit.people.dataset import Dataset, Series
from cogfit.records.codec import Document, High, Low, Nan, wire
from cogfit.records.sentence import number_of, say
from cogfit.result import FitResult

LEAST_STAYING = 3
"""Fewer that stay than these are no fixed set."""

_LEAST_POINTS = 4
_DIFFERS = "either γ outside the other's interval"


@dataclass(frozen=True)
class Exponent(Document):
    """γ of the power law with limits and points."""

    gamma: Nan
    low: Low
    high: High
    amplitude: Nan = math.nan
    x: Array = field(default_factory=lambda: np.zeros(0), metadata=wire(skip=True))
    y: Array = field(default_factory=lambda: np.zeros(0), metadata=wire(skip=True))

    def __str__(self) -> str:
        return f"{self.gamma:.3g} {format_interval((self.low, self.high))}"

    def holds(self, gamma: float) -> bool:
        """Whether a value lies inside the limits."""
        return self.low <= gamma <= self.high


@dataclass(frozen=True)
class Survivorship(Document):
    """Exponent of the pooled set beside the fixed one.

    Attributes
    ----------
    kind : str
        What leaves or enters.
    n_leave, n_enter, n_stay : int or None
        How many; None where only the two curves are known.
    x_min, x_max : float
        Values of x over which both are fitted.
    pooled, fixed : Exponent
    labels : mapping of str to str
        Of the curve.
    fixed_set : str
        Data set of the fixed items, if it is one of its own.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"differs": "differs", "statement": "statement"}

    kind: str
    n_leave: int | None
    n_enter: int | None
    n_stay: int | None
    x_min: float
    x_max: float
    pooled: Exponent
    fixed: Exponent
    labels: Mapping[str, str] = field(default_factory=dict)
    fixed_set: str = ""

    @property
    def differs(self) -> bool:
        """Whether either exponent lies outside the other's interval."""
        gammas = (self.pooled.gamma, self.fixed.gamma)
        return not any(math.isnan(g) for g in gammas) and not (
            self.pooled.holds(self.fixed.gamma) and self.fixed.holds(self.pooled.gamma)
        )

    @property
    def statement(self) -> str:
        """What follows, in a sentence."""
        who = f"{self.kind} leave or enter along the curve"
        if self.n_stay is not None:
            one = self.kind.removesuffix("s")
            leave = number_of(self.n_leave or 0, f"{one} leaves", f"{self.kind} leave")
            enter, stay = number_of(self.n_enter or 0, "enters", "enter"), number_of(self.n_stay, "stays", "stay")
            who = f"{leave} and {enter} along the curve, {stay}"
        over = f"over x = {self.x_min:g}–{self.x_max:g}"
        if self.differs:
            return (
                f"{who} (survivorship): pooled γ = {self.pooled} {over}, but {self.fixed} for the same {self.kind} "
                "throughout: the pooled curve shows who is left"
            )
        return f"{who}; it does not show in γ: pooled {self.pooled} {over}, the fixed set {self.fixed}"


def survivorship_of(
    series: Series, *, level: float = 0.95, rng: int = 0, find: Callable[[str], Dataset] | None = None
) -> Survivorship | None:
    """Fit the fixed set beside the pooled one.

    The fixed set is another table that the description names, or those clusters that have a value at every x.

    Parameters
    ----------
    series : Series
    level : float
    rng : int
    find : callable, optional
        Data set by id, for a named fixed set.

    Returns
    -------
    Survivorship or None
        None where nobody leaves or enters, or nothing is known of who does.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.survivorship import survivorship_of
    >>> (words,) = cogfit.human("sense2016_all_words").series()
    >>> found = survivorship_of(words, find=cogfit.human)
    >>> found.differs, round(found.pooled.gamma, 2), round(found.fixed.gamma, 2)
    (True, 0.06, 0.34)
    """
    about = series.dataset
    if about.fixed_set is not None and find is not None:
        return _of_named_set(series, find(about.fixed_set), level, rng)
    if series.clusters is None or about.kind != "curve":
        return None
    names, who = np.unique(series.clusters, return_inverse=True)
    points, at = np.unique(series.x, return_inverse=True)
    is_there: NDArray[np.bool_] = np.zeros((names.size, points.size), dtype=bool)
    is_there[who, at] = True
    stays: NDArray[np.bool_] = np.asarray(is_there.all(axis=1))
    if stays.all() or stays.sum() < LEAST_STAYING:
        return None
    fixed = series.take(stays[who]).curve()
    return replace(_beside(series.curve(), fixed, f"{about.level}s", is_there, level, rng), labels=dict(series.labels))


def _of_named_set(series: Series, dataset: Dataset, level: float, rng: int) -> Survivorship:
    """The curve beside that of the table of fixed items."""
    (fixed,) = dataset.series(**{k: v for k, v in series.labels.items() if k in dataset.columns.series})
    fixed = fixed if fixed.convention == series.convention else fixed.under(series.convention)
    low, high = max(series.x.min(), fixed.x.min()), min(series.x.max(), fixed.x.max())
    pooled, kept = (one.take((one.x >= low) & (one.x <= high)).curve() for one in (series, fixed))
    kind = f"{series.dataset.repeated or 'item'}s"
    found = _beside(pooled, kept, kind, None, level, rng)
    return replace(found, labels=dict(series.labels), fixed_set=dataset.id)


def survivorship_of_patterns(
    routing: RoutingLog,
    *,
    level: float = 0.95,
    rng: int = 0,
    outcome: Outcome = "auto",
    convention: str = "prior",
    k_min: int | None = None,
    k_max: int | None = None,
) -> Survivorship | None:
    """Fit patterns that stay beside all patterns.

    :func:`cogfit.exposure_curve` takes those that stay to the end of its window.

    Parameters
    ----------
    routing : RoutingLog
    level : float
    rng : int
    outcome, convention, k_min, k_max
        Of the curve: see :func:`cogfit.exposure_curve`.

    Returns
    -------
    Survivorship or None
        None where all patterns of the log stay, or too few points remain.
    """
    try:
        fixed = exposure_curve(routing, outcome=outcome, convention=convention, k_min=k_min, k_max=k_max)
    except InputError:
        return None
    assert fixed.facts is not None
    if fixed.facts.risk_set == fixed.facts.patterns:
        return None
    k_min, k_max = fixed.facts.k_min, fixed.facts.k_max
    pooled = exposure_curve(routing, outcome=outcome, convention=convention, k_min=k_min, k_max=k_max, everyone=True)
    assert pooled.clusters is not None
    counts = pooled.clusters.counts
    rows: Array = counts if isinstance(counts, np.ndarray) else counts.toarray()
    return _beside(pooled, fixed, "patterns", np.greater(rows[rows.any(axis=1)], 0.0), level, rng)


def with_patterns_that_stay(result: FitResult, log: Log, *, rng: int = 0) -> FitResult:
    """Tell in a fit whether patterns leave or enter.

    The fit itself is of those that stay. Where the pooled curve of all patterns has another γ, the finding about
    patterns that is read first says so.

    Parameters
    ----------
    result : FitResult
    log : Log
        That was fitted.
    rng : int

    Returns
    -------
    FitResult
        With the entry ``survivorship`` of ``trajectories``; as it is where all patterns stay.
    """
    facts = result.trajectories
    if log.routing is None or facts is None or result.axis != "exposure":
        return result
    chosen = {name: facts[name] for name in ("outcome", "convention", "k_min", "k_max")}
    found = survivorship_of_patterns(log.routing, level=result.level, rng=rng, **chosen)
    if found is None or math.isnan(found.pooled.gamma) or math.isnan(found.fixed.gamma):
        return result
    others = tuple(facts.get("statements", ()))
    said = say("{statement}", by=survivorship_of_patterns, threshold=_DIFFERS, statement=found.statement)
    statements = (said, *others) if found.differs else (*others, said)
    return replace(result, trajectories={**facts, "survivorship": found.to_json(), "statements": list(statements)})


def _beside(
    pooled: Curve, fixed: Curve, kind: str, is_there: NDArray[np.bool_] | None, level: float, rng: int
) -> Survivorship:
    """Fit both sets.

    `is_there` says who has a value where.
    """
    n_leave = n_enter = n_stay = None
    if is_there is not None:
        last = is_there.shape[1] - 1 - is_there[:, ::-1].argmax(axis=1)
        n_leave, n_enter = int((last < is_there.shape[1] - 1).sum()), int((is_there.argmax(axis=1) > 0).sum())
        n_stay = int(is_there.all(axis=1).sum()) if kind != "patterns" else int((~(last < last.max())).sum())
    return Survivorship(
        kind=kind,
        n_leave=n_leave,
        n_enter=n_enter,
        n_stay=n_stay,
        x_min=float(pooled.x[pooled.x > 0].min()),
        x_max=float(pooled.x.max()),
        pooled=_exponent(pooled, level, rng),
        fixed=_exponent(fixed, level, rng),
    )


def _exponent(curve: Curve, level: float, rng: int) -> Exponent:
    """Exponent of the power law, as :func:`cogfit.fit` gives it."""
    if np.unique(curve.x[curve.x > 0]).size < _LEAST_POINTS:
        return Exponent(math.nan, -math.inf, math.inf)
    fit = fitting.fit(curve, form=POWER, noise=curve.noise or "gaussian", level=level, rng=rng)
    low, high = fit.interval or (-math.inf, math.inf)
    gamma = math.nan if fit.gamma is None else fit.gamma
    return Exponent(gamma, low, high, fit.params.get("A", math.nan), fit.x, fit.y)
