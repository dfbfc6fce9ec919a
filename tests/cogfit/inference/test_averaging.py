"""The averaging artefact against exact mixtures, known exponents and the recorded runs."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array
from scipy.stats import gamma as gamma_distribution

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import Clusters, Curve
from cogfit.curves.exposure import exposure_curve
from cogfit.engine import separable
from cogfit.formulas.registry import get_form
from cogfit.inference import averaging
from cogfit.inference import patterns as trajectories
from cogfit.inference.averaging_fits import Data, bin_patterns, fit_form
from cogfit.logs.model import RoutingLog

Array = NDArray[np.float64]
K = np.arange(1.0, 301.0)


def pooled(single: Array, counts: Array | None = None, k: Array | None = None) -> Curve:
    """Curve of single patterns (patterns, k), each value seen `counts` times."""
    n = np.ones(single.shape) if counts is None else counts
    x = np.arange(1.0, single.shape[1] + 1.0) if k is None else k
    total = n.sum(axis=0)
    mean = (n * single).sum(axis=0) / np.maximum(total, 1.0)
    return Curve(
        x, mean, total, total, "exposure", "prior", "probability", clusters=Clusters("patterns", single * n, n)
    )


def exponentials(rng: np.random.Generator, patterns: int = 60, shape: float = 0.43, rate: float = 10.0) -> Array:
    return np.exp(-rng.gamma(shape, 1.0 / rate, (patterns, 1)) * K)


def power_laws(rng: np.random.Generator, patterns: int = 60, sd: float = 0.15, shift: float = 0.0) -> Array:
    mean = 0.43
    g = rng.gamma((mean / sd) ** 2, sd**2 / mean, (patterns, 1)) if sd else np.full((patterns, 1), mean)
    return 0.9 * (K + shift) ** -g


def noisy(p: Array, rng: np.random.Generator, rho: float = 0.0) -> Array:
    """Probabilities with AR(1) noise of SD 0.3 on their logits; 0 and 1 stay what they are."""
    e = rng.normal(size=p.shape)
    for i in range(1, p.shape[1]):
        e[:, i] = rho * e[:, i - 1] + math.sqrt(1.0 - rho**2) * e[:, i]
    odds = np.exp(0.3 * e)
    return np.asarray(p * odds / (1.0 - p + p * odds))


# -------------------------------------------------------------------------------------------------- the statuses


def test_gamma_distributed_rates_average_to_the_shifted_power_law_and_are_found_out() -> None:
    """With rates at the quantiles of Gamma(a, b) the average is (1 + k/b)^-a: an artefact by construction."""
    a, b = 0.43, 10.0
    rates = gamma_distribution.ppf((np.arange(250) + 0.5) / 250, a, scale=1.0 / b)
    single = np.exp(-rates[:, None] * K)
    np.testing.assert_allclose(single.mean(axis=0), (1.0 + K / b) ** -a, rtol=0.01)
    found = averaging.analyse(pooled(single))
    assert found.status == "artefact"
    assert found.per_pattern_form == "exponential"
    assert found.share_better > 0.99
    assert found.reproduced > 0.9999 > found.reproduced_power
    assert math.isnan(found.gamma_mean)
    assert "averaging artefact" in found.reasons[0]


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_soft_curves_tell_exponentials_from_power_laws(rho: float) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        found = averaging.analyse(pooled(noisy(exponentials(rng), rng, rho)))
        assert found.status == "artefact"
        assert min(found.z, found.z_mirrored) > found.critical
        for truth in (power_laws(rng, 100), power_laws(rng, 100, shift=1.0), 0.03 + power_laws(rng, 100)):
            found = averaging.analyse(pooled(noisy(truth, rng, rho)))
            assert found.status == "genuine"
            assert max(found.z, found.z_mirrored) < -found.critical
            assert found.shift <= 1.0


def test_yes_no_outcomes_tell_them_apart_too() -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        outcome = (rng.random((100, K.size)) < exponentials(rng, 100)).astype(float)
        assert averaging.analyse(pooled(outcome)).status == "artefact"
        outcome = (rng.random((200, K.size)) < power_laws(rng, 200)).astype(float)
        assert averaging.analyse(pooled(outcome)).status == "genuine"


def test_short_windows_with_autocorrelated_noise_are_no_artefact() -> None:
    """(k + 1)^-γ over 30 presentations: exponentials follow such noise better, which is not taken for evidence."""
    misled = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = averaging.analyse(pooled(noisy(power_laws(rng, 100, shift=1.0), rng, 0.9)[:, :30]))
        assert found.status != "artefact"
        misled += found.z - found.z_mirrored > 1.0
    assert misled == 3  # what the mirrored statistic takes off


def test_alike_exponentials_leave_nothing_to_explain() -> None:
    rng = np.random.default_rng(1)
    found = averaging.analyse(pooled(noisy(np.tile(np.exp(-0.02 * K), (60, 1)), rng)))
    assert found.status == "none"
    assert found.z > found.critical


def test_hyperbolas_are_neither() -> None:
    """1/(1 + k/b) is a power law of k + b: exponentials must not win for want of a shift, nor k^-γ be claimed."""
    rng = np.random.default_rng(2)
    found = averaging.analyse(
        pooled(1.0 / (1.0 + K / rng.gamma(3.0, 5.0, (40, 1))) + 0.01 * rng.normal(size=(40, 300)))
    )
    assert found.status == "undecided"
    assert "neither" in found.reasons[0]
    assert found.shift > 1.0


@pytest.mark.parametrize("name", ["hyperbolic", "log_logistic_step"])
def test_the_form_of_single_patterns_is_named_where_it_is_another(name: str) -> None:
    rng, form = np.random.default_rng(6), get_form(name)
    scale = rng.gamma(3.0, 15.0, 60)
    params = [{"A": 1.0, "b": v} if name == "hyperbolic" else {"A": 1.0, "x50": v, "s": 3.0, "c": 0.0} for v in scale]
    single = np.stack([form.evaluate(K, p) for p in params]) + 0.03 * rng.standard_normal((60, K.size))
    found = averaging.analyse(pooled(single))
    assert found.per_pattern_form == name
    assert found.reproduced > 0.99
    assert any(f"single patterns are {form.title} curves rather than" in text for text in found.statements())
    assert not any("follow exponentials" in text for text in found.statements())


def test_exponentials_and_power_laws_are_not_called_anything_else() -> None:
    for single in (exponentials, power_laws):
        rng = np.random.default_rng(7)
        found = averaging.analyse(pooled(single(rng) + 0.03 * rng.standard_normal((60, K.size))))
        assert found.per_pattern_form in ("exponential", "exponential_floor")
        assert not any("rather than" in text for text in found.statements())


def test_a_mixed_population_is_not_decided() -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        both = np.concatenate([power_laws(rng, 30), exponentials(rng, 30, 1.0, 20.0)])
        assert averaging.analyse(pooled(noisy(both, rng))).status == "undecided"


def test_noise_alone_is_not_decided() -> None:
    statuses = set()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        statuses.add(averaging.analyse(pooled(0.5 + 0.1 * rng.normal(size=(50, 300)))).status)
        walk = np.cumsum(rng.normal(size=(50, 300)), axis=1)
        statuses.add(averaging.analyse(pooled(0.5 + 0.01 * walk)).status)
    assert statuses == {"undecided"}


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_patterns_are_not_decided(level: float) -> None:
    found = averaging.analyse(pooled(np.full((20, 300), level)))
    assert found.status == "undecided"
    json.dumps(found.to_json(), allow_nan=False)


def test_pooled_data_are_undecidable() -> None:
    single = power_laws(np.random.default_rng(0))
    curve = pooled(single)
    assert averaging.analyse(replace(curve, clusters=None)).status == "undecidable"
    assert averaging.analyse(pooled(single[:4])).status == "undecidable"
    assert averaging.analyse(pooled(single[:, :5])).status == "undecidable"  # five points of k each
    assert averaging.analyse(pooled(single[:5])).status != "undecidable"
    once = (np.arange(300) % 60 == np.arange(60)[:, None]).astype(float)  # five values of each pattern, scattered
    found = averaging.analyse(pooled(single, once))
    assert (found.status, found.patterns) == ("undecidable", 0)
    assert averaging.analyse(curve.take(np.zeros(300, dtype=bool))).status == "undecidable"


# --------------------------------------------------------------------------------------------------- exponents


@pytest.mark.parametrize("sd", [0.0, 0.1, 0.2])
def test_the_spread_of_exponents_is_that_of_the_patterns(sd: float) -> None:
    means, spreads = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        g = 0.6 + sd * rng.normal(size=(150, 1)).clip(-2.5, 2.5)
        found = averaging.analyse(pooled(0.9 * K**-g * np.exp(0.3 * rng.normal(size=(150, 300)))))
        assert found.status == "genuine"
        means.append(found.gamma_mean - g.mean())
        spreads.append(found.gamma_sd - g.std(ddof=1))
    assert np.abs(means).max() < 0.02
    assert np.abs(spreads).max() < 0.03


def test_estimation_error_is_removed_from_the_spread() -> None:
    """Yes/no outcomes of patterns that share one exponent: their own estimates differ all the same."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        outcome = (rng.random((150, 300)) < power_laws(rng, 150, sd=0.0)).astype(float)
        found = averaging.analyse(pooled(outcome))
        assert found.gamma_mean == pytest.approx(0.43, abs=0.03)
        x, y, n = bin_patterns(pooled(outcome))
        single = fit_form(get_form("power"), Data(x, y, n, np.ones(x.size))).params[:, 1]
        assert single.std() > 0.07
        assert found.gamma_sd < 0.04


