"""A population fit from members to record, and the comparison of forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cogfit.errors import InputError
from cogfit.formulas.form import Form
from cogfit.native.distributions import chi2_sf, normal_quantile
from cogfit.population.alternate import Alternated
from cogfit.population.estimate import (
    Estimated,
    NoFit,
    Scatter,
    begin,
    canonical,
    describe,
    deviations_covariance,
    finish,
    judge,
    predict_members,
    profiles_of,
    scatter_of,
)
from cogfit.population.gathering import Gathered, Gathering
from cogfit.population.layout import Layout
from cogfit.population.members import in_words
from cogfit.population.model import Model, model_of
from cogfit.population.objective import MarginalObjective
from cogfit.population.profile import Calibration
from cogfit.population.records import FormScore, MemberTable, PopulationFit
from cogfit.population.starts import Start, scatter, start_at_no_floor, start_of, without_floor
from cogfit.population.task import FEW, Task, nodes_of
from cogfit.progress import Progress
from cogfit.records.sentence import number_of

AnyForm = Form | Callable[..., object]

LEAST_MEMBERS = 3
"""Fewer members than these have no distribution."""

_SERIAL = 0.2  # correlation of neighbouring residuals that is worth a warning
_OVERDISPERSED = 1e-3  # p-value of binomial counts under which they are said to scatter more
_SHARE = 0.1  # size of a floor of shares, to start with
_CLOSE = 2.0  # difference of AIC that decides nothing


def _kind_of(gathering: Gathering, task: Task) -> str:
    """What a member is called."""
    return task.kind or gathering.kind


@dataclass(frozen=True)
class _Prepared:
    """Members, their model, and where the search begins."""

    model: Model
    gathered: Gathered
    layout: Layout
    start: Start

    def alternated(self, *, is_restricted: bool) -> Alternated:
        """Fit of the linearised model."""
        roster = self.gathered.roster
        totals = (roster.n_points, roster.log_weights)
        return begin(self.model, self.gathered.parts, self.layout, self.start, totals, is_restricted=is_restricted)

    @property
    def log_jacobian(self) -> float:
        """Logarithm of the change of variables where errors are relative."""
        return -self.gathered.roster.log_values if self.model.relative else 0.0


def _prepare(form: AnyForm, gathering: Gathering, task: Task, noise: str, *, is_rough: bool = True) -> _Prepared:
    """Everything that a fit of one form under one noise model needs."""
    model = model_of(
        form,
        random=task.random,
        log=task.log,
        logit=task.logit,
        covariates=tuple(gathering.covariates),
        noise=noise,
        gamma=task.gamma,
    )
    gathered = gathering.gather(model, is_rough=is_rough)
    _check_members(gathered, _kind_of(gathering, task), noise)
    start = start_of(model, gathered.own, task.start)
    if not (math.isfinite(start.sigma) and start.sigma > 0.0):
        start = replace(start, sigma=scatter(model, gathered.parts, start.mean))
    is_full = task.covariance == "full" and len(model.random) > 1
    layout = Layout(model.size, len(model.random), is_full, has_sigma=not model.counted)
    return _Prepared(model, gathered, layout, start)


def _alternate(prepared: _Prepared, gathering: Gathering, task: Task, *, is_restricted: bool) -> Alternated:
    """Fit the linearised model, from a population without a floor if that is better.

    A floor that single members do not determine sends the search astray; at a floor of 0 it has a good start.
    """
    simpler = without_floor(prepared.model) if task.random is None and task.start is None else None
    found: Alternated | None = None
    try:
        found = prepared.alternated(is_restricted=is_restricted)
    except NoFit:
        if simpler is None:
            raise
    if simpler is None or (found is not None and _is_inside(found, prepared)):
        assert found is not None
        return found
    nested = _prepare(simpler, gathering, task, prepared.model.noise)
    bare = nested.alternated(is_restricted=is_restricted)
    mean, factor, log_sigma = nested.layout.unpack(bare.theta)
    spread = np.zeros(nested.model.size)
    spread[list(nested.model.random)] = np.sqrt(np.diag(factor @ factor.T))
    sigma = _SHARE if prepared.model.counted else math.exp(float(log_sigma))
    start = start_at_no_floor(prepared.model, mean, spread, sigma)
    again = replace(prepared, start=start).alternated(is_restricted=is_restricted)
    best = max((fit for fit in (found, again) if fit is not None), key=lambda fit: _unrestricted(fit, prepared))
    if _unrestricted(best, prepared) < _unrestricted(bare, nested) - _CLOSE:
        raise NoFit(
            f"{prepared.model.title}: these members do not determine a floor",
            hint=f"fit {simpler.title}, which describes them no worse",
        )
    return best


def _unrestricted(found: Alternated, prepared: _Prepared) -> float:
    """Log-likelihood that compares forms.

    That of the linearised model; for counts Laplace's, because linearised counts have none.
    """
    if not prepared.model.counted:
        return replace(found.objective, is_restricted=False).value(found.theta)
    parts = prepared.gathered.parts
    return MarginalObjective(prepared.model, parts, prepared.layout, 1, False, found.modes).value(found.theta)


def _is_inside(found: Alternated, prepared: _Prepared) -> bool:
    """Whether a search ended in the open: converged, and every spread above 0."""
    factor = prepared.layout.unpack(found.theta).factor
    spread = np.sqrt((factor**2).sum(axis=1))
    typical = np.maximum(prepared.start.spread[list(prepared.model.random)], 1e-300)
    return bool(found.is_converged and not found.is_flat.any() and (spread > 1e-3 * typical).all())


def _check_members(gathered: Gathered, kind: str, noise: str) -> None:
    """Refuse too few members, and values without a logarithm."""
    roster = gathered.roster
    if len(roster) < LEAST_MEMBERS:
        there = f"only {len(roster)}" if len(roster) else "no"
        what = (
            f"{there} {kind}{'' if len(roster) == 1 else 's'} can be fitted, and a distribution needs {LEAST_MEMBERS}"
        )
        reasons = "; ".join(in_words(roster.left_out))
        hint = "fit each by itself: cogfit.fit of its points, or `cogfit fit LOG --by` without --pool"
        raise InputError(what + (f" ({reasons})" if reasons else ""), hint=hint)
    if noise == "lognormal" and roster.not_positive:
        names = in_words([(name, "values of 0 or less") for name in roster.not_positive])
        raise InputError(
            f"log-normal noise needs y > 0 throughout: {kind} {names[0]}",
            hint="use noise='gaussian' (zeros are neither dropped nor offset)",
        )
    if noise == "binomial" and roster.not_counted:
        names = in_words([(name, "values that are no whole count of the trials") for name in roster.not_counted])
        raise InputError(
            f"binomial noise needs shares of whole numbers of trials: {kind} {names[0]}",
            hint="y is the share of successes, from 0 to 1; for other values use noise='gaussian'",
        )


def fit_form(form: AnyForm, gathering: Gathering, task: Task, progress: Progress | None) -> PopulationFit:
    """Fit one form and say everything about it."""
    noise = task.noise if task.noise != "auto" else _best_noise(form, gathering, task)[0]
    report = progress or (lambda done, total, what: None)
    report(0, 4, "members")
    prepared = _prepare(form, gathering, task, noise, is_rough=False)
    nodes = nodes_of(task.method)
    report(1, 4, "linearised model")
    found = _alternate(prepared, gathering, task, is_restricted=task.is_restricted)
    report(2, 4, "population")
    parts = prepared.gathered.parts
    estimated = canonical(
        finish(prepared.model, parts, prepared.layout, found, nodes=nodes, is_restricted=task.is_restricted)
    )
    report(3, 4, "intervals")
    fit = _record(prepared, estimated, _kind_of(gathering, task), task, noise, nodes)
    report(4, 4, "intervals")
    return fit


class _Trial(NamedTuple):
    """A fit of the linearised model by maximum likelihood, for comparison."""

    prepared: _Prepared
    found: Alternated

    @property
    def log_likelihood(self) -> float:
        """Of the observed values."""
        return self.found.log_likelihood + self.prepared.log_jacobian


def _best_noise(form: AnyForm, gathering: Gathering, task: Task) -> tuple[str, _Trial]:
    """The noise model asked for, or the one with the higher likelihood of y, and its fit.

    Raises
    ------
    InputError
        If there is no fit.
    """
    trials: dict[str, _Trial] = {}
    failures: list[NoFit] = []
    for noise in ("gaussian", "lognormal") if task.noise == "auto" else (task.noise,):
        prepared = _prepare(form, gathering, task, noise) if not trials or _is_positive(trials) else None
        if prepared is None:
            break
        try:
            found = _alternate(prepared, gathering, task, is_restricted=False)
            trials[noise] = _Trial(prepared, _integrated(prepared, found) if prepared.model.counted else found)
        except NoFit as error:
            failures.append(error)
    if not trials:
        raise failures[0]
    best = max(trials, key=lambda noise: trials[noise].log_likelihood)
    return best, trials[best]


def _integrated(prepared: _Prepared, found: Alternated) -> Alternated:
    """Go on to Laplace's likelihood, for counts, which have none when linearised."""
    best = finish(prepared.model, prepared.gathered.parts, prepared.layout, found, nodes=1, is_restricted=False)
    return replace(found, theta=best.maximum.theta, log_likelihood=best.log_likelihood)


