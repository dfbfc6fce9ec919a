"""One power-law exponent and everything its meaning depends on; when two of them mean the same.

Two exponents mean the same only if measure, scale, axis, unit of repetition, counting convention, form, noise model and
level of averaging agree (:data:`ASPECTS`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cogfit.formulas.registry import get_form
from cogfit.inference.interval import format_interval

PERSON = "one person or run"
MEAN = "mean curve over persons or runs"
DISTRIBUTION = "mean of the exponents of single persons or runs"


@dataclass(frozen=True)
class Exponent:
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
        What x counts, of what, and how; keys of the catalogue's vocabularies.
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
    """

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

    @property
    def shown(self) -> str:
        """γ with its interval, in words for a table."""
        if math.isnan(self.gamma):
            return format_interval((self.low, self.high)) if not math.isnan(self.low) else "–"
        limits = "" if math.isnan(self.low) else f" {format_interval((self.low, self.high))}"
        return f"{self.gamma:.3f}{limits}"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: a missing or infinite number is None, with a list of what is unbounded."""
        out: dict[str, Any] = {name: list(v) if isinstance(v, tuple) else v for name, v in self.__dict__.items()}
        for name in ("gamma", "low", "high"):
            out[name] = out[name] if math.isfinite(out[name]) else None
        out["unbounded"] = [n for n in ("low", "high") if math.isinf(getattr(self, n))]
        return out


def heading(one: Exponent) -> str:
    """Group of an exponent: its measure, and what its axis counts."""
    axis = f"{one.axis} of {one.repeated}" if one.repeated else one.axis
    return f"{one.measure} against {axis}"


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
        Whether fitting anew can bring both sides together.
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

_FREE_SCALE = ("effect", "count", "other")  # measures without a natural unit: there the scale has to agree, too


@dataclass(frozen=True)
class Obstacle:
    """One aspect in which two exponents differ.

    Attributes
    ----------
    aspect : Aspect
    mine, theirs : str
    """

    aspect: Aspect
    mine: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.aspect.title}: {self.mine or 'not known'} against {self.theirs or 'not known'}"


def obstacles(mine: Exponent, theirs: Exponent) -> tuple[Obstacle, ...]:
    """Everything in which two exponents differ; they may be compared if there is nothing.

    What is not known on either side counts as different.

    Examples
    --------
    >>> from dataclasses import replace
    >>> a = Exponent("a run", "model", 0.4, 0.3, 0.5, "power", "gaussian", "strategy", "", "repetition", "item",
    ...              "prior", PERSON)
    >>> [item.aspect.name for item in obstacles(a, replace(a, measure="latency", form="power_floor"))]
    ['measure', 'form']
    """
    out = []
    for aspect in ASPECTS:
        one, other = getattr(mine, aspect.name), getattr(theirs, aspect.name)
        if one != other or not one:
            out.append(Obstacle(aspect, one, other))
    if mine.measure == theirs.measure and mine.measure in _FREE_SCALE and mine.scale != theirs.scale:
        out.append(Obstacle(Aspect("scale", "scale", "scores have no common unit"), mine.scale, theirs.scale))
    return tuple(out)


def difference(mine: Exponent, theirs: Exponent) -> tuple[float, float, float]:
    """γ of the one less γ of the other, with limits of the same confidence.

    From the limits of both, which need not be symmetric (MOVER: Zou & Donner 2008, Stat. Med. 27:1693, eq. 3).

    Examples
    --------
    >>> from dataclasses import replace
    >>> a = Exponent("a", "model", 0.5, 0.4, 0.6)
    >>> [round(v, 3) for v in difference(a, replace(a, gamma=0.2, low=0.1, high=0.3))]
    [0.3, 0.159, 0.441]
    """
    gap = mine.gamma - theirs.gamma
    low = gap - math.hypot(mine.gamma - mine.low, theirs.high - theirs.gamma)
    high = gap + math.hypot(mine.high - mine.gamma, theirs.gamma - theirs.low)
    return gap, low, high


def describe(one: Exponent) -> str:
    """Subject of a sentence about an exponent."""
    return f"The {one.label}" if one.averaging == DISTRIBUTION else f"The curve of {one.label}"


def form_title(form: str) -> str:
    """Title of a form by its name, "" where there is none."""
    return get_form(form).title if form else ""
