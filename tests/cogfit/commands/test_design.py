"""``cogfit design``: readable, repeatable, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit.cli import main
from cogfit.designing import LogPlan
from cogfit.errors import InputError
from cogfit.planning.records import Design


@pytest.fixture
def no_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a coin in the place of the verdict."""
    from cogfit.fitting import Options, judging

    def toss(curve: cogfit.Curve, options: Options) -> cogfit.Verdict:
        return cogfit.Verdict("supported" if options.rng.random() < 0.4 else "not_distinguishable")

    monkeypatch.setattr(judging, "judge_curve", toss)


QUICK = ["--simulations", "20", "--workers", "1"]


@pytest.mark.usefixtures("no_simulations")
def test_the_answer_comes_first_and_then_the_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "design.json"
    assert main(["design", "--n", "60", "--sd", "0.05", *QUICK, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("If a power law like this one is true (power, A = 1, γ = 0.43)")
    assert "verdict on simulated curves" in shown
    assert "for 80% supported" in shown
    document = json.loads(out.read_text())
    design = Design.from_json(document)
    assert document["schema"] == "cogfit.design/1"
    assert design.power_law.curves == 20
    assert {need.lever for need in design.needs} == {"points", "range", "runs"}
    assert design.to_json() == document


@pytest.mark.usefixtures("no_simulations")
@pytest.mark.parametrize("options", [["--patterns", "20", "--n", "30"], ["--floor", "0.2", "--decades", "3"]])
def test_json_to_standard_output_is_all_there_is(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["design", *options, *QUICK, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["is_complete"] is True


@pytest.mark.usefixtures("no_simulations")
def test_a_log_to_go_by_gives_its_points_and_laws(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    cogfit.simulate("power_floor", n=80, sigma=0.02, rng=3).to_csv(path, index=False)
    assert main(["design", "--like", str(path), "--x-min", "5", *QUICK, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["setting"]["points"] == 76
    assert document["setting"]["x_min"] == 5.0
    assert document["power_law"]["form"] in ("power", "power_floor")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n", "3"], "--n must lie between"),
        (["--sd", "nan"], "--sd must lie between"),
        (["--rho", "1"], "--rho must lie between"),
        (["--goal", "1"], "--goal must lie between"),
        (["--form", "exponential"], "is no power law"),
        (["--rival", "power_floor"], "is no rival"),
        (["--form", "power", "--floor", "0.1"], "has no floor"),
        (["--patterns", "50", "--rho", "0.5"], "patterns have outcomes"),
        (["--patterns", "50", "--floor", "1.5"], "below 1"),
        (["--spacing", "odd"], "unknown spacing"),
        (["--x-min", "5"], "--x-min says how to read a log"),
        (["--like", "none.csv", "--n", "50"], "exclude each other"),
        (["--like", "none.csv"], "none.csv"),
        (["--workers", "0"], "--workers must lie between"),
        (["--minutes", "-1"], "--minutes must be 0 or more"),
        (["--simulations", "0"], "--simulations must lie between"),
    ],
)
def test_what_no_log_can_be_is_said_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["design", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_log_that_does_not_change_has_no_verdict_to_try() -> None:
    with pytest.raises(InputError, match="does not change"):
        cogfit.design(np.arange(1.0, 31.0), np.ones(30), simulations=1)


def test_points_lie_as_they_were_asked_for() -> None:
    assert LogPlan(n=50).x().tolist() == list(range(1, 51))
    wide = LogPlan(n=50, decades=3.0).x()
    assert (wide[0], wide[-1]) == (1.0, 1000.0)
    assert np.ptp(np.diff(wide)) < 1e-9
    log = LogPlan(n=50, decades=3.0, spacing="log").x()
    assert np.ptp(np.diff(np.log(log))) < 1e-12


@pytest.mark.long
def test_a_precise_power_law_is_supported_and_needs_no_more() -> None:
    found = cogfit.design(n=40, sd=0.001, simulations=8, rival="exponential_floor")
    assert found.power_law.counts["supported"] >= 5
    assert found.rival is not None
    assert found.rival.counts["supported"] == 0