def _is_positive(trials: dict[str, _Trial]) -> bool:
    """Whether all values have a logarithm."""
    return not any(trial.prepared.gathered.roster.not_positive for trial in trials.values())


# ------------------------------------------------------------------------------------------------ several forms


def fit_best(forms: Sequence[Form], gathering: Gathering, task: Task, progress: Progress | None) -> PopulationFit:
    """Compare forms by AIC and report the best power law.

    The best form if none has an exponent.
    """
    scores: list[FormScore] = []
    noises: list[str] = []
    for number, form in enumerate(forms):
        if progress is not None:
            progress(number, len(forms), form.title)
        noise, score = _score(form, gathering, task)
        scores.append(score)
        noises.append(noise)
    aic = np.array([2.0 * score.n_params - 2.0 * score.log_likelihood for score in scores])
    if not np.isfinite(aic).any():
        raise InputError(f"no form can be fitted to these members together: {scores[0].reason}")
    scores = [replace(score, delta_aic=float(d)) for score, d in zip(scores, aic - np.nanmin(aic), strict=True)]
    order = sorted(range(len(scores)), key=lambda i: (math.isnan(aic[i]), aic[i]))
    has_gamma = [i for i in order if math.isfinite(scores[i].gamma)]
    chosen = (has_gamma or order)[0]
    fit = fit_form(forms[chosen], gathering, replace(task, noise=noises[chosen]), progress)
    ranked, kind = tuple(scores[i] for i in order), _kind_of(gathering, task)
    return replace(fit, forms=ranked, warnings=(*_description(ranked, scores[chosen], kind), *fit.warnings))


