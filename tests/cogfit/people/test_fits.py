"""Fits of the human data: reference values with their conventions, statistics against theory, command and picture."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import cogfit
from cogfit import cli
from cogfit.engine import estimate
from cogfit.people import block_means
from cogfit.people.fits import HumanFits, fit_human
from cogfit.people.over_subjects import independent_contrast, paired_contrast, random_effects, stderr_from_r2
from cogfit.show.people import plot_human

ROOT = Path(__file__).resolve().parents[3]


@cache
def fitted(name: str) -> HumanFits:
    """Everything."""
    return fit_human(cogfit.human(name))


@cache
def described(name: str) -> HumanFits:
    """Slopes, contrasts and distributions, without the comparison of forms."""
    return fit_human(cogfit.human(name), full=False)


# ------------------------------------------------------------------------------------------------ reference values

# Data set, labels, form, scale of the residuals, convention, first x, last x, γ as given to three or two digits.
SLOPES = [
    ("anderson1981_latency", {}, "power", "raw", "inclusive", 2, 8, 0.31),
    ("anderson1981_latency", {}, "power", "raw", "prior", 1, 7, 0.22),
    ("remington2016_latency", {"condition": "shortcut"}, "power", "raw", "inclusive", 1, 20, 0.281),
    ("remington2016_latency", {"condition": "shortcut"}, "power_floor", "raw", "inclusive", 1, 20, 0.580),
    ("remington2016_latency", {"condition": "menu"}, "power", "raw", "inclusive", 1, 20, 0.07),
    ("remington2016_latency", {"condition": "menu"}, "power_floor", "raw", "inclusive", 1, 20, 1.01),
    ("kolers1976_reading", {"text": "inverted", "session": "first"}, "power", "raw", "inclusive", 1.05, 55.34, 0.44),
    (
        "kolers1976_reading",
        {"text": "inverted", "session": "a year later"},
        "power",
        "raw",
        "inclusive",
        1,
        55.72,
        0.13,
    ),
    ("kolers1976_reading", {"text": "normal", "session": "first"}, "power", "raw", "inclusive", 1.02, 151.71, 0.01),
    ("alteneder1935_jigsaw", {"column": "first"}, "power", "raw", "inclusive", 1, 35, 0.51),
    ("alteneder1935_jigsaw", {"column": "first"}, "power", "log", "inclusive", 1, 35, 0.64),
    ("alteneder1935_jigsaw", {"column": "second"}, "power", "raw", "inclusive", 1, 35, 0.39),
    ("alteneder1935_jigsaw", {"column": "second"}, "power", "log", "inclusive", 1, 35, 0.51),
    ("lui_chan2006_reprogramming", {"mode": "solo"}, "power", "raw", "inclusive", 1, 4, 0.59),
    ("lui_chan2006_reprogramming", {"mode": "pair"}, "power", "raw", "inclusive", 1, 4, 0.31),
    ("ebbinghaus1885_savings", {"edition": "1885"}, "power", "raw", "elapsed", 19, 44640, 0.130),
    ("ebbinghaus1885_savings", {"edition": "1885"}, "power", "log", "elapsed", 19, 44640, 0.126),
    ("murre_dros2015_savings", {"subject": "Mack"}, "power", "log", "elapsed", 20, 44640, 0.082),
    ("murre_dros2015_savings", {"subject": "Seitz"}, "power", "log", "elapsed", 20, 44640, 0.093),
    ("murre_dros2015_savings", {"subject": "Dros"}, "power", "log", "elapsed", 20, 44640, 0.259),
    ("murre_dros2015_savings", {"subject": "Dros"}, "power", "log", "elapsed", 20, 8640, 0.146),
    ("mosteller1970_recall", {}, "power", "log", "elapsed", 1, 10080, 0.219),
    ("rubin1999_recall", {"condition": "all three"}, "power", "log", "intervening", 1, 99, 0.363),
    ("rubin1999_recall", {"condition": "all three"}, "power", "log", "intervening", 7, 99, 0.440),
]


@pytest.mark.parametrize(("name", "labels", "form", "scale", "convention", "x_min", "x_max", "gamma"), SLOPES)
def test_plain_least_squares_of_the_shipped_values_gives_the_reference_values(
    name, labels, form, scale, convention, x_min, x_max, gamma
):
    x, y = points(name, convention if convention in ("prior", "inclusive") else None, **labels)
    keep = (x >= x_min) & (x <= x_max)
    found = least_squares(x[keep], y[keep], form, is_log=scale == "log")[1]
    digits = len(str(gamma).split(".")[1])
    assert found == pytest.approx(gamma, abs=0.51 * 10**-digits)


def law(x: np.ndarray, form: str, theta: np.ndarray) -> np.ndarray:
    """A power law with or without a floor, written out."""
    floor = theta[2] if form == "power_floor" else 0.0
    return theta[0] * x ** -theta[1] + floor


def least_squares(
    x: np.ndarray, y: np.ndarray, form: str, se: np.ndarray | float = 1.0, is_log: bool = False, rho: float = 0.0
) -> np.ndarray:
    """Parameters by scipy, with known standard errors, or with AR(1) errors of a given coefficient."""

    def residuals(theta: np.ndarray) -> np.ndarray:
        value = law(x, form, theta)
        r = np.log(y) - np.log(np.maximum(value, 1e-12)) if is_log else (y - value) / se
        return np.concatenate([[np.sqrt(1 - rho**2) * r[0]], r[1:] - rho * r[:-1]])

    starts = [[y[0], g] + [0.5 * y.min()] * (form == "power_floor") for g in (0.1, 0.5, 1.0)]
    low = [-np.inf, -np.inf] + [0.0] * (form == "power_floor")
    fits = [optimize.least_squares(residuals, start, bounds=(low, np.inf), xtol=1e-12, ftol=1e-12) for start in starts]
    return min(fits, key=lambda fit: fit.cost).x


def most_likely(x: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> float:
    """γ of a binomial power law by scipy; a share may not pass 1."""

    def loss(theta: np.ndarray) -> float:
        share = np.exp(theta[0]) * x ** -theta[1]
        if np.any(share > 1):
            return np.inf
        return -stats.binom.logpmf(successes, trials, share).sum()

    return optimize.minimize(loss, [-0.7, 0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["anderson1981_errors", "remington2016_errors", "dros2015_lists", "rubin1999_recall"])
def test_every_slope_is_that_of_fit_and_of_scipy(name):
    for slope in described(name).slopes:
        (series,) = cogfit.human(name).series(**slope.labels)
        series = series if slope.convention == series.convention else series.under(slope.convention)
        series = series.take((series.x >= slope.x_min) & (series.x <= slope.x_max))
        if slope.scale == "log":
            mean = series.mean()
            serial = series.dataset.axis == "repetition"
            fit = cogfit.fit(mean.x, mean.y, form=slope.form, noise="lognormal", serial=serial)
        else:
            fit = cogfit.fit(series.curve(), form=slope.form)
        # a data set whose noise is not known is fitted by noise="auto" there and on the raw scale here
        if fit.noise == slope.noise:
            assert slope.gamma == pytest.approx(fit.gamma, rel=1e-7)
            if series.clusters is None:
                assert (slope.low, slope.high) == pytest.approx(fit.interval, rel=1e-6)
        mean = series.mean()
        if slope.weights == "trials":
            if slope.form == "power":
                wanted = most_likely(mean.x, np.rint(mean.y * mean.trials), mean.trials)
                assert slope.gamma == pytest.approx(wanted, rel=2e-3, abs=5e-4)
        elif slope.errors == "independent errors" and slope.status == "ok" and slope.scale == "raw":
            se = mean.se if slope.weights == "standard errors" else 1.0
            wanted = least_squares(mean.x, mean.y, slope.form, se)[1]
            assert slope.gamma == pytest.approx(wanted, rel=2e-3, abs=5e-4)


def points(name: str, convention: str | None = None, **labels: str) -> tuple[np.ndarray, np.ndarray]:
    (one,) = cogfit.human(name).series(**labels)
    one = one.under(convention) if convention else one
    return one.x, one.y


def difference(better: str, worse: str, x: np.ndarray, y: np.ndarray) -> float:
    first, second = (cogfit.fit(x, y, form=name, noise="gaussian") for name in (better, worse))
    return second.aicc - first.aicc


def test_a_floor_beats_the_pure_power_in_shortcuts():
    x, y = points("remington2016_latency", condition="shortcut")
    assert difference("power_floor", "power", x, y) == pytest.approx(33, abs=0.6)
    assert cogfit.fit(x, y, form="power_floor", noise="gaussian").params["c"] == pytest.approx(1.09, abs=0.005)


def test_errors_of_recall_fall_exponentially():
    x, y = points("anderson1981_errors", "prior")
    after = x > 0
    assert difference("exponential", "power", x[after], y[after]) == pytest.approx(16, abs=0.5)
    fit = cogfit.fit(x[after], y[after], form="exponential", noise="gaussian")
    assert fit.params["r"] == pytest.approx(0.444, abs=5e-4)
    assert 1 - fit.rss / ((fit.y - fit.y.mean()) ** 2).sum() == pytest.approx(0.993, abs=5e-4)
    # with the first trial, whose error is 1 by construction, and k + 1 for the power law, little of that is left
    power, exponential = (
        cogfit.fit(k, y, form=form, noise="gaussian") for k, form in ((x + 1, "power"), (x, "exponential"))
    )
    assert power.aicc - exponential.aicc == pytest.approx(2.6, abs=0.05)


def test_a_logarithm_beats_the_power_in_mostellers_data():
    assert difference("logarithmic", "power", *points("mosteller1970_recall")) == pytest.approx(26, abs=0.5)


@pytest.mark.parametrize(
    ("x", "gamma", "r2"),
    [(None, 0.1302, 0.9747), ([0.33, 1, 8.8, 24, 48, 144, 744], 0.1302, 0.9708)],
)
def test_ebbinghaus_by_shipped_minutes_and_by_rounded_hours(x, gamma, r2):
    minutes, y = points("ebbinghaus1885_savings", edition="1885")
    axis = minutes if x is None else np.array(x, dtype=float)
    fit = cogfit.fit(axis, y, form="power", noise="gaussian")
    assert fit.gamma == pytest.approx(gamma, abs=1e-4)
    assert 1 - fit.rss / ((y - y.mean()) ** 2).sum() == pytest.approx(r2, abs=5e-5)
    if x is not None:
        assert difference("power", "exponential", axis, y) == pytest.approx(21, abs=0.5)


# Model, residuals, what stands for a block: γ, its standard error, sum of squares.
POOLED = [("blocks", 0.407, 0.0176, 0.163), ("midpoints", 0.472, 0.026, 0.235)]


@pytest.mark.slow
@pytest.mark.parametrize(("at", "gamma", "se", "rss"), POOLED)
def test_alphabet_arithmetic_with_one_gamma(at, gamma, se, rss):
    fit = next(
        one
        for one in described("zbrodoff1995_alphabet_arithmetic").pooled
        if (one.model, one.scale, one.at) == ("power", "log", at)
    )
    assert fit.n == 27
    assert fit.params["gamma"] == pytest.approx(gamma, abs=5e-4)
    assert fit.stderr["gamma"] == pytest.approx(se, abs=5e-4)
    assert fit.rss == pytest.approx(rss, abs=5e-4)


def test_alphabet_arithmetic_one_gamma_is_rejected_and_mixtures_do_better_than_one_gamma_only():
    found = described("zbrodoff1995_alphabet_arithmetic")
    test = found.common["midpoints, log"]  # the convention of the reference value; with block means F is 30.9
    assert (test.numerator, test.denominator) == (2, 21)
    assert test.f == pytest.approx(13.3, abs=0.05)
    assert test.p_value == pytest.approx(stats.f.sf(test.f, 2, 21))
    assert found.common["blocks, log"].f == pytest.approx(30.9, abs=0.05)
    aicc = {one.model: one.aicc for one in found.pooled if (one.scale, one.at) == ("raw", "blocks")}
    for mixture in ("two_process", "two_process_constant"):
        assert aicc["power"] - aicc[mixture] == pytest.approx(10, abs=1.0)
    assert aicc["power_by_group"] < min(aicc.values()) + 1e-9
    assert any("but a power law with a γ of each addend beats them" in text for text in found.statements)


def test_subjects_of_the_shortcut_study():
    menu, shortcut = described("remington2016_subjects").populations
    assert (menu.n, shortcut.n) == (24, 25)
    assert shortcut.mean == pytest.approx(0.29, abs=0.005)
    assert shortcut.spread == pytest.approx(0.08, abs=0.006)
    assert shortcut.sd_low < shortcut.sd < shortcut.spread  # without the errors of the single estimates
    assert shortcut.low > menu.high
    statements = described("remington2016_latency").statements
    assert any("trials fall from 800 to 350" in text for text in statements)
    assert any("trials fall from 768 to 330" in text for text in statements)


# ------------------------------------------------------------------------------------------- what cannot be borne


@pytest.mark.parametrize("name", [name for name, data in cogfit.human().items() if data.kind == "contrast"])
def test_contrasts_get_intervals_and_never_an_exponent(name):
    found = fit_human(cogfit.human(name))
    assert found.contrasts
    assert not [*found.curves, *found.slopes, *found.populations, *found.pooled]
    assert all(one.low < one.difference < one.high for one in found.contrasts)
    assert "gamma" not in json.dumps(found.to_json()["contrasts"])


def test_pairs_are_those_who_have_both_delays():
    found = described("audrain2022_recall")
    assert {one.n for one in found.contrasts} == {19}
    by_label = {tuple(one.labels.values()): one for one in found.contrasts}
    assert by_label["congruent", "fine"].high < 0 < by_label["congruent", "coarse"].low
    assert by_label["incongruent", "coarse"].low < 0 < by_label["incongruent", "coarse"].high
    (dropped,) = found.dropped
    assert dropped.n == 16
    truth = described("henderson2021_truth_effect").contrasts
    assert [one.n for one in truth] == [544, 532, 507, 532, 507, 507]


@pytest.mark.slow
def test_ebbinghaus_determines_the_exponent_but_not_the_other_two():
    found = fitted("ebbinghaus1885_savings")
    fit = found.curves[0].result
    shifted = fit["shifted_power"]
    assert set(shifted.estimate.not_identified) == {"A", "b"}
    limits = shifted.intervals["gamma"]
    assert 0.09 < limits.low < 0.13 < limits.high < 0.18
    np.testing.assert_allclose(fit.weights / fit.weights[0], (0.01 / found.dataset.table["probable_error"][:7]) ** 2)
    assert any("run away together" in text for text in found.statements)


def test_where_n_is_unknown_the_interval_says_that_it_rests_on_residuals():
    found = fitted("mosteller1970_recall")
    assert any("not known: the interval comes from the residuals" in text for text in found.curves[0].result.warnings)
    assert found.curves[0].result.verdict.power_law == "not_supported"


def test_known_standard_errors_say_how_well_the_power_law_fits():
    printed, manuscript = fitted("ebbinghaus1885_savings").curves
    assert manuscript.chi_square is None
    value, spare, p = printed.chi_square
    curve = printed.series
    fit = cogfit.fit(curve.curve(), form="power", noise="gaussian")
    assert value == pytest.approx((((curve.y - fit.params["A"] * curve.x**-fit.gamma) / curve.se) ** 2).sum())
    assert (spare, p) == (5, pytest.approx(stats.chi2.sf(value, 5)))


@pytest.mark.slow
def test_lists_are_resampled_and_their_distribution_is_given():
    found = fit_human(cogfit.human("dros2015_lists"))
    limits = found.curves[0].result["power"].intervals["gamma"]
    assert "lists resampled" in limits.method
    assert limits.scope == "the population of the lists"
    (lists,) = found.populations
    assert lists.n == 10
    assert "one model of all lists" in lists.method


def test_short_curves_are_not_compared():
    found = fit_human(cogfit.human("lui_chan2006_reprogramming"))
    assert not found.curves
    assert all("too few to compare forms" in text for text in found.skipped)
    assert [one.n for one in found.populations] == [8, 8]


@pytest.mark.slow
@pytest.mark.parametrize("name", cogfit.human())
def test_every_data_set_gives_a_document_and_a_picture(name):
    found = described(name)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["level"] == 0.95
    assert found.statements or found.slopes
    figure = plot_human(found.dataset, found)
    axes = figure.axes[0]
    assert axes.get_xlabel()
    assert found.dataset.citation.split(" ")[0] in axes.get_title(loc="left")
    assert len(found.table()) == len(found.slopes)


def test_a_slope_that_is_not_there_is_refused():
    found = described("mosteller1970_recall")
    assert found.slope(form="power_floor").status == "at_bound"
    with pytest.raises(cogfit.InputError, match="has no slope"):
        found.slope(convention="prior")


def own_data(folder: Path, text: str, **about: object) -> cogfit.Dataset:
    """A data set of the user's own; columns that are not numbers are those whose first cell is none."""
    head, first = (line.split(",") for line in text.splitlines()[:2])
    number = [cell.replace(".", "", 1).isdigit() for cell in first]
    fields = [{"name": n, "type": "number" if is_ else "string"} for n, is_ in zip(head, number, strict=True)]
    (folder / "own.csv").write_text(text)
    resource = {"name": "own", "path": "own.csv", "schema": {"fields": fields}, "cogfit": about}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    return cogfit.human("own", extra=folder)


