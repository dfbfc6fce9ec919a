"""Many curves at once: the answers of ``fit`` and of scipy, whatever the shape of the input and whatever goes wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit import cli
from cogfit.engine import separable
from cogfit.engine.estimate import estimate
from cogfit.formulas.form import Form
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.ranking import rank
from cogfit.inference.verdict import simplest
from cogfit.many import streaming
from cogfit.many.batch import Options, fit_collection
from cogfit.many.collection import Columns, from_arrays, from_table

K = np.arange(1.0, 81.0)


def many(count: int, seed: int = 0, x: np.ndarray = K, sigma: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    gamma, floor = rng.uniform(0.2, 1.5, count), rng.uniform(0.0, 0.3, count)
    return floor[:, None] + 0.8 * x ** -gamma[:, None] + rng.normal(0.0, sigma, (count, x.size))


def tidy(seed: int = 0, count: int = 30) -> pd.DataFrame:
    """Curves of all lengths, rows in the order of time, as a log has them."""
    rng = np.random.default_rng(seed)
    rows = []
    for head, y in enumerate(many(count, seed)):
        n = int(rng.integers(12, K.size))
        rows.append(pd.DataFrame({"layer": head // 6, "head": head % 6, "step": K[:n], "u": y[:n]}))
    return pd.concat(rows).sort_values("step", kind="stable").reset_index(drop=True)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=[c for c in ("curve",) if c in table])


# ----------------------------------------------------------------------------------------------- the same answers


@pytest.mark.parametrize("name", ["power", "power_floor", "shifted_power_floor", "exponential_floor", "broken_power"])
def test_rows_are_the_estimates_of_fit_for_independent_errors(name: str) -> None:
    y = many(6, sigma=0.05)
    table = cogfit.fit_many(K, y, form=name)
    for row, values in zip(table.to_dict("records"), y, strict=True):
        one = estimate(get_form(name), K, values, np.ones(K.size))
        for key, value in one.params.items():
            assert row[key] == pytest.approx(value, rel=1e-12)
            np.testing.assert_allclose(row[f"{key}_se"], one.stderr[key], rtol=1e-7)
        assert (row["status"], row["reason"]) == (one.status, one.reason)
        assert row["rss"] == pytest.approx(one.rss, rel=1e-12)
        assert row["loglik"] == pytest.approx(one.loglik, rel=1e-12)
        assert row["aicc"] == pytest.approx(one.aicc, rel=1e-12)


@pytest.mark.parametrize(("noise", "name"), [("lognormal", "power"), ("binomial", "power"), ("auto", "power_floor")])
def test_other_noise_is_that_of_fit(noise: str, name: str) -> None:
    rng = np.random.default_rng(4)
    p = np.clip(0.9 * K**-0.5, 0.0, 1.0)
    y = rng.binomial(50, p, (2, K.size)) / 50 if noise == "binomial" else p * np.exp(rng.normal(0, 0.2, (2, K.size)))
    trials = np.full(K.size, 50) if noise == "binomial" else None
    table = cogfit.fit_many(K, y, form=name, noise=noise, trials=trials)
    for row, values in zip(table.to_dict("records"), y, strict=True):
        assert row["noise"] == cogfit.fit(K, values, form=name, noise=noise, trials=trials).noise
        one = estimate(get_form(name), K, values, np.ones(K.size) if trials is None else trials, row["noise"])
        assert row["gamma"] == pytest.approx(one.params["gamma"], rel=1e-9)
        assert row["gamma_se"] == pytest.approx(one.stderr["gamma"], rel=1e-6)


@pytest.mark.slow
def test_verdicts_are_those_of_fit() -> None:
    x = np.arange(1.0, 41.0)
    rng = np.random.default_rng(2)
    y = np.array([x**-0.5, np.exp(-0.1 * x) + 0.2]) + rng.normal(0, 0.01, (2, x.size))
    table = cogfit.fit_many(x, y, verdicts=True, noise="auto")
    for row, values in zip(table.to_dict("records"), y, strict=True):
        one = cogfit.fit(x, values)
        assert row["verdict"] == one.verdict.power_law
        assert row["reasons"] == "; ".join(one.verdict.reasons)
        assert (row["form"], row["status"]) == (one.form, one.status)
        assert row["indistinguishable"].split(",") == list(one.indistinguishable_forms)
        expected = (np.nan, np.nan) if one.interval is None else one.interval
        np.testing.assert_array_equal([row["low"], row["high"]], expected)


def test_the_simplest_of_the_best_forms_is_reported() -> None:
    x = np.arange(1.0, 101.0)
    rng = np.random.default_rng(0)
    y = np.array([0.9 * x**-0.5, 0.1 + 0.8 * np.exp(-0.05 * x)]) + rng.normal(0, 0.005, (2, x.size))
    table = cogfit.fit_many(x, y, form=None)
    assert table["form"].tolist() == ["power", "exponential_floor"]
    delta = table[[c for c in table if c.startswith("delta_aicc_")]]
    assert len(delta.columns) == len(candidate_forms("x", "other"))
    assert (delta.min(axis=1) == 0.0).all()
    assert np.isnan(table["gamma"][1])
    assert np.isfinite(table["r_se"][1])
    chosen = [table[f"delta_aicc_{name}"][i] for i, name in enumerate(table["form"])]
    assert max(chosen) <= 2.0


def test_the_form_reported_follows_the_rule_of_single_fits() -> None:
    x, rng = np.arange(1.0, 13.0), np.random.default_rng(4)
    y = 0.5 * np.exp(-x / 4.0) + rng.normal(0.0, 0.04, (12, x.size))
    registry = {form.name: form for form in candidate_forms("x", "other")}
    for i, reported in enumerate(cogfit.fit_many(x, y, form=None)["form"]):
        fits = {name: estimate(form, x, y[i], np.ones(x.size)) for name, form in registry.items()}
        ranking = rank(list(fits.values()))
        assert reported == simplest(ranking.indistinguishable, fits, ranking, registry)


def best_of_curve_fit(form: Form, x: np.ndarray, y: np.ndarray, starts: int, seed: int) -> float:
    from scipy.optimize import curve_fit

    low, high = separable.bounds_of(form, x)
    rng = np.random.default_rng(seed)
    best = np.inf
    for _ in range(starts):
        start = []
        for i, q in enumerate(form.parameters):
            if q.role == "shape":
                a, b = q.absolute(q.grid[:2], x)
                start.append(np.exp(rng.uniform(np.log(a), np.log(b))) if q.log else rng.uniform(a, b))
            else:
                start.append(float(np.clip(rng.uniform(0.2, 1.0) * np.ptp(y), low[i] + 1e-9, high[i])))
        try:
            p, _ = curve_fit(
                lambda x, *p: form.evaluate(x, p),
                x,
                y,
                np.clip(start, low + 1e-9, high),
                bounds=(low, high),
                jac=lambda x, *p: form.jacobian(x, p),
                x_scale="jac",
                ftol=1e-14,
                xtol=1e-14,
                gtol=1e-14,
                max_nfev=2000,
            )
        except (RuntimeError, ValueError):
            continue
        best = min(best, float(((y - form.evaluate(x, p)) ** 2).sum()))
    return best


@pytest.mark.slow
@pytest.mark.parametrize("name", ["power_floor", "exponential_floor", "apex_floor", "stretched_exponential"])
def test_no_start_of_curve_fit_finds_a_better_fit(name: str) -> None:
    """A small version of benchmarks/batch_agreement.py."""
    form = get_form(name)
    rng = np.random.default_rng(7)
    for n in (20, 60):
        x = np.sort(rng.uniform(1.0, 300.0, n))
        y = many(4, seed=n, x=x, sigma=float(rng.choice([0.005, 0.1])))
        table = cogfit.fit_many(x, y, form=name)
        for rss, values in zip(table["rss"], y, strict=True):
            assert rss <= best_of_curve_fit(form, x, values, 6, n) * (1.0 + 1e-8)


# ------------------------------------------------------------------------------------------------ shapes of input


def test_arrays_tables_and_files_give_the_same_rows(tmp_path: Path) -> None:
    y = many(40)
    expected = cogfit.fit_many(K, y)
    repeated = cogfit.fit_many(np.repeat(K[None], 40, axis=0), y, weights=np.ones_like(y))
    pd.testing.assert_frame_equal(expected, repeated)
    frame = pd.DataFrame({"curve": np.repeat(np.arange(40), K.size), "x": np.tile(K, 40), "y": y.ravel()})
    pd.testing.assert_frame_equal(expected, cogfit.fit_many(frame))
    shuffled = frame.sample(frac=1.0, random_state=1).sort_values("x", kind="stable")
    pd.testing.assert_frame_equal(expected, cogfit.fit_many(shuffled))
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        pd.testing.assert_frame_equal(expected, cogfit.fit_many(tmp_path / name))


def test_ragged_curves_are_fitted_each_by_itself() -> None:
    frame = tidy()
    table = cogfit.fit_many(frame, by=["layer", "head"], x="step", y="u")
    assert len(table) == 30
    for row in table.sample(5, random_state=0).to_dict("records"):
        part = frame[(frame["layer"] == row["layer"]) & (frame["head"] == row["head"])]
        one = cogfit.fit(part["step"], part["u"], form="power_floor", noise="gaussian")
        assert row["gamma"] == pytest.approx(one.gamma, rel=1e-12)
        assert (row["n"], row["status"]) == (len(part), one.status)


def test_weights_and_long_curves() -> None:
    rng = np.random.default_rng(3)
    x = np.arange(1.0, 1201.0)
    y, w = many(3, x=x), rng.uniform(0.2, 5.0, (3, x.size))
    table = cogfit.fit_many(x, y, weights=w)
    for row, values, weights in zip(table.to_dict("records"), y, w, strict=True):
        one = cogfit.fit(x, values, form="power_floor", noise="gaussian", weights=weights)
        assert row["gamma"] == pytest.approx(one.gamma, rel=1e-12)
        assert row["loglik"] == pytest.approx(one.loglik, rel=1e-12)


def test_a_log_gives_a_row_for_every_head(tmp_path: Path) -> None:
    logs = [
        cogfit.simulate("power", {"gamma": 0.3 + 0.1 * head}, n=60, rng=head).assign(layer=0, head=head)
        for head in range(4)
    ]
    pd.concat(logs).to_csv(tmp_path / "log.csv", index=False)
    table = cogfit.fit_many(cogfit.read_log(tmp_path / "log.csv"), form="power")
    np.testing.assert_allclose(table["gamma"], [0.3, 0.4, 0.5, 0.6], atol=0.02)
    assert table["head"].tolist() == ["0", "1", "2", "3"]


# ----------------------------------------------------------------------------------------------------- devices


def ragged(seed: int = 5) -> pd.DataFrame:
    """Curves of several forms and lengths, on axes of their own."""
    rng = np.random.default_rng(seed)
    rows = []
    for curve, n in enumerate(rng.integers(20, 40, 6)):
        x = np.sort(rng.uniform(1.0, 100.0, n))
        f = 0.2 + 0.8 * x**-0.6 if curve % 2 else np.exp(-0.05 * x)
        rows.append(pd.DataFrame({"curve": curve, "x": x, "y": f + rng.normal(0.0, 0.02, n)}))
    return pd.concat(rows)


@pytest.mark.parametrize("name", ["power_floor", "hyperbolic", "shifted_power", "stretched_exponential_floor"])
def test_the_engine_in_torch_gives_the_same_answers(name: str) -> None:
    pytest.importorskip("torch")
    table = ragged()
    ours, theirs = cogfit.fit_many(table, form=name), cogfit.fit_many(table, form=name, device="torch")
    np.testing.assert_allclose(theirs["rss"], ours["rss"], rtol=1e-8)
    sure = (ours["status"] == "ok").to_numpy()
    names = list(get_form(name).names)
    np.testing.assert_allclose(theirs[names][sure], ours[names][sure], rtol=1e-5, atol=1e-7)
    assert theirs["status"].tolist() == ours["status"].tolist()


@pytest.mark.parametrize(
    "name",
    [
        "power",
        "shifted_power",
        "exponential",
        "apex_floor",
        "stretched_exponential",
        "hyperbolic",
        "log_logistic_step",
        "two_process",
    ],
)
def test_columns_in_torch_are_those_of_the_bases(name: str) -> None:
    torch = pytest.importorskip("torch")
    from cogfit.engine import device

    form = get_form(name)
    x = np.array([1.0, 2.5, 40.0])
    theta = np.array([[q.absolute((0.3, 0.3), x)[0] for q in form.shape]])
    expected, _ = form.columns(x, np.log(x), theta)
    natural = tuple(torch.tensor(v) for v in theta[0])
    found = device._COLUMNS[form.basis or ""](torch.tensor(x), torch.tensor(np.log(x)), natural)
    np.testing.assert_allclose(np.stack([v.numpy() for v in found]), expected[0], rtol=1e-13)


def test_cuda_gives_the_same_answers() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    y = many(1000)
    ours, theirs = cogfit.fit_many(K, y), cogfit.fit_many(K, y, device="cuda")
    np.testing.assert_allclose(theirs["rss"], ours["rss"], rtol=1e-8)


def test_what_a_device_cannot_do_is_said() -> None:
    pytest.importorskip("torch")
    with pytest.raises(cogfit.InputError, match="'broken_power' is not fitted on device 'torch'"):
        cogfit.fit_many(K, many(1), form="broken_power", device="torch")
    with pytest.raises(cogfit.InputError, match="device 'nonsense' cannot be used"):
        cogfit.fit_many(K, many(1), device="nonsense")
    with pytest.raises(cogfit.InputError, match="Gaussian noise without verdicts only"):
        cogfit.fit_many(K, many(1), noise="auto", device="cuda")


# -------------------------------------------------------------------------------------------- what may go wrong


def test_a_curve_that_fails_is_a_row_with_a_reason() -> None:
    x = np.arange(0.0, 60.0)
    y = many(8, x=np.maximum(x, 0.5))
    y[1, 7], y[2, 3], y[3], y[4] = np.nan, np.inf, 0.25, y[4] * 1e150
    y[5] = 0.0
    table = cogfit.fit_many(x, y)
    good = cogfit.fit_many(x, y[[0, 6, 7]])
    pd.testing.assert_frame_equal(plain(table.iloc[[0, 6, 7]].reset_index(drop=True)), plain(good))
    assert table["status"].tolist()[1:6] == ["failed", "failed", "not_identified", "failed", "not_identified"]
    assert table["reason"][1] == "`y` is not finite at 1 of 59 points"
    assert table["reason"][3] == "the curve is constant"
    assert "of size" in table["reason"][4]
    assert (table["dropped"] == 1).all()
    short = cogfit.fit_many([1.0, 2.0], [[1.0, 0.5]], form="power_floor")
    assert short["reason"][0] == "2 points cannot determine 3 parameters"
    negative = cogfit.fit_many([-1.0, 1.0, 2.0, 3.0], np.ones((1, 4)) * [4.0, 3.0, 2.0, 1.0])
    assert negative["reason"][0] == "x is negative (the least is -1)"
    weighted = cogfit.fit_many(K, many(2), weights=np.where(np.arange(2)[:, None] == 0, 1.0, -1.0) * np.ones_like(K))
    assert weighted["reason"].tolist() == ["", "`weights` must be positive"]


def test_missing_points_can_be_left_out() -> None:
    y = many(3)
    y[1, [0, 5, 60]] = np.nan
    table = cogfit.fit_many(K, y, missing="drop")
    keep = np.isfinite(y[1])
    one = cogfit.fit(K[keep], y[1][keep], form="power_floor", noise="gaussian")
    assert table["gamma"][1] == pytest.approx(one.gamma, rel=1e-12)
    assert table["dropped"].tolist() == [0, 3, 0]
    assert table["n"].tolist() == [80, 77, 80]


@settings(max_examples=25)
@given(st.data())
def test_whatever_comes_in_every_curve_gets_a_row(data: st.DataObject) -> None:
    count, n = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    number = st.floats(allow_nan=True, allow_infinity=True, width=64)
    x = np.array(data.draw(st.lists(number, min_size=n, max_size=n)))
    y = np.array(data.draw(st.lists(st.lists(number, min_size=n, max_size=n), min_size=count, max_size=count)))
    table = cogfit.fit_many(x, y, form=["power", "exponential_floor"])
    assert len(table) == count
    assert set(table["status"]) <= {"ok", "at_bound", "not_identified", "failed"}
    assert (table.loc[table["status"] != "ok", "reason"] != "").all()
    assert np.isfinite(table.loc[table["status"] == "ok", "rss"]).all()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((K,), {}, "`y` is missing"),
        ((K, K), {}, "shape \\(curves, points\\)"),
        ((K[:5], np.ones((2, 6))), {}, "`x` must have the shape"),
        ((K, many(1)), {"form": "powr"}, "did you mean 'power'"),
        ((K, many(1)), {"noise": "binomial"}, "number of trials"),
        ((K, many(1)), {"weights": K, "trials": K}, "exclude each other"),
        ((K, many(1)), {"missing": "what"}, "unknown `missing`"),
        ((K, many(1)), {"by": "head"}, "go with a table"),
        ((K, [["a"] * K.size]), {}, "must be numbers"),
        ((pd.DataFrame({"curve": [1], "x": [1.0]}),), {}, "no column 'y'"),
        ((pd.DataFrame({"curve": [1, 1], "x": ["1", "b"], "y": [1, 2]}),), {}, "column 'x': is no number"),
        (("nowhere.parquet",), {}, "does not exist"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        cogfit.fit_many(*arguments, **options)


def test_no_curves_give_an_empty_table_with_all_columns() -> None:
    empty = cogfit.fit_many(pd.DataFrame({"curve": [], "x": [], "y": []}))
    assert len(empty) == 0
    assert list(empty) == list(cogfit.fit_many(K, many(1)))


# -------------------------------------------------------------------------------- threads, processes, repeatability


@pytest.mark.slow
def test_results_depend_neither_on_threads_nor_on_company(monkeypatch: pytest.MonkeyPatch) -> None:
    y = many(120)
    whole = cogfit.fit_many(K, y, form=None, threads=1)
    monkeypatch.setattr(separable, "PART", 500)
    monkeypatch.setattr("cogfit.engine.estimate.PART", 500)
    pd.testing.assert_frame_equal(whole, cogfit.fit_many(K, y, form=None, threads=4), check_exact=True)
    alone = pd.concat([cogfit.fit_many(K, y[i : i + 1], form=None) for i in (3, 77)], ignore_index=True)
    pd.testing.assert_frame_equal(plain(alone), plain(whole.iloc[[3, 77]].reset_index(drop=True)), check_exact=True)


def _gammas(y: np.ndarray) -> list[float]:
    return [float(v) for v in cogfit.fit_many(K, y, threads=2)["gamma"]]


def test_it_works_after_a_fork_and_in_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    y = many(50)
    expected = _gammas(y)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_gammas, [y] * 4)) == [expected] * 4
    with multiprocessing.get_context("fork").Pool(2) as processes:
        assert processes.map_async(_gammas, [y] * 2).get(60) == [expected] * 2


# ------------------------------------------------------------------------------------------- larger than memory


def dataset(folder: Path, count: int = 300) -> tuple[Path, np.ndarray]:
    """Rows of many curves in the order of x, as a training run logs them, in several files."""
    y = many(count, x=K[:30])
    for part, rows in enumerate(np.array_split(np.arange(30), 3)):
        frame = pd.DataFrame(
            {
                "head": np.tile([f"h{i:03d}" for i in range(count)], rows.size),
                "step": np.repeat(K[rows], count),
                "u": y[:, rows].T.ravel(),
            }
        )
        folder.mkdir(exist_ok=True)
        frame.to_parquet(folder / f"{part}.parquet", index=False)
    return folder, y


COLUMNS = Columns(("head",), "step", "u")


def test_a_table_larger_than_memory_is_fitted_in_parts(tmp_path: Path) -> None:
    table, y = dataset(tmp_path / "table")
    plan = streaming.plan_table(table, COLUMNS, Options(), memory=150_000)
    assert plan.parts > 5
    seen: list[tuple[int, int, str]] = []
    out = streaming.run(plan, tmp_path / "out", report=lambda *step: seen.append(step))
    found = streaming.read(out).sort_values("head").reset_index(drop=True)
    expected = cogfit.fit_many(K[:30], y)
    pd.testing.assert_frame_equal(found.drop(columns="head"), expected.drop(columns="curve"), check_exact=True)
    assert (9000, 9000, "reading") in seen
    assert seen[-1] == (plan.parts, plan.parts, "parts")
    assert not (out / "_spool").exists()
    pd.testing.assert_frame_equal(pd.read_parquet(out), streaming.read(out))  # a plain Parquet folder


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, _ = dataset(tmp_path / "table")
    plan = streaming.plan_table(table, COLUMNS, Options(), memory=150_000)
    whole = streaming.read(streaming.run(plan, tmp_path / "whole.parquet"))

    def stop(done: int, total: int, task: str) -> None:
        if task == "parts" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        streaming.run(plan, tmp_path / "out.parquet", report=stop)
    assert not (tmp_path / "out.parquet").exists()
    kept = {p.name: p.stat().st_mtime_ns for p in streaming.result_files(tmp_path / "out.parquet.parts")}
    assert len(kept) == 3
    fitted: list[int] = []
    fit_part = streaming.fit_part
    monkeypatch.setattr(streaming, "fit_part", lambda *a: (fitted.append(a[1]), fit_part(*a))[1])
    found = streaming.read(streaming.run(plan, tmp_path / "out.parquet"))
    pd.testing.assert_frame_equal(found, whole)
    assert len(fitted) == plan.parts - 3
    assert not (tmp_path / "out.parquet.parts").exists()
    other = streaming.plan_table(table, COLUMNS, Options(form=("power",)), memory=150_000)
    folder = streaming.run(plan, tmp_path / "folder")
    with pytest.raises(cogfit.InputError, match="other options"):
        streaming.run(other, folder)
    before = {p: p.stat().st_mtime_ns for p in streaming.result_files(folder)}
    streaming.run(plan, folder)  # nothing is left to do
    assert before == {p: p.stat().st_mtime_ns for p in streaming.result_files(folder)}


def test_a_table_of_too_many_parts_is_refused_with_a_way_out(tmp_path: Path) -> None:
    table, _ = dataset(tmp_path / "table", 20)
    with pytest.raises(cogfit.InputError, match="600 rows, too many for parts") as caught:
        streaming.plan_table(table, COLUMNS, Options(), memory=100)
    assert "--memory" in str(caught.value.hint)


def test_output_is_never_written_over_something_else(tmp_path: Path) -> None:
    table, _ = dataset(tmp_path / "table", 3)
    plan = streaming.plan_table(table, COLUMNS, Options())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("...")
    with pytest.raises(cogfit.InputError, match="not empty"):
        streaming.run(plan, tmp_path / "out")
    with pytest.raises(cogfit.InputError, match=r"'\.xlsx' is not written"):
        streaming.run(plan, tmp_path / "out.xlsx")


# ------------------------------------------------------------------------------------------------------- Dask


@pytest.mark.slow
def test_dask_fits_partition_by_partition() -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = tidy()
    lazy = cogfit.fit_many(dd.from_pandas(frame, npartitions=4), by=["layer", "head"], x="step", y="u")
    found = lazy.compute(scheduler="synchronous").sort_values(["layer", "head"]).reset_index(drop=True)
    expected = cogfit.fit_many(frame, by=["layer", "head"], x="step", y="u")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert dict(lazy.dtypes) == dict(expected.dtypes)


@pytest.mark.slow
def test_a_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    table, y = dataset(tmp_path / "table")
    plan = streaming.plan_table(table, COLUMNS, Options(), memory=60_000)
    with distributed.LocalCluster(
        2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        killed: list[int] = []

        def kill(done: int, total: int, task: str) -> None:
            if task == "parts" and done == 2 and not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        out = streaming.run(plan, tmp_path / "out", scheduler=cluster.scheduler_address, report=kill)
    assert killed
    found = streaming.read(out).sort_values("head").reset_index(drop=True)
    assert found["head"].is_unique
    expected = cogfit.fit_many(K[:30], y)
    pd.testing.assert_frame_equal(found.drop(columns="head"), expected.drop(columns="curve"), check_exact=True)


# -------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize("parts", [1, 3])
def test_csv_for_people_holds_no_formula_and_parquet_every_letter(tmp_path: Path, parts: int) -> None:
    names = ["=1+1", "@SUM(A1)", "plain"]
    rows = [{"curve": name, "x": float(k), "y": k**-0.5} for name in names for k in range(1, 9)]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    columns, options = Columns(("curve",), "x", "y"), Options(("power",))
    plan = replace(streaming.plan_table(tmp_path / "t.parquet", columns, options), parts=parts)
    read = {}
    for suffix in ("csv", "parquet"):
        streaming.run(plan, tmp_path / f"out.{suffix}")
        read[suffix] = streaming.read(tmp_path / f"out.{suffix}")
    assert sorted(read["parquet"]["curve"]) == sorted(names)
    assert sorted(read["csv"]["curve"]) == ["'=1+1", "'@SUM(A1)", "plain"]
    np.testing.assert_array_equal(read["csv"]["gamma"], read["parquet"]["gamma"])


def test_damaged_parts_and_plans_are_named(tmp_path: Path, damaged_bytes: Callable[..., Iterator[bytes]]) -> None:
    rows = [{"curve": name, "x": float(k), "y": k**-0.5} for name in "ab" for k in range(1, 9)]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    plan = streaming.plan_table(tmp_path / "t.parquet", Columns(("curve",), "x", "y"), Options(("power",)))
    out = streaming.run(plan, tmp_path / "out")
    for file in (*streaming.result_files(out), out / "_plan.json"):
        content = file.read_bytes()
        for damaged in damaged_bytes(content):
            file.write_bytes(damaged)
            with suppress(cogfit.InputError):
                streaming.read(streaming.run(plan, out))
        file.write_bytes(content)
    assert len(streaming.read(out)) == 2


def test_command_fits_a_table_and_sums_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, y = dataset(tmp_path / "table", 20)
    out, plot = tmp_path / "fits.csv", tmp_path / "gamma.png"
    code = cli.main(
        [
            "fit-many",
            str(table),
            "--table",
            "--by",
            "head",
            "--x",
            "step",
            "--y",
            "u",
            "--out",
            str(out),
            "--plot",
            str(plot),
        ]
    )
    text = capsys.readouterr().out
    assert code == 0
    assert "20 curves" in text
    assert "quantiles" in text
    found = pd.read_csv(out)
    np.testing.assert_allclose(found["gamma"], cogfit.fit_many(K[:30], y)["gamma"], rtol=1e-14)
    assert plot.stat().st_size > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fits.csv", "gamma.png", "table"]


def test_command_fits_a_log_by_head_and_pattern(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.parquet"
    cogfit.simulate("power", {"gamma": 0.5}, kind="routing", patterns=6, n=40).to_parquet(log)
    out = tmp_path / "fits"
    assert cli.main(["fit-many", str(log), "--by", "pattern", "--form", "power", "--out", str(out), "--all-forms"]) == 0
    capsys.readouterr()
    assert len(streaming.read(out)) == 6
    for arguments, message in (
        ([str(log), "--out", str(log)], "name another output"),
        ([str(log), "--out", str(tmp_path / "no" / "x.csv")], "does not exist"),
        ([str(log), "--out", str(tmp_path / "x.csv"), "--by", "nobody"], "no column 'nobody'"),
        ([str(log), "--table", "--out", str(tmp_path / "x.csv")], "no column 'curve'"),
    ):
        assert cli.main(["fit-many", *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_keeps_the_parts_that_are_done(tmp_path: Path) -> None:
    table, _ = dataset(tmp_path / "table", 200)
    out = tmp_path / "fits"
    command = [
        sys.executable,
        "-m",
        "cogfit.cli",
        "fit-many",
        str(table),
        "--table",
        "--by",
        "head",
        "--x",
        "step",
        "--y",
        "u",
        "--out",
        str(out),
        "--memory",
        "0.00004",
        "--all-forms",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(out.glob("part-*.parquet")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in error
    done = len(streaming.result_files(out))
    plan = json.loads((out / "_plan.json").read_text())
    assert 0 < done < plan["parts"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert len(streaming.read(out)) == 200


def test_collections_split_into_parts_keep_their_curves() -> None:
    whole = from_table(tidy(), Columns(("layer", "head"), "step", "u"))
    pieces = [fit_collection(whole.part(a, b), Options()) for a, b in ((0, 11), (11, 30))]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), fit_collection(whole, Options()))
    assert len(from_arrays(K, many(3)).part(1, 3)) == 2
