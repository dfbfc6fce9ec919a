"""What holds for any population, and what is said of its members."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cogfit
from cogfit.errors import InputError
from cogfit.population.records import PopulationFit, normal_share


def simulated(seed=0, m=15, n=20, sd=0.1, sigma=0.02):
    rng = np.random.default_rng(seed)
    k = np.arange(1.0, n + 1)
    gamma, size = rng.normal(0.5, sd, m), rng.normal(0.9, 0.1, m)
    y = size[:, None] * k ** -gamma[:, None] + rng.normal(0.0, sigma, (m, n))
    names = np.repeat([f"s{i:02d}" for i in range(m)], n)
    return pd.DataFrame({"subject": names, "x": np.tile(k, m), "y": y.ravel()})


def numbers(fit):
    gamma = fit.gamma
    return [gamma.mean, gamma.low, gamma.high, gamma.sd, gamma.sd_low, gamma.sd_high, gamma.reliability]


@pytest.fixture(scope="module")
def table():
    return simulated()


@pytest.fixture(scope="module")
def fit(table):
    return cogfit.fit_population(table, form="power")


def test_another_unit_another_order_and_other_names_change_nothing(table, fit):
    other = table.assign(y=1000.0 * table["y"], x=60.0 * table["x"]).sample(frac=1.0, random_state=1)
    other["subject"] = other["subject"].map(lambda name: "z" + name)
    again = cogfit.fit_population(other, form="power")
    assert numbers(again) == pytest.approx(numbers(fit), rel=2e-3)
    assert again.members.params[:, 1] == pytest.approx(fit.members.params[:, 1], rel=1e-3)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_a_floor_has_the_unit_of_the_values(unit):
    rng = np.random.default_rng(8)
    k = np.arange(1.0, 21.0)
    y = 0.2 + k ** -rng.normal(0.6, 0.1, (10, 1)) + rng.normal(0.0, 0.02, (10, 20))
    options = {"form": "power_floor", "method": "linearised"}
    plain, scaled = (cogfit.fit_population(k, v, **options) for v in (y, unit * y))
    assert numbers(scaled) == pytest.approx(numbers(plain), rel=0.02)
    assert scaled["c"].mean == pytest.approx(unit * plain["c"].mean, rel=0.02)


def test_a_document_reads_back(fit):
    document = json.loads(json.dumps(fit.to_json()))
    again = PopulationFit.from_json(document)
    assert again == fit
    assert again.share(0.4, 0.6) == fit.share(0.4, 0.6)
    assert document["schema"] == "cogfit.population/1"


def test_members_are_pulled_towards_the_mean_the_more_the_less_they_say():
    table = simulated(m=20, sigma=0.06)
    short = table[~((table["subject"] < "s10") & (table["x"] > 4))]
    fit = cogfit.fit_population(short, form="power")
    own, shrunken = fit.members.own[:, 1], fit.members.params[:, 1]
    pull = np.abs(own - shrunken)
    assert pull[:10].mean() > 3 * pull[10:].mean()
    assert fit.members.stderr[:10, 1].min() > fit.members.stderr[10:, 1].max()


def test_intervals_are_exact_where_members_are_measured_equally_well():
    """One-way layout: Student's t of the means of members; χ² of their variance, which is τ² + σ²/n."""
    rng = np.random.default_rng(4)
    m, n, sigma = 12, 50, 0.5
    y = rng.normal(3.0, 1.0, (m, 1)) + rng.normal(0.0, sigma, (m, n))

    def level(x, gamma):
        return gamma + 0.0 * x

    for restricted in (True, False):
        fit = cogfit.fit_population(np.arange(1.0, n + 1), y, form=level, start={"gamma": 2.0}, restricted=restricted)
        mean = y.mean(axis=1)
        t = stats.t.interval(0.95, m - 1, mean.mean(), mean.std(ddof=1) / np.sqrt(m))
        assert (fit.gamma.low, fit.gamma.high) == pytest.approx(t, rel=2e-3)
        within = ((y - mean[:, None]) ** 2).sum() / (m * (n - 1)) / n
        total = (m - 1) * mean.var(ddof=1) / stats.chi2.ppf([0.975, 0.025], m - 1)
        assert (fit.gamma.sd_low, fit.gamma.sd_high) == pytest.approx(np.sqrt(total - within), rel=5e-3)
        if restricted:
            assert fit.gamma.sd == pytest.approx(np.sqrt(mean.var(ddof=1) - within), rel=1e-3)