def test_conditions_between_subjects_are_compared_by_welch(tmp_path):
    rng = np.random.default_rng(2)
    early, late = rng.normal(5, 1, 12), rng.normal(4, 2, 20)
    rows = [f"a{i},early,{v}" for i, v in enumerate(early)] + [f"b{i},late,{v}" for i, v in enumerate(late)]
    data = own_data(
        tmp_path, "who,when,y\n" + "\n".join(rows) + "\n", kind="contrast", axis="delay", unit="-",
        convention="elapsed", measure="other", contrast=["early", "late", "never"],
        columns={"y": "y", "category": "when", "cluster": "who"},
    )  # fmt: skip
    found = fit_human(data)
    (one,) = found.contrasts
    oracle = stats.ttest_ind(late, early, equal_var=False)
    limits = oracle.confidence_interval(0.95)
    assert (one.low, one.high, one.p_value) == pytest.approx((limits.low, limits.high, oracle.pvalue))
    assert [text for text in found.skipped if "no value under 'never'" in text]


def test_block_means_of_the_users_own_are_pooled(tmp_path):
    edges = [(1, 4), (5, 10), (11, 20), (21, 40), (41, 60), (61, 90), (91, 120), (121, 160), (161, 200)]
    rng = np.random.default_rng(4)
    y = [3.0 * np.mean(np.arange(a, b + 1.0) ** -0.6) * np.exp(0.01 * rng.normal()) for a, b in edges]
    rows = "\n".join(f"{0.5 * (a + b)},{a},{b},{v}" for (a, b), v in zip(edges, y, strict=True))
    about = {
        "axis": "repetition", "repeated": "item", "unit": "trials", "convention": "block", "measure": "error",
        "columns": {"x": "k", "y": "y", "first": "a", "last": "b"},
    }  # fmt: skip
    found = fit_human(own_data(tmp_path, "k,a,b,y\n" + rows + "\n", **about))
    fit = next(one for one in found.pooled if (one.model, one.scale, one.at) == ("power", "log", "blocks"))
    low, high = fit.interval("gamma")
    assert low < 0.6 < high < 0.65
    assert not found.common
    assert {one.model for one in found.pooled} == {"power", "power_floor"}  # errors are not computed and retrieved
    few = fit_human(own_data(tmp_path, "k,a,b,y\n" + "\n".join(rows.splitlines()[:3]) + "\n", **about))
    assert not few.pooled
    assert all("too few" in text for text in few.skipped)


