"""By which way an answer comes.

A router's P_episodic(k) is the share of answers that come by attention over stored episodes. In people the share of
answers by a route over repetition is known from remember/know judgements. Both are probabilities against the number of
earlier presentations; in all else they differ, and every difference is named beside the number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from cogfit import fitting
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER
from cogfit.people.dataset import ROUTES, Dataset, Series
from cogfit.people.exponent import COUNTS, MEAN, Exponent
from cogfit.records.codec import Document, Nan, wire
from cogfit.records.sentence import number_of
from cogfit.result import FitResult

MODEL_ROUTE = "slow route of a model"

_MODEL_MEASURE, _MODEL_AXIS = "strategy", "repetition"


@dataclass(frozen=True)
class RouteShare(Document):
    """Share of answers by one route, over repetition.

    Attributes
    ----------
    exponent : Exponent
        Of the power law.
    route : str
        A key of :data:`cogfit.people.dataset.ROUTES`.
    share_of : str
        The denominator, in words.
    x_min, x_max : float
        Earlier presentations over which it was fitted.
    differences : tuple of str
        In what it still differs from the model's share; empty for the model.
    amplitude : float
        The law at k = 1.
    x, y : ndarray
        Earlier presentations, and the share.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"direction": "direction"}

    exponent: Exponent
    route: str
    share_of: str
    x_min: float
    x_max: float
    differences: tuple[str, ...] = ()
    amplitude: Nan = math.nan
    x: Array = field(default_factory=lambda: np.zeros(0), metadata=wire(skip=True))
    y: Array = field(default_factory=lambda: np.zeros(0), metadata=wire(skip=True))

    @property
    def direction(self) -> str:
        """Whether the share ``"falls"`` or ``"rises"``, or it is ``"undecided"``."""
        if self.exponent.low > 0.0:
            return "falls"
        return "rises" if self.exponent.high < 0.0 else "undecided"


