"""What a population fit says."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.formulas.form import Array
from cogfit.native.distributions import normal_cdf, student_quantile
from cogfit.population.profile import Calibration, Profile, confidence_quantiles
from cogfit.records.codec import Document, High, Low, Nan, dump, wire

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.population/1"

LEAST_RELIABILITY = 0.3
"""Below this single members say more of their errors than of themselves, and no share is given."""

_GRID = 80  # quantiles of each parameter behind the interval of a share


@dataclass(frozen=True)
class MixedParameter(Document):
    """One parameter of the curve over the members.

    Attributes
    ----------
    name : str
    is_log, is_logit : bool
        Whether its logarithm or logit is normal over members; mean and standard deviation are then those of it.
    mean, stderr, low, high : float
        Mean over the population, its standard error and interval.
    sd, sd_stderr, sd_low, sd_high : float
        Standard deviation over the population; 0 and NaN for a parameter that all members share.
    reliability : float
        Share of the variance of single members' estimates that is between members.
    method : str
        Of the intervals.
    """

    name: str
    is_log: bool
    mean: float
    stderr: Nan
    low: Low
    high: High
    sd: float
    sd_stderr: Nan
    sd_low: Nan
    sd_high: High
    reliability: Nan
    method: str
    is_logit: bool = field(default=False, metadata=wire(omit=True))

    @property
    def prefix(self) -> str:
        """Say what is normal over members.

        Its log, its logit, or (empty) the parameter itself.
        """
        return "logit" if self.is_logit else "log" if self.is_log else ""


@dataclass(frozen=True, eq=False)
class MemberTable(Document):
    """The members, one row each.

    Attributes
    ----------
    names : tuple of str
    n : ndarray, shape (m,)
        Points.
    params, stderr : ndarray, shape (m, p)
        Shrunken estimates and standard errors of their distance from the truth. Of the logarithm where that is
        normal.
    own, own_stderr : ndarray, shape (m, p)
        Estimates from the member's own points alone, NaN where they give none.
    """

    names: tuple[str, ...]
    n: Array
    params: Array
    stderr: Array
    own: Array
    own_stderr: Array


@dataclass(frozen=True)
class FormScore(Document):
    """How well a form describes the members.

    Attributes
    ----------
    name, title : str
    log_likelihood : float
        Marginal, by maximum likelihood of the linearised model.
    n_params : int
    delta_aic : float
        Above the lowest.
    gamma, gamma_sd : float
        Mean and standard deviation of the exponent over members; NaN for a form without one.
    reason : str
        Why there is none.
    """

    name: str
    title: str
    log_likelihood: Nan
    n_params: int
    delta_aic: Nan
    gamma: Nan
    gamma_sd: Nan
    reason: str = ""


@dataclass(frozen=True)
class Share(Document):
    """Share of members whose exponent lies in a range.

    Attributes
    ----------
    low_gamma, high_gamma : float
        The range.
    raw : float
        Share of the members' own estimates in it, NaN where there are none.
    share, low, high : float
        Share of the population, with its interval; NaN where it is refused.
    reliability : float
    level : float
    method : str
        Or why it is refused.
    """

    low_gamma: float
    high_gamma: float
    raw: Nan
    share: Nan
    low: Nan
    high: Nan
    reliability: Nan
    level: float
    method: str

    def in_words(self, kind: str) -> str:
        """Say the share in a sentence."""
        where = f"γ between {self.low_gamma:g} and {self.high_gamma:g}"
        raw = "" if math.isnan(self.raw) else f" ({self.raw:.0%} of their own estimates)"
        if math.isnan(self.share):
            return f"share of {kind}s with {where}: {self.method}{raw}"
        return f"{self.share:.0%} [{self.low:.0%}, {self.high:.0%}] of {kind}s have {where}{raw}"


@dataclass(frozen=True, eq=False)
class PopulationFit(Document):
    """Exponents over members, from one non-linear mixed-effects model.

    Attributes
    ----------
    form, title : str
    noise : str
        ``"gaussian"``: the errors have one variance; ``"lognormal"``: they are in proportion to the curve;
        ``"binomial"``: the values are counts of trials.
    method : str
        How the likelihood was integrated and maximised.
    is_restricted : bool
        Whether variances come from a restricted likelihood (REML).
    covariance : {"full", "diagonal"}
        Of the parameters over members.
    level : float
    kind : str
        What a member is, such as subject or run.
    n_members, n_points : int
    parameters : tuple of MixedParameter
        In the order of the form.
    random : tuple of str
        Those that differ between members, and the order of `correlation`.
    correlation : ndarray, shape (q, q)
        Over members.
    sigma, sigma_low, sigma_high : float
        Residual standard deviation, of all members together; relative for log-normal noise, NaN for counts.
    log_likelihood : float
        Restricted where `is_restricted`.
    n_params : int
    status : {"ok", "at_bound", "not_identified", "not_converged"}
        ``"at_bound"``: some parameter does not differ between members as far as these data tell.
    reason : str
    gamma_name : str or None
        Which parameter is the exponent.
    members : MemberTable
    left_out : tuple of (str, str)
        Members that are not in the model, and why.
    notes : tuple of (str, str)
        Members that are in it though their curves say little, and what is wrong with them.
    warnings : tuple of str
    forms : tuple of FormScore
        The forms compared, where none was asked for.
    mean_profile, sd_profile : Profile or None
        Of γ.
    """

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {"reliability": "reliability", "headline": "headline"}

    form: str
    title: str
    noise: str
    method: str
    is_restricted: bool
    covariance: str
    level: float
    kind: str
    n_members: int
    n_points: int
    parameters: tuple[MixedParameter, ...]
    random: tuple[str, ...]
    correlation: Array
    sigma: Nan
    sigma_low: Nan
    sigma_high: Nan
    log_likelihood: float
    n_params: int
    status: str
    reason: str
    gamma_name: str | None
    members: MemberTable
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    forms: tuple[FormScore, ...] = ()
    mean_profile: Profile | None = None
    sd_profile: Profile | None = None

    def __getitem__(self, name: str) -> MixedParameter:
        """One parameter by its name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    @property
    def gamma(self) -> MixedParameter | None:
        """The exponent, or None for a form without one."""
        return None if self.gamma_name is None else self[self.gamma_name]

    @property
    def reliability(self) -> float:
        """That of the exponent, NaN for a form without one."""
        return math.nan if self.gamma is None else self.gamma.reliability

    @property
    def aic(self) -> float:
        """Akaike's criterion.

        NaN for a restricted likelihood, which compares no forms.
        """
        return math.nan if self.is_restricted else 2.0 * self.n_params - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion by the number of points, as in nlme.

        NaN for a restricted likelihood.
        """
        if self.is_restricted:
            return math.nan
        return math.log(self.n_points) * self.n_params - 2.0 * self.log_likelihood

    def headline(self) -> str:
        """Say in a sentence what was found."""
        who = f"{self.n_members:,} {self.kind}s"
        gamma = self.gamma
        if gamma is None:
            residual = "" if math.isnan(self.sigma) else f", residual SD {self.sigma:.3g}"
            return f"{self.title} over {who}: {self.n_points:,} points{residual}"
        mean = f"mean {gamma.mean:.3g} [{gamma.low:.3g}, {gamma.high:.3g}]"
        limits = "" if math.isnan(gamma.sd_low) else f" [{gamma.sd_low:.2g}, {gamma.sd_high:.2g}]"
        text = f"γ over {who} ({self.title}): {mean}, SD {gamma.sd:.2g}{limits}"
        return text if self.status in ("ok", "at_bound") else f"{text} ({self.status}: {self.reason})"

    def how(self) -> str:
        """Say how the model was fitted."""
        likelihood = "restricted likelihood" if self.is_restricted else "maximum likelihood"
        noise = {
            "gaussian": f"Gaussian errors of one variance (SD {self.sigma:.3g})",
            "lognormal": f"errors in proportion to the curve (SD {self.sigma:.3g})",
            "binomial": "binomial errors of counts",
        }
        correlated = "correlated" if self.covariance == "full" else "uncorrelated"
        return (
            f"{self.n_points:,} points; {noise[self.noise]}; parameters {correlated} over {self.kind}s; {likelihood}, "
            f"{self.method}"
        )

    def new_member(self) -> tuple[float, float]:
        """Interval in which the exponent of another member lies.

        Raises
        ------
        InputError
            For a form without an exponent.
        """
        gamma = self._gamma()
        half = student_quantile(0.5 + 0.5 * self.level, self.n_members - 2) * math.hypot(gamma.sd, gamma.stderr)
        return gamma.mean - half, gamma.mean + half

    def _gamma(self) -> MixedParameter:
        if self.gamma is None:
            raise InputError(f"{self.title} has no exponent", hint="fit a power law, or name it: gamma='b'")
        return self.gamma

    def share(self, low: float, high: float) -> Share:
        """Estimate the share of members with γ in a range.

        Its interval carries what the data say of mean and standard deviation, from their profiles.

        Parameters
        ----------
        low, high : float
            The range.

        Returns
        -------
        Share
            Refused where the reliability is under :data:`LEAST_RELIABILITY`.

        Raises
        ------
        InputError
            If there is no exponent, or the range is empty.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> k, gamma = np.arange(1.0, 31.0), rng.normal(0.5, 0.1, 25)
        >>> Y = k ** -gamma[:, None] + rng.normal(0, 0.02, (25, 30))
        >>> people = cogfit.fit_population(k, Y, form="power")
        >>> found = people.share(0.4, 0.6)
        >>> found.low < 0.683 < found.high
        True
        """
        gamma = self._gamma()
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"a range of γ needs two numbers, the smaller first, not {low!r} and {high!r}")
        own = self.members.own[:, [p.name for p in self.parameters].index(gamma.name)]
        own = own[np.isfinite(own)]
        raw = float(np.mean((own >= low) & (own <= high))) if own.size else math.nan
        if not gamma.reliability >= LEAST_RELIABILITY or self.sd_profile is None or self.mean_profile is None:
            unknown = math.isnan(gamma.reliability)
            why = f"unknown, as all {self.kind}s share one γ" if unknown else f"{gamma.reliability:.2f}"
            method = f"refused: the reliability of single {self.kind}s is {why}, and {LEAST_RELIABILITY} is needed"
            return Share(low, high, raw, math.nan, math.nan, math.nan, gamma.reliability, self.level, method)
        mean, sd = self.confidence_grid()
        shares = normal_share(mean[:, None], sd[None, :], low, high).ravel()
        tail = 0.5 * (1.0 - self.level)
        limits = np.quantile(shares, [tail, 1.0 - tail])
        best = float(normal_share(np.array(gamma.mean), np.array(gamma.sd), low, high))
        method = f"normal distribution over {self.kind}s; interval from the profiles of its mean and SD"
        return Share(
            low,
            high,
            raw,
            best,
            min(float(limits[0]), best),
            max(float(limits[1]), best),
            gamma.reliability,
            self.level,
            method,
        )

    def confidence_grid(self) -> tuple[Array, Array]:
        """Quantiles of confidence distributions of mean and SD.

        Raises
        ------
        InputError
            If they have no profiles.
        """
        if self.mean_profile is None or self.sd_profile is None:
            raise InputError(f"{self.title} has no distribution of γ over {self.kind}s")
        calibration, probabilities = Calibration(self.n_members, self.is_restricted), (np.arange(_GRID) + 0.5) / _GRID
        mean = confidence_quantiles(self.mean_profile, calibration, probabilities, is_spread=False)
        return mean, confidence_quantiles(self.sd_profile, calibration, probabilities, is_spread=True)

    def table(self) -> pd.DataFrame:
        """Parameters, one row each."""
        import pandas as pd

        return pd.DataFrame([vars(parameter) for parameter in self.parameters])

    def member_table(self) -> pd.DataFrame:
        """Members, one row each, shrunken and alone."""
        import pandas as pd

        columns: dict[str, Any] = {"member": self.members.names, "n": self.members.n.astype(int)}
        for j, parameter in enumerate(self.parameters):
            name = f"{parameter.prefix}_{parameter.name}" if parameter.prefix else parameter.name
            columns[name] = self.members.params[:, j]
            columns[f"{name}_se"] = self.members.stderr[:, j]
            columns[f"{name}_own"] = self.members.own[:, j]
            columns[f"{name}_own_se"] = self.members.own_stderr[:, j]
        return pd.DataFrame(columns)

    def plot(self, **options: Any) -> Figure:
        """Draw the members and the distribution of γ."""
        from cogfit.show.population import plot_population

        figure: Figure = plot_population(self, **options)
        return figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON document."""
        write_atomic(Path(path), dump(self.to_json()))

    def __repr__(self) -> str:
        return f"<PopulationFit {self.headline()}>"


def normal_density(x: Array, mean: Array, sd: Array) -> Array:
    """Density of a normal distribution with a spread."""
    return np.asarray(np.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2.0 * math.pi)))


def normal_share(mean: Array, sd: Array, low: float, high: float) -> Array:
    """Share of a normal distribution in a range.

    Without spread it is all or nothing.
    """
    mean, sd = np.broadcast_arrays(mean, sd)
    is_spread = sd > 0.0
    width = np.where(is_spread, sd, 1.0)
    share = np.asarray(normal_cdf((high - mean) / width)) - np.asarray(normal_cdf((low - mean) / width))
    return np.where(is_spread, share, ((mean >= low) & (mean <= high)).astype(float))