def test_counts_of_the_users_own_data_get_a_binomial_likelihood(tmp_path):
    k = np.arange(1, 41)
    hits = np.random.default_rng(3).binomial(200, 0.8 * k**-0.5)
    rows = "\n".join(f"{a},{b / 200},200" for a, b in zip(k, hits, strict=True))
    data = own_data(
        tmp_path, "k,p,n\n" + rows + "\n", axis="repetition", repeated="item", unit="trials", convention="inclusive",
        measure="error", columns={"x": "k", "y": "p", "trials": "n"},
    )  # fmt: skip
    (curve,) = fit_human(data).curves
    assert curve.result.noise == "binomial"
    assert curve.result["power"].gamma == pytest.approx(0.5, abs=0.05)


# ------------------------------------------------------------------------------------------------------ statistics


def test_paired_contrast_is_students():
    rng = np.random.default_rng(0)
    a = rng.normal(1.0, 1.0, 12)
    b = a + rng.normal(0.5, 0.5, 12)
    who = np.array([f"s{i}" for i in range(12)])
    values, subjects = np.concatenate([a, b, [9.0]]), np.concatenate([who, who, ["alone"]])
    condition = np.array(["x"] * 12 + ["y"] * 13)
    found = paired_contrast(values, subjects, condition, "x", "y")
    oracle = stats.ttest_rel(b, a)
    limits = oracle.confidence_interval(0.95)
    assert (found.n, found.p_value) == (12, pytest.approx(oracle.pvalue))
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high))
    with pytest.raises(cogfit.InputError, match="more than once"):
        paired_contrast(np.ones(3), np.array(["a", "a", "b"]), np.array(["x", "x", "y"]), "x", "y")
    with pytest.raises(cogfit.InputError, match=r"only 1 subject"):
        paired_contrast(np.ones(2), np.array(["a", "a"]), np.array(["x", "y"]), "x", "y")