@dataclass(frozen=True)
class Routes(Document):
    """A model's share beside those of people.

    Attributes
    ----------
    model : RouteShare
    people : tuple of RouteShare
    algorithm : str
        What is known of the share of the algorithm in people.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"sentence": "sentence"}

    model: RouteShare
    people: tuple[RouteShare, ...]
    algorithm: str = ""

    @property
    def sentence(self) -> str:
        """What follows from the signs, and no more."""
        signs = {route: self._direction(route) for route in ("recollection", "knowing", "familiarity")}
        if self.model.direction == "falls" and signs["recollection"] == "rises" and signs["knowing"] == "falls":
            return (
                "In people recollection grows with repetition; a model's falling P_episodic(k) has the sign of the "
                "know share and of the algorithm in Logan's theory, not of recollection."
            )
        parts = [f"{_TITLES[route]} {_SAID[sign]}" for route, sign in signs.items() if sign]
        return f"The model's P_episodic(k) {_SAID[self.model.direction]} with repetition; in people {', '.join(parts)}."

    def _direction(self, route: str) -> str:
        """Direction of a route in people, under every denominator."""
        found = {share.direction for share in self.people if share.route == route}
        if not found:
            return ""
        return found.pop() if len(found) == 1 else "undecided"


_SAID = {"falls": "falls", "rises": "grows", "undecided": "is not known to fall or grow"}
_TITLES = {"recollection": "recollection", "knowing": "the know share", "familiarity": "familiarity, K/(1 − R),"}


def compare_routes(
    model: Exponent | None,
    fit: FitResult,
    people: Sequence[Dataset],
    level: float = 0.95,
    algorithm: str = "",
) -> Routes | None:
    """Put a model's slow route beside people's routes.

    All are shares of answers.

    Parameters
    ----------
    model : Exponent or None
        Of the power law, of a probability against earlier presentations.
    fit : FitResult
        Of the run it comes from.
    people : sequence of Dataset
        Those that are shares of a route over repetition are used.
    level : float
        Of the intervals.
    algorithm : str
        What is known of the algorithm in people.

    Returns
    -------
    Routes or None
        None where one of the two sides has no such share.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> from cogfit.people.exponent import PERSON, Exponent
    >>> k = np.arange(1.0, 101.0)
    >>> fit = cogfit.fit(k, 0.9 * k**-0.4, form="power")
    >>> run = Exponent("a run", "model", 0.4, 0.3, 0.5, "power", "gaussian", "strategy", "", "repetition", "item",
    ...                "prior", PERSON)
    >>> found = compare_routes(run, fit, [cogfit.human("reder2000_remember_old")])
    >>> found.people[0].route, found.people[0].direction
    ('recollection', 'rises')
    """
    if model is None or (model.measure, model.axis) != (_MODEL_MEASURE, _MODEL_AXIS):
        return None
    shares, span = [], (float(fit.x.min()), float(fit.x.max()))
    for dataset in people:
        if dataset.route is None or dataset.kind != "curve" or dataset.axis != _MODEL_AXIS:
            continue
        try:
            every = dataset.series()
        except InputError:  # a damaged set is told of elsewhere
            continue
        shares += [_share(series, model, span, level) for series in every]
    if not shares:
        return None
    own = RouteShare(
        model, MODEL_ROUTE, "queries of recurring patterns", *span, amplitude=_amplitude(fit), x=fit.x, y=fit.y
    )
    return Routes(own, tuple(shares), algorithm)


def _amplitude(fit: FitResult) -> float:
    """A of the power law, NaN if not fitted."""
    law = next((item for item in fit.forms if item.name == POWER), None)
    return math.nan if law is None else law.estimate.params["A"]


def _share(series: Series, model: Exponent, of_model: tuple[float, float], level: float) -> RouteShare:
    """Exponent of one human share, and what sets it apart."""
    about = series.dataset
    can_count = {model.convention, series.convention} <= set(COUNTS)
    counted = series.under(model.convention) if can_count else series
    fit = fitting.fit(counted.curve(), form=POWER, level=level)
    low, high = fit.interval or (-math.inf, math.inf)
    exponent = Exponent(
        label=f"{about.id.split('_')[0]}, {series.name}" if series.labels else about.id.split("_")[0],
        side="human",
        gamma=math.nan if fit.gamma is None else fit.gamma,
        low=low,
        high=high,
        form=POWER,
        noise=fit.noise,
        measure=about.measure,
        scale=about.scale,
        axis=about.axis,
        repeated=about.repeated or "",
        convention=counted.convention,
        averaging=MEAN,
        n=series.n,
        source=about.citation,
        study=about.citation,
        notes=fit.warnings,
    )
    share_of = about.scale.split(",")[0].removeprefix("share of ")
    span = (float(fit.x.min()), float(fit.x.max()))
    route = about.route or ""
    share = RouteShare(exponent, route, share_of, *span, amplitude=_amplitude(fit), x=fit.x, y=fit.y)
    return replace(share, differences=tuple(_differences(share, series, model, of_model)))


def _differences(share: RouteShare, series: Series, model: Exponent, span: tuple[float, float]) -> list[str]:
    """In what a human share differs from the model's."""
    human, about = share.exponent, series.dataset
    people = "people" if human.n is None else number_of(human.n, "person", "people")
    out = [
        f"route: {ROUTES[share.route]} against {ROUTES[MODEL_ROUTE]}",
        f"level: the mean of {people} against {model.averaging}" + (f" (n = {model.n})" if (model.n or 1) > 1 else ""),
        f"range: {share.x_min:g}–{share.x_max:g} against {span[0]:,.6g}–{span[1]:,.6g} presentations",
    ]
    if human.noise != model.noise:
        out.append(f"noise model: {human.noise} against {model.noise}")
    if human.convention != model.convention:
        out.append(f"convention: k counts {human.convention} against {model.convention}")
    if model.verdict in ("not_supported", "not_identified"):
        out.append("form: the model's curve is no power law, its γ a slope over its window")
    out += [f"confound: {note}" for note in about.notes[:2]]
    return out