def _description(ranked: Sequence[FormScore], chosen: FormScore, kind: str) -> list[str]:
    """A warning where another form describes the members better."""
    if not chosen.delta_aic > _CLOSE:
        return []
    return [
        f"{ranked[0].title} describes the {kind}s better (AIC {chosen.delta_aic:.3g} lower): γ is a description of "
        "this window, not a parameter"
    ]


def _score(form: Form, gathering: Gathering, task: Task) -> tuple[str, FormScore]:
    """Marginal likelihood of a form, by the linearised model."""
    try:
        noise, trial = _best_noise(form, gathering, task)
    except NoFit as error:
        return task.noise, FormScore(form.name, form.title, math.nan, 0, math.nan, math.nan, math.nan, str(error))
    prepared, theta = trial.prepared, trial.found.theta
    model, gamma, gamma_sd = prepared.model, math.nan, math.nan
    if model.gamma is not None:
        index = model.names.index(model.gamma)
        gamma = float(theta[index])
        gamma_sd = abs(float(theta[prepared.layout.spread])) if index in model.random else 0.0
    score = FormScore(form.name, form.title, trial.log_likelihood, prepared.layout.size, math.nan, gamma, gamma_sd)
    return noise, score


# ------------------------------------------------------------------------------------------------------- record


def _record(prepared: _Prepared, found: Estimated, kind: str, task: Task, noise: str, nodes: int) -> PopulationFit:
    """What is known of the population and its members."""
    roster, parts, own = prepared.gathered.roster, prepared.gathered.parts, prepared.gathered.own
    model, layout = prepared.model, prepared.layout
    params, stderr, conditional = predict_members(found, parts)
    calibration = Calibration(len(roster), task.is_restricted)
    profiles = profiles_of(found)
    spread = deviations_covariance(found)
    size = np.sqrt(np.maximum(np.diag(spread), 1e-300))
    status, reason = judge(found)
    sigma = _sigma_of(found, task.level)
    residuals = scatter_of(found, parts, params)
    return PopulationFit(
        form=model.name,
        title=model.title,
        noise=noise,
        method=_method_in_words(nodes),
        is_restricted=task.is_restricted,
        covariance="full" if layout.is_full else "diagonal",
        level=task.level,
        kind=kind,
        n_members=len(roster),
        n_points=roster.n_points,
        parameters=describe(found, conditional, profiles, task.level, calibration),
        random=tuple(model.names[j] for j in model.random),
        correlation=np.clip(spread / np.outer(size, size), -1.0, 1.0),
        sigma=sigma[0],
        sigma_low=sigma[1],
        sigma_high=sigma[2],
        log_likelihood=found.log_likelihood + prepared.log_jacobian,
        n_params=layout.size,
        status=status,
        reason=reason,
        gamma_name=model.gamma,
        members=MemberTable(
            names=roster.names,
            n=roster.n.astype(float),
            params=params,
            stderr=stderr,
            own=own.params,
            own_stderr=own.stderr,
        ),
        left_out=roster.left_out,
        notes=roster.notes,
        warnings=tuple(_warnings(prepared, kind, status, reason, residuals)),
        mean_profile=None if profiles is None else profiles[0],
        sd_profile=None if profiles is None else profiles[1],
    )


