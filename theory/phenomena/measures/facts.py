"""Statements that are tested in the recorded study of facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import NotHere, Recordings
from theory.lm.practice_records import RECORDED, forgetting_log, practice_log, read_cell
from theory.phenomena.measures.language_model import in_words
from theory.phenomena.records import Finding, Measure, Verdict

if TYPE_CHECKING:
    import pandas as pd

RECORD = f"runs/{RECORDED}"
_MOST = 32  # presentations of the facts whose forgetting is told
_NEAR = 0.95  # "near perfect"
_HELD = 0.9  # a fact is recalled nearly perfectly above this probability
_LONG = 100_000  # updates after which the work finds some examples kept
_RECOGNITION = "recognition is of a word against other words here, in the work of a seen sentence against a novel one"
_ON = "SmolLM2-135M, its last two layers trained on invented facts, then on other ones; over seeds"


def _cell(data: Recordings, cell: str) -> pd.DataFrame:
    """Rows of a cell."""
    folder = data.folder / RECORD
    if not (folder / "run.json").exists():
        raise NotHere(f"data/{RECORD} is not there; run first: cogfit theory lm practice smollm2")
    return read_cell(folder, cell)


def _forgetting(data: Recordings, cell: str, outcome: str) -> pd.DataFrame:
    """An outcome by seed and delay since the maximum."""
    return forgetting_log(_cell(data, cell), _MOST).pivot_table(outcome, index="run", columns="delay")


def _at(table: pd.DataFrame, delay: int) -> tuple[int, list[float]]:
    """Values at the longest measured delay up to this one."""
    measured = max(column for column in map(int, table.columns) if column <= delay)
    return measured, [float(value) for value in table[measured]]


def nearly_perfect_after(outcome: str, presentations: int) -> Measure:
    """Ask whether an outcome is near 1 after few presentations."""

    def measure(data: Recordings) -> Finding:
        log = practice_log(_cell(data, "main"))
        by_seed = log[log["exposure"] == presentations].groupby("run")[outcome].mean()
        found = over_seeds(f"{outcome} after {presentations}", [float(value) for value in by_seed])
        means = log.groupby("exposure")[outcome].mean()
        reached = means.index[means >= _NEAR]
        first = [Quantity(f"presentations until it is {_NEAR:g}", int(reached[0]))] if len(reached) else []
        is_open = found.low < _NEAR <= found.high
        never = "" if len(reached) else f"it does not reach {_NEAR:g} within {int(means.index.max())} presentations"
        return Finding(
            "reproduced" if found.low >= _NEAR else "not reproduced",
            (found, *first),
            f"{outcome} of the facts that are shown most often, before their next presentation; "
            + (f"{_RECOGNITION}; " if outcome == "recognition" else "")
            + _ON,
            never or (f"its interval reaches {_NEAR:g} and does not lie above it" if is_open else ""),
        )

    return measure


def measure_steep_then_gradual(data: Recordings) -> Finding:
    """Compare what is lost per update early and later."""
    table = _forgetting(data, "main", "recall_net")
    (ten, early), (hundred, later) = _at(table, 10), _at(table, 100)
    start = _at(table, 0)[1]
    first = [(a - b) / ten for a, b in zip(start, early, strict=True)]
    second = [(a - b) / (hundred - ten) for a, b in zip(early, later, strict=True)]
    difference = over_seeds("difference", [a - b for a, b in zip(first, second, strict=True)])
    return Finding(
        _sign(difference),
        (
            difference,
            over_seeds(f"recall lost per update, to update {ten}", first),
            over_seeds(f"from {ten} to {hundred}", second),
        ),
        f"recall net of controls, facts shown {_MOST} times. It starts at a maximum that was chosen, which adds to the "
        f"first loss; {_ON}",
    )


def measure_some_are_kept(data: Recordings) -> Finding:
    """Count the facts that are still recalled at the end."""
    log = _cell(data, "main")
    last = int(log["since"].max())
    part = log[(log["since"] == last) & (log["planned"] == _MOST)]
    by_seed = (part["recall"] > _HELD).groupby(part["run"])
    kept = over_seeds(f"facts with a recall above {_HELD:g} after {last:,}", [float(x) for x in by_seed.mean()], "%")
    mean = over_seeds(f"mean recall after {last:,}", [float(x) for x in part.groupby("run")["recall"].mean()])
    seeds, with_one = len(by_seed), int(by_seed.any().sum())
    verdict = in_words(with_one, 0, seeds)
    reason = f"{with_one} of {seeds} seeds have such a fact"
    if last < _LONG:
        verdict = "not testable here"
        reason = f"the recorded run ends after {last:,} updates, where {reason}; what is left after {_LONG:,} is open"
    return Finding(
        verdict,
        (kept, mean, Quantity("seeds with such a fact", with_one), Quantity("seeds", seeds)),
        f"facts shown {_MOST} times, {last:,} updates later; {_ON}",
        reason,
    )


def measure_recognition_is_robust(data: Recordings) -> Finding:
    """Compare what is left of recognition and of recall."""
    left = {}
    for outcome in ("recognition", "recall"):
        table = _forgetting(data, "main", f"{outcome}_net")
        delay, end = _at(table, 1000)
        left[outcome] = np.array(end) / np.array(_at(table, 0)[1])
    difference = over_seeds("difference", [float(x) for x in left["recognition"] - left["recall"]])
    return Finding(
        _sign(difference),
        (
            difference,
            *(over_seeds(f"share of {name} left after {delay}", [float(x) for x in own]) for name, own in left.items()),
        ),
        f"both net of controls, as shares of what they were at the maximum, facts shown {_MOST} times; {_RECOGNITION}; "
        f"{_ON}",
    )


def measure_larger_batches_keep_more(data: Recordings) -> Finding:
    """Compare what is left at two sizes of the updates."""
    left, start, delay = {}, {}, {}
    for size in (2, 16):
        table = _forgetting(data, f"batch-{size}", "recall_net")
        delay[size], end = _at(table, 1000)
        start[size] = _at(table, 0)[1]
        left[size] = [b / a for a, b in zip(start[size], end, strict=True)]
    difference = over_seeds("difference", [b - a for a, b in zip(left[2], left[16], strict=True)])
    return Finding(
        _sign(difference),
        (
            difference,
            *(
                over_seeds(f"share of recall left after {delay[size]}, {size} sentences an update", left[size])
                for size in left
            ),
            *(over_seeds(f"recall at the maximum, {size} sentences", start[size]) for size in start),
        ),
        f"recall net of controls, facts shown {_MOST} times, updates of 16 sentences and of 2 with "
        f"the same facts, paired by seed; {_ON}",
    )


def measure_duplicates_are_forgotten_faster(data: Recordings) -> Finding:
    """Compare what is left after one and several sentences."""
    left, start, delay = {}, {}, 0
    for cell in ("paraphrases", "main"):
        table = _forgetting(data, cell, "recall_net")
        delay, end = _at(table, 1000)
        start[cell] = _at(table, 0)[1]
        left[cell] = [b / a for a, b in zip(start[cell], end, strict=True)]
    seeds = len(left["paraphrases"])  # seeds of the main cell beyond these have no partner
    titles = {"paraphrases": "in four sentences in turn", "main": "in one sentence"}
    difference = over_seeds(
        "difference", [a - b for a, b in zip(left["paraphrases"], left["main"][:seeds], strict=True)]
    )
    return Finding(
        _sign(difference),
        (
            difference,
            *(over_seeds(f"share of recall left after {delay}, {titles[cell]}", left[cell][:seeds]) for cell in left),
            *(over_seeds(f"recall at the maximum, {titles[cell]}", start[cell][:seeds]) for cell in start),
        ),
        f"recall net of controls in a sentence that both were shown, facts shown {_MOST} times, paired by seed; {_ON}",
    )


def _sign(difference: Quantity) -> Verdict:
    """Verdict on a difference that is said to be positive."""
    return "reproduced" if difference.low > 0 else "reversed" if difference.high < 0 else "not reproduced"
