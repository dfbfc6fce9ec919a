"""The solver's kernels at every level of the processor: the same minima, whatever stands beside a curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest

from cogfit.engine import separable
from cogfit.engine.arma import Arma
from cogfit.engine.estimate import Estimates, estimate_many
from cogfit.engine.separable import Bundle, solve, solve_bundle
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form
from cogfit.formulas.registry import get_form
from cogfit.native import kernels, library

LEVELS = library.levels()
QUICK = [form for form in BUILT_IN if len(form.shape) < 2]
SLOW = [form for form in BUILT_IN if len(form.shape) >= 2]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    before = library.level()
    library.use_level(request.param)
    yield request.param
    library.use_level(before)


def noisy(count: int, n: int, noise: float = 0.05, seed: int = 17) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.arange(1.0, n + 1.0)
    gamma, floor = rng.uniform(0.1, 2.0, (count, 1)), rng.uniform(0.0, 0.4, (count, 1))
    return x, floor + x**-gamma + noise * rng.standard_normal((count, n))


def at_every_level(form: Form, bundle: Bundle, threads: int = 1) -> list[Estimates]:
    before, results = library.level(), []
    for level in LEVELS:
        library.use_level(level)
        results.append(estimate_many(form, bundle, threads=threads))
    library.use_level(before)
    return results


def recomputed_rss(form: Form, bundle: Bundle, params: np.ndarray) -> np.ndarray:
    rss = np.empty(len(params))
    for b, values in enumerate(params):
        at = bundle.axis[b]
        x = bundle.x[bundle.x_at[at] : bundle.x_at[at + 1]]
        y = bundle.y[bundle.y_at[b] : bundle.y_at[b] + x.size]
        w = bundle.w[bundle.w_at[b] : bundle.w_at[b] + x.size]
        rss[b] = (w * (y - form.evaluate(x, values)) ** 2).sum()
    return rss


def assert_same_minima(form: Form, bundle: Bundle, one: Estimates, other: Estimates) -> None:
    rss, beside = (recomputed_rss(form, bundle, result.params) for result in (one, other))
    rounding = 1e-26 * bundle.y @ bundle.y
    np.testing.assert_allclose(beside, rss, rtol=1e-10, atol=rounding)
    np.testing.assert_allclose(one.rss, rss, rtol=1e-10, atol=rounding)
    for j, q in enumerate(form.parameters):
        if q.name != form.gamma:
            continue
        known = np.isfinite(one.stderr[:, j]) & (one.status == 0)
        assert np.all(np.abs(one.params - other.params)[known, j] <= 1e-4 * one.stderr[known, j])
    np.testing.assert_array_equal(one.status, other.status)


@pytest.mark.parametrize("form", QUICK, ids=lambda form: form.name)
@pytest.mark.parametrize("n", [3, 7, 8, 9, 200])
def test_levels_agree(form: Form, n: int) -> None:
    bundle = Bundle.rectangular(*noisy(40, n), np.ones((40, n)))
    first, *others = at_every_level(form, bundle)
    for other in others:
        assert_same_minima(form, bundle, first, other)


@pytest.mark.parametrize("form", SLOW, ids=lambda form: form.name)
def test_levels_agree_on_forms_of_several_parameters(form: Form) -> None:
    count = 2 if form.name in ("truncated_zipf", "broken_power") else 6
    x, y = noisy(count, 30, noise=0.02)
    weights = np.random.default_rng(3).uniform(0.2, 5.0, y.shape)
    bundle = Bundle.rectangular(x, y, weights)
    first, *others = at_every_level(form, bundle)
    for other in others:
        assert_same_minima(form, bundle, first, other)


def test_the_vanishing_floor_and_both_bounds_of_gamma(level: str) -> None:
    x = np.geomspace(1.0, 1e4, 60)
    rng = np.random.default_rng(5)
    form = get_form("power_floor")
    flat = 1.0 - 1e-4 * np.log(x) + 1e-7 * rng.standard_normal(x.size)  # γ at its lower bound
    steep = np.where(x == 1.0, 1.0, 1e-9 * rng.standard_normal(x.size))  # and at its upper one
    rising = np.log(x)
    fits = solve(form, x, np.array([flat, steep, rising]), np.ones((3, x.size)))
    names = list(form.names)
    gamma = fits.params[:, names.index("gamma")]
    assert gamma[0] < 0.01
    assert gamma[1] > 11.9
    assert fits.params[2, names.index("A")] == 0.0
    np.testing.assert_allclose(fits.params[2, names.index("c")], rising.mean())
    bundle = Bundle.rectangular(x, np.array([flat, steep, rising]), np.ones((3, x.size)))
    np.testing.assert_allclose(fits.rss, recomputed_rss(form, bundle, fits.params), rtol=1e-10)


@pytest.mark.parametrize("name", ["power_floor", "power", "shifted_power_floor", "two_process"])
def test_a_curve_does_not_depend_on_its_neighbours_or_on_threads(name: str, level: str) -> None:
    form, n = get_form(name), 43
    count = 75 if len(form.shape) < 2 else 37
    x, y = noisy(count, n)
    together = solve_bundle(form, Bundle.rectangular(x, y, np.ones_like(y)), threads=1)
    threaded = solve_bundle(form, Bundle.rectangular(x, y, np.ones_like(y)), threads=2)
    order = np.random.default_rng(1).permutation(count)
    shuffled = solve_bundle(form, Bundle.rectangular(x, y[order], np.ones_like(y)), threads=1)
    alone = [solve(form, x, y[[b]], np.ones((1, n))) for b in range(0, count, 12)]
    # each with an axis of its own, at odd places of the memory
    sizes = np.arange(1, count + 1) * n
    begin, ones = sizes - n, np.ones(y.size)
    own = Bundle(np.tile(x, count), np.array([0, *sizes]), np.arange(count), y.ravel(), begin, ones, begin)
    separate = solve_bundle(form, own, threads=2)
    for field in fields(together):
        expected = getattr(together, field.name)
        np.testing.assert_array_equal(getattr(threaded, field.name), expected)
        np.testing.assert_array_equal(getattr(separate, field.name), expected)
        np.testing.assert_array_equal(getattr(shuffled, field.name), expected[order])
        for k, single in enumerate(alone):
            np.testing.assert_array_equal(getattr(single, field.name)[0], expected[12 * k])


def test_many_threads_at_once_solve_what_one_does(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    form = get_form("exponential_floor")
    x, y = noisy(300, 61)
    one = estimate_many(form, Bundle.rectangular(x, y, np.ones_like(y)), threads=1)
    monkeypatch.setattr(separable, "PART", 500)
    many = estimate_many(form, Bundle.rectangular(x, y, np.ones_like(y)), threads=8)
    np.testing.assert_array_equal(one.params, many.params)


@pytest.mark.parametrize("n", [2, 3, 7, 9, 1000])
def test_weights_and_axes_of_any_size(n: int, level: str) -> None:
    rng = np.random.default_rng(n)
    form = get_form("power")
    x = np.sort(rng.uniform(0.5, 100.0, n))
    y = 0.8 * x**-0.6 * (1 + 0.01 * rng.standard_normal((5, n)))
    w = rng.uniform(0.1, 3.0, (5, n))
    fits = solve(form, x, y, w)
    for b in range(5):
        again = solve(form, x, y[[b]] * 3.0, w[[b]] * 4.0)
        np.testing.assert_allclose(again.rss, 36.0 * fits.rss[b], rtol=1e-9, atol=1e-20)
        if n > 2:
            np.testing.assert_allclose(again.params[0, 1], fits.params[b, 1], rtol=1e-6)
    assert fits.converged.all()


def test_curves_of_any_scale_on_axes_of_any_scale(level: str) -> None:
    x, y = noisy(4, 50)
    form = get_form("exponential_floor")
    plain = solve(form, x, y, np.ones_like(y))
    for factor in (1e-60, 1e60):
        stretched = solve(form, x * factor, y, np.ones_like(y))
        np.testing.assert_allclose(stretched.rss, plain.rss, rtol=1e-10)
        scaled = solve(form, x, y * factor, np.ones_like(y))
        np.testing.assert_allclose(scaled.rss / factor**2, plain.rss, rtol=1e-10)


def test_values_that_are_not_finite_end_without_a_fit(level: str) -> None:
    x, y = noisy(3, 20)
    y[1, 4] = np.nan
    fits = solve(get_form("power_floor"), x, y, np.ones_like(y))
    assert fits.rss[1] == np.inf
    assert np.isfinite(fits.rss[[0, 2]]).all()


def test_correlated_errors_are_whitened_at_every_level() -> None:
    x, y = noisy(3, 40)
    errors = Arma((0.6,), (0.2,))
    before, results = library.level(), []
    for name in LEVELS:
        library.use_level(name)
        results.append(solve(get_form("power_floor"), x, y, np.ones_like(y), errors=errors))
    library.use_level(before)
    for fits in results:
        np.testing.assert_allclose(fits.rss, results[0].rss, rtol=1e-10)
        for b in range(3):
            rest = y[b] - get_form("power_floor").evaluate(x, fits.params[b])
            np.testing.assert_allclose((errors.whiten(rest) ** 2).sum(), fits.rss[b], rtol=1e-10)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (4, 9), (6, 100)])
def test_the_triangle_is_that_of_qr(shape: tuple[int, int], level: str) -> None:
    rows = np.random.default_rng(2).standard_normal(shape)
    ours = kernels.triangle(rows)
    np.testing.assert_allclose(ours.T @ ours, rows @ rows.T, atol=1e-13 * shape[1])
    np.testing.assert_array_equal(np.tril(ours, -1), 0.0)


def judged(
    triangles: np.ndarray, params: np.ndarray, kinds: list[tuple[str, bool]], n: int = 50, deviance: float = 1.0
) -> kernels.Judgement:
    """What is said of fits to data of size 1, where coefficients are positive and scales within 1e-9 … 1e9."""
    count, p = params.shape
    low = [1e-9 if is_scale else -np.inf if role == "shape" else 0.0 for role, is_scale in kinds]
    high = [1e9 if is_scale else np.inf for _, is_scale in kinds]
    maxima = kernels.Maxima(
        params=params,
        triangles=triangles,
        deviance=np.full(count, deviance),
        size=np.ones(count),
        points=np.full(count, n),
        bounds=kernels.Box(np.array([low]), np.array([high])),
        axis=np.zeros(count, dtype=np.int64),
    )
    return kernels.judge(kernels.kinds_of(kinds), maxima, np.zeros((count, p), bool), is_dispersed=True)


def test_judging_gives_the_inverse_of_the_information(level: str) -> None:
    rng = np.random.default_rng(4)
    for p in (1, 3, 9):
        triangles = np.triu(rng.standard_normal((5, p, p))) + 2 * np.eye(p)
        found = judged(triangles, np.ones((5, p)), [("shape", False)] * p, deviance=50.0 - p)
        inverse = np.linalg.inv(triangles.swapaxes(1, 2) @ triangles)
        np.testing.assert_allclose(found.covariance, inverse, rtol=1e-9)
        np.testing.assert_allclose(found.errors, np.sqrt(np.einsum("bii->bi", inverse)), rtol=1e-9)
        assert not found.loose.any()
        assert not found.status.any()


def test_a_column_that_another_repeats_is_lost(level: str) -> None:
    rows = np.random.default_rng(6).standard_normal((3, 30))
    rows[2] = 2.0 * rows[0]
    found = judged(kernels.triangle(rows)[None], np.ones((1, 3)), [("shape", False)] * 3, n=30)
    assert found.loose.tolist() == [[True, False, True]]
    assert found.status.tolist() == [2]


@pytest.mark.parametrize(
    ("kind", "limit"), [(("shape", False), 10.0), (("shape", True), 6.0), (("floor", False), None)]
)
def test_standard_errors_from_which_nothing_is_known(kind: tuple[str, bool], limit: float | None, level: str) -> None:
    """10 for an exponent, 3 times a scale, whose value is 2 here; a coefficient is known however vaguely."""
    for factor, is_loose in ((0.999, False), (1.001, limit is not None)):
        error = (limit or 1e6) * factor
        found = judged(np.full((1, 1, 1), 1.0 / error), np.full((1, 1), 2.0), [kind], deviance=49.0)
        assert found.loose.tolist() == [[is_loose]]
        np.testing.assert_allclose(found.errors, np.inf if is_loose else error, rtol=1e-12)


def test_parameters_that_run_away_together_are_named_in_pairs(level: str) -> None:
    kinds = [("amplitude", False), ("floor", False), ("shape", False)]
    for correlation, is_pair in ((0.989, False), (0.991, True)):
        covariance = np.array([[9.0, 9.0 * correlation, 0.0], [9.0 * correlation, 9.0, 0.0], [0.0, 0.0, 0.25]])
        factor = np.linalg.inv(np.linalg.cholesky(covariance))
        found = judged(np.linalg.qr(factor)[1][None], np.ones((1, 3)), kinds, deviance=47.0)
        np.testing.assert_allclose(found.covariance[0], covariance, rtol=1e-9, atol=1e-12)
        assert np.argwhere(found.pairs[0]).tolist() == ([[0, 1]] if is_pair else [])
        assert found.loose.tolist() == [[is_pair, is_pair, False]]


def test_bounds_vanishing_amplitudes_and_what_runs_away(level: str) -> None:
    kinds = [("amplitude", False), ("shape", True)]
    triangles = np.array([np.eye(2), np.eye(2), np.eye(2), np.diag([1.0, 1e-12])])
    params = np.array([[1.0, 1.0], [1e-9, 1.0], [1.0, 1e9], [1.0, 1e9]])
    found = judged(triangles, params, kinds)
    assert found.at_bound.tolist() == [[False, False], [True, False], [False, True], [False, False]]
    assert found.flat.tolist() == [False, True, False, False]
    assert found.status.tolist() == [0, 2, 1, 2]
    assert found.loose.tolist()[3] == [False, True]
    assert np.isnan(found.errors[[1, 2], [0, 1]]).all()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 33])
def test_a_survey_counts_what_is_not_finite(n: int, level: str) -> None:
    values = np.random.default_rng(n).standard_normal(n + 5)
    at, sizes = np.array([3, 3]), np.array([n, n])
    odd, limits = kernels.survey(values, at, sizes)
    assert odd.tolist() == [0, 0]
    if n:
        assert limits[1].tolist() == [values[3 : 3 + n].min(), values[3 : 3 + n].max()]
    values[3 + n // 2] = np.nan
    values[3 + n - 1] = np.inf
    expected = int((~np.isfinite(values[3 : 3 + n])).sum())
    assert kernels.survey(values, at, sizes)[0].tolist() == [expected, expected]


def test_means_over_bins(level: str) -> None:
    rng = np.random.default_rng(8)
    y, w, label = rng.standard_normal((2, 20)), rng.uniform(0.5, 2.0, 20), rng.integers(0, 4, 20)
    mean, total = kernels.bin_means(label, 4, y.ravel(), np.array([0, 20]), w, np.array([0, 0]))
    for b in range(2):
        for k in range(4):
            np.testing.assert_allclose(mean[b, k], np.average(y[b, label == k], weights=w[label == k]))
            np.testing.assert_allclose(total[b, k], w[label == k].sum())


@pytest.mark.parametrize("name", ["power", "power_floor", "exponential", "exponential_floor", "hyperbolic"])
def test_starts_of_one_parameter_lie_near_the_minimum_and_know_its_curvature(name: str, level: str) -> None:
    form, count, x = get_form(name), 30, np.arange(1.0, 101.0)
    rng, q, at = np.random.default_rng(23), form.shape[0], form.parameters.index(form.shape[0])
    low, high = (separable.inner(q, value) for value in q.absolute(q.grid[:2], x))
    truth = np.full((count, len(form.parameters)), 0.5)
    truth[:, at], _ = (
        v[:, 0]
        for v in separable.natural_of(form, rng.uniform(0.7 * low + 0.3 * high, 0.4 * low + 0.6 * high, (count, 1)))
    )
    y = np.array([form.evaluate(x, p) for p in truth]) + 0.01 * rng.standard_normal((count, x.size))
    bundle = Bundle.rectangular(x, y, np.ones_like(y))
    theta, _, curvature = separable._Search.for_bundle(form, bundle, 1e-13, separable.WHITE, 200)._ranked_grid(0, count)
    best, error = (getattr(estimate_many(form, bundle), key)[:, at] for key in ("params", "stderr"))
    value, chain = (v[:, 0] for v in separable.natural_of(form, theta[:, 0]))
    assert np.all(np.abs(value - best) < 0.1 * error)

    def rss(shift: float) -> np.ndarray:
        held, _ = separable.natural_of(form, theta[:, 0] + shift)
        return solve_bundle(form, bundle, starts=held[:, None], fixed={q.name: held[:, 0]}).rss

    step = 0.1 * (error / chain).min()
    second = (rss(step) - 2.0 * rss(0.0) + rss(-step)) / step**2
    np.testing.assert_allclose(2.0 * curvature[:, 0], second, rtol=0.05)


@pytest.mark.parametrize("name", ["stretched_exponential_floor", "shifted_power", "log_logistic_step"])
def test_giving_up_starts_keeps_the_lowest_of_them(name: str, level: str) -> None:
    form = get_form(name)
    x, y = noisy(12, 60, noise=0.03)
    bundle = Bundle.rectangular(x, y, np.ones_like(y))
    search = separable._Search.for_bundle(form, bundle, 1e-13, separable.WHITE, 200)
    theta, counts, _ = search._ranked_grid(0, 12)
    none = np.empty((0, len(form.shape)))
    _, all_, _ = search.descend(0, 12, theta.copy(), counts, none)
    _, some, _ = search.descend(0, 12, theta.copy(), counts, none, wanted=1, hope=50.0)
    np.testing.assert_allclose(some.min(axis=1), all_.min(axis=1), rtol=1e-9)


def test_starts_hold_a_location_where_they_stand(level: str) -> None:
    form = get_form("broken_power")
    x, y = noisy(2, 40)
    bundle = Bundle.rectangular(x, y, np.ones_like(y))
    search = separable._Search.for_bundle(form, bundle, 1e-13, separable.WHITE, 200)
    theta = np.log(np.array([[[1.6, 1.6, x_break] for x_break in (5.0, 12.0)]] * 2))
    after = theta.copy()
    coef, rss, done = search.descend(0, 2, after, np.array([2, 2]), np.empty((0, 3)), location=2)
    np.testing.assert_array_equal(after[:, :, 2], theta[:, :, 2])
    assert done.all()
    for b in range(2):
        for k in range(2):
            params = np.array([coef[b, k, 0], *after[b, k, :2], np.exp(after[b, k, 2])])
            np.testing.assert_allclose(((y[b] - form.evaluate(x, params)) ** 2).sum(), rss[b, k], rtol=1e-10)


@pytest.mark.parametrize("n", [5, 24, 61])
def test_the_grid_of_two_pieces_ranks_like_whole_columns(n: int, level: str) -> None:
    form = get_form("broken_power")
    x, y = noisy(35, n)  # more than a block
    y[0] = -y[0]  # its amplitude is 0 everywhere
    weights = np.random.default_rng(4).uniform(0.2, 5.0, n) * np.ones_like(y)
    bundle = Bundle.rectangular(x, y, weights)
    search = separable._Search.for_bundle(form, bundle, 1e-13, separable.WHITE, 200)
    starts, counts, _ = search._ranked_grid(0, 35)
    mesh, sizes = separable.start_grid(form)
    low, high, bottom, top = search.grid.low[0], search.grid.high[0], search.box.low[0], search.box.high[0]
    inside = low + (high - low) * np.clip(mesh, 0.0, 1.0)
    theta = inside - (low - bottom) * np.clip(-mesh, 0.0, None) + (top - high) * np.clip(mesh - 1.0, 0.0, None)
    natural, _ = separable.natural_of(form, theta)
    column = form.columns(x, np.log(x), natural)[0][:, 0] * np.sqrt(weights[0])
    t = y * np.sqrt(weights)
    part = np.clip(t @ column.T, 0.0, None)
    rss = ((t**2).sum(axis=1)[:, None] - part**2 / (column**2).sum(axis=1)).reshape(35, -1, sizes[2])
    assert (counts >= sizes[2]).all()  # the lowest for each place of the break come first
    for b in range(35):
        at = (
            np.abs(starts[b, : sizes[2], None] - theta.reshape(-1, sizes[2], 3).swapaxes(0, 1))
            .max(axis=2)
            .argmin(axis=1)
        )
        np.testing.assert_allclose(rss[b, at, np.arange(sizes[2])], rss[b].min(axis=0), rtol=1e-11)


def test_a_held_exponent_stays_while_the_break_moves(level: str) -> None:
    form = get_form("broken_power")
    x, y = noisy(3, 40)
    starts = np.array([[[0.7, 1.5, x_break] for x_break in (5.0, 12.0)]] * 3)
    fits = solve(form, x, y, np.ones_like(y), starts=starts, fixed={"gamma1": np.array([0.7, 0.8, 0.9])})
    np.testing.assert_array_equal(fits.params[:, list(form.names).index("gamma1")], [0.7, 0.8, 0.9])