def test_pooling_makes_the_exponent_smaller() -> None:
    """The slowest patterns dominate the tail of an average (Jensen): the pooled γ is below the mean of the γ_j."""
    rng = np.random.default_rng(3)
    found = averaging.analyse(pooled(noisy(power_laws(rng, 200, sd=0.25), rng)))
    assert found.gamma_pooled < found.gamma_mean - 0.05
    assert f"{found.gamma_pooled:.2f}" in " ".join(found.statements())


# -------------------------------------------------------------------------------------------------------- data


def test_sparse_tables_give_the_same_answer() -> None:
    rng = np.random.default_rng(4)
    counts = (rng.random((50, 300)) < 0.2).astype(float)
    curve = pooled(noisy(exponentials(rng, 50), rng), counts)
    assert curve.clusters is not None
    sparse = Clusters("patterns", csr_array(curve.clusters.sums), csr_array(curve.clusters.counts))
    dense = averaging.analyse(curve).to_json()
    assert averaging.analyse(replace(curve, clusters=sparse)).to_json() == dense
    assert dense["status"] == "artefact"


@pytest.mark.parametrize(("make", "status"), [(exponentials, "artefact"), (power_laws, "genuine")])
def test_ragged_patterns(make: object, status: str) -> None:
    """Patterns that end early, start late, or have gaps; one has too few points and is left out."""
    rng = np.random.default_rng(5)
    assert callable(make)
    single = noisy(make(rng), rng)
    counts = (rng.random(single.shape) < 0.7).astype(float)
    for j in range(20):
        counts[j, rng.integers(30, 300) :] = 0.0
        counts[20 + j, : rng.integers(1, 5)] = 0.0
    counts[50, 4:] = 0.0
    single[counts == 0.0] = 99.0  # never looked at
    found = averaging.analyse(pooled(single, counts))
    assert (found.status, found.patterns) == (status, 59)


