"""Forecasts on the command line, in a picture and on a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.errors import InputError
from cogfit.show.forecast import forms_table, plot_forecast
from cogfit.show.page import page


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=60, sigma=0.01, rng=1).to_csv("log.csv", index=False)
    return Path("log.csv")


@pytest.fixture(scope="module")
def asked() -> cogfit.FitResult:
    x = np.arange(1.0, 61.0)
    fit = cogfit.fit(x, x**-0.43 + np.random.default_rng(0).normal(0, 0.02, 60), form="power")
    return fit.with_forecast(at=[120.0], reach=[0.1, 2.0])


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_the_command_answers_what_is_asked(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As the Python methods do, in words, in JSON and in a picture."""
    options = ("--form", "power", "--reach", "0.1", "--predict", "120", "--fan", "fan.png", "--json", "fit.json")
    assert run("fit", log, *options) == 0
    fit = cogfit.fit(cogfit.read_log(log), form="power")
    out = " ".join(capfd.readouterr().out.split())
    for said in (fit.reach(0.1).statement, fit.predict(120.0).statements[0]):
        assert " ".join(said.split()) in out
    document = json.loads(Path("fit.json").read_text(encoding="utf-8"))["forecast"]
    assert document["reach"][0] == fit.reach(0.1).to_json()
    assert document["at"]["value"] == fit.predict(120.0).value.tolist()
    assert Path("fan.png").read_bytes().startswith(b"\x89PNG")


def test_quiet_answers_are_the_headline_and_the_forecast(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("fit", log, "--form", "power", "--quiet", "--reach", "0.1") == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line]
    assert len(lines) == 2
    assert "y = 0.1 is expected at x = " in lines[1]


def test_nothing_is_said_of_the_future_unless_it_is_asked(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("fit", log, "--form", "power", "--json", "fit.json") == 0
    assert "forecast" not in capfd.readouterr().out
    assert "forecast" not in json.loads(Path("fit.json").read_text(encoding="utf-8"))


def test_every_run_gets_its_own_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["run,step,attention_utilization"]
    rows += [f"{name},{k},{0.9 * k**-gamma}" for name, gamma in (("a", 0.4), ("b", 0.6)) for k in range(1, 31)]
    Path("runs.csv").write_text("\n".join(rows), encoding="utf-8")
    assert run("fit", "runs.csv", "--by", "run", "--form", "power", "--reach", "0.1", "--json", "fits.json") == 0
    out = capfd.readouterr().out
    assert "a: y = 0.1 is expected at x = 24" in out
    assert "b: y = 0.1 is expected at x = 38.9" in out
    fits = json.loads(Path("fits.json").read_text(encoding="utf-8"))["fits"]
    assert [item["fit"]["forecast"]["reach"][0]["status"] for item in fits] == ["expected", "expected"]


@pytest.mark.parametrize("options", [("--reach", "nan"), ("--predict", "inf"), ("--predict", "-3")])
def test_what_cannot_be_asked_ends_with_one_line(log: Path, options: tuple[str, str], capfd) -> None:
    assert run("fit", log, "--form", "power", *options) == 2
    assert len(capfd.readouterr().err.strip().splitlines()) <= 2


def test_pictures_of_several_fits_are_refused(log: Path, capfd) -> None:
    assert run("fit", log, "--by", "run", "--fan", "fan.png") == 2
    assert not Path("fan.png").exists()


def test_the_fan_ends_where_the_forms_disagree_and_holds_the_data(asked: cogfit.FitResult) -> None:
    axes = plot_forecast(asked).axes[0]
    fan = asked.forecast.fan
    assert fan.x[0] == asked.x.min()
    assert fan.x[-1] >= 120.0
    low, high = axes.get_ylim()
    assert low < asked.y.min() < asked.y.max() < high
    assert high >= 2.0  # what was asked for is in the picture
    assert next(text.get_text() for text in axes.get_legend().get_texts()) == "data"


def test_a_fit_without_a_forecast_has_no_fan(asked: cogfit.FitResult) -> None:
    with pytest.raises(InputError, match="no forecast to draw"):
        plot_forecast(cogfit.fit(asked.x, asked.y, form="power"))


def test_the_page_shows_a_forecast_that_was_asked_for(asked: cogfit.FitResult) -> None:
    text = page(asked)
    assert "<h2>Forecast</h2>" in text
    assert "y = 0.1 is expected at x = " in text
    assert 'aria-label="Forecast: inside the dark band' in text


def test_the_table_shows_every_form_with_its_weight(asked: cogfit.FitResult) -> None:
    rows = forms_table(asked.forecast).rows
    assert [row.cells[:2] for row in rows] == [("power", "1.00")]


def test_refusals_are_told_in_every_output(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [f"{k},{0.5}" for k in range(1, 21)]
    Path("flat.csv").write_text("step,attention_utilization\n" + "\n".join(rows), encoding="utf-8")
    assert run("fit", "flat.csv", "--reach", "0.1", "--predict", "50", "--fan", "fan.png", "--json", "fit.json") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "no forecast of when y = 0.1 is reached: y does not change" in out
    document = json.loads(Path("fit.json").read_text(encoding="utf-8"))["forecast"]
    assert document["at"]["value"] == [None]
    assert document["reach"][0] | {"x": None, "status": "refused"} == document["reach"][0]
    assert not cogfit.load("fit.json").reach(0.1).answered
