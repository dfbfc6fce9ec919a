"""The study of a second task: what it draws, how candidates are chosen, and its tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import second_task  # noqa: E402
from grid import recorded  # noqa: E402

from cogfit.files import data_dir  # noqa: E402
from theory.ledger.recordings import Recordings  # noqa: E402
from theory.phenomena.measures.second_task import measure_few_modules_forget, measure_unlearn_then_relearn  # noqa: E402

ROWS = recorded(second_task.STUDY.name)


def test_the_record_is_whole_and_each_first_task_was_learned_by_the_weights() -> None:
    cells = [second_task.STUDY.key(cell) for cell in second_task.CELLS]
    assert len(set(cells)) == len(cells)
    assert [second_task.STUDY.key(row) for row in ROWS] == cells
    table = pd.DataFrame(ROWS).astype({"first": float, "in_context": float, "old": float})
    assert (table["first"] > 0.99).all()
    assert (table["in_context"] < 0.2).all()  # eight values, so chance is 1/8
    assert (table.query("question == 'modules'")["old"] < 0.9).all()  # else there is no forgetting to be told


def test_what_is_judged_is_the_best_on_other_seeds() -> None:
    for case in second_task.CASES:
        assert second_task.CHOSEN[case] == second_task.best(ROWS, *case), case
    assert not set(second_task.TUNING) & set(second_task.JUDGED)


def test_each_way_to_train_is_searched_until_a_lower_rate_is_worse() -> None:
    for case, chosen in second_task.CHOSEN.items():
        tried = second_task.tried(*case)
        for arms, candidates, i in zip(second_task.ARMS.values(), tried, chosen, strict=True):
            rates = {arm["rate"] for arm in candidates}
            assert candidates == arms[: len(candidates)]  # so that the numbers of candidates are those of all
            assert min(rates) == arms[i]["rate"] / 2, case


def test_the_best_is_chosen_by_the_mean_over_both_tasks_of_seeds_of_tuning() -> None:
    def rows(winner: dict[str, Any], seeds: range) -> list[dict[str, str]]:
        return [
            {"question": "refresh", "kind": "cram", "replay": "0", "model_seed": str(seed), "old": "0.5"}
            | {"new": "0.9" if arm == winner else "0.6", **{name: str(value) for name, value in arm.items()}}
            for arms in second_task.ARMS.values()
            for arm in arms
            for seed in seeds
        ]

    plain, unlearned, _ = second_task.ARMS.values()
    tuned, judged = rows(unlearned[4], second_task.TUNING), rows(plain[2], second_task.JUDGED)
    assert second_task.best([*tuned, *judged], "cram", 0) == (0, 4, 0)


def test_the_page_holds_the_tables() -> None:
    text = second_task.PAGE.read_text(encoding="utf-8")
    assert second_task.page(text) == text, "run: python benchmarks/second_task.py --page"


def test_unlearning_helps_at_a_rate_that_is_too_great_and_a_smaller_one_helps_more() -> None:
    """What docs/training.md says of the seeds of tuning."""
    table = pd.DataFrame(ROWS).query("question == 'refresh'")
    names = ["replay", "steps", "rate", "unlearning", "temperature", "model_seed", "old", "new"]
    table = table.astype({"kind": str, **dict.fromkeys(names, float)}).query("model_seed >= 100 and steps == 60")
    means = table.groupby(["kind", "replay", "rate", "unlearning", "temperature"])[["old", "new"]].mean()
    for kind, replay in second_task.CASES:
        own = means.loc[kind, replay]
        plain, unlearned, slower = (own.loc[arm] for arm in ((3e-3, 0, 0), (3e-3, 0.01, 0), (1.5e-3, 0, 0)))
        assert plain["old"] < unlearned["old"] < slower["old"], (kind, replay)
        assert unlearned["new"] > 0.98


def test_other_keys_have_values_of_the_second_table_and_leave_the_first_alone() -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from theory.models import Sampler
    from theory.tasks.srcd import SRCD

    task = SRCD(length=32, patterns=4, novel_keys=4, values=4, query_fraction=0.25, recurring_fraction=1.0)
    batch = Sampler(task, 0).sample(3)
    other = second_task.shifted(batch, 4)
    is_key = batch.tokens.key > 0
    assert set(other.tokens.key[is_key].tolist()) == {5, 6, 7, 8}
    assert (other.tokens.key[~is_key] == 0).all()
    both = second_task.joined(batch, other)
    assert both.answer.shape == (6, 32)
    assert (both.tokens.key[3:] == other.tokens.key).all()
    assert (both.tokens.value[:3] == batch.tokens.value).all()


def test_the_streams_of_both_tasks_are_said() -> None:
    batch = second_task._SETTINGS["training.batch"]
    first, second = (f"{steps * batch:,}" for steps in (second_task.FIRST_STEPS, second_task.STEPS))
    for measure in (measure_few_modules_forget, measure_unlearn_then_relearn):
        assert measure(Recordings(data_dir())).training.startswith(
            f"{first} on the first table, {second} on the second"
        )