def test_places_that_no_usable_pattern_has_seen_are_left_out() -> None:
    rng = np.random.default_rng(14)
    single = noisy(power_laws(rng), rng)
    counts = np.ones(single.shape)
    counts[:-1, :4] = 0.0
    counts[-1, 4:] = 0.0
    found = averaging.analyse(pooled(single, counts))
    assert (found.status, found.patterns) == ("genuine", 59)
    assert found.z == pytest.approx(averaging.analyse(pooled(single[:-1, 4:], k=K[4:])).z, rel=0.1)  # other bins


def test_the_unit_of_y_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    seconds = 0.4 + 1.2 * power_laws(rng) + 0.02 * rng.normal(size=(60, 300))
    one, other = averaging.analyse(pooled(seconds)), averaging.analyse(pooled(1000.0 * seconds))
    assert one.status == other.status == "genuine"
    assert one.gamma_form == "power_floor"
    assert other.z == pytest.approx(one.z, rel=1e-6)
    assert other.gamma_sd == pytest.approx(one.gamma_sd, rel=1e-6)


def test_groups_of_arrays_are_patterns_too() -> None:
    rng = np.random.default_rng(7)
    single = noisy(exponentials(rng, 30), rng)
    curve = array_curve(np.tile(K, 30), single.ravel(), groups=np.repeat(np.arange(30), K.size))
    found = averaging.analyse(curve)
    assert (found.status, found.kind, found.patterns) == ("artefact", "groups", 30)
    assert found.z == pytest.approx(averaging.analyse(pooled(single)).z)
    assert "single groups" in " ".join(found.reasons)