def test_independent_contrast_adds_variances():
    found = independent_contrast((10.0, 4.0), (0.3, 0.4), "x", "y")
    assert (found.difference, found.high - found.difference) == pytest.approx((-6.0, 1.96 * 0.5), rel=1e-4)
    assert found.n is None


def test_random_effects_agree_with_an_independent_implementation():
    from statsmodels.stats.meta_analysis import combine_effects

    rng = np.random.default_rng(5)
    error = rng.uniform(0.02, 0.1, 15)
    effect = rng.normal(0.4, 0.12, 15) + error * rng.normal(size=15)
    found = random_effects(effect, error, degrees_of_freedom=18)
    oracle = combine_effects(effect, error**2, method_re="iterated", use_t=True)
    assert found.sd**2 == pytest.approx(oracle.tau2, rel=1e-4)
    assert found.mean == pytest.approx(oracle.mean_effect_re, rel=1e-6)
    half = stats.t.ppf(0.975, 14) * oracle.sd_eff_w_re_hksj
    assert found.high - found.mean == pytest.approx(half, rel=1e-3)  # Paule–Mandel makes the HKSJ scale 1


def test_the_interval_of_the_spread_between_subjects_covers_it():
    rng = np.random.default_rng(1)
    error = rng.uniform(0.02, 0.08, 25)
    covered = []
    for _ in range(150):
        made = random_effects(rng.normal(0.3, 0.07, 25) + error * rng.normal(size=25), error, degrees_of_freedom=18)
        covered.append((made.sd_low < 0.07 < made.sd_high, made.low < 0.3 < made.high))
    spread, mean = np.mean(covered, axis=0)
    assert 0.90 < spread < 0.99
    assert 0.90 < mean < 0.99


