"""One log for each run or split: nothing of another split, run or training slips in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cogfit import fit
from cogfit.logs import read_log
from cogfit.logs.splitting import split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, height in (("a/train", 1), ("a/validation", 2), ("b/train", 3), ("b/validation", 4)):
        (tmp_path / place).mkdir(parents=True)
        pd.DataFrame({"step": range(1, 21), "loss": float(height)}).to_csv(tmp_path / place / "m.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("by", "chosen", "heights"),
    [
        (("run",), {}, {("a",): {1}, ("b",): {3}}),
        (("run",), {"split": "validation"}, {("a",): {2}, ("b",): {4}}),
        (("split",), {"run": "a"}, {("train",): {1}, ("validation",): {2}}),
        (
            ("run", "split"),
            {},
            {("a", "train"): {1}, ("a", "validation"): {2}, ("b", "train"): {3}, ("b", "validation"): {4}},
        ),
    ],
)
def test_a_log_is_split_by_what_is_named_only(folder: Path, by, chosen, heights) -> None:
    log = read_log(folder, y="loss", **chosen)
    found = {
        tuple(labels.values()): set(part.utilization.frame["attention_utilization"].tolist())
        for labels, part in split(log, by)
    }
    assert found == heights


def test_by_run_gives_every_training_and_by_split_the_last(tmp_path: Path) -> None:
    both = [
        pd.DataFrame({"step": range(1, 31), "phase": phase, "loss": np.full(30, height)})
        for height in (1.0, 2.0)
        for phase in ("train", "test")
    ]
    pd.concat(both).to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv", y="loss")
    heights = {
        labels["split"]: set(part.utilization.frame["attention_utilization"]) for labels, part in split(log, ("split",))
    }
    assert heights == {"train": {2.0}, "test": {2.0}}
    assert [len(part.utilization.frame) for _, part in split(log, ("run",))] == [30, 30]


@pytest.mark.parametrize("by", [("run",), ("split",), ("run", "split")])
def test_the_parts_of_a_log_have_accounts_of_their_own(tmp_path: Path, by: tuple[str, ...]) -> None:
    # run b was trained twice
    tables = [
        pd.DataFrame({"step": range(1, n + 1), "attn_util": np.arange(1, n + 1) ** -0.5, "run": run, "split": name})
        for run, n in [("a", 40), ("b", 25), ("b", 40)]
        for name in ("train", "val")
    ]
    pd.concat(tables).to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv")
    n_parts = 0
    for labels, part in split(log, by):
        assert part.utilization is not None
        source = part.utilization.source
        n_parts += 1
        assert (source.rows_read, source.rows_used) == (210, len(part.utilization.frame))
        kinds = {choice.kind for choice in source.choices}
        assert kinds == {"split", "training"} - {*by} - ({"training"} if "run" in by else set())
        words = fit(part, form="power").headline()
        assert ("split train" in words) == ("split" not in by)
        assert ("training 2 of 2" in words) == ("run" not in by)
        assert labels
    assert n_parts == {("run",): 3, ("split",): 2, ("run", "split"): 6}[by]