def test_k_of_zero_is_left_out() -> None:
    rng = np.random.default_rng(8)
    single = noisy(power_laws(rng), rng)
    later = averaging.analyse(pooled(np.hstack([np.ones((60, 1)), single]), k=np.arange(301.0)))
    assert later.to_json() == averaging.analyse(pooled(single)).to_json()


def test_json_holds_no_nan() -> None:
    rng = np.random.default_rng(9)
    for single in (exponentials(rng), power_laws(rng), np.zeros((20, 300)), power_laws(rng)[:3]):
        found = averaging.analyse(pooled(single))
        plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert plain["status"] == found.status
        assert plain["status"] in averaging.STATUSES
        assert plain["statements"] == list(found.statements())
        assert (plain["gamma_mean"] is None) == math.isnan(found.gamma_mean)


def test_a_hundred_patterns_of_ten_thousand_points_take_less_than_a_second() -> None:
    rng = np.random.default_rng(10)
    k = np.arange(1.0, 10001.0)
    curve = pooled(0.9 * k ** -rng.gamma(8.0, 0.05, (100, 1)) * np.exp(0.3 * rng.normal(size=(100, k.size))))
    averaging.analyse(pooled(power_laws(rng)))  # what is compiled or imported once
    start = time.process_time()
    assert averaging.analyse(curve).status == "genuine"
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_the_search_in_one_parameter_finds_what_the_general_solver_finds(kind: str) -> None:
    rng = np.random.default_rng(11)
    p = np.concatenate([exponentials(rng, 40), power_laws(rng, 40)])
    x, y, n = bin_patterns(pooled(noisy(p, rng) if kind == "soft" else (rng.random(p.shape) < p).astype(float)))
    data = Data(x, y, n, np.ones(x.size))
    for plain in ("power", "exponential"):
        pair = (plain, f"{plain}_floor")
        ours = np.min([fit_form(get_form(name), data).rss for name in pair], axis=0)
        theirs = np.min([separable.solve(get_form(name), x, y, n).rss for name in pair], axis=0)
        assert np.mean(ours <= 1.001 * theirs + 1e-4) > 0.95
        assert np.all(ours <= 1.05 * theirs + 1e-3)


# ------------------------------------------------------------------------------------------------------- steps


def test_scattered_steps_are_an_artefact_and_common_ones_are_not() -> None:
    rng = np.random.default_rng(12)
    scattered = 0.02 + 0.96 * (np.exp(rng.uniform(np.log(10), np.log(250), (50, 1))) > K)
    lapses = (rng.random((50, 300)) < scattered).astype(float)
    for single in (scattered, lapses):
        for near_binary in (None, 1.0):
            found = averaging.analyse(pooled(single), near_binary)
            assert (found.status, found.per_pattern_form) == ("artefact", "step")
            assert f"(γ = {found.gamma_pooled:.2f}) is an averaging artefact of steps" in found.reasons[0]
            assert found.decades == pytest.approx(0.8 * math.log10(25.0), abs=0.2)
            assert found.reproduced > 0.99
    common = 0.02 + 0.96 * (np.exp(rng.normal(np.log(100.0), 0.1, (50, 1))) > K)
    found = averaging.analyse(pooled(common), 1.0)
    assert (found.status, found.per_pattern_form) == ("none", "step")
    assert "step, too" in found.reasons[1]