def test_rough_standard_errors_are_no_weights():
    estimates = np.array([0.2, 0.4, 0.9, 0.5])
    found = random_effects(estimates, np.array([0.001, 0.3, 0.3, 0.3]), degrees_of_freedom=2)
    assert found.mean == pytest.approx(estimates.mean())
    limits = stats.t.interval(0.95, 3, estimates.mean(), stats.sem(estimates))
    assert (found.low, found.high) == pytest.approx(limits)
    assert "2 degrees of freedom" in found.caveats[0]
    for bad, error in ((estimates[:1], np.ones(1)), (estimates, np.zeros(4)), (estimates * np.nan, np.ones(4))):
        with pytest.raises(cogfit.InputError):
            random_effects(bad, error, degrees_of_freedom=18)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(gamma=st.floats(0.05, 1.2), noise=st.floats(0.005, 0.05), seed=st.integers(0, 10**6))
def test_standard_errors_come_back_from_r2(gamma, noise, seed):
    x = np.arange(1.0, 21.0)
    y = x**-gamma + np.random.default_rng(seed).normal(0.0, noise * (1 - 20**-gamma), 20)
    fit = estimate.estimate(cogfit.forms()["power"], x, y, np.ones(20))
    r2 = 1 - fit.rss / ((y - y.mean()) ** 2).sum()
    assert stderr_from_r2(fit.params["gamma"], r2, x) == pytest.approx(fit.stderr["gamma"], rel=0.03)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(gamma=st.floats(0.1, 1.5), levels=st.tuples(st.floats(0.5, 5.0), st.floats(0.5, 5.0)))
