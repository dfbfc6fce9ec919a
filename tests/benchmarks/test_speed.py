"""The benchmark of speed: every goal has its row, what is not measured says why, and pages follow the table."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

pytest.importorskip("tbparse")

import batch_speed  # noqa: E402
import speed_goals  # noqa: E402
import speed_limit  # noqa: E402
import speed_pages  # noqa: E402
import speed_peers  # noqa: E402

TABLE = ROOT / "data" / "benchmarks" / "batch_speed.csv"


def test_goals_have_names_of_their_own_and_are_measured_by_the_script() -> None:
    assert len(speed_goals.BY_NAME) == len(speed_goals.GOALS)
    source = (ROOT / "benchmarks" / "batch_speed.py").read_text(encoding="utf-8")
    for goal in speed_goals.GOALS:
        assert f'"{goal.name}"' in source or goal.name.split("_")[0] in speed_goals.LEVELS, goal.name


def test_the_committed_table_has_every_goal_as_it_stands_now() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [goal.name for goal in speed_goals.GOALS]
    for row, goal in zip(rows, speed_goals.GOALS, strict=True):
        assert (row["task"], row["beside"], row["goal"]) == (goal.task, goal.beside, goal.words)
        assert bool(row["measured"]) != bool(row["reason"])
        if row["measured"]:
            assert row["met"] == {None: "", True: "yes", False: "no"}[goal.is_met(float(row["measured"]))]


def test_a_ratio_has_a_least_value_and_a_time_a_greatest() -> None:
    four, warm = speed_goals.BY_NAME["four"], speed_goals.BY_NAME["warm"]
    assert (four.words, warm.words) == ("≥ 600 ×", "≤ 1 s")
    assert (four.is_met(600), four.is_met(599), warm.is_met(1.0), warm.is_met(1.1)) == (True, False, True, False)
    assert speed_goals.BY_NAME["bounds"].is_met(5) is None


def test_what_was_not_measured_says_why() -> None:
    results = speed_goals.Results()
    results.compare(lambda: 2.0, {"four": iter([1800.0, 1000.0, 1400.0]).__next__}, 3)
    results.miss("jax_one", "jax is not installed")
    results.miss("long_1e6", "it does not end within 120 s", is_failure=True)
    rows = {row["name"]: row for row in results.rows()}
    assert [rows["four"][name] for name in ("measured", "least", "most", "met")] == [700, 500, 900, "yes"]
    assert (rows["jax_one"]["reason"], rows["jax_one"]["met"]) == ("jax is not installed", "")
    assert rows["long_1e6"]["met"] == "no"
    assert rows["warm"]["reason"] == "its part was not run"
    assert "| 700 × | 500 – 900 | ≥ 600 × | yes |" in speed_goals.line(rows["four"])
    assert "| not measured: jax is not installed |  |  |  |" in speed_goals.line(rows["jax_one"])


def test_a_plain_exponential_costs_less_than_a_microsecond() -> None:
    try:
        cost = speed_limit.nanoseconds_of_an_exponential()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert 0.05 < cost < 1000


def test_peers_find_the_minimum_that_cogfit_finds() -> None:
    import cogfit

    for x, ys in (batch_speed.curves(3), batch_speed.own_axes(3)):
        ours = cogfit.fit_many(x, ys)["rss"].to_numpy()
        axes = np.broadcast_to(x, ys.shape)
        for peer in (speed_peers.curve_fit_in_bounds, speed_peers.lmfit_once()):
            theirs = np.array([peer(axis, y) for axis, y in zip(axes, ys, strict=True)])
            assert (theirs >= ours * (1 - 1e-9)).all()
            np.testing.assert_allclose(theirs, ours, rtol=1e-3)


def test_a_command_that_does_not_end_is_a_goal_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_speed.write_log(tmp_path / "log.csv", 50)
    monkeypatch.setattr(batch_speed, "LONGEST", 0.01)
    assert batch_speed.command("fit", tmp_path / "log.csv", bytecode=tmp_path / "bytecode") == (np.inf, np.inf)


def test_a_part_that_fails_does_not_lose_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(batch_speed, "fitting", fails)
    monkeypatch.setattr(batch_speed, "commands", lambda results, rounds: results.note("warm", [0.5] * rounds))
    out = tmp_path / "speed.csv"
    assert batch_speed.main(["--parts", "fitting", "commands", "--out", str(out)]) == 1
    with out.open(encoding="utf-8", newline="") as file:
        met = {row["name"]: row["met"] for row in csv.DictReader(file)}
    assert (met["warm"], met["four"]) == ("yes", "")
    assert json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))["limit"]["reason"]


def test_pages_say_how_many_goals_are_met() -> None:
    rows = [{"goal": "≥ 1 ×", "met": met} for met in ("yes", "no", "no", "")] + [{"goal": "", "met": ""}]
    assert speed_pages.goals_met(rows) == "Of 4 goals 1 are met, 2 are missed, 1 are not measured"


@pytest.mark.long
def test_what_runs_in_processes_of_its_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = batch_speed.streamed(3000, memory=5e7)
    assert found["parts"] > 1
    assert found["fitting_us_per_curve"] > 0
    level = batch_speed.one_level(50, 0.1, 1)
    assert {name: len(level[name]["values"]) for name in level} == {"four": 1, "lmfit": 1, "limit": 1}
    write = batch_speed.write_log
    monkeypatch.setattr(batch_speed, "write_log", lambda path, n: write(path, max(n // 1000, 50)))
    run = batch_speed.command
    monkeypatch.setattr(  # the ledger takes long
        batch_speed, "command", lambda *given, **places: (1.0, 1.0) if given[0] == "ledger" else run(*given, **places)
    )
    results = speed_goals.Results()
    batch_speed.long_logs(results)
    batch_speed.commands(results, 1)
    assert results.measured.keys() == {"long_1e5", "long_1e6", "long_one_form", "cold", "warm", "ledger_row"}
