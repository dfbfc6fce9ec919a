"""T7: against a pattern's own exposures the exponent is the index at 0 of the law of consolidation rates.

**Statement.** Each exposure consolidates a pattern with its own probability η, so that P(k) = E[(1−η)^k] is the share
of patterns still attended after k exposures (Eq. 14 of CRAM for such a learner).

- η ~ Beta(a, b): P(k) = B(a, b+k)/B(a, b), and for b + k > 1/2
  Γ(a+b)/Γ(b)·(b+k+a)^−a ≤ P(k) ≤ Γ(a+b)/Γ(b)·(b+k−1/2)^−a: a power law whose exponent is a, shifted by about b.
- Rates λ = −log(1−η) ~ Gamma(γ, rate b): P(k) = (1 + k/b)^−γ, exactly.
- In general P(k) ~ C Γ(a+1) k^−a if and only if P(η ≤ x) ~ C x^a at 0.
- One η for all: P(k) = (1−η)^k, no power law, however the curve is averaged.

The patterns left after k exposures have rates Beta(a, b+k): the k-th exposure consolidates a/(a+b+k−1) of them.

**So** the exponent says how many patterns are nearly impossible to consolidate; the frequencies of the patterns, which
make the exponent of the stream axis (T4), do not enter.

**Assumptions.** Exposures act independently; whether a pattern reaches k exposures does not depend on its η; k counts
*earlier* exposures.

**Reference.** Beta-geometric law: Weinberg & Gladen, Biometrics 42 (1986) 547-560. Gamma mixture of exponentials as the
source of power-law learning curves: Anderson & Tweney, Mem. Cognit. 25 (1997) 724-730; Heathcote, Brown & Mewhort,
Psychon. Bull. Rev. 7 (2000) 185-207. Tauberian theorem: Feller, An Introduction to Probability Theory II, XIII.5.

**Check.** The closed form as a rational identity in a and b; the limits in interval arithmetic; quadrature and
simulated patterns; exposures that depend on η break it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cogfit.curves.exposure import CONVENTIONS
from cogfit.errors import InputError, nearest
from theory.bounds.confidence_sequences import mean_sequence
from theory.proofs.certificates import bundle
from theory.proofs.verdict import Number, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from cogfit import FitResult

Array = NDArray[np.float64]
Family = Literal["beta", "gamma", "point"]


def beta_geometric(k: ArrayLike, a: float, b: float) -> Array:
    """Share P(k) not consolidated by k exposures, Beta rates.

    P(k) = B(a, b+k)/B(a, b) for η ~ Beta(a, b).

    Parameters
    ----------
    k : array_like
        Earlier exposures, 0 or more.
    a, b : float
        Above 0.

    Returns
    -------
    ndarray, shape of k

    Examples
    --------
    >>> beta_geometric([0, 1, 2], 1.0, 1.0).round(4)
    array([1.    , 0.5   , 0.3333])
    """
    x = _exposures(k, a=a, b=b)
    return np.asarray(np.exp(special.betaln(a, b + x) - special.betaln(a, b)))


def limits(k: ArrayLike, a: float, b: float) -> tuple[Array, Array]:
    """Power laws that enclose :func:`beta_geometric`.

    Where b + k > 1/2.

    Parameters
    ----------
    k, a, b
        As for :func:`beta_geometric`.

    Returns
    -------
    low, high : ndarray, shape of k
        ``high`` is inf where b + k ≤ 1/2.

    Examples
    --------
    >>> low, high = limits(1000, 0.43, 2.0)
    >>> bool(low < beta_geometric(1000, 0.43, 2.0) < high), bool(high / low < 1.001)
    (True, True)
    """
    x = b + _exposures(k, a=a, b=b)
    above = np.where(x > 0.5, x - 0.5, 0.0)
    # in logarithms: Γ(a+b)/Γ(b) overflows where the power underflows, at a = 100 already
    scale = _log_rising(a, b)
    with np.errstate(divide="ignore", over="ignore"):
        return np.exp(scale - a * np.log(x + a)), np.exp(scale - a * np.log(above))


def _log_rising(a: float, b: float) -> float:
    """Logarithm of Γ(a+b)/Γ(b), from the quotient itself where it is a finite number."""
    quotient = float(special.poch(b, a))
    if 0 < quotient < math.inf:
        return math.log(quotient)
    return float(special.gammaln(a + b) - special.gammaln(b))


def gamma_mixture(k: ArrayLike, gamma: float, b: float) -> Array:
    """Share P(k) not consolidated by k exposures, Gamma rates.

    P(k) = (1 + k/b)^−γ for rates λ = −log(1−η) ~ Gamma(γ, rate b).

    Parameters
    ----------
    k : array_like
    gamma, b : float
        Above 0.

    Returns
    -------
    ndarray, shape of k

    Examples
    --------
    >>> gamma_mixture([0.0, 3.0], 0.5, 1.0)
    array([1. , 0.5])
    """
    x = _exposures(k, gamma=gamma, b=b)
    return np.asarray(np.exp(-gamma * np.log1p(x / b)))


# ------------------------------------------------------------------------------------------- from a fit to the law


@dataclass(frozen=True)
class MixingLaw:
    """Law of the consolidation rates of patterns.

    Attributes
    ----------
    family : {"beta", "gamma", "point"}
        Of the probability η per exposure (beta), or of the rate λ = −log(1−η) (gamma, or one rate for all).
    shape : float
        a of the Beta law, γ of the Gamma law; inf for one rate.
    scale : float
        b of the Beta law, rate b of the Gamma law (exposures); λ for one rate.
    never : float
        Share of patterns that never consolidate: the floor of the curve.
    low, high : float
        Limits of the shape, which is the exponent of the tail; NaN where it came without.
    """

    family: Family
    shape: float
    scale: float
    never: float = 0.0
    low: float = math.nan
    high: float = math.nan

    @property
    def index(self) -> float:
        """Index at 0 of the law of η.

        P(η ≤ x) ~ x^index among patterns that consolidate; the exponent of the tail.
        """
        return self.shape

    @property
    def mean(self) -> float:
        """Mean η of the patterns that consolidate.

        Share consolidated by the first exposure.
        """
        return float(1.0 - _FAMILIES[self.family].remaining(np.array(1.0), self.shape, self.scale))

    def curve(self, k: ArrayLike) -> Array:
        """Share of patterns still attended after k exposures.

        Parameters
        ----------
        k : array_like
            0 or more.

        Returns
        -------
        ndarray, shape of k
        """
        remaining = _FAMILIES[self.family].remaining(np.asarray(k, dtype=float), self.shape, self.scale)
        return np.asarray(self.never + (1.0 - self.never) * remaining)

    def slower(self, eta: ArrayLike) -> Array:
        """Share of patterns that consolidate this slowly.

        Their probability of consolidation per exposure is η or less.

        Parameters
        ----------
        eta : array_like
            0 to 1.

        Returns
        -------
        ndarray, shape of eta
        """
        below = _FAMILIES[self.family].below(np.asarray(eta, dtype=float), self.shape, self.scale)
        return np.asarray(self.never + (1.0 - self.never) * below)

    def sample(self, size: int, rng: int | np.random.Generator = 0) -> Array:
        """Probabilities η of random patterns, shape (size,)."""
        generator = np.random.default_rng(rng)
        eta = _FAMILIES[self.family].draw(generator, size, self.shape, self.scale)
        return np.where(generator.random(size) < self.never, 0.0, eta)

    def __str__(self) -> str:
        text = _FAMILIES[self.family].words.format(self=self)
        limits = "" if math.isnan(self.low) else f" [{self.low:.3g}, {self.high:.3g}]"
        tail = "no power law" if math.isinf(self.shape) else f"tail exponent {self.shape:.3g}{limits}"
        never = f"; a share of {self.never:.3g} never consolidates" if self.never > 0.0 else ""
        return f"{text}: {tail}, {self.mean:.3g} consolidated by the first exposure{never}"


@dataclass(frozen=True)
class _Family:
    words: str
    remaining: Callable[[Array, float, float], Array]
    below: Callable[[Array, float, float], Array]
    draw: Callable[[np.random.Generator, int, float, float], Array]


def _rate(eta: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log1p(-eta))


_FAMILIES: Mapping[str, _Family] = {
    "beta": _Family(
        words="η ~ Beta({self.shape:.3g}, {self.scale:.3g})",
        remaining=beta_geometric,
        below=lambda eta, a, b: special.betainc(a, b, eta),
        draw=lambda rng, size, a, b: rng.beta(a, b, size),
    ),
    "gamma": _Family(
        words="λ = −log(1−η) ~ Gamma({self.shape:.3g}, rate {self.scale:.3g})",
        remaining=gamma_mixture,
        below=lambda eta, g, b: special.gammainc(g, b * _rate(eta)),
        draw=lambda rng, size, g, b: -np.expm1(-rng.gamma(g, 1.0 / b, size)),
    ),
    "point": _Family(
        words="every pattern at the rate λ = {self.scale:.3g}",
        remaining=lambda k, _, rate: np.exp(-rate * k),
        below=lambda eta, _, rate: np.where(_rate(eta) >= rate, 1.0, 0.0),
        draw=lambda rng, size, _, rate: np.full(size, -math.expm1(-rate)),
    ),
}

_FORMS: Mapping[str, tuple[Family, str, str]] = {
    "beta_geometric": ("beta", "gamma", "b"),
    "shifted_power": ("gamma", "gamma", "b"),
    "shifted_power_floor": ("gamma", "gamma", "b"),
    "hyperbolic": ("gamma", "", "b"),
    "exponential": ("point", "", "r"),
    "exponential_floor": ("point", "", "r"),
}
"""Form -> family, name of the shape, name of the scale."""


def mixing_law(
    form: str | FitResult,
    params: Mapping[str, float] | None = None,
    *,
    axis: str | None = None,
    first: int | None = None,
) -> MixingLaw:
    """Law of consolidation rates that a curve implies.

    The curve is against a pattern's own exposures.

    Parameters
    ----------
    form : str or FitResult
        ``"beta_geometric"``, ``"shifted_power"``, ``"hyperbolic"``, ``"exponential"`` (also with floor), or a fit of
        one of them.
    params : mapping, optional
        Parameters of the form by name; taken from the fit.
    axis : str, optional
        What x counts. Numbers need ``axis="exposure"`` (or ``"repetition"``); it is taken from a fit, where it may be
        given if the fit does not know.
    first : {0, 1}, optional
        x of a pattern's first presentation: 0 where x counts earlier ones, 1 where it counts this one, too. Taken from
        the fit; 0 by default.

    Returns
    -------
    MixingLaw
        Of the height above the floor, whatever its scale.

    Raises
    ------
    InputError
        For any other axis: against stream length the exponent is one of frequencies (theorem T4,
        :func:`theory.zipf_exponent`); for forms that are no such mixture, and fits that ran into a bound.

    Examples
    --------
    >>> law = mixing_law("shifted_power", {"A": 0.9, "gamma": 0.43, "b": 2.0}, axis="exposure")
    >>> print(law)
    λ = −log(1−η) ~ Gamma(0.43, rate 2): tail exponent 0.43, 0.16 consolidated by the first exposure
    >>> law.curve([0, 1]).round(4)
    array([1.  , 0.84])
    """
    if isinstance(form, str):
        curve = _Curve(form, dict(params or {}), axis, first)
    else:
        curve = _from_fit(form, axis, first)
    _needs_exposures(curve.axis)
    if curve.form not in _FORMS:
        is_power = curve.form in ("power", "power_floor")
        hint = "fit 'shifted_power' or 'beta_geometric'" if is_power else nearest(curve.form, _FORMS)
        raise InputError(f"the form '{curve.form}' is not read as a mixture of consolidation rates", hint=hint)
    if curve.first not in (None, 0, 1):
        raise InputError(f"`first` is {curve.first}", hint="use 0 or 1")
    family, shape, _ = _FORMS[curve.form]
    a, b, amplitude, floor = _parameters(curve.form, curve.params)
    if curve.first and family != "point":  # x = k + 1: the same form with b larger by 1, and another height
        amplitude *= float(_FAMILIES[family].remaining(np.array(1.0), a, b))
        b += 1.0
    elif curve.first:
        amplitude *= math.exp(-b)
    ends = curve.ends if shape else (math.nan, math.nan)
    return MixingLaw(family, a, b, floor / (floor + amplitude), *ends)


@dataclass(frozen=True)
class _Curve:
    """What is known about a curve.

    Its form, its x, limits of its γ.
    """

    form: str
    params: Mapping[str, float]
    axis: str | None
    first: int | None
    ends: tuple[float, float] = (math.nan, math.nan)


def _from_fit(fit: FitResult, axis: str | None, first: int | None) -> _Curve:
    stuck = [name for name in fit.selected.estimate.at_bound if name in ("gamma", "b", "r")]
    if stuck:
        hint = "the curve is no such mixture; an exponential or a step may describe it (fit.forms)"
        raise InputError(f"the fit of '{fit.form}' ran into the bound of {stuck[0]}", hint=hint)
    # what the fit knows about its x counts where the caller says nothing
    axis = fit.axis if axis is None or fit.axis == "stream" else axis
    first = int(fit.convention == CONVENTIONS["inclusive"]) if first is None else first
    return _Curve(fit.form, fit.params, axis, first, fit.interval or (math.nan, math.nan))


def _parameters(form: str, values: Mapping[str, float]) -> tuple[float, float, float, float]:
    """Shape, scale, height and floor of a form.

    The height is that above the floor.
    """
    family, shape, scale = _FORMS[form]
    no_shape = 1.0 if family == "gamma" else math.inf  # hyperbolic: γ = 1; exponential: one rate
    try:
        a = float(values[shape]) if shape else no_shape
        b, amplitude, floor = float(values[scale]), float(values.get("A", 1.0)), float(values.get("c", 0.0))
    except KeyError as error:
        raise InputError(f"the form '{form}' needs a value for {error}") from error
    if not (a > 0.0 and 0.0 < b < math.inf and amplitude > 0.0 and floor >= 0.0):
        raise InputError(f"parameters of the form '{form}' out of range: {values}")
    return a, b, amplitude, floor


def _needs_exposures(axis: str | None) -> None:
    """Raise InputError unless the axis counts a pattern's own exposures."""
    if axis == "stream":
        raise InputError(
            "γ on the stream axis is an exponent of frequencies, not of consolidation rates",
            hint="use theory.zipf_exponent (theorem T4)",
        )
    if axis not in ("exposure", "repetition"):
        raise InputError(
            "no axis is given" if axis is None else f"the axis is '{axis}', not a pattern's own exposures",
            hint='pass axis="exposure" if x counts the presentations of single patterns',
        )


