"""The paper's figures: what is plotted is what the data say, and the same data give the same files."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cogfit
import paper_figures
from cogfit import cli
from paper_figures import (
    FIGURES,
    Data,
    build,
    choose,
    coverage_of_intervals,
    practice,
    redundancy,
    style,
    theorems,
)
from paper_figures.build import contents

HERE = Path(__file__).resolve().parent
RUNS = ("srcd-n256-collapses", "srcd-n256-consolidates", "srcd-n256-gradual")
PRACTICE = (
    ("anderson1981_latency", {}), ("zbrodoff1995_alphabet_arithmetic", {"group": "control"}),
    ("lui_chan2006_reprogramming", {}), ("anderson1981_errors", {}),
)  # fmt: skip
RETENTION = (("ebbinghaus1885_savings", {"edition": "1885"}), ("dros2015_lists", {}))
DPI = 80.0
EVERY, FORCED = 8, 50  # every eighth step and presentation is kept, for speed; steps then forced


def study(rows: int = 12) -> pd.DataFrame:
    """A table as the coverage study writes it."""
    i = np.arange(rows)
    return pd.DataFrame(
        {
            "noise": np.array(["white", "ar(1) 0.9", "clusters, shared shocks"])[i % 3], "n": 300, "patterns": 0,
            "gamma": 0.43, "floor": np.array(["no", "yes"])[i % 2], "repeats": 1000, "seed": 1, "form": "power",
            "coverage": 0.94 + 0.002 * i, "low": 0.9, "high": 0.98, "median_length": 0.1, "infinite": 0.0,
            "unreliable": 0.0, "conditional": 0.0, "curve_fit": 0.5 + 0.03 * i,
            "lmfit": np.where(i == 4, np.nan, 0.8), "result": np.array(["passes", "passes", "conditional"])[i % 3],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three thinned runs and a small study."""
    out = tmp_path_factory.mktemp("data")
    for run in RUNS:
        source, target = cogfit.data_dir() / "runs" / run, out / "runs" / run
        target.mkdir(parents=True)
        about = json.loads((source / "run.json").read_text(encoding="utf-8"))
        about["forced_attention_steps"] = about["forced_attention_steps"] and [0, FORCED - 1]
        (target / "run.json").write_text(json.dumps(about))
        steps = pd.read_csv(source / "utilization.csv").iloc[::EVERY]
        steps.assign(step=steps["step"] // EVERY).to_csv(target / "utilization.csv", index=False)
        if (source / "routing.parquet").exists():
            rows = pd.read_parquet(source / "routing.parquet")
            rows = rows[rows["exposure"] % EVERY == 0]
            rows = rows.assign(step=rows["step"] // EVERY, exposure=rows["exposure"] // EVERY)
            rows.to_parquet(target / "routing.parquet")
    for path in (cogfit.data_dir() / "runs").glob("*-n256*/seed*"):  # figure 19 reads no logs
        target = out / "runs" / path.parent.name / path.name
        target.mkdir(parents=True)
        for file in ("run.json", "evaluation.csv"):
            shutil.copy(path / file, target)
    for name in ("human", "published", f"runs/{redundancy.RUN}"):
        (out / name).symlink_to(cogfit.data_dir() / name)
    (out / "benchmarks").mkdir()
    study().to_csv(out / "benchmarks" / "interval_coverage.csv", index=False)
    (out / "benchmarks" / "zipf_sweep.csv").symlink_to(cogfit.data_dir() / "benchmarks" / "zipf_sweep.csv")
    return out


@pytest.fixture(scope="module")
def data(folder: Path) -> Iterator[Data]:
    """The figures' data, with fewer human curves than the paper shows, and coarser pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", DPI)
        patch.setattr(practice, "PRACTICE", PRACTICE)
        patch.setattr(practice, "RETENTION", RETENTION)
        yield Data(folder)


@pytest.fixture(scope="module")
def made(data: Data) -> dict[str, dict[str, bytes]]:
    return {item.name: contents(item, data) for item in FIGURES}


def table(content: dict[str, bytes]) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content["csv"]))


# ------------------------------------------------------------------------------------------------- the registry


def test_every_figure_file_is_registered_and_what_it_needs_is_shipped() -> None:
    files = {path.stem for path in Path(paper_figures.__file__).parent.glob("*.py")} - {"__init__", "build", "style"}
    assert {item.draw.__module__.rsplit(".", 1)[1] for item in FIGURES} == files
    for attribute in ("number", "name", "title", "stem"):
        assert len({getattr(item, attribute) for item in FIGURES}) == len(FIGURES)
    for item in FIGURES:
        assert item.needs or item.draw.__module__ == theorems.__name__  # formulas need no data
        for need in item.needs:
            assert (cogfit.data_dir() / need).exists(), need


def test_figures_are_chosen_by_name_or_number_in_the_order_of_the_paper() -> None:
    assert [item.number for item in choose(FIGURES, ["runs", "1", "utilization"])] == [1, 8]
    assert choose(FIGURES, []) == tuple(sorted(FIGURES, key=lambda item: item.number))
    with pytest.raises(cogfit.InputError, match="no figure 'utilisation'; did you mean 'utilization'"):
        choose(FIGURES, ["utilisation"])


# ------------------------------------------------------------------------------------------------- the files


@pytest.mark.long
@pytest.mark.parametrize("name", [item.name for item in FIGURES])
def test_a_second_drawing_gives_the_same_bytes(name: str, data: Data, made: dict[str, dict[str, bytes]]) -> None:
    (item,) = choose(FIGURES, [name])
    again = contents(item, data)
    assert list(again) == ["png", "pdf", "svg", "csv", "txt"]
    assert again == made[name]


@pytest.mark.long
def test_another_process_gives_the_same_bytes(folder: Path, tmp_path: Path, made: dict[str, dict[str, bytes]]) -> None:
    code = (
        "import sys, pathlib; from paper_figures import *; from paper_figures import style;"
        "style.DPI = float(sys.argv[3]);"
        "figures = choose(FIGURES, ['coverage', 'runs']);"
        "list(build(figures, pathlib.Path(sys.argv[2]), Data(pathlib.Path(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path), str(DPI)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)})
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    chosen = choose(FIGURES, ["coverage", "runs"])
    assert written == {f"{i.stem}.{suffix}": payload for i in chosen for suffix, payload in made[i.name].items()}


@pytest.mark.long
@pytest.mark.parametrize("name", [item.name for item in FIGURES])
def test_text_is_text_and_numbers_have_six_digits(name: str, made: dict[str, dict[str, bytes]]) -> None:
    content = made[name]
    assert b"<text" in content["svg"]
    assert b"<dc:date>" not in content["svg"]
    assert b"/Type3" not in content["pdf"]
    assert b"/CreationDate" not in content["pdf"]
    cells = {cell for row in content["csv"].decode().splitlines()[1:] for cell in row.split(",")}
    numbers = [cell for cell in cells if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", cell)]
    assert numbers
    assert all(len(cell.split("e")[0].replace(".", "").lstrip("-0")) <= 6 for cell in numbers)
    with Image.open(io.BytesIO(content["png"])) as picture:
        assert round(picture.size[0] / DPI, 2) in (style.COLUMN, style.PAGE)


@pytest.mark.long
@pytest.mark.parametrize("name", ["coverage", "runs"])
def test_pictures_look_like_the_reference(name: str, made: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    """After a wanted change, copy the picture that the message names over the reference."""
    with Image.open(io.BytesIO(made[name]["png"])) as picture:
        small = picture.convert("L")
    small.save(tmp_path / f"{name}.png")
    with Image.open(HERE / "reference" / f"{name}.png") as expected:
        assert small.size == expected.size, tmp_path / f"{name}.png"
        off = np.abs(np.asarray(small, dtype=float) - np.asarray(expected.convert("L"), dtype=float))
    assert off.mean() < 1.0, tmp_path / f"{name}.png"
    assert (off > 64).mean() < 0.002, tmp_path / f"{name}.png"


def test_lines_and_marks_are_told_apart_without_colour() -> None:
    first = range(4)  # as many lines as a panel holds
    assert len({str(style.line(i)["ls"]) for i in first}) == len(first)
    assert len({style.marker(i)["marker"] for i in first}) == len(first)


# ------------------------------------------------------------------------------------------------- the numbers


@pytest.mark.long
def test_utilization_is_the_mean_over_steps(made: dict[str, dict[str, bytes]], data: Data) -> None:
    drawn = table(made["utilization"])
    raw = pd.read_csv(data.folder / "runs" / RUNS[1] / "utilization.csv")["attention_utilization"].to_numpy()
    rows = drawn[(drawn["run"] == RUNS[1]) & (drawn["panel"] == "a") & ~drawn["forced"]]
    expected = raw[FORCED:].reshape(-1, 25)
    np.testing.assert_allclose(rows["mean"], expected.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(rows["step"], FORCED + 25 * np.arange(expected.shape[0]) + 12, rtol=1e-5)
    np.testing.assert_allclose(rows["high"], np.quantile(expected, 0.95, axis=1), rtol=1e-5)
    assert (drawn.loc[drawn["forced"], "mean"] == 1.0).all()
    found = cogfit.transition(np.arange(float(FORCED), raw.size), raw[FORCED:], rng=1)
    text = made["utilization"]["txt"].decode()
    assert f"near step {found.t50:,.0f}" in text
    low, high = (float(v.replace(",", "")) for v in re.search(r"interval ([\d,]+)–([\d,]+);", text).groups())
    assert low == pytest.approx(found.low, rel=0.01)
    assert high == pytest.approx(found.high, rel=0.01)
    assert f"f = {12 / 256:.2%}" in text
    assert f"OPT = {12 * 0.3 / 256:.2%}" in text


@pytest.mark.long
def test_recorded_runs_are_all_there_with_their_last_values(made: dict[str, dict[str, bytes]], data: Data) -> None:
    drawn, text = table(made["runs"]), made["runs"]["txt"].decode()
    assert sorted(set(drawn["run"])) == sorted(RUNS)
    for run in RUNS:
        raw = pd.read_csv(data.folder / "runs" / run / "utilization.csv")
        last = raw.tail((len(raw) - FORCED) % 50 or 50)
        part = drawn[drawn["run"] == run].groupby("column")["mean"].last()
        for column in ("attention_utilization", "retrieval_accuracy"):
            assert part[column] == pytest.approx(last[column].mean(), rel=1e-5, abs=1e-12)
        assert f"{run}: {last['attention_utilization'].mean():.2%}" in text


@pytest.mark.long
def test_exposure_points_and_forms_follow_from_log_and_formulas(made: dict[str, dict[str, bytes]], data: Data) -> None:
    drawn = table(made["exposure"])
    for run in RUNS[1:]:
        frame = pd.read_parquet(data.folder / "runs" / run / "routing.parquet")
        free = frame[frame["step"] >= FORCED]
        first = frame.loc[frame["step"] < FORCED, "exposure"].max() + 1
        last = int(frame.groupby("pattern")["exposure"].max().min())
        mean = free[free["exposure"].between(first, last)].groupby("exposure")["p_episodic"].mean()
        seen = drawn[(drawn["run"] == run) & (drawn["series"] == "observed")]
        bins = np.floor(40 * np.log10(mean.index / first) + 1e-9)
        np.testing.assert_allclose(seen["p"], mean.groupby(bins).mean(), rtol=2e-3)  # weights differ by a few rows
        fit = data.fit(run)
        power = drawn[(drawn["run"] == run) & (drawn["series"] == "power")]
        q = fit["power"].estimate.params
        k = power["k"].to_numpy()
        np.testing.assert_allclose(power["p"], q["A"] * k ** -q["gamma"], rtol=1e-5)
        slopes = np.stack([k ** -q["gamma"], -q["A"] * k ** -q["gamma"] * np.log(k)], axis=1)
        half = 1.959964 * np.sqrt(np.einsum("ni,ij,nj->n", slopes, fit["power"].covariance, slopes))
        np.testing.assert_allclose(power["high"] - power["p"], half, rtol=1e-3)
    step = drawn[(drawn["run"] == RUNS[1]) & (drawn["series"] == "log_logistic_step")]
    q = data.fit(RUNS[1])["log_logistic_step"].estimate.params
    expected = q["c"] + q["A"] / (1.0 + (step["k"] / q["x50"]) ** q["s"])
    np.testing.assert_allclose(step["p"], expected, rtol=1e-4)  # steep in k, which has six digits here


@pytest.mark.long
def test_sensitivity_holds_the_windows_of_the_fit_and_an_independent_gamma(
    made: dict[str, dict[str, bytes]], data: Data
) -> None:
    from scipy.optimize import curve_fit

    drawn = table(made["sensitivity"])

    def gamma_of(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
        sigma = None if weights is None else weights**-0.5
        return float(curve_fit(lambda k, a, g: a * k**-g, x / x[0], y, [y[0], 0.3], sigma)[0][1])

    for panel, run in zip("ab", RUNS[1:], strict=True):
        fit, windows = data.fit(run), drawn[drawn["panel"] == panel]
        np.testing.assert_allclose(windows["gamma"], [w.gamma for w in fit.windows], rtol=1e-5, atol=1e-12)
        for row in windows.itertuples():
            inside = (fit.x >= row.k_min) & (fit.x <= row.k_max)
            gamma = gamma_of(fit.x[inside], fit.y[inside], fit.weights[inside])
            assert row.gamma == pytest.approx(gamma, rel=0.02, abs=0.002)  # fitted to 300 means
        assert f"to {windows['gamma'].max():.2f}" in made["sensitivity"]["txt"].decode()
        counted = drawn[(drawn["panel"] == "c") & (drawn["curve"] == run)]
        assert len(counted) == 6
        first = counted[(counted["convention"] == "prior") & (counted["outcome"] == "soft")]
        assert first["gamma"].item() == pytest.approx(gamma_of(fit.x, fit.y, fit.weights), rel=1e-4)
    raw = pd.read_csv(cogfit.data_dir() / "human" / "anderson1981_errors.csv")
    for convention, column in (("prior", "prior_exposures"), ("inclusive", "trial")):
        rows = raw[raw[column] > 0]
        gamma = gamma_of(rows[column].to_numpy(dtype=float), rows["p_error"].to_numpy())
        row = drawn[(drawn["curve"] == "Anderson 1981, error") & (drawn["convention"] == convention)]
        assert row["gamma"].item() == pytest.approx(gamma, rel=1e-4)


@pytest.mark.long
def test_human_curves_are_the_tables_values_and_the_fits_formulas(made: dict[str, dict[str, bytes]]) -> None:
    drawn = pd.concat([table(made["practice"]), table(made["retention"])])
    assert set(drawn["dataset"]) == {id for id, _ in (*PRACTICE, *RETENTION)}
    seen = drawn[drawn["series"] == "observed"]
    raw = pd.read_csv(cogfit.data_dir() / "human" / "anderson1981_latency.csv")
    part = seen[seen["dataset"] == "anderson1981_latency"]
    np.testing.assert_allclose(part[["x", "y"]], raw[["trial", "latency_s"]], rtol=1e-5)
    teams = pd.read_csv(cogfit.data_dir() / "human" / "lui_chan2006_reprogramming.csv")
    part = seen[(seen["dataset"] == "lui_chan2006_reprogramming") & (seen["curve"] == "solo")]
    solo = teams[teams["mode"] == "solo"].groupby("round")["minutes"]
    np.testing.assert_allclose(part["y"], solo.mean(), rtol=1e-5)
    np.testing.assert_allclose(part["se"], solo.sem(), rtol=1e-5)
    for dataset, part in drawn[drawn["series"] == "power"].groupby(["dataset", "curve"]):
        slope = np.diff(np.log(part["y"])) / np.diff(np.log(part["x"]))
        np.testing.assert_allclose(slope, slope.mean(), rtol=0.01, err_msg=str(dataset))
    power = drawn[(drawn["dataset"] == "ebbinghaus1885_savings") & (drawn["series"] == "power")]
    gamma = -np.polyfit(np.log(power["x"]), np.log(power["y"]), 1)[0]
    assert gamma == pytest.approx(0.130, abs=0.002)  # Ebbinghaus's seven points: a·t^−0.130


@pytest.mark.long
def test_exponents_are_side_by_side_and_never_pooled(made: dict[str, dict[str, bytes]], data: Data) -> None:
    drawn, text = table(made["exponents"]), made["exponents"]["txt"].decode()
    assert len(drawn) == 9 + 2 + 3
    assert "nothing is pooled" in text
    assert not drawn["name"].str.contains("pooled|mean|all studies", case=False).any()
    claims = drawn[drawn["kind"] == "claimed"].set_index("name")
    np.testing.assert_allclose(claims.loc["CRAM: P_episodic(k)", ["gamma", "low", "high"]].astype(float),
                               [0.43, 0.39, 0.47])  # fmt: skip
    fitted = drawn[drawn["kind"] == "fitted"]
    assert ((fitted["low"] < fitted["gamma"]) & (fitted["gamma"] < fitted["high"])).all()
    for run in RUNS[1:]:
        row = drawn[drawn["name"] == style.short(run)].iloc[0]
        assert row["gamma"] == pytest.approx(data.fit(run)["power"].gamma, rel=1e-5)
        assert row["verdict"] == str(data.fit(run).verdict)
    assert drawn.groupby("name")["group"].nunique().max() == 2  # Anderson's latencies and errors stand apart
    for group in set(fitted["group"]):
        assert sum(measure in group for measure in ("latency", "error", "savings", "probability")) == 1


@pytest.mark.long
def test_coverage_draws_whatever_rows_exist_and_says_how_many(data: Data, made: dict[str, dict[str, bytes]]) -> None:
    drawn = table(made["coverage"])
    assert len(drawn) == 3 * len(study()) - 1  # lmfit did not close once
    for column, method in coverage_of_intervals.METHODS.items():
        values = drawn.loc[drawn["method"] == method, "share"].to_numpy()
        np.testing.assert_allclose(values, study()[column].dropna(), rtol=1e-5)
    text = made["coverage"]["txt"].decode()
    assert "in 12 settings" in text
    assert "4 conditional, 8 passes" in text
    fewer = Data(data.folder, _kept={("table", "interval_coverage"): study(1)})
    one = coverage_of_intervals.draw(fewer)
    assert len(one.data) == 3
    assert "in 1 settings" in one.caption


# ------------------------------------------------------------------------------------------------- the command


@pytest.mark.long
def test_the_command_lists_builds_and_reports(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["figures", "--list"]) == 0
    shown = capfd.readouterr().out
    assert all(item.name in shown and item.title in shown for item in FIGURES)
    assert cli.main(["figures", "--out", str(tmp_path / "deep" / "er"), "--only", "7", "--json", "-"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "cogfit.figures/1"
    (entry,) = document["figures"]
    assert sorted(entry["files"]) == sorted(str(p) for p in (tmp_path / "deep" / "er").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "coverge"], "did you mean 'coverage'"),
        (["--only", "99"], "there is no figure '99'"),
        (["--only", "7", "--out", "{file}"], "name another --out"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["figures", *(a.format(file=tmp_path / "file") for a in arguments)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_missing_data_are_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(cogfit.InputError, match=r"srcd-n256-consolidates: figure 'utilization' needs it"):
        list(build(FIGURES, tmp_path / "out", Data(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_ctrl_c_leaves_whole_figures_only(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Data) -> paper_figures.Drawing:
        raise KeyboardInterrupt

    first, second = choose(FIGURES, ["coverage", "runs"])
    monkeypatch.setattr(paper_figures, "FIGURES", (first, replace(second, draw=interrupted)))
    assert cli.main(["figures", "--out", str(tmp_path)]) == 130
    assert "interrupted" in capfd.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{first.stem}.{suffix}" for suffix in ("png", "pdf", "svg", "csv", "txt")
    )


@pytest.mark.long
def test_captions_hold_no_missing_numbers(made: dict[str, dict[str, bytes]]) -> None:
    for name, content in made.items():
        text = content["txt"].decode()
        assert text.startswith("Figure "), name
        assert text.endswith(".\n"), name
        assert not {"nan", "None", "inf"} & set(text.replace("(", " ").replace(")", " ").split()), name
    assert math.isfinite(table(made["runs"])["mean"].sum())


@pytest.mark.long
def test_fits_made_in_processes_of_their_own_are_the_same() -> None:
    curves = [("mosteller1970_recall", {}), ("anderson1981_latency", {})]
    prepared, seen = Data(), []
    prepared.progress = lambda done, total, name: seen.append((done, total))
    prepared.prepare([], curves)
    assert seen[-1] == (2, 2)
    for id, _ in curves:
        (series,) = cogfit.human(id).series()
        assert prepared.human_fit(series).to_json() == Data().human_fit(series).to_json()


@pytest.mark.long
def test_trained_models_end_where_their_descriptions_say(made: dict[str, dict[str, bytes]], data: Data) -> None:
    ends = table(made["trained"]).query("panel == 'b'").set_index(["set", "seed"])
    found = 0
    for (name, seed), row in ends.iterrows():
        document = json.loads((data.folder / "runs" / name / f"seed{seed}" / "run.json").read_text())
        assert row["attention"] == pytest.approx(document["final"]["measures"]["attention"], rel=1e-5)
        assert row["accuracy"] == pytest.approx(document["final"]["measures"]["accuracy"], rel=1e-5)
        found += name == "cram-n256"
    assert found == 5
