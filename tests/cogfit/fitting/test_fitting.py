"""``cogfit.fit`` as a user calls it: verdicts on known truths, recovery of γ, errors, the recorded runs."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit.engine.estimate import estimate
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.form_tests import REFUTED
from cogfit.records.sentence import Sentence

X = np.arange(1.0, 301.0)


def curve(form: str, seed: int = 0, sigma: float = 0.01, **params: float) -> np.ndarray:
    truth = cogfit.forms()[form].evaluate(X, params)
    return truth + np.random.default_rng(seed).normal(0.0, sigma, X.size)


@pytest.mark.long
def test_gamma_of_200_pure_power_logs_is_unbiased(tmp_path: Path) -> None:
    """Logs written to disk and read back; the mean error is within three standard errors of zero."""
    found, errors = [], []
    for seed in range(200):
        frame = cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=200, sigma=0.02, noise="lognormal", rng=seed)
        path = tmp_path / "log.csv"
        frame.to_csv(path, index=False)
        fit = cogfit.fit(path, form="power")
        assert fit.gamma is not None
        found.append(fit.gamma)
        errors.append(fit.stderr["gamma"])
    spread = np.std(found, ddof=1)
    assert abs(np.mean(found) - 0.43) < 3.0 * spread / math.sqrt(200)
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)  # and the standard error is the one that occurs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "params", "expected"),
    [
        ("power", {"A": 0.9, "gamma": 0.43}, "supported"),
        ("power_floor", {"A": 0.9, "gamma": 0.8, "c": 0.1}, "supported"),
        ("exponential", {"A": 0.9, "r": 0.02}, "not_supported"),
        ("exponential_floor", {"A": 0.8, "r": 0.03, "c": 0.1}, "not_supported"),
        ("log_logistic_step", {"A": 0.8, "x50": 80.0, "s": 12.0, "c": 0.05}, "not_supported"),
        ("constant", {"c": 0.4}, "not_identified"),
    ],
)
def test_verdict_on_known_truths(form: str, params: dict[str, float], expected: str) -> None:
    fits = [cogfit.fit(X, curve(form, seed, **params)) for seed in range(5)]
    verdicts = [fit.verdict.power_law for fit in fits]
    assert verdicts.count(expected) >= 4
    assert set(verdicts) <= {expected, "not_distinguishable"}  # a rival may come close by chance, but never wins
    assert all(fit.verdict.reasons for fit in fits)


def test_little_data_do_not_distinguish() -> None:
    x = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])
    y = 0.9 * x**-0.43 + np.random.default_rng(0).normal(0.0, 0.05, x.size)
    fit = cogfit.fit(x, y)
    assert fit.verdict.power_law == "not_distinguishable"
    assert "too few" in fit.verdict.reasons[0]


def test_noise_is_chosen_by_the_data() -> None:
    power = 0.9 * X**-0.43
    rng = np.random.default_rng(0)
    assert cogfit.fit(X, power * np.exp(rng.normal(0, 0.15, X.size)), form="power").noise == "lognormal"
    assert cogfit.fit(X, power + rng.normal(0, 0.01, X.size), form="power").noise == "gaussian"
    assert cogfit.fit(X, rng.binomial(40, power) / 40, form="power", trials=np.full(X.size, 40)).noise == "binomial"


def test_a_constant_curve_is_not_identified_and_no_error() -> None:
    fit = cogfit.fit(X, np.full(X.size, 0.3))
    assert fit.verdict.power_law == "not_identified"
    assert fit.status == "not_identified"
    assert fit.gamma is None
    json.dumps(fit.to_json(), allow_nan=False)
    assert cogfit.fit(X, np.full(X.size, 0.3), form="power").status == "not_identified"


def test_x_zero_is_left_out_for_a_power_law_and_kept_for_an_exponential() -> None:
    x, y = np.arange(50.0), np.exp(-np.arange(50.0) / 9)
    assert any("x = 0" in text for text in cogfit.fit(x, y).warnings)
    assert cogfit.fit(x, y, form="exponential").n == 50


def test_groups_are_resampled_as_wholes() -> None:
    rng = np.random.default_rng(1)
    gammas = rng.normal(0.43, 0.05, 30)
    x = np.tile(np.arange(1.0, 41.0), 30)
    group = np.repeat(np.arange(30), 40)
    y = 0.9 * x ** -gammas[group] + rng.normal(0.0, 0.005, x.size)
    fit = cogfit.fit(x, y, form="power", groups=group)
    plain = estimate(get_form("power"), x, y, np.ones(x.size))
    assert fit.gamma == pytest.approx(plain.params["gamma"], rel=1e-6)
    alone = cogfit.fit(x, y, form="power", noise="gaussian")
    assert fit.interval is not None
    assert alone.interval is not None
    assert np.diff(fit.interval)[0] > 3.0 * np.diff(alone.interval)[0]
    half = 1.96 * 0.05 / math.sqrt(30)
    assert np.diff(fit.interval)[0] / 2 == pytest.approx(half, rel=0.4)


def test_selected_is_the_simplest_of_the_indistinguishable() -> None:
    fit = cogfit.fit(X, curve("power", A=0.9, gamma=0.43))
    assert fit.form == "power"
    assert fit.form in fit.indistinguishable_forms
    for item in fit.forms:
        assert item.test is not None
        assert (item.test.p_value > REFUTED) == (item.name in fit.indistinguishable_forms)
    ranked = [item.delta_aicc for item in fit.forms]
    assert ranked == sorted(ranked)


def test_one_form_is_not_compared() -> None:
    fit = cogfit.fit(X, curve("power", A=0.9, gamma=0.43), form="power_floor", start={"gamma": 0.5})
    assert len(fit.forms) == 1
    assert fit.verdict.power_law == "not_compared"
    assert fit.headline().startswith("γ = ")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cogfit.fit(X), "`y` is missing"),
        (lambda: cogfit.fit(X, X[:-1]), "one length"),
        (lambda: cogfit.fit(X, np.where(X == 3, np.nan, X)), "`y` is not finite at index 2"),
        (lambda: cogfit.fit(X, X, form="powr"), "did you mean 'power'"),
        (lambda: cogfit.fit(X, X, noise="poisson"), "unknown noise model"),
        (lambda: cogfit.fit(X, X, noise="binomial"), "number of trials"),
        (lambda: cogfit.fit(X, X, weights=-X), "`weights` must be positive"),
        (lambda: cogfit.fit(X, X, weights=X, trials=X), "exclude each other"),
        (lambda: cogfit.fit(X, X, level=95), "between 0 and 1"),
        (lambda: cogfit.fit(-X, X), "x is negative"),
        (lambda: cogfit.fit(X, X, start={"gamma": 1.0}), "`start` needs `form`"),
        (lambda: cogfit.fit(X, X, form="power", start={"gama": 1.0}), "did you mean 'gamma'"),
        (lambda: cogfit.fit(X, X, groups=X[:-1]), "`groups` must have the shape"),
        (lambda: cogfit.fit(["a", "b"], [1, 2]), "`x` must be numbers"),
        (lambda: cogfit.fit([1.0], [1.0]), "only 1 point"),
        (lambda: cogfit.fit(X, X, x_min=1e9), "fewer than two points lie in the window"),
        (lambda: cogfit.fit(X, X, measure="speed"), "unknown measure"),
        (lambda: cogfit.fit(X, np.ma.masked_where(X < 5, X)), "masked values"),
        (lambda: cogfit.fit(X, X * 1j), "must be real numbers"),
        (lambda: cogfit.fit(X, X * 1e-200), "change its unit"),
        (lambda: cogfit.fit(X, X, groups=[None] * 150 + [1] * 150), "labels of one type"),
        (lambda: cogfit.fit(X, X, rng="a"), "`rng` must be"),
        (lambda: cogfit.fit(X, np.full(X.size, 0.123), trials=np.full(X.size, 10)), "not a whole number"),
    ],
)
def test_input_that_cannot_be_used_is_named(call: object, message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        call()  # type: ignore[operator]


# -------------------------------------------------------------------------------------------- recorded runs


@pytest.fixture(scope="module")
def recorded() -> dict[str, cogfit.FitResult]:
    runs = cogfit.data_dir() / "runs"
    return {
        name: cogfit.fit(runs / f"srcd-n256-{name}") for name in ("consolidates", "gradual", "never-drops", "collapses")
    }


@pytest.mark.slow
def test_no_recorded_run_is_forced_into_a_power_law(recorded: dict[str, cogfit.FitResult]) -> None:
    for name, fit in recorded.items():
        undecided = {"not_distinguishable"} if name == "gradual" else set()  # 78 switch times: p is near 5 %
        assert fit.verdict.power_law in {"not_supported"} | undecided
        assert fit["power"].gamma is not None  # the slope is there, as a description


@pytest.mark.slow
def test_the_consolidating_run_is_a_transition(recorded: dict[str, cogfit.FitResult]) -> None:
    fit = recorded["consolidates"]
    assert fit.axis == "exposure"
    assert fit.form == "log_logistic_step"
    assert 5600 < fit.params["x50"] < 6100  # k at which half of the patterns have switched
    assert fit.gamma is None
    assert "transition" in " ".join(fit.verdict.reasons)
    assert fit.trajectories is not None
    assert fit.trajectories["overridden_rows"] == 53613
    assert fit["power"].intervals["gamma"].scope == "conditional on this run"  # patterns move together


@pytest.mark.slow
def test_a_result_pickles_and_goes_through_json(recorded: dict[str, cogfit.FitResult], tmp_path: Path) -> None:
    for name, fit in recorded.items():
        path = tmp_path / f"{name}.json"
        fit.save(path)
        back = cogfit.load(path)
        assert back.to_json() == fit.to_json()
        np.testing.assert_array_equal(back.y, fit.y)
        assert back.interval == fit.interval
        assert back[fit.form].estimate.params == fit.params
        again = pickle.loads(pickle.dumps(fit))
        assert again.to_json() == fit.to_json()


def test_a_user_form_pickles_by_name() -> None:
    cogfit.register("test_lambda", lambda x, a, gamma: a * x**-gamma, replace=True)
    fit = cogfit.fit(X, curve("power", A=0.9, gamma=0.43), form="test_lambda")
    assert fit.gamma == pytest.approx(0.43, abs=0.02)
    assert fit.interval is not None
    assert pickle.loads(pickle.dumps(fit)).gamma == fit.gamma


def test_a_users_function_that_fails_is_named() -> None:
    def broken(x: np.ndarray, a: float) -> np.ndarray:
        raise ZeroDivisionError("planted")

    cogfit.register("test_broken", broken, replace=True)
    with pytest.raises(cogfit.InputError, match="function of form 'test_broken' fails: ZeroDivisionError: planted"):
        cogfit.fit(X, X, form="test_broken")
    cogfit.register("test_shape", lambda x, a: a * x[:3], replace=True)
    with pytest.raises(cogfit.InputError, match=r"returns shape \(3,\)"):
        cogfit.fit(X, X, form="test_shape")


def test_standard_errors_without_spare_points_survive_json() -> None:
    fit = cogfit.fit([1.0, 2.0], [0.9, 0.6], form="power")
    back = cogfit.FitResult.from_json(json.loads(json.dumps(fit.to_json(), allow_nan=False)))
    assert back.stderr == fit.stderr == {"A": math.inf, "gamma": math.inf}


@pytest.mark.slow
def test_the_document_keeps_its_contract(recorded: dict[str, cogfit.FitResult]) -> None:
    document = json.loads(json.dumps(recorded["consolidates"].to_json(), allow_nan=False))
    assert document["schema"] == "cogfit.fit/1"
    for key in (
        "source", "axis", "convention", "n", "gamma", "form", "forms", "indistinguishable_forms", "verdict",
        "trajectories", "averaging", "transition", "warnings", "versions",
    ):  # fmt: skip
        assert key in document
    assert document["gamma"] is None  # the form reported has none …
    assert (
        next(f for f in document["forms"] if f["form"] == "power")["params"]["gamma"] > 0
    )  # … the power law's is there
    assert {"path", "format", "rows_read", "rows_dropped"} <= set(document["source"])
    for item in document["forms"]:
        assert {"form", "params", "intervals", "loglik", "aicc", "delta_aicc", "status"} <= set(item)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": "cogfit.fit/1"}', '{"schema": "other/1"}', "\x80\x04", "[" * 100_000]
)
def test_load_refuses_what_is_no_fit(tmp_path: Path, content: str) -> None:
    path = tmp_path / "fit.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(cogfit.InputError, match="fit.json"):
        cogfit.load(path)


@pytest.mark.slow
def test_tables_methods_and_html_carry_the_numbers(recorded: dict[str, cogfit.FitResult]) -> None:
    fit = cogfit.fit(X, curve("power", A=0.9, gamma=0.43))
    table = fit.table()
    assert list(table["form"])[:1] == [fit.forms[0].name]
    assert f"γ = {fit.gamma:.3g}" in fit.methods()
    assert "supported" in str(fit)
    html = recorded["consolidates"]._repr_html_()
    assert "<table" in html
    assert "not supported" in html
    assert "no power-law exponent" in recorded["consolidates"].methods()
    with pytest.raises(KeyError, match="was not fitted"):
        fit["nothing"]


def test_progress_is_reported_form_by_form() -> None:
    seen: list[tuple[int, int, str]] = []
    cogfit.fit(X, curve("power", A=0.9, gamma=0.43), progress=lambda *call: seen.append(call))
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] == 2 * len(candidate_forms("x", "other"))  # fitted, then tested
    assert [call[0] for call in seen] == sorted(call[0] for call in seen)


def test_every_finding_of_a_fit_knows_where_it_comes_from() -> None:
    rng = np.random.default_rng(0)
    x = np.arange(1.0, 301.0)
    y = np.where(x < 150, 0.9, 0.3) * (1 + 0.02 * rng.normal(size=x.size))
    fit = cogfit.fit(x, y)
    assert len(fit.findings) >= 4
    for finding in fit.findings:
        assert isinstance(finding, Sentence), finding
        assert finding.template.format(**finding.numbers) == finding
    decided = {finding.decided_by for finding in fit.findings}
    assert "cogfit.inference.verdict.judge_power_law" in decided
    assert "cogfit.inference.transitions.transition" in decided