def test_block_means_give_the_exponent_back_and_midpoints_do_not(gamma, levels):
    counts = tuple(np.arange(a, b + 1.0) for _ in range(2) for a, b in ((1, 12), (13, 24), (25, 48)))
    y = np.array([level * np.mean(k**-gamma) for k, level in zip(counts, np.repeat(levels, 3), strict=True)])
    code = np.repeat([0, 1], 3)
    cells = block_means.Cells(y, counts, "group", code, ("a", "b"))
    found = block_means.fit_blocks(cells, "power", "blocks")
    assert found.params["gamma"] == pytest.approx(gamma, abs=1e-5)
    assert list(found.levels.values()) == pytest.approx(levels, rel=1e-4)
    middle = block_means.Cells(y, tuple(np.array([k.mean()]) for k in counts), "group", code, ("a", "b"))
    assert block_means.fit_blocks(middle, "power", "midpoints").params["gamma"] > gamma + 0.004


def test_block_means_of_a_mixture_give_its_parameters_back():
    counts = tuple(np.arange(a, a + 6.0) for _ in range(2) for a in range(1, 60, 6))
    law, level = block_means.MODELS["two_process"], np.repeat([4.0, 6.0], 10)
    columns = [[c.mean() for c in law.columns(k, np.array([0.15, 0.2]))] for k in counts]
    y = np.array([t * own + 1.5 * shared for t, (own, shared) in zip(level, columns, strict=True)])
    cells = block_means.Cells(y, counts, "group", np.repeat([0, 1], 10), ("a", "b"))
    for scale in ("log", "raw"):
        found = block_means.fit_blocks(cells, "two_process", "blocks", scale).params
        assert [found[name] for name in ("Tr", "r", "gamma")] == pytest.approx([1.5, 0.15, 0.2], rel=1e-3)


