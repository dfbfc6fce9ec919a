"""Rules on what a language model was asked, on tables that were made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from theory.ledger.recordings import Recordings
from theory.phenomena.measures import language_model as lm
from theory.phenomena.records import Row, assess
from theory.phenomena.statements import STATEMENTS

STATEMENT = {statement.id: statement for statement in STATEMENTS}


def judged(name: str, folder: Path, table: str, rows: Sequence[Mapping[str, object]], half: float) -> Row:
    """A row of the page; every number but counts gets an interval of this half width."""
    frame = pd.DataFrame(rows)
    counts = {"count", "countries", "layer", "documents", "factor", "questions", "pairs", "between", "conversations",
              "seed", "updates", "asked_questions", "budget", "needles", "best"}  # fmt: skip
    for column in [c for c in frame if frame[c].dtype.kind in "if" and c not in counts]:
        frame[f"{column}_low"], frame[f"{column}_high"] = frame[column] - half, frame[column] + half
    path = folder / lm.RECORD / f"{table}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return assess(STATEMENT[name], Recordings(folder))


@pytest.mark.parametrize(
    ("window", "streaming", "verdict"),
    [(3.0, 0.2, "reproduced"), (0.3, 0.2, "not reproduced"), (0.1, 1.0, "reversed")],
)
def test_a_window_needs_its_sinks_where_it_loses_more(
    tmp_path: Path, window: float, streaming: float, verdict: str
) -> None:
    rows = [
        {"policy": name, "budget": budget, "needles": 12, "prose_above_full": value, "attended": 0.1, "kept": 0.1}
        for name, value in (("window", window), ("streaming", streaming))
        for budget in (32, 64)
    ]
    assert judged("a-window-needs-its-sinks", tmp_path, "windows", rows, 0.2).finding.verdict == verdict


@pytest.mark.parametrize(("sinks", "verdict"), [(20.0, "reproduced"), (1.05, "not reproduced")])
def test_later_sinks_are_more_than_one_a_head(tmp_path: Path, sinks: float, verdict: str) -> None:
    rows = [
        {"layer": layer, "documents": 40, "later_sinks": sinks, "sink_heads": 0.9, "later_share": 0.1 * layer}
        for layer in range(4)
    ]
    row = judged("sinks-elsewhere", tmp_path, "later_sinks", rows, 0.1)
    assert row.finding.verdict == verdict
    assert "layer 3" in row.finding.numbers[-1].name


def tilts(first: Mapping[str, float], ordinary: float, later: float, up: float = 0.0) -> list[dict[str, object]]:
    return [
        {"task": task, "place": place, "heads": heads, "factor": 2.0, "chosen_change": change, "questions": 30.0,
         "exact_before": 0.5, "exact_after": 0.6, "nats_change": up if heads == "up" else change,
         "best": heads == "down"}
        for task in first
        for place, change in (("first token", first[task]), ("ordinary token", ordinary), ("later sinks", later))
        for heads in ("all", "up", "down")
        if place != "later sinks" or task == "needles"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("capitals", "needles", "ordinary", "verdict"),
    [
        (-0.5, -0.5, -0.1, "reproduced"),
        (-0.5, -0.5, -0.45, "reproduced under conditions"),  # no better than an ordinary token
        (-0.5, 0.0, -0.1, "reproduced under conditions"),
        (0.0, 0.1, 0.0, "not reproduced"),
    ],
)
def test_scaling_the_first_token_is_held_against_an_ordinary_one(
    tmp_path: Path, capitals: float, needles: float, ordinary: float, verdict: str
) -> None:
    rows = tilts({"capitals": capitals, "needles": needles}, ordinary, -1.0)
    assert judged("scaling-the-first-token", tmp_path, "tilts", rows, 0.15).finding.verdict == verdict


@pytest.mark.parametrize(
    ("later", "up", "verdict"),
    [
        (-0.4, 0.0, "reproduced"),
        (-0.4, -0.3, "reproduced under conditions"),  # so does more attention elsewhere
        (-0.1, 0.0, "not reproduced"),
        (0.4, 0.0, "reversed"),
    ],
)
def test_less_attention_to_later_sinks_helps_where_its_interval_says_so(
    tmp_path: Path, later: float, up: float, verdict: str
) -> None:
    rows = tilts({"capitals": 0.0, "needles": 0.0}, 0.0, later, up)
    assert judged("not-all-sinks-help", tmp_path, "tilts", rows, 0.15).finding.verdict == verdict


@pytest.mark.parametrize(
    ("top", "verdict"),
    [((1.5, 1.8), "reproduced"), ((0.6, 1.8), "reproduced under conditions"), ((0.5, 0.6), "not reproduced")],
)
def test_recall_goes_through_heads_where_others_do_not_matter(
    tmp_path: Path, top: tuple[float, float], verdict: str
) -> None:
    rows = [{"heads": "none", "count": 0, "countries": 30, "answers_known": 1.0, "answer_nats": 0.5}]
    rows += [
        {"heads": heads, "count": count, "countries": 30, "answers_known": 0.7, "answer_nats": nats}
        for count, own in zip((5, 10), top, strict=True)
        for heads, nats in (("top", own), ("random", 0.5))
    ]
    rows += [{"heads": "all", "count": 270, "countries": 30, "answers_known": 0.3, "answer_nats": 2.0}]
    assert judged("recall-of-facts-by-heads", tmp_path, "known", rows, 0.3).finding.verdict == verdict


@pytest.mark.parametrize(
    ("told", "known", "random", "verdict"),
    [
        (0.9, 0.9, 0.4, "reproduced"),
        (0.9, 0.4, 0.4, "reproduced under conditions"),
        (0.9, 0.9, 0.9, "not reproduced"),  # random heads do as much
    ],
)
def test_pruning_settles_a_conflict_where_random_heads_do_not(
    tmp_path: Path, told: float, known: float, random: float, verdict: str
) -> None:
    def row(heads: str, count: int, known: float, told: float) -> dict[str, object]:
        return {"heads": heads, "count": count, "countries": 30, "answers_known": known, "answers_told": told}

    rows = [row("none", 0, 0.4, 0.4), row("memory", 5, 0.0, told), row("context", 5, known, 0.0)]
    rows += [row("random", 5, random, random)]
    assert judged("pruning-settles-conflicts", tmp_path, "conflicts", rows, 0.15).finding.verdict == verdict


@pytest.mark.parametrize(
    ("told", "without", "verdict"),
    [(0.9, 0.5, "reproduced under conditions"), (0.55, 0.5, "not reproduced"), (0.9, 0.85, "not reproduced")],
)
def test_order_counts_where_the_text_is_needed(tmp_path: Path, told: float, without: float, verdict: str) -> None:
    rows = [
        {"text": text, "distance": distance, "pairs": 60, "order_right": value, "letter_right": 0.5}
        | {"above_none": value - without}
        for text, value in (("in context", told), ("none", without))
        for distance in ("all", "near", "far")
    ]
    assert judged("order-of-segments", tmp_path, "order", rows, 0.1).finding.verdict == verdict


@pytest.mark.parametrize(
    ("below", "verdict"),
    [
        ((0.4, 0.4), "reproduced"),
        ((0.4, 0.0), "reproduced under conditions"),
        ((0.4, -0.4), "reproduced under conditions"),
        ((0.0, 0.0), "not reproduced"),
        ((-0.4, -0.4), "reversed"),
    ],
)
def test_turns_that_interact_are_held_against_single_ones(
    tmp_path: Path, below: tuple[float, float], verdict: str
) -> None:
    rows = [
        {"kind": kind, "between": 4, "conversations": 40, "turn_right": 0.5 - less, "below_single": less}
        for kind, less in zip(("single", "revised", "restored"), (0.0, *below), strict=True)
    ]
    assert judged("earlier-turns", tmp_path, "turns", rows, 0.2).finding.verdict == verdict


@pytest.mark.parametrize(
    ("kept", "verdict"),
    [
        ({"capitals": (0.0, 0.1), "plurals": (0.9, 0.8)}, "reproduced"),
        ({"capitals": (0.0, 0.7), "plurals": (0.9, 0.8)}, "not reproduced"),  # not with every draw
        ({"capitals": (0.5, 0.5), "plurals": (0.5, 0.5)}, "not reproduced"),
    ],
)
def test_a_skill_outlasts_another_with_every_draw(
    tmp_path: Path, kept: Mapping[str, tuple[float, float]], verdict: str
) -> None:
    rows = [
        {"trained": skill, "seed": seed, "updates": 10, "asked": f"{skill}, {part}", "asked_questions": 30,
         "still_right": value if part == "not trained" else 0.0}
        for skill, values in kept.items()
        for seed, value in enumerate(values)
        for part in ("trained", "not trained")
    ]  # fmt: skip
    assert judged("forgetting-a-skill", tmp_path, "skills", rows, 0.15).finding.verdict == verdict
