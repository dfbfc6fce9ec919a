"""One power-law exponent, and everything its meaning depends on.

Two exponents mean the same only if measure, scale, axis, unit of repetition, counting convention, form, noise model and
level of averaging agree (:data:`ASPECTS`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cogfit.formulas.registry import get_form
from cogfit.inference.interval import format_interval
from cogfit.records.codec import Document

PERSON = "one person or run"
MEAN = "mean curve over persons or runs"
DISTRIBUTION = "mean of the exponents of single persons or runs"


COUNTS = {"prior": "earlier presentations", "inclusive": "presentations including this one"}
"""Conventions that can be changed into each other, and what k counts under them."""


@dataclass(frozen=True)
class Exponent(Document):
    """One γ and everything its meaning depends on.

    Attributes
    ----------
    label : str
    side : {"model", "human", "claimed"}
    gamma, low, high : float
        Estimate and limits; NaN where none is stated.
    form, noise : str
        Name of the form, noise model of the fit.
    measure, scale : str
        What y is; a key of :data:`cogfit.people.catalogue.MEASURES` or ``"strategy"``, and its scale in words.
    axis, repeated, convention : str
        What x counts, of what, and how; keys of the catalogue's vocabularies. A convention that the catalogue does
        not have stands here in the words of the fit.
    averaging : str
        Level of averaging.
    n : int or None
        Runs or subjects behind it.
    subjects_known : bool
        Whether the limits come from the spread over subjects (or runs).
    verdict : str
        Of the power law for this curve; empty where it was not asked.
    source : str
        File or citation.
    study : str
        What counts as one independent study.
    done : tuple of str
        How it was brought to the common form, if it was.
    notes : tuple of str
    scope : str
        What of a log it was fitted to, where the log holds more.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"unbounded": "_unbounded"}

    label: str
    side: str
    gamma: float
    low: float
    high: float
    form: str = ""
    noise: str = ""
    measure: str = ""
    scale: str = ""
    axis: str = ""
    repeated: str = ""
    convention: str = ""
    averaging: str = ""
    n: int | None = None
    subjects_known: bool = False
    verdict: str = ""
    source: str = ""
    study: str = ""
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scope: str = ""

    @property
    def shown(self) -> str:
        """γ with its interval, in words for a table."""
        if math.isnan(self.gamma):
            return format_interval((self.low, self.high)) if not math.isnan(self.low) else "–"
        limits = "" if math.isnan(self.low) else f" {format_interval((self.low, self.high))}"
        return f"{self.gamma:.3f}{limits}"

    @property
    def has_limits(self) -> bool:
        """Whether both limits are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def _unbounded(self) -> list[str]:
        return [side for side in ("low", "high") if math.isinf(getattr(self, side))]


def heading(exponent: Exponent) -> str:
    """Name the group of an exponent, by measure and axis."""
    axis = f"{exponent.axis} of {exponent.repeated}" if exponent.repeated else exponent.axis
    return f"{exponent.measure} against {axis}"


@dataclass(frozen=True)
class Aspect:
    """One thing in which two exponents have to agree.

    Attributes
    ----------
    name : str
        Of the attribute of :class:`Exponent`.
    title : str
    why : str
        What goes wrong otherwise.
    refit : bool
        Whether fitting anew may bring both sides together; for a convention :attr:`Obstacle.refit` knows.
    """

    name: str
    title: str
    why: str
    refit: bool = False


ASPECTS: tuple[Aspect, ...] = (
    Aspect("measure", "measure", "the exponent of a time is not that of a probability, nor that of an error rate"),
    Aspect("axis", "axis", "learning by repetition and forgetting over time are different processes"),
    Aspect(
        "repeated", "unit of repetition", "practice of one item, of a task and of new material are different things"
    ),
    Aspect("averaging", "level of averaging", "averages over subjects follow power laws where no subject does"),
    Aspect("convention", "counting convention", "k and k + 1 give different exponents", refit=True),
    Aspect(
        "form", "form", "a floor or a shift changes the exponent, and even its order between conditions", refit=True
    ),
    Aspect("noise", "noise model", "least squares and log-normal likelihood weight the curve differently", refit=True),
)
"""What has to agree, what cannot be mended first."""

_OF_REPETITIONS = "repeated"  # nothing is repeated along a delay, so there is nothing to agree in
_FREE_SCALE = ("effect", "count", "other")  # measures without a natural unit: there the scale has to agree, too


@dataclass(frozen=True)
class Obstacle:
    """One aspect in which two exponents differ.

    Attributes
    ----------
    aspect : Aspect
    model, human : str
        What each side says; empty where it is not known.
    """

    aspect: Aspect
    model: str
    human: str

    @property
    def refit(self) -> bool:
        """Whether fitting anew can bring both sides together."""
        is_counted = {self.model, self.human} <= set(COUNTS)
        return self.aspect.refit and (is_counted or self.aspect.name != "convention")

    def __str__(self) -> str:
        return f"{self.aspect.title}: {self.model or 'not known'} against {self.human or 'not known'}"


def obstacles(model: Exponent, human: Exponent) -> tuple[Obstacle, ...]:
    """Return everything in which two exponents differ.

    They may be compared if there is nothing. What is not known on either side counts as different; what is repeated
    is asked of repetitions only.

    Examples
    --------
    >>> from dataclasses import replace
    >>> a = Exponent("a run", "model", 0.4, 0.3, 0.5, "power", "gaussian", "strategy", "", "repetition", "item",
    ...              "prior", PERSON)
    >>> [item.aspect.name for item in obstacles(a, replace(a, measure="latency", form="power_floor"))]
    ['measure', 'form']
    """
    out = []
    never_repeats = model.axis == human.axis and model.axis not in ("repetition", "")
    for aspect in ASPECTS:
        if aspect.name == _OF_REPETITIONS and never_repeats:
            continue
        of_model, of_human = getattr(model, aspect.name), getattr(human, aspect.name)
        if of_model != of_human or not of_model:
            out.append(Obstacle(aspect, of_model, of_human))
    if model.measure == human.measure and model.measure in _FREE_SCALE and model.scale != human.scale:
        out.append(Obstacle(Aspect("scale", "scale", "scores have no common unit"), model.scale, human.scale))
    return tuple(out)


def disagreements(one: Exponent, other: Exponent) -> tuple[Obstacle, ...]:
    """Return everything in which two runs contradict each other.

    Unlike people and a model, runs of one procedure are alike in what neither of them says.

    Examples
    --------
    >>> from dataclasses import replace
    >>> a = Exponent("a run", "model", 0.4, 0.3, 0.5, "power", "gaussian", axis="stream", averaging=PERSON)
    >>> disagreements(a, a), [str(item) for item in disagreements(a, replace(a, measure="error"))]
    ((), ['measure: not known against error'])
    """
    return tuple(item for item in obstacles(one, other) if item.model != item.human)


def difference(model: Exponent, human: Exponent) -> tuple[float, float, float]:
    """Return γ of the model less that of people.

    Its limits have the confidence of both intervals. They come from the limits of both, which need not be symmetric
    (MOVER: Zou & Donner 2008, Stat. Med. 27:1693, eq. 3).

    Examples
    --------
    >>> from dataclasses import replace
    >>> a = Exponent("a", "model", 0.5, 0.4, 0.6)
    >>> [round(v, 3) for v in difference(a, replace(a, gamma=0.2, low=0.1, high=0.3))]
    [0.3, 0.159, 0.441]
    """
    estimate = model.gamma - human.gamma
    low = estimate - math.hypot(model.gamma - model.low, human.high - human.gamma)
    high = estimate + math.hypot(model.high - model.gamma, human.gamma - human.low)
    return estimate, low, high


def describe(exponent: Exponent) -> str:
    """Name an exponent as the subject of a sentence."""
    is_mean = exponent.averaging == DISTRIBUTION or (exponent.side, exponent.averaging) == ("model", MEAN)
    return f"The {exponent.label}" if is_mean else f"The curve of {exponent.label}"


def form_title(form: str) -> str:
    """Return the title of a form, "" for no form."""
    return get_form(form).title if form else ""