def test_nobody_is_left_out_silently(table):
    others = pd.DataFrame(
        {
            "subject": ["flat"] * 4 + ["two"] * 2 + ["one", "gone", "gone", "zero", "zero", "zero"],
            "x": [1, 2, 3, 4, 1, 2, 1, 1, 2, 0, 1, 2],
            "y": [0.5] * 4 + [0.9, 0.7, 0.8, np.nan, np.nan, 1.0, 0.9, 0.6],
        }
    )
    fit = cogfit.fit_population(pd.concat([table, others]), form="power_floor", method="linearised")
    assert {name for name, _ in fit.left_out} == {"one", "gone"}
    assert dict(fit.notes) == {
        "flat": "its values never change",
        "two": "2 points for 3 parameters",
        "zero": "2 points for 3 parameters",
    }
    assert fit.n_members == len(set(table["subject"])) + 3
    said = "\n".join(fit.warnings)
    assert all(name in said for name in ("flat", "two", "one", "gone", "zero"))
    assert "3 points left out" in said


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_population_of_too_few_is_refused_with_what_to_do(table, count):
    few = table[table["subject"].isin([f"s{i:02d}" for i in range(count)])]
    with pytest.raises(InputError, match="a distribution needs 3") as error:
        cogfit.fit_population(few, form="power")
    assert "fit each by itself" in error.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "binomial"}, "needs the trials behind each y"),
        ({"noise": "poisson"}, "`noise` must be one of"),
        ({"method": "mcmc"}, "`method` must be one of"),
        ({"covariance": "some"}, "`covariance` must be one of"),
        ({"form": "pwer"}, "unknown form"),
        ({"form": []}, "names no form"),
        ({"random": ["beta"], "form": "power"}, "`random` names no parameter"),
        ({"log": ["beta"], "form": "power"}, "`log` names no parameter"),
        ({"level": 95}, "`level` must lie between"),
        ({"x": "trial"}, "no column 'trial'"),
        ({"by": "person"}, "no column 'person'"),
        ({"form": "power", "covariates": ["x"]}, "takes no covariates"),
        ({"form": "power", "start": {"A": 1.0}}, "`start` lacks gamma"),
        ({"form": lambda x, a, b: a * x**-b}, "gives a start"),
        ({"form": lambda x, *p: x}, "have no names"),
        ({"form": lambda x, a: a[0], "start": {"a": 1.0}}, "returns shape"),
        ({"form": lambda x, a: a.nothing, "start": {"a": 1.0}}, "fails: AttributeError"),
        ({"x_min": 9, "x_max": 3}, "the window is empty"),
        ({"x_min": 500.0}, "a distribution needs 3"),
    ],
)
def test_what_cannot_be_meant_is_refused(table, options, message):
    with pytest.raises(InputError, match=message):
        cogfit.fit_population(table, **options)


def test_values_without_a_logarithm_are_named(table):
    bad = table.copy()
    bad.loc[5, "y"] = 0.0
    with pytest.raises(InputError, match="subject s00"):
        cogfit.fit_population(bad, form="power", noise="lognormal")
    assert cogfit.fit_population(bad, form="power", noise="auto").noise == "gaussian"


@pytest.mark.parametrize("noise", ["gaussian", "lognormal"])
def test_noise_is_chosen_by_the_likelihood_of_the_values(noise):
    rng = np.random.default_rng(2)
    k, gamma = np.arange(1.0, 41.0), rng.normal(0.6, 0.1, (6, 1))
    error = rng.normal(0.0, 1.0, (6, 40))
    y = k**-gamma * np.exp(0.1 * error) if noise == "lognormal" else k**-gamma + 0.004 * error
    assert cogfit.fit_population(k, y, form="power", noise="auto", method="linearised").noise == noise


