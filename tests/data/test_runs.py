"""The recorded runs in data/runs are what their run.json says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest

RUNS = Path(__file__).resolve().parents[2] / "data" / "runs"
REDUNDANCY = "redundancy-gpt2-bytes"
LANGUAGE_MODEL = "lm-smollm2"
TRAINED = ("lm-facts", "lm-retention")  # looked into by tests/theory/lm/test_recorded_training.py
NAMES = ("srcd-n256-collapses", "srcd-n256-consolidates", "srcd-n256-gradual", "srcd-n256-never-drops")
SETS = sorted(p.name for p in RUNS.iterdir() if p.is_dir() and any(p.glob("seed*")))  # trained by this package
SEEDS = [path for name in SETS for path in sorted((RUNS / name).glob("seed*"))]
KINDS = {"integer": "i", "number": "fi", "boolean": "b", "string": "O"}  # a column of zeros is read as integers


def description(name: str) -> dict:
    return json.loads((RUNS / name / "run.json").read_text(encoding="utf-8"))


FILES = [(name, entry["path"]) for name in NAMES for entry in description(name)["files"]]
TABLES = [*FILES, (REDUNDANCY, "redundancy.csv"), (REDUNDANCY, "loss.csv")]


def entry_and_table(name: str, file: str) -> tuple[dict, pd.DataFrame]:
    (entry,) = (e for e in description(name)["files"] if e["path"] == file)
    path = RUNS / name / file
    return entry, pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def test_every_run_is_described_and_nothing_else_is_there():
    present = {p.name for p in RUNS.iterdir() if p.is_dir()} - set(TRAINED)
    assert present == {REDUNDANCY, LANGUAGE_MODEL, *NAMES, *SETS}
    assert sum(p.stat().st_size for p in RUNS.rglob("*") if p.is_file()) < 40e6
    for name in (REDUNDANCY, LANGUAGE_MODEL, *NAMES):
        doc = description(name)
        assert doc["schema"] == "cogfit.run/1"
        assert doc["name"] == name
        present = {p.name for p in (RUNS / name).iterdir()} - {"run.json"}
        assert present == {entry["path"] for entry in doc["files"]}
    for name in (REDUNDANCY, LANGUAGE_MODEL, *TRAINED, *NAMES):
        assert name in (RUNS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "file"), TABLES)
def test_bytes_rows_and_columns(name, file):
    entry, table = entry_and_table(name, file)
    content = (RUNS / name / file).read_bytes()
    assert len(content) == entry["bytes"]
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(table) == entry["rows"]
    assert list(table.columns) == [column["name"] for column in entry["columns"]]
    assert table.notna().all(axis=None)
    for column in entry["columns"]:
        assert table[column["name"]].dtype.kind in KINDS[column["type"]], column["name"]
        assert column["meaning"]
        assert column["meaning_from"] in description(name)["meaning_from"]


@pytest.mark.parametrize(("name", "file"), FILES)
def test_values_lie_in_the_stated_range(name, file):
    entry, table = entry_and_table(name, file)
    ranges = {column["name"]: column["range"] for column in entry["columns"] if "range" in column}
    fractions = {"p_episodic", "quality"} if file == "routing.parquet" else {"attention_utilization"}
    assert {key for key in fractions if ranges[key] == [0, 1]} == fractions
    for column, (low, high) in ranges.items():
        assert table[column].between(low, high).all(), column


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_complete(name):
    _, table = entry_and_table(name, "utilization.csv")
    assert table["step"].tolist() == list(range(description(name)["config"]["training"]["steps"]))


@pytest.mark.parametrize("name", NAMES)
def test_forced_steps_are_those_in_which_everything_attends(name):
    forced = description(name)["forced_attention_steps"]
    _, table = entry_and_table(name, "utilization.csv")
    everything = table.loc[table["attention_utilization"] == 1, "step"].tolist()
    if forced is None:
        assert everything == []
    else:
        assert everything == list(range(forced[0], forced[1] + 1))
        assert description(name)["config"]["training"]["routing_costs_start_step"] == forced[1] + 1


@pytest.mark.parametrize("name", ["srcd-n256-consolidates", "srcd-n256-gradual"])
def test_routing_log_and_utilization_log_tell_the_same_story(name):
    doc = description(name)
    _, routing = entry_and_table(name, "routing.parquet")
    _, utilization = entry_and_table(name, "utilization.csv")
    patterns = doc["config"]["data"]["recurring_patterns"]
    assert sorted(routing["pattern"].unique()) == list(range(patterns))
    assert (routing["exposure"] == routing.groupby("pattern").cumcount()).all()
    assert routing["step"].is_monotonic_increasing
    first, last = doc["forced_attention_steps"]
    forced = routing["step"].between(first, last)
    assert routing.loc[forced, "attended"].all()
    assert routing.loc[forced, "p_episodic"].mean() < 0.99, "forced rows hide what the router prefers"
    by_step = routing.groupby("step")["quality"].mean()
    assert (by_step - utilization.set_index("step")["predicted_quality"]).abs().max() < 0.005  # two-digit rounding


@pytest.mark.parametrize("name", NAMES)
def test_static_bound_and_optimum_follow_from_the_config(name):
    doc = description(name)
    data = doc["config"]["data"]
    bound = data["queries_per_sequence"] / data["sequence_length"]
    assert doc["static_bound"]["value"] == pytest.approx(bound, rel=1e-12)
    assert doc["optimum"]["value"] == pytest.approx(bound * (1 - data["recurring_fraction"]), rel=1e-12)


def test_redundancy_was_measured_on_every_part_at_every_step():
    doc = description(REDUNDANCY)
    settings, parts = doc["config"]["language"], doc["config"]["texts"]["parts"]
    _, table = entry_and_table(REDUNDANCY, "redundancy.csv")
    _, loss = entry_and_table(REDUNDANCY, "loss.csv")
    assert loss["step"].tolist() == table["step"].unique().tolist()
    assert loss["step"].iloc[[0, -1]].tolist() == [0, settings["steps"]]
    whole = table[table["tokens"] == "all"]
    layers, heads = settings["layers"], settings["heads"]
    assert (whole.groupby("step").size() == 2 + layers * (2 + heads)).all()
    for low, estimate, high in (
        ("r_low", "r", "r_high"),
        ("share_low", "share", "share_high"),
        ("r2_low", "r2", "r2_high"),
    ):
        assert table[low].le(table[estimate] + 1e-6).all()
        assert table[estimate].le(table[high] + 1e-6).all()
    assert doc["status"] == "finished"
    assert parts["measured"] == parts["fitted"] == settings["documents"]
    assert (RUNS / REDUNDANCY / "redundancy.csv").stat().st_size < 1e6


def test_the_study_of_a_language_model_names_its_model_and_its_texts():
    doc = description(LANGUAGE_MODEL)
    assert re.fullmatch("[0-9a-f]{64}", doc["config"]["model_sha256"])
    assert re.fullmatch("[0-9a-f]{64}", doc["config"]["texts"]["sha256"])
    assert [name for unit in doc["units"].values() for name in unit["tables"]] == [
        entry["path"].removesuffix(".csv") for entry in doc["files"]
    ]
    for entry in doc["files"]:
        path = RUNS / LANGUAGE_MODEL / entry["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        table = pd.read_csv(path)
        assert len(table) == entry["rows"]
        assert list(table.columns) == [column["name"] for column in entry["columns"]]
        assert all(column["meaning"] for column in entry["columns"])


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_recorded_is_null_with_a_note(name):
    doc = description(name)
    for key in ("seed", "code_revision"):
        assert doc[key] is None
        assert doc[f"{key}_note"]


@pytest.mark.parametrize("folder", SEEDS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_runs_of_this_package_are_what_they_say(folder):
    doc = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (doc["schema"], doc["status"], doc["name"]) == ("cogfit.run/1", "finished", folder.name)
    assert f"seed{doc['seed']}" == folder.name == f"seed{doc['config']['training']['seed']}"
    assert doc["code_revision"]
    assert doc["hardware"]["name"]
    assert folder.parent.name in (RUNS / "README.md").read_text(encoding="utf-8")
    assert {p.name for p in folder.iterdir()} == {"run.json", *(entry["path"] for entry in doc["files"])}
    for entry in doc["files"]:
        content = (folder / entry["path"]).read_bytes()
        assert len(content) == entry["bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        if "rows" in entry:
            path = folder / entry["path"]
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            assert len(table) == entry["rows"]
            assert list(table.columns) == [column["name"] for column in entry["columns"]]


def test_the_final_five_are_all_there_and_reach_the_goal():
    """Five fresh seeds of a frozen configuration; the goal is 99.5 % accuracy at 1.1 times the optimum."""
    final = [path for path in SEEDS if path.parent.name == "cram-n256"]
    assert [path.name for path in final] == [f"seed{seed}" for seed in range(11, 16)]
    for path in final:
        doc = json.loads((path / "run.json").read_text(encoding="utf-8"))
        assert doc["final"]["measures"]["accuracy"] >= 0.995
        assert doc["final"]["measures"]["attention"] <= 1.1 * doc["optimum"]["value"]