def test_blocks_need_blocks_and_a_label():
    with pytest.raises(cogfit.InputError, match="no blocks"):
        block_means.cells_of(cogfit.human("mosteller1970_recall").series(), "x")
    with pytest.raises(cogfit.InputError, match="no label"):
        block_means.cells_of(cogfit.human("zbrodoff1995_alphabet_arithmetic").series(), "x")


# ----------------------------------------------------------------------------------------- command line, picture


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def test_the_list_names_what_there_is_and_what_could_not_be_had(capfd):
    code, out, err = run(capfd, "human")
    assert (code, err) == (0, "")
    for name in cogfit.human():
        assert name in out
    assert "https://osf.io/4krxh" in out
    table = out.split("\n\n")[0]
    assert max(len(line) for line in table.splitlines()) <= 80
    assert out in (ROOT / "docs" / "human-data.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_one_data_set_with_numbers_provenance_and_fits(capfd):
    code, out, err = run(capfd, "human", "mosteller1970_recall")
    assert (code, err) == (0, "")
    for text in ("p. 383", "licence", "10080", "0.08", "logarithm fits far better", "0.219", "power law not supported"):
        assert text in out
    assert "warning: the number of subjects is not known: the interval comes from the residuals" in out
    code, out, _ = run(capfd, "human", "mosteller1970_recall", "--no-fit")
    assert code == 0
    assert "γ" not in out
    code, out, _ = run(capfd, "human", "audrain2022_recall")
    assert "19 pairs" in out
    assert "without the values that the authors drop" in out
    assert "γ" not in out
    code, out, _ = run(capfd, "human", "remington2016_subjects")
    assert "another one" in out
    code, out, _ = run(capfd, "human", "zbrodoff1995_alphabet_arithmetic")
    assert "midpoints" in out
    assert "…" not in out.split("all cells together")[1]  # tables are as wide as they are where nobody looks on


def test_json_on_standard_output_is_nothing_but_json(capfd):
    code, out, _ = run(capfd, "human", "--json", "-")
    listing = json.loads(out)
    assert code == 0
    assert listing["schema"] == "cogfit.human/1"
    assert {one["id"] for one in listing["datasets"]} == set(cogfit.human())
    assert len(listing["unobtainable"]) == 11
    code, out, _ = run(capfd, "human", "heller1991_repetitions", "--no-fit", "--json", "-")
    one = json.loads(out)
    assert one["fits"] is None
    assert one["dataset"]["rows"][0] == ["Ebbinghaus", 20, 23.8, 10.4, 0.563025]
    assert [field["name"] for field in one["dataset"]["fields"]][-1] == "savings"


@pytest.mark.slow
def test_files_are_written_and_the_picture_shows_the_fit(tmp_path, capfd):
    target, document = tmp_path / "m.png", tmp_path / "m.json"
    code, _, _ = run(capfd, "human", "mosteller1970_recall", "--plot", target, "--json", document)
    assert code == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    fits = json.loads(document.read_text())["fits"]
    assert fits["curves"][0]["fit"]["schema"] == "cogfit.fit/1"
    found = fitted("mosteller1970_recall")
    axes = plot_human(found.dataset, found).axes[0]
    line = next(one for one in axes.get_lines() if len(one.get_xdata()) == 300)
    item = found.curves[0].result.selected
    x, y = line.get_data()
    np.testing.assert_allclose(y, cogfit.forms()[item.name].evaluate(x, item.estimate.params))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ebinghaus1885_savings",), "did you mean 'ebbinghaus1885_savings'"),
        (("joensen2020",), "could not be read"),
        (("--plot", "x.png"), "--plot draws one data set"),
        (("mosteller1970_recall", "--plot", "x.gif"), "names no picture format"),
        (("mosteller1970_recall", "--level", "95"), "--level must lie between 0 and 1"),
        (("--extra", "nothing"), "cannot be read as a data package"),
        (("--json", "missing/x.json"), "the folder does not exist"),
    ],
)
def test_wrong_calls_end_with_one_line_and_code_2(arguments, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, "human", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
