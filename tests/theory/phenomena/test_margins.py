"""That nothing is lost has to be shown, and what a run does not reach is not judged: on records that were made up."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.ledger.measures.printed_and_measured import POINTS
from theory.ledger.quantities import Quantity
from theory.ledger.recordings import Recordings
from theory.phenomena.measures import facts, hybrids, trained
from theory.phenomena.measures import language_model as lm
from theory.phenomena.measures.margins import NATS, SHARE, is_negligible, is_same, loss_between
from theory.phenomena.records import Finding
from theory.policies.phenomena import MARGIN


def written(folder: Path, name: str, frame: pd.DataFrame) -> Recordings:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return Recordings(folder)


def test_one_margin_holds_for_shares_everywhere() -> None:
    assert SHARE == MARGIN == POINTS


@given(st.floats(-1, 1), st.floats(0.001, 1))
def test_fewer_measurements_never_show_that_nothing_is_lost(loss: float, half: float) -> None:
    """A wider interval around the same number shows less."""
    narrow, wide = (Quantity("loss", loss, loss - h, loss + h) for h in (half, 2 * half))
    for shows in (is_negligible, is_same):
        assert shows(narrow, NATS) or not shows(wide, NATS)
        assert not shows(Quantity("loss", loss), NATS)


@given(*(st.floats(0, 1) for _ in range(4)))
def test_what_is_lost_lies_within_its_limits(a: float, b: float, c: float, d: float) -> None:
    (low, high), (less, more) = sorted((a, b)), sorted((c, d))
    lost = loss_between("lost", Quantity("all", low, low, high), Quantity("some", more, less, more))
    for whole in (low, high):
        for part in (less, more):
            assert lost.low <= whole - part <= lost.high


# ------------------------------------------------------------------------------------------------------ language model


def policy(losses: list[tuple[float, float, float]]) -> pd.DataFrame:
    rows = [
        {"policy": "hip", "budget": 32 * 2**i, "needles": 12, "nats_above_full": value}
        | {"nats_above_full_low": low, "nats_above_full_high": high}
        for i, (value, low, high) in enumerate(losses)
    ]
    return pd.DataFrame(rows)


SMALL, OPEN, LOST = (0.01, -0.03, 0.05), (0.08, -0.06, 0.22), (0.9, 0.3, 1.5)


@pytest.mark.parametrize(
    ("losses", "verdict", "reason"),
    [
        ([SMALL, SMALL], "reproduced", "at 32 tokens, 64 tokens"),
        ([LOST, SMALL], "reproduced under conditions", "at 64 tokens"),
        ([LOST, OPEN], "not reproduced", "at 64 tokens it reaches zero, which shows neither"),
        ([LOST, LOST], "not reproduced", "at no budget"),
    ],
)
def test_next_to_nothing_is_lost_where_the_whole_interval_says_so(
    tmp_path: Path, losses: list[tuple[float, float, float]], verdict: str, reason: str
) -> None:
    data = written(tmp_path, f"{lm.RECORD}/policies.csv", policy(losses))
    found = lm.loses_nothing("hip", "nats_above_full", "nats")(data)
    assert found.verdict == verdict
    assert reason in found.reason
    assert f"{NATS:g} nats" in found.tested


def test_a_comparison_says_what_each_policy_attends_to_and_keeps(tmp_path: Path) -> None:
    rows = [
        {"policy": name, "budget": budget, "needles": 12, "nats_above_full": 1.0, "nats_above_full_low": 0.9}
        | {"nats_above_full_high": 1.1, "attended": attended * budget / 32, "kept": kept}
        for name, attended, kept in (("hcam", 0.1653, 1.0), ("streaming", 0.1359, 0.0684), ("copy-heads", 0.1057, 0.07))
        for budget in (32, 64)
    ]
    rows.append({"policy": "full", "budget": 468, "needles": 12, "attended": 1.0, "kept": 1.0})
    data = written(tmp_path, f"{lm.RECORD}/policies.csv", pd.DataFrame(rows))
    tested = lm.loses_less("hcam", "streaming", "nats_above_full", "nats")(data).tested
    assert "same budget" not in tested
    assert "hcam attends to 16.5 and 33.1 % of the tokens of full attention and keeps all keys and values" in tested
    assert "streaming attends to 13.6 and 27.2 % of the tokens of full attention and keeps 6.8 and 6.8 %" in tested
    tested = lm.loses_less("copy-heads", "streaming", "nats_above_full", "nats")(data).tested
    assert "those of all 468 tokens in its best copy heads" in tested


def layers(lowest: float, others: float, half: float) -> pd.DataFrame:
    sink = pd.Series([lowest] * 2 + [others] * 4)
    return pd.DataFrame({"layer": range(1, 7), "sink": sink, "sink_low": sink - half, "sink_high": sink + half})


@pytest.mark.parametrize(
    ("lowest", "others", "half", "verdict"),
    [
        (0.001, 0.5, 0.005, "reproduced"),
        (0.001, 0.1, 0.005, "reproduced under conditions"),
        (0.001, 0.5, 0.1, "not reproduced"),  # the lowest layers may have sinks
        (0.1, 0.5, 0.005, "not reproduced"),
    ],
)
def test_the_lowest_layers_have_no_sink_where_their_limits_say_so(
    tmp_path: Path, lowest: float, others: float, half: float, verdict: str
) -> None:
    data = written(tmp_path, f"{lm.RECORD}/heads.csv", layers(lowest, others, half))
    assert lm.measure_sinks_by_depth(data).verdict == verdict


@pytest.mark.parametrize(
    ("sink", "heavy", "losses", "verdict"),
    [
        (0.3, 0.5, (5.0, 2.0, 2.0), "reproduced"),
        (0.3, 0.0, (5.0, 2.0, 2.0), "reproduced under conditions"),
        (0.001, 0.0, (5.0, 2.0, 2.0), "not reproduced"),
        (0.001, 0.0, (5.0, 3.0, 2.0), "not testable here"),  # it still learns
    ],
)
def test_sinks_are_missing_where_training_is_over(
    tmp_path: Path, sink: float, heavy: float, losses: tuple[float, ...], verdict: str
) -> None:
    frame = pd.DataFrame({"step": [0, 100, 200], "loss": losses, "sink": [0.01, sink, sink], "sink_heads": heavy})
    for name in ("loss", "sink"):
        frame[f"{name}_low"], frame[f"{name}_high"] = frame[name] - 0.001, frame[name] + 0.001
    found = lm.measure_sinks_in_training(written(tmp_path, f"{lm.TRAINED}/loss.csv", frame))
    assert found.verdict == verdict
    assert ("still falls at step 200" in found.reason) == (verdict == "not testable here")
    assert "for 200 steps, at 3 checkpoints" in found.tested


# --------------------------------------------------------------------------------------------------------------- facts


def kept(monkeypatch: pytest.MonkeyPatch, last: int, seeds: int) -> Finding:
    rows = [
        {"run": run, "since": last, "planned": 32, "recall": 0.95 if run < seeds and fact == 0 else 0.1}
        for run in range(4)
        for fact in range(5)
    ]
    monkeypatch.setattr(facts, "_cell", lambda data, cell: pd.DataFrame(rows))
    return facts.measure_some_are_kept(Recordings(Path()))


@pytest.mark.parametrize(
    ("last", "seeds", "verdict"),
    [
        (100_000, 4, "reproduced"),
        (100_000, 1, "reproduced under conditions"),
        (100_000, 0, "not reproduced"),
        (1_024, 4, "not testable here"),
        (1_024, 0, "not testable here"),
    ],
)
def test_what_is_kept_is_judged_after_as_many_updates(
    monkeypatch: pytest.MonkeyPatch, last: int, seeds: int, verdict: str
) -> None:
    found = kept(monkeypatch, last, seeds)
    assert found.verdict == verdict
    assert f"{seeds} of 4 seeds" in found.reason
    assert (f"ends after {last:,} updates" in found.reason) == (last < 100_000)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.97, 0.98, 0.975], "reproduced"),
        ([0.5, 0.99, 0.9], "not reproduced"),  # its interval reaches 0.95, and far below
        ([0.5, 0.51, 0.5], "not reproduced"),
    ],
)
def test_near_perfect_is_an_interval_above_the_line(
    monkeypatch: pytest.MonkeyPatch, values: list[float], verdict: str
) -> None:
    log = pd.DataFrame({"run": range(3), "exposure": 1, "recall": values})
    monkeypatch.setattr(facts, "_cell", lambda data, cell: log)
    monkeypatch.setattr(facts, "practice_log", lambda rows: rows)
    assert facts.nearly_perfect_after("recall", 1)(Recordings(Path())).verdict == verdict


# ------------------------------------------------------------------------------------------------------ trained models


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.01, 0.01, "reproduced"),
        (-0.01, -0.005, "reproduced under conditions"),
        (-0.1, 0.1, "not reproduced"),  # too wide to say
        (-0.1, -0.05, "not reproduced"),
        (math.nan, math.nan, "not reproduced"),
    ],
)
def test_as_good_is_an_interval_within_the_margin(low: float, high: float, verdict: str) -> None:
    assert trained._as_good(Quantity("difference", (low + high) / 2, low, high)) == verdict


@pytest.mark.parametrize(
    ("recall", "errors", "verdict", "is_shown"),
    [
        (1.0, (1.0, 1.01, 0.99), "reproduced under conditions", True),
        (1.0, (0.9, 1.1, 1.0), "reproduced under conditions", False),
        (1.0, (1.5, 1.51, 1.49), "not reproduced", False),
        (0.2, (1.0, 1.01, 0.99), "not reproduced", True),
    ],
)
def test_an_error_stays_where_its_change_is_shown_to_be_small(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recall: float,
    errors: tuple[float, ...],
    verdict: str,
    is_shown: bool,
) -> None:
    monkeypatch.setattr(hybrids, "EVALUATIONS", 20)  # models that are known to have converged
    rows = [
        {
            "kind": "gla",
            "ratio": ratio,
            "model_seed": seed,
            "parameters": 40_000,
            "mse": 0.02 * (error if ratio != "none" else 1.0),
        }
        | {"accuracy": 0.2 + 0.001 * seed if ratio == "none" else recall}
        for seed, error in enumerate(errors)
        for ratio in ("none", "3", "1", "0")
    ]
    found = hybrids.measure_recall_against_ratio(written(tmp_path, hybrids.RECORD, pd.DataFrame(rows)))
    assert found.verdict == verdict
    assert ("is not shown" not in found.reason) == is_shown
