"""Whether a run had converged, and the sets of equal training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogfit.files import data_dir
from theory.training.convergence import GAIN, Convergence, convergence, ending
from theory.training.runs import Record, find_records
from theory.training.sets import EQUAL, EQUAL_TRAINING, PAPER_SIZE, PAPER_STREAMS, STREAMS, find_set


def run_with(errors: np.ndarray, *, final: float | None = None, **measures: float) -> Record:
    """A run of batch 8 that was evaluated every 100 steps, on 16 values."""
    rows = [{"step": 100 * (i + 1), "attention": 0.1, "accuracy": 1 - e} for i, e in enumerate(errors)]
    last = float(1 - errors[-1]) if final is None else final
    document: dict[str, Any] = {
        "config": {"training": {"steps": rows[-1]["step"], "batch": 8}, "data": {"values": 16}},
        "final": {"measures": {"accuracy": last, "attention": 0.1} | measures},
    }
    return Record(Path("made-up"), document, rows)


def noisy(curve: np.ndarray, seed: int, sd: float = 0.002) -> np.ndarray:
    return curve + np.random.default_rng(seed).normal(0, sd, len(curve))


STEPS = np.arange(1.0, 41.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_power_law_still_climbs(seed: int) -> None:
    """Errors of 0.6·k^−0.4: twice the streams would take 3.3 points off, whether a forecast is given or refused."""
    found = convergence(run_with(noisy(0.6 * STEPS**-0.4, seed)))
    assert found.still_climbing
    if math.isnan(found.gain):
        assert "no forecast" in found.reason
    else:
        assert found.low <= 0.6 * 40**-0.4 * (1 - 2**-0.4) <= found.high


def test_a_plateau_has_converged() -> None:
    found = convergence(run_with(noisy(0.29 + 0.3 * np.exp(-STEPS / 3), 1)))
    assert not found.still_climbing
    assert found.high < GAIN


def test_what_leaves_nothing_to_gain_has_converged_and_needs_no_forecast() -> None:
    found = convergence(run_with(np.array([0.3, 0.1]), final=0.995))
    assert not found.still_climbing
    assert math.isnan(found.gain)


def test_too_few_evaluations_show_no_convergence() -> None:
    found = convergence(run_with(np.full(6, 0.3)))
    assert found.still_climbing
    assert "6 evaluations" in found.reason


def test_what_was_noted_is_taken_over() -> None:
    record = run_with(np.array([0.3, 0.1]), final=0.995)
    document = convergence(record).to_json()
    assert document["gain"] is None
    record.document["final"]["convergence"] = document | {
        "still_climbing": True,
        "gain": 0.02,
        "low": -0.01,
        "high": 0.04,
    }
    found = convergence(record)
    assert (found.still_climbing, found.gain, found.low, found.high) == (True, 0.02, -0.01, 0.04)


SETTLED = Convergence(False, 0.0, -0.005, 0.005, "")
CLIMBING = Convergence(True, 0.02, -0.01, 0.05, "")


@pytest.mark.parametrize(
    ("known", "novel", "found", "how"),
    [
        (1.0, 0.06, SETTLED, "plateau"),
        (1.0, 0.06, CLIMBING, "still climbing"),
        (1.0, 0.20, SETTLED, "converged"),
        (0.9, 0.06, SETTLED, "converged"),
    ],
)
def test_a_plateau_is_where_novel_patterns_are_guessed(
    known: float, novel: float, found: Convergence, how: str
) -> None:
    run = run_with(np.full(20, 0.28), accuracy_recurring=known, accuracy_novel=novel)
    assert ending(run, found) == how


@pytest.mark.parametrize(("before", "how"), [(0.0, "fell back"), (0.15, "fell back"), (0.2, "converged")])
def test_what_was_better_by_ten_points_fell_back(before: float, how: str) -> None:
    """Whether or not a forecast says that the rest is settled."""
    assert ending(run_with(np.array([before, *np.full(19, 0.28)])), SETTLED) == how


@pytest.mark.parametrize("points", [16, 18])
def test_a_forecast_of_a_fall_shows_no_convergence(points: int) -> None:
    """SeqBoat, seed 13, before it left its plateau: evaluations up to then, of which a worse future was foretold."""
    (whole,) = (run for run in find_records(data_dir() / "runs" / "seqboat-n256-equal") if run.seed == 13)
    errors = np.array([1 - row["accuracy"] for row in whole.evaluation])
    assert errors[-1] < errors[points - 1] - 0.1
    found = convergence(run_with(errors[:points]))
    assert found.still_climbing


def test_recorded_runs_end_as_their_curves_show() -> None:
    runs = {(run.title, run.seed): run for run in find_records(data_dir() / "runs")}
    assert ending(runs["mamba-n256-equal", 13]) == ending(runs["seqboat-n256-equal", 11]) == "plateau"
    assert ending(runs["cram-n2048", 11]) == ending(runs["fast-weights-n256-equal", 11]) == "fell back"
    assert ending(runs["cram-n256", 11]) == "converged"


def test_recorded_rivals_of_few_streams_still_climb_and_cram_does_not() -> None:
    for record in find_records(data_dir() / "runs" / "mamba-n256"):
        assert convergence(record).still_climbing
    for record in find_records(data_dir() / "runs" / "cram-n256"):
        assert not convergence(record).still_climbing


@pytest.mark.parametrize("own", EQUAL_TRAINING, ids=lambda own: own.name)
def test_equal_training_is_equal(own: Any) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from theory.training.setup import load_setup

    setup = load_setup(own.config, dict(own.changes))
    assert setup.training.steps * setup.training.batch == STREAMS
    assert setup.training.evaluate_every * setup.training.batch == 800
    assert len(own.seed_list) >= 3
    assert own.name.endswith(EQUAL)
    assert find_set(own.name) is own
    cram = load_setup("cram-n256")
    assert cram.training.steps * cram.training.batch == STREAMS
    if own.config != "fast-weights-n256":  # another task: values fresh in every stream
        assert setup.data == cram.data


@pytest.mark.parametrize("own", PAPER_SIZE, ids=lambda own: own.name)
def test_the_size_of_the_paper_is_the_papers(own: Any) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from theory.models.cram import CramConfig
    from theory.training.setup import load_setup

    setup = load_setup(own.config, dict(own.changes))
    assert setup.training.steps * setup.training.batch == PAPER_STREAMS
    assert (setup.data.length, setup.data.queries) == (2048, 102)
    assert isinstance(setup.model, CramConfig)
    assert setup.model.write == "novel"
    assert setup.model.capacity is not None
    assert setup.model.capacity < 2048
    assert setup.model.semantic_rank is None, "d/16"
    assert setup.model.routes == "tokens", "the paper routes every token"