def _sigma_of(found: Estimated, level: float) -> tuple[float, float, float]:
    """Residual standard deviation with its limits, NaN for counts."""
    if not found.layout.has_sigma:
        return math.nan, math.nan, math.nan
    log_sigma = float(found.maximum.theta[-1])
    half = normal_quantile(0.5 + 0.5 * level) * math.sqrt(max(float(found.maximum.covariance[-1, -1]), 0.0))
    return math.exp(log_sigma), math.exp(log_sigma - half), math.exp(log_sigma + half)


def _method_in_words(nodes: int) -> str:
    if nodes == 0:
        return "linearised model (Lindstrom & Bates)"
    return "Laplace" if nodes == 1 else f"adaptive Gauss–Hermite quadrature, {nodes} points"


def _warnings(prepared: _Prepared, kind: str, status: str, reason: str, residuals: Scatter) -> list[str]:
    """What a reader must know beside the numbers."""
    roster, out = prepared.gathered.roster, []
    if status != "ok":
        out.append(reason)
    if len(roster) < FEW:
        out.append(f"{len(roster)} {kind}s say little of how {kind}s differ")
    if roster.left_out:
        total = len(roster) + len(roster.left_out)
        out.append(f"{len(roster.left_out)} of {total} {kind}s left out: {'; '.join(in_words(roster.left_out))}")
    out += [f"kept: {text}" for text in in_words(roster.notes)]
    if roster.n_dropped:
        out.append(f"{number_of(roster.n_dropped, 'point')} left out: missing, outside the window, or at x = 0")
    if residuals.correlation > _SERIAL:
        out.append(
            f"errors of neighbouring points are correlated ({residuals.correlation:.2f}): standard errors of single "
            f"{kind}s are too small, and their reliability is too high"
        )
    spare = roster.n_points - prepared.model.size
    if prepared.model.counted and spare > 0 and chi2_sf(residuals.square, spare) < _OVERDISPERSED:
        out.append(
            f"counts scatter with {residuals.square / spare:.2g} times the variance of a binomial: standard errors of "
            f"single {kind}s are too small, and their reliability is too high"
        )
    return out