def _exposures(k: ArrayLike, **positive: float) -> Array:
    x = np.asarray(k, dtype=float)
    if not np.all(x >= 0.0):
        raise InputError("exposures are counted from 0")
    for name, value in positive.items():
        if not 0.0 < value < math.inf:
            raise InputError(f"`{name}` is {value}", hint="give a number above 0")
    return x


# ----------------------------------------------------------------------------------- simulation, figure, certificate


def simulate(
    law: MixingLaw, k: ArrayLike, *, patterns: int = 1000, level: float = 0.99, rng: int | np.random.Generator = 0
) -> tuple[Array, Array, Array]:
    """Simulated share of patterns not consolidated by k exposures.

    Parameters
    ----------
    law : MixingLaw
    k : array_like
    patterns : int
    level : float
        Of the confidence sequence over the patterns, for each k by itself.
    rng : int or numpy Generator

    Returns
    -------
    mean, low, high : ndarray, shape of k

    Examples
    --------
    >>> law = MixingLaw("beta", 0.43, 2.0)
    >>> mean, low, high = simulate(law, [1, 10, 100])
    >>> bool(np.all((low < law.curve([1, 10, 100])) & (law.curve([1, 10, 100]) < high)))
    True
    """
    generator = np.random.default_rng(rng)
    eta, x = law.sample(patterns, generator), np.asarray(k, dtype=float)
    with np.errstate(divide="ignore"):
        last = np.where(eta > 0.0, np.ceil(np.log(generator.random(patterns)) / np.log1p(-eta)), np.inf)
    left = (last[:, None] > x.ravel()).astype(float)
    sequences = [mean_sequence(column, level=level) for column in left.T]
    ends = ([limit.lower[-1] for limit in sequences], [limit.upper[-1] for limit in sequences])
    mean, low, high = (np.asarray(part).reshape(x.shape) for part in (left.mean(axis=0), *ends))
    return mean, low, high