def test_a_share_follows_from_the_distribution_and_is_refused_without_one(fit):
    inside = fit.share(0.4, 0.6)
    assert inside.low < inside.share < inside.high
    exact = stats.norm.cdf([0.4, 0.6], fit.gamma.mean, fit.gamma.sd)
    assert inside.share == pytest.approx(exact[1] - exact[0], abs=1e-6)
    assert fit.share(-9.0, 9.0).share == pytest.approx(1.0)
    with pytest.raises(InputError, match="the smaller first"):
        fit.share(0.6, 0.4)
    noisy = cogfit.fit_population(simulated(sd=0.0, sigma=0.2, m=12), form="power")
    refused = noisy.share(0.4, 0.6)
    assert np.isnan(refused.share)
    assert "refused" in refused.method
    assert not np.isnan(refused.raw)
    assert "refused" in refused.in_words("subject")


def test_without_spread_a_share_is_all_or_nothing():
    share = normal_share(np.array([0.5, 0.7]), np.array(0.0), 0.4, 0.6)
    assert share.tolist() == [1.0, 0.0]


def test_a_common_parameter_has_no_spread(table):
    fit = cogfit.fit_population(table, form="power", random=["A"])
    assert fit["gamma"].sd == 0.0
    assert np.isnan(fit.reliability)
    assert np.ptp(fit.members.params[:, 1]) == 0.0
    assert "share one γ" in fit.share(0.4, 0.6).method


def test_forms_are_compared_and_a_power_law_that_loses_is_a_description():
    rng = np.random.default_rng(6)
    x = np.arange(1.0, 31.0)
    rate = rng.normal(0.2, 0.03, (12, 1))
    y = 0.2 + np.exp(-rate * x) + rng.normal(0.0, 0.02, (12, 30))
    fit = cogfit.fit_population(x, y, form=["power", "exponential_floor"])
    assert [score.name for score in fit.forms] == ["exponential_floor", "power"]
    assert fit.form == "power"
    assert "a description of this window" in fit.warnings[0]
    alone = cogfit.fit_population(x, y, form="exponential_floor")
    assert alone.gamma is None
    assert np.exp(alone["r"].mean) == pytest.approx(0.2, abs=0.02)
    with pytest.raises(InputError, match="has no exponent"):
        alone.share(0.4, 0.5)


def test_parts_of_a_dask_table_are_the_table(table):
    dd = pytest.importorskip("dask.dataframe")
    whole = cogfit.fit_population(table, form="power", method="linearised")
    parts = cogfit.fit_population(dd.from_pandas(table, npartitions=4), form="power", method="linearised")
    assert numbers(parts) == pytest.approx(numbers(whole), rel=1e-5)
    at = {name: i for i, name in enumerate(parts.members.names)}
    order = [at[name] for name in whole.members.names]
    assert parts.members.params[order] == pytest.approx(whole.members.params, rel=1e-5)


def test_serially_correlated_errors_are_said():
    rng = np.random.default_rng(1)
    n, m = 60, 10
    error = rng.normal(0.0, 0.03, (m, n))
    for i in range(1, n):
        error[:, i] += 0.7 * error[:, i - 1]
    y = np.arange(1.0, n + 1) ** -rng.normal(0.5, 0.1, (m, 1)) + error
    fit = cogfit.fit_population(np.arange(1.0, n + 1), y, form="power", method="linearised")
    assert any("neighbouring points are correlated" in warning for warning in fit.warnings)


def test_a_picture_names_its_members(fit):
    axes = fit.plot().axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == [
        fit.members.names[i] for i in np.argsort(fit.members.params[:, 1])
    ]


def test_patterns_of_a_routing_log_are_members():
    rng = np.random.default_rng(3)
    rows = [
        (step, pattern, k, 0.9 * (k + 1) ** -g + rng.normal(0, 0.01))
        for pattern, g in enumerate(rng.normal(0.5, 0.1, 8))
        for step, k in enumerate(range(30))
    ]
    log = cogfit.read_log(pd.DataFrame(rows, columns=["step", "pattern", "exposure", "p_episodic"]))
    fit = cogfit.fit_population(log, by="pattern", form="power")
    assert (fit.n_members, fit.kind) == (8, "pattern")
    assert fit.members.n.tolist() == [29.0] * 8  # the first presentation has no earlier one
