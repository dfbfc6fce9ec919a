"""Populations of counts, against likelihoods that are integrated without the package."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import cogfit
from cogfit.population.records import PopulationFit

K = np.arange(1.0, 11.0)
TRIALS = 40


def counted(seed=0, members=14, trials=TRIALS, sd=0.25):
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.25, 0.5, (members, 1)) * K ** -rng.normal(0.5, sd, (members, 1))
    return rng.binomial(trials, share) / trials


def fitted(y, trials=TRIALS, **options):
    return cogfit.fit_population(K, y, form="power", noise="binomial", trials=np.full(K.size, trials), **options)


def log_likelihood(theta, y, trials, nodes=40):
    """Log A and γ are normal over members and independent; a rectangle of Gauss–Hermite points, not adaptive."""
    z, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    share = np.exp(theta[0] + theta[2] * z)[:, None, None] * K ** -(theta[1] + theta[3] * z)[:, None]
    inside = np.where(share < 1.0, share, 0.5)
    each = stats.binom.logpmf(np.rint(y * trials)[:, None, None], trials, inside).sum(axis=-1)
    each = np.where((share < 1.0).all(axis=-1), each, -np.inf)
    top = each.max(axis=(1, 2), keepdims=True)
    return float((np.log((np.exp(each - top) * np.outer(weight, weight)).sum(axis=(1, 2))) + top[:, 0, 0]).sum())


def test_the_maximum_is_that_of_direct_integration():
    y = counted()
    fit = fitted(y, covariance="diagonal", restricted=False, method="quadrature")
    theta = np.array([fit["A"].mean, fit["gamma"].mean, fit["A"].sd, fit["gamma"].sd])
    assert fit.log_likelihood == pytest.approx(log_likelihood(theta, y, TRIALS), abs=2e-3)
    best = optimize.minimize(
        lambda t: -log_likelihood(np.append(t[:2], np.abs(t[2:])), y, TRIALS), theta + 0.02, method="Nelder-Mead"
    )
    assert theta == pytest.approx(np.append(best.x[:2], np.abs(best.x[2:])), abs=3e-3)
    near = fitted(y, covariance="diagonal", restricted=False)
    assert near.gamma.mean == pytest.approx(fit.gamma.mean, abs=0.01)
    assert near.gamma.sd == pytest.approx(fit.gamma.sd, rel=0.05)


def test_mean_and_spread_are_covered():
    fits = [fitted(counted(seed, members=25)) for seed in range(8)]
    assert sum(fit.gamma.low < 0.5 < fit.gamma.high for fit in fits) >= 7
    assert sum(fit.gamma.sd_low < 0.25 < fit.gamma.sd_high for fit in fits) >= 7
    assert not any("variance of a binomial" in text for fit in fits for text in fit.warnings)


def test_many_trials_are_gaussian_errors_of_known_size():
    """With many trials the members' own estimates are exact: the population is that of the sample."""
    y = counted(3, members=20, trials=10**4)
    fit = fitted(y, 10**4)
    own = fit.members.own[:, 1]
    assert fit.gamma.mean == pytest.approx(own.mean(), abs=3e-3)
    assert fit.gamma.sd == pytest.approx(own.std(ddof=1), rel=2e-2)
    assert fit.reliability > 0.99
    assert fit.members.params[:, 1] == pytest.approx(own, abs=0.01)


def test_shares_that_begin_near_1_have_the_logit_of_their_first():
    """Members whose own curves begin at 1 would be stuck at that wall if the logarithm of the share were normal."""
    covered = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        first = 1.0 / (1.0 + np.exp(-rng.normal(1.8, 0.8, (20, 1))))
        y = rng.binomial(15, first * K ** -rng.normal(0.5, 0.2, (20, 1)).clip(0.0)) / 15
        assert (y[:, 0] == 1.0).any()
        fit = fitted(y, 15, logit=["A"])
        assert fit.status in ("ok", "at_bound")
        covered.append(fit.gamma.low < 0.5 < fit.gamma.high and fit["A"].low < 1.8 < fit["A"].high)
    assert fit["A"].prefix == "logit"
    assert "logit_A" in fit.member_table()
    assert sum(covered) >= 5


def test_a_member_without_any_success_stays_in():
    y = counted(5)
    y[3] = 0.0
    fit = fitted(y)
    assert fit.n_members == 14
    assert np.isfinite(fit.members.params).all()
    assert any("3 (its values never change)" in text for text in fit.warnings)
    assert np.exp(fit.members.params[3, 0]) < 0.1


def test_table_arrays_and_auto_are_one_and_a_document_reads_back():
    y = counted(1)
    table = pd.DataFrame({"subject": np.repeat(np.arange(14), 10), "x": np.tile(K, 14), "y": y.ravel(), "n": TRIALS})
    fit = fitted(y)
    other = cogfit.fit_population(table, trials="n", form="power", noise="auto")
    assert other.noise == "binomial"
    assert other.gamma == fit.gamma
    document = json.loads(json.dumps(fit.to_json(), allow_nan=False))
    assert document["sigma"] is None
    assert PopulationFit.from_json(document) == fit
    assert "binomial errors of counts" in fit.how()


def test_counts_that_scatter_more_than_a_binomial_are_said():
    rng = np.random.default_rng(2)
    y = rng.binomial(TRIALS, rng.beta(3.0, 6.0 * K**0.5, (14, 10))) / TRIALS
    assert any("times the variance of a binomial" in text for text in fitted(y).warnings)


def test_forms_of_counts_are_compared_by_their_likelihood():
    y = counted(4, members=12)
    fit = cogfit.fit_population(
        K, y, form=["power", "exponential"], noise="binomial", trials=np.full(K.size, TRIALS), restricted=False
    )
    (power,) = (score for score in fit.forms if score.name == "power")
    assert power.delta_aic == 0.0
    assert power.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "binomial"}, "needs the trials behind each y"),
        ({"trials": np.full(10, 40)}, "`trials` go with binomial noise, not with 'gaussian'"),
        ({"trials": np.full(10, 40), "noise": "binomial", "weights": np.ones(10)}, "exclude each other"),
        ({"trials": np.full(10, 40), "noise": "binomial", "method": "linearised"}, "no likelihood of counts"),
        ({"trials": np.full(10, 7), "noise": "binomial"}, "shares of whole numbers of trials"),
        ({"trials": np.full(10, 40.5), "noise": "binomial"}, "shares of whole numbers of trials"),
        ({"trials": "n", "noise": "binomial"}, "names of columns go with a table"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(cogfit.InputError, match=message):
        cogfit.fit_population(K, counted(), form="power", **options)