def curves() -> pd.DataFrame:
    """Share of patterns still attended against exposures.

    For mixtures with the exponent 0.43 and for one rate.

    Returns
    -------
    pandas.DataFrame
        One row per law and exposure: ``curve`` (label), ``family``, ``k``, ``exact``, ``low`` and ``high`` (the
        theorem's power laws; equal to ``exact`` where that is one, NaN for one rate), ``exponent`` (local, between k
        and k + 1, NaN at 0), and ``achieved`` with ``achieved_low``, ``achieved_high`` at some k (99 %), NaN elsewhere.
    """
    import pandas as pd

    k = np.unique(np.concatenate([[0.0], np.geomspace(1.0, 1e4, 49).round()]))
    tables = []
    for law in (MixingLaw("beta", 0.43, 1.0), MixingLaw("gamma", 0.43, 1.0), MixingLaw("point", math.inf, 0.05)):
        exact = law.curve(k)
        low, high = limits(k, law.shape, law.scale) if law.family == "beta" else (exact, exact)
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = -np.log(law.curve(k + 1.0) / exact) / np.log1p(1.0 / k)
        achieved = np.full((3, k.size), math.nan)
        at = np.flatnonzero(exact > 0.005)[::4]
        achieved[:, at] = simulate(law, k[at], patterns=4000)
        known = math.nan if law.family == "point" else 1.0
        tables.append(
            pd.DataFrame(
                {
                    "curve": _FAMILIES[law.family].words.format(self=law),
                    "family": law.family,
                    "k": k,
                    "exact": exact,
                    "low": low * known,
                    "high": high * known,
                    "exponent": np.where(k > 0.0, exponent, math.nan),
                    "achieved": achieved[0],
                    "achieved_low": achieved[1],
                    "achieved_high": achieved[2],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def moment_certificate(k: int) -> dict[str, Any]:
    """Certificate of the moments for *all* a and b.

    E[(1−η)^k] = B(a, b+k)/B(a, b).

    Left, the binomial theorem with the moments of the Beta law, E[η^j] = Π (a+i)/(a+b+i); right, the closed form.

    Parameters
    ----------
    k : int

    Returns
    -------
    Mapping
        Document of the kind ``identity``.

    Examples
    --------
    >>> from theory import verify
    >>> print(verify(moment_certificate(3)))
    holds: left = right for all a, b
    """

    def product(top: str, size: int) -> str:
        return "*".join([f"({top} + {i})/(a + b + {i})" for i in range(size)]) or "1"

    left = " + ".join(f"({(-1) ** j * math.comb(k, j)})*{product('a', j)}" for j in range(k + 1))
    return {"kind": "identity", "title": f"P({k}), η ~ Beta(a, b)", "left": left, "right": product("b", k)}


def check() -> Verdict:
    """Verdict on T7.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    from scipy import integrate

    computed: dict[str, Number] = {}
    claimed: dict[str, Number] = {}
    a, b, k = Fraction(43, 100), Fraction(2), 20
    for law in (MixingLaw("beta", float(a), float(b)), MixingLaw("gamma", float(a), float(b))):
        name = f"P({k}), {_FAMILIES[law.family].words.format(self=law)}"
        # E[(1−η)^k] = ∫ k(1−η)^{k−1} P(η' ≤ η) dη, by parts
        value, _ = integrate.quad(lambda eta, law=law: k * (1.0 - eta) ** (k - 1) * float(law.slower(eta)), 0.0, 1.0)
        computed[name], claimed[name] = float(value), float(law.curve(k))
        mean, low, high = (float(part) for part in simulate(law, k, patterns=4000, rng=7))
        computed[f"{name} (simulated)"], claimed[f"{name} (simulated)"] = mean, float(law.curve(k))
    return Verdict(
        claim="T7",
        source="Weinberg & Gladen 1986, Biometrics 42:547; Anderson & Tweney 1997, Mem. Cognit. 25:724; Feller II, "
        "XIII.5; proofs: docs/theory.md",
        status="proved",
        statement="If each exposure consolidates a pattern with its own probability η, the share still attended after "
        "k exposures is E[(1−η)^k]: B(a, b+k)/B(a, b) ~ k^−a for η ~ Beta(a, b), (1+k/b)^−γ for Gamma rates, an "
        "exponential for one η; in general the exponent is the index of the law of η at 0.",
        certificate=bundle(
            *_INTEGRALS,
            *map(moment_certificate, range(1, 7)),
            *(_enclosed(a, b, k) for k in (0, 5, 100)),
        ),
        assumptions=("exposures act independently", "whether a pattern reaches k exposures does not depend on its η"),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated: the last 99 % confidence sequence over 4000 patterns ends at [{low:.4f}, {high:.4f}]",
            "frequencies do not enter: an exponent of this axis is no Zipf exponent (T4)",
        ),
    )


_INTEGRALS: tuple[dict[str, Any], ...] = (
    {
        "kind": "identity",
        "title": "the derivative of η^a (1−η)^{b+k}, with A = η^a, Z = (1−η)^{b+k}: A' = aA/η, Z' = −(b+k)Z/(1−η)",
        "left": "(a*A/eta)*Z - A*((b + k)*Z/(1 - eta))",
        "right": "A*Z/(eta*(1 - eta))*(a*(1 - eta) - (b + k)*eta)",
    },
    {
        "kind": "identity",
        "title": "its integral over [0, 1] is 0: so (a+b+k)·B(a, b+k+1) = (b+k)·B(a, b+k), for all a, b > 0",
        "left": "a*(1 - eta) - (b + k)*eta",
        "right": "(a + b + k)*(1 - eta) - (b + k)",
    },
    {
        "kind": "identity",
        "title": "Gamma rates: e^{−λk}·e^{−bλ} = e^{−bλ'}, λ' = (1+k/b)λ, so that the integral shrinks by (1+k/b)^−γ",
        "left": "-(l*k) - b*l",
        "right": "-b*((1 + k/b)*l)",
    },
)


def _enclosed(a: Fraction, b: Fraction, k: int) -> dict[str, Any]:
    """Certificate of the limits at one point."""
    exact = f"exp(loggamma({b + k}) - loggamma({a + b + k}))"
    return {
        "kind": "interval",
        "title": f"limits of P({k}), a = {a}, b = {b}",
        "facts": [f"({a + b + k})**(-({a})) <= {exact}", f"{exact} <= ({b + k} - 1/2)**(-({a}))"],
    }
