"""What is asked of a population fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogfit.errors import InputError, nearest

MANY = 2000
"""With more members than these profiles are parabolas, and the curvature of the linearised model is good enough."""

NODES = 7
"""Points of the quadrature along each deviation."""

FEW = 10
"""Fewer members than these are worth a warning."""

METHODS = ("laplace", "quadrature", "linearised")
NOISE = ("gaussian", "lognormal", "binomial", "auto")
COVARIANCES = ("full", "diagonal")


@dataclass(frozen=True)
class Task:
    """What is asked of a fit; see :func:`cogfit.fit_population`.

    Attributes
    ----------
    noise, covariance, method : str
    random, log : sequence of str or None
    logit : sequence of str
    is_restricted : bool
    start : mapping of str to float, or None
    gamma, kind : str or None
    level : float
    """

    noise: str = "gaussian"
    random: Sequence[str] | None = None
    log: Sequence[str] | None = None
    covariance: str = "full"
    method: str = "laplace"
    is_restricted: bool = True
    start: Mapping[str, float] | None = None
    gamma: str | None = None
    kind: str | None = None
    level: float = 0.95
    logit: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _choose("noise", self.noise, NOISE)
        _choose("covariance", self.covariance, COVARIANCES)
        _choose("method", self.method, METHODS)
        if self.noise == "binomial" and self.method == "linearised":
            raise InputError(
                "the linearised model has no likelihood of counts", hint="leave `method` out, or pass 'quadrature'"
            )
        if not 0.0 < self.level < 1.0:
            raise InputError(f"`level` must lie between 0 and 1, not {self.level!r}", hint="for 95 % pass `level=0.95`")


def _choose(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        hint = nearest(str(value), known)
        raise InputError(f"`{option}` must be one of {', '.join(known)}, not {value!r}", hint=hint)


def nodes_of(method: str) -> int:
    """Points of the quadrature along each deviation.

    0 for the linearised model.
    """
    return {"laplace": 1, "quadrature": NODES, "linearised": 0}[method]