def test_low_curves_are_not_taken_for_steps() -> None:
    """Steep power laws are below 0.2 nearly everywhere, which counts as near-binary, but they are no steps."""
    rng = np.random.default_rng(13)
    steep = noisy(0.4 * K ** -rng.gamma(40.0, 0.02, (50, 1)), rng)
    for near_binary in (None, 1.0):
        found = averaging.analyse(pooled(steep), near_binary)
        assert found.near_binary > averaging.BINARY
        assert (found.status, found.per_pattern_form) == ("genuine", "exponential_floor")


@pytest.fixture(scope="module")
def recorded() -> RoutingLog:
    log = cogfit.read_log(cogfit.data_dir() / "runs" / "srcd-n256-gradual")
    assert log.routing is not None
    return log.routing


@pytest.mark.slow
def test_the_gradual_run_is_an_artefact_of_steps(recorded: RoutingLog) -> None:
    curve = exposure_curve(recorded)
    assert curve.facts is not None
    followed = trajectories.analyse(recorded, curve.facts)
    power = separable.solve(get_form("power"), curve.x, curve.y[None, :], curve.weights[None, :]).params[0, 1]
    for outcome, near_binary in (("soft", followed.near_binary), ("soft", None), ("hard", None)):
        found = averaging.analyse(exposure_curve(recorded, outcome=outcome), near_binary)  # type: ignore[arg-type]
        assert (found.status, found.per_pattern_form, found.patterns) == ("artefact", "step", 100)
        assert found.near_binary == pytest.approx(followed.near_binary, abs=0.02)
        assert found.gamma_pooled == pytest.approx(power, abs=0.01)
        assert f"the pooled slope (γ = {power:.2f}) is an averaging artefact of steps" in found.reasons
        # patterns that never switch are later ones: an independent fit of a censored log-normal
        log_k = np.log(followed.table["k"].to_numpy(dtype=float))
        never, low = (followed.table["status"].to_numpy() == status for status in ("never", "low_from_start"))
        data = stats.CensoredData(uncensored=log_k[~never & ~low], right=log_k[never], left=log_k[low])
        decades = 2.0 * stats.norm.ppf(0.9) * stats.norm.fit(data)[1] / math.log(10.0)
        assert found.decades == pytest.approx(decades, abs=0.1)


@pytest.mark.parametrize("last", [20, 60, 2000])
def test_the_spread_of_steps_does_not_depend_on_where_the_log_ends(last: int) -> None:
    """Patterns that have not switched yet are later ones: 50, 14 and 0 % of them here."""
    switch = np.exp(3.0 + stats.norm.ppf((np.arange(100) + 0.5) / 100))
    k = np.arange(1.0, last + 1)
    y = np.where(k < switch[:, None], 0.95, 0.05)
    found = averaging.analyse(pooled(y))
    assert (found.status, found.per_pattern_form) == ("artefact", "step")
    assert found.decades == pytest.approx(2.0 * stats.norm.ppf(0.9) / math.log(10.0), abs=0.12)


def test_patterns_that_never_switch_do_not_spread_those_that_switch_together() -> None:
    switch = np.concatenate([np.exp(3.0 + 0.1 * stats.norm.ppf((np.arange(50) + 0.5) / 50)), np.full(50, 1e9)])
    k = np.arange(1.0, 1001.0)
    y = np.where(k < switch[:, None], 0.95, 0.05)
    found = averaging.analyse(pooled(y))
    assert (found.status, found.per_pattern_form) == ("none", "step")
    assert "80 % of those that do between" in found.reasons[0]


def test_the_consolidating_run_switches_at_one_time() -> None:
    log = cogfit.read_log(cogfit.data_dir() / "runs" / "srcd-n256-consolidates")
    assert log.routing is not None
    found = averaging.analyse(exposure_curve(log.routing))
    assert (found.status, found.per_pattern_form) == ("none", "step")
    assert found.decades < 0.1
