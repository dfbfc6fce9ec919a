"""Splits are no replicates, unlike runs are not averaged, and the headline says what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.columns import split_in_name
from cogfit.logs.replicates import are_replicates
from cogfit.logs.splits import SPLITS, preferred, separated

WORDS = {"train": "train", "training": "train", "val": "validation", "validation": "validation", "valid": "validation",
         "test": "test", "eval": "eval"}  # fmt: skip


def curve(gamma: float, n: int = 60, scale: float = 0.9) -> pd.DataFrame:
    step = np.arange(1, n + 1)
    return pd.DataFrame({"step": step, "attn_util": scale * step**-gamma})


def values_of(log: Any) -> list[float]:
    assert log.utilization is not None
    return list(log.utilization.frame["attention_utilization"])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(WORDS)), min_size=2, max_size=4, unique_by=lambda word: WORDS[word]),
    st.sampled_from(["folder", "file", "prefix", "infix", "column", "rows"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_one_split_is_fitted_and_named(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], place: str, chooses: bool, order: Any
) -> None:
    root = tmp_path_factory.mktemp("log")
    order.shuffle(words)
    tables = {word: curve(0.2 + 0.1 * number) for number, word in enumerate(words)}
    if place == "column":
        table = curve(0.0)[["step"]].assign(**{f"{word}/attn_util": t["attn_util"] for word, t in tables.items()})
        table.to_csv(root / "log.csv", index=False)
    elif place == "rows":
        pd.concat([table.assign(split=word) for word, table in tables.items()]).to_csv(root / "log.csv", index=False)
    for word, table in tables.items():
        if place == "folder":
            (root / word).mkdir()
            table.to_csv(root / word / "log.csv", index=False)
        elif place in ("file", "prefix", "infix"):
            name = {"file": word, "prefix": f"{word}_log", "infix": f"log_{word}_2"}[place]
            table.to_csv(root / f"{name}.csv", index=False)
    present = [WORDS[word] for word in words]
    expected = order.choice(present) if chooses else preferred(present)
    log = read_log(root, split=expected if chooses else None)
    word = next(word for word in words if WORDS[word] == expected)
    assert values_of(log) == pytest.approx(tables[word]["attn_util"].tolist(), rel=1e-12)
    (choice,) = log.utilization.source.choices if log.utilization else ()
    assert (choice.kind, choice.name, set(choice.others)) == ("split", expected, {*present} - {expected})
    fit = cogfit.fit(log, form="power")
    assert f"split {expected}" in fit.headline()
    if place not in ("column",):
        assert sum(fit.source["rows_dropped"].values()) == 60 * (len(words) - 1)
    assert fit.source["rows_read"] == fit.source["rows_used"] + sum(fit.source["rows_dropped"].values())


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    curve(0.5).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(InputError, match="no split 'test'"):
        read_log(tmp_path / "log.csv", split="test")
    with pytest.raises(InputError, match="no split 'tset'.*train"):
        read_log(tmp_path / "log.csv", split="tset")


def test_keras_columns_are_splits(tmp_path: Path) -> None:
    table = pd.DataFrame({"epoch": range(1, 31), "loss": np.linspace(2, 1, 30), "val_loss": np.linspace(3, 2, 30)})
    table.to_csv(tmp_path / "log.csv", index=False)
    assert values_of(read_log(tmp_path, y="loss")) == table["loss"].tolist()
    assert values_of(read_log(tmp_path, y="loss", split="val")) == table["val_loss"].tolist()
    assert values_of(read_log(tmp_path, y="val_loss")) == table["val_loss"].tolist()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(sorted(WORDS)), min_size=2, max_size=4, unique_by=lambda word: WORDS[word]),
    st.sampled_from(["loss", "attn_util", "top 1", "val_perplexity_x"]),
    st.sampled_from(["", "_epoch"]),
)
def test_a_metric_may_end_with_the_split(words: list[str], metric: str, fork: str) -> None:
    """'loss_train' and 'loss_val' are one metric in two splits, as 'train_loss' and 'val_loss' are."""
    names = {WORDS[word]: f"{metric}_{word}{fork}" for word in words}
    if metric.startswith("val"):  # the first word says it already
        assert {split_in_name(name) for name in names.values()} == {"validation"}
        return
    table = pd.DataFrame({"step": np.arange(1, 21)} | {name: i / 10 + 0.01 for i, name in enumerate(names.values())})
    for number, (split, name) in enumerate(names.items()):
        assert split_in_name(name) == split
        assert set(values_of(read_log(table, y=metric + fork, split=split))) == {number / 10 + 0.01}
    default = names[preferred(names)]
    assert values_of(read_log(table, y=metric + fork)) == table[default].tolist()


@pytest.mark.parametrize("name", ["std_dev", "loss_std_dev", "is_valid", "n_test", "num_train", "loss_training_time"])
def test_words_that_say_no_split(name: str) -> None:
    assert split_in_name(name) is None


def test_tags_may_end_with_the_split(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"step": range(1, 31), "Loss/train": np.linspace(2, 1, 30), "Loss/test": np.linspace(3, 2, 30)}
    )
    table.to_csv(tmp_path / "log.csv", index=False)
    assert values_of(read_log(tmp_path, y="loss")) == table["Loss/train"].tolist()
    assert values_of(read_log(tmp_path, y="loss", split="test")) == table["Loss/test"].tolist()


def test_a_run_that_is_called_test_is_a_run(tmp_path: Path) -> None:
    for name in ("baseline", "test"):
        (tmp_path / name).mkdir()
        curve(0.5).to_csv(tmp_path / name / "log.csv", index=False)
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert set(log.utilization.frame["run"]) == {"baseline", "test"}


def test_runs_keep_their_names_beside_splits(tmp_path: Path) -> None:
    for seed in (1, 2):
        for split in ("train", "val"):
            (tmp_path / f"seed{seed}" / split).mkdir(parents=True)
            curve(0.5 if split == "train" else 0.2).to_csv(tmp_path / f"seed{seed}" / split / "log.csv", index=False)
    fit = cogfit.fit(tmp_path, form="power")
    assert fit.gamma == pytest.approx(0.5)
    assert "split train" in fit.headline()
    assert "averaged over 2 runs" in fit.headline()


@pytest.mark.parametrize(
    ("names", "are_alike"),
    [
        (["seed0", "seed1"], True),
        (["version_0", "version_12"], True),
        (["base-seed=a", "base-seed=b"], True),
        (["2026-11-01_08-00", "2026-11-02_09-30"], True),
        (["Nov28_19-23-37_host", "Dec01_02-11-09_host"], True),
        (["run-20260101_101010-3k2j9x1a", "run-20260102_111111-9z8y7x6w"], True),
        (["123e4567-e89b-12d3-a456-426614174000", "00112233-4455-6677-8899-aabbccddeeff"], True),
        (["id=3", "id=14"], True),
        (["baseline", "ours"], False),
        (["vanilla", "vgg"], False),
        (["replay", "report"], False),
        (["seeded", "seedless"], False),
        (["resnet50", "mobilenet2"], False),
        (["noise=1", "noise=2"], False),
        (["0.1", "0.01"], False),
        (["1e-3", "1e-4"], False),
        (["lr0.1", "lr0.01"], False),
        (["width256_seed0", "width512_seed0"], False),
        (["base_seed0", "large_seed0"], False),
    ],
)
def test_unlike_runs_are_listed_and_not_averaged(tmp_path: Path, names: list[str], are_alike: bool) -> None:
    assert are_replicates(names) == are_alike
    for number, name in enumerate(names):
        curve(0.3 + 0.2 * number).to_csv(tmp_path / f"{name}.csv", index=False)
    log = read_log(tmp_path)
    if are_alike:
        assert f"averaged over {len(names)} runs" in cogfit.fit(log, form="power").headline()
        return
    with pytest.raises(InputError, match="no replicates.*--by run.*--run NAME") as refusal:
        cogfit.fit(log, form="power")
    assert all(name.split(".")[0] in str(refusal.value) for name in names)
    chosen = str(log.utilization.frame["run"].iloc[0]) if log.utilization else ""
    fit = cogfit.fit(read_log(tmp_path, run=chosen), form="power")
    assert f"run {chosen}" in fit.headline()


def test_a_run_is_chosen_by_name(tmp_path: Path) -> None:
    table = pd.concat([curve(g).assign(name=f"r{number}") for number, g in enumerate((0.3, 0.5, 0.7))])
    table.to_csv(tmp_path / "log.csv", index=False)
    path = tmp_path / "log.csv"
    assert cogfit.fit(read_log(path, run="name"), form="power").source["averaged_over"] == {"run": 3}
    table.rename(columns={"name": "run"}).to_csv(path, index=False)
    fit = cogfit.fit(read_log(path, run="r2"), form="power")
    assert fit.gamma == pytest.approx(0.7)
    assert "run r2 (2 others: --by run)" in fit.headline()
    with pytest.raises(InputError, match="no column or run 'r9'.*did you mean"):
        read_log(path, run="r9")


def test_the_short_table_beside_a_long_log_does_not_hide_it(tmp_path: Path) -> None:
    curve(0.5).to_parquet(tmp_path / "log.parquet")
    curve(0.9, n=3).to_csv(tmp_path / "summary.csv", index=False)
    (tmp_path / "percent.jsonl").write_text('{"step": 1, "attn_util": 90.0}\n{"step": 2, "attn_util": 80.0}\n')
    log = read_log(tmp_path)
    assert len(values_of(log)) == 60
    assert any("percent.jsonl" in warning for warning in log.warnings)


def test_links_do_not_lead_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs").mkdir()
    curve(0.9).to_csv(tmp_path / "outside" / "log.csv", index=False)
    curve(0.5).to_csv(tmp_path / "runs" / "log.csv", index=False)
    (tmp_path / "runs" / "other").symlink_to(tmp_path / "outside")
    (tmp_path / "runs" / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    log = read_log(tmp_path / "runs")
    assert values_of(log) == curve(0.5)["attn_util"].tolist()
    assert any("other leads out of the folder" in warning for warning in log.warnings)
    assert any("gone.csv leads nowhere" in warning for warning in log.warnings)


def test_a_table_in_memory_is_a_log() -> None:
    table = curve(0.5).rename(columns={"attn_util": "loss"})
    fit, arrays = cogfit.fit(table, "loss"), cogfit.fit(table["step"], table["loss"])
    assert fit.gamma == arrays.gamma
    assert fit.interval == arrays.interval
    assert fit.noise == arrays.noise
    with pytest.raises(InputError, match="DataFrame: no column is recognised"):
        cogfit.fit(table)


def test_files_of_two_configurations_never_make_one_run(tmp_path: Path) -> None:
    # one logs every 10 steps and the other every 50, so that its steps begin and end later
    fine = pd.DataFrame({"step": np.arange(10, 1001, 10), "attn_util": np.linspace(1, 0.5, 100)})
    coarse = pd.DataFrame({"step": np.arange(50, 2001, 50), "attn_util": np.linspace(0.4, 0.1, 40)})
    fine.to_csv(tmp_path / "small.csv", index=False)
    coarse.to_csv(tmp_path / "large.csv", index=False)
    with pytest.raises(InputError, match="small"):
        cogfit.fit(tmp_path, form="power")
    # while a training that goes on in another file is one run
    fine.to_csv(tmp_path / "small.csv", index=False)
    coarse.assign(step=coarse["step"] + 900).to_csv(tmp_path / "large.csv", index=False)
    assert cogfit.fit(tmp_path, form="power").source["averaged_over"] == {}


@given(st.lists(st.sampled_from([*SPLITS, None]), min_size=1))
def test_a_preferred_split_is_one_of_those_there(splits: list[str | None]) -> None:
    assert preferred(splits) in splits


@given(
    st.lists(st.sampled_from(["seed0", "a_b", "run-1", "plots"]), min_size=1, max_size=3),
    st.sampled_from(sorted(WORDS)),
)
def test_a_split_is_taken_out_of_a_path(parts: list[str], word: str) -> None:
    for place in range(len(parts) + 1):
        path = "/".join([*parts[:place], word, *parts[place:]])
        assert separated(path) == ("/".join(parts), WORDS[word])


def test_another_quantity_of_a_routing_log_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pattern = rng.integers(0, 3, 400)
    table = pd.DataFrame({"step": np.arange(400) // 4, "pattern": pattern, "attended": 1, "quality": rng.random(400)})
    table.to_csv(tmp_path / "log.csv", index=False)
    assert "column quality" in cogfit.fit(read_log(tmp_path, y="quality"), form="power").headline()
    assert "column" not in cogfit.fit(read_log(tmp_path), form="power").headline()


def numbered(folder: Path, values: dict[str, float]) -> Path:
    for name, gamma in values.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        curve(gamma).to_csv(folder / name, index=False)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["train0.csv", "train1.csv", "val0.csv", "val1.csv"],
        ["s1/training/a.csv", "s2/training/a.csv", "s1/dev/a.csv", "s3/dev/a.csv"],
        ["a/evaluate.csv", "b/train.csv", "a/train.csv"],
    ],
)
def test_splits_of_other_runs_are_no_replicates_either(tmp_path: Path, names: list[str]) -> None:
    log = read_log(numbered(tmp_path, {name: 0.5 if "train" in name else 0.2 for name in names}))
    assert log.utilization is not None
    (choice,) = log.utilization.source.choices
    assert (choice.kind, choice.name) == ("split", "train")
    assert set(values_of(log)) == set(curve(0.5)["attn_util"])
    assert log.utilization.frame["run"].nunique() == 2


def test_what_lies_beside_splits_is_none_of_them(tmp_path: Path) -> None:
    log = read_log(numbered(tmp_path, {"run/train/m.csv": 0.5, "run/eval/m.csv": 0.3, "run/m.csv": 0.2}))
    assert values_of(log) == curve(0.5)["attn_util"].tolist()
    assert log.utilization is not None
    assert log.utilization.source.choices[0].others == ("eval", "(none)")


@pytest.mark.parametrize("name", ["split", "Subset", "phase", "dataset", "partition", "set"])
@pytest.mark.parametrize("words", [("train", "validate"), ("Training", "DEV"), ("train", "evaluate")])
def test_a_column_may_name_the_split(tmp_path: Path, name: str, words: tuple[str, str]) -> None:
    table = pd.concat([curve(gamma).assign(**{name: word}) for gamma, word in zip((0.5, 0.2), words, strict=True)])
    table.sort_values("step", kind="stable").to_csv(tmp_path / "log.csv", index=False)
    assert values_of(read_log(tmp_path)) == curve(0.5)["attn_util"].tolist()


def test_splits_with_names_of_their_own_are_told_apart(tmp_path: Path) -> None:
    table = pd.concat([curve(0.5).assign(split="train"), curve(0.2).assign(split="holdout")])
    table.to_csv(tmp_path / "log.csv", index=False)
    assert values_of(read_log(tmp_path)) == curve(0.5)["attn_util"].tolist()
    assert values_of(read_log(tmp_path, split="holdout")) == curve(0.2)["attn_util"].tolist()
    with pytest.raises(InputError, match="no split 'hold'.*train, holdout"):
        read_log(tmp_path, split="hold")


@pytest.mark.parametrize("values", [("0", "1"), ("warm", "cold")])
def test_a_column_of_splits_that_names_none_is_kept_and_noted(tmp_path: Path, values: tuple[str, str]) -> None:
    table = curve(0.5).assign(split=[values[number % 2] for number in range(60)], file_row=1)
    table.to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert values_of(log) == curve(0.5)["attn_util"].tolist()
    assert set(log.utilization.frame["split_logged"].astype(str)) == set(values)
    assert any("not used" in note for note in log.utilization.source.notes)
    assert log.utilization.source.rows_used == 60


def test_a_column_of_another_split_than_the_wanted_one_is_refused(tmp_path: Path) -> None:
    table = curve(0.5).rename(columns={"attn_util": "val_loss"}).assign(train_loss=1.0, dev_x=2.0, train_x=3.0)
    table.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(InputError, match="no split 'train'.*validation"):
        read_log(tmp_path, y="val_loss", split="train")
    with pytest.raises(InputError, match="no split 'test'.*train, validation"):
        read_log(tmp_path, y="loss", split="test")
    assert set(values_of(read_log(tmp_path, y="train_loss", split="train"))) == {1.0}
    assert set(values_of(read_log(tmp_path, y="x", split="validation"))) == {2.0}


def test_a_column_called_split_that_names_other_things_separates_nothing(tmp_path: Path) -> None:
    names = ["first half", "second half"]
    table = curve(0.5, 20).assign(split=[names[row // 10] for row in range(20)])
    table.to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv").utilization
    assert log is not None
    assert log.frame["attention_utilization"].tolist() == table["attn_util"].tolist()
    assert log.frame["split_logged"].tolist() == table["split"].tolist()
    assert log.others is None
    assert not log.source.choices


@pytest.mark.parametrize("kind", ["utilization", "routing"])
def test_a_log_of_splits_without_any_value_is_refused(tmp_path: Path, kind: str) -> None:
    table = curve(0.5, 6).assign(split=["train", "val"] * 3)
    table["attn_util"] = np.nan
    if kind == "routing":
        table = table.rename(columns={"attn_util": "p_episodic"}).assign(pattern="a")
    table.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(InputError, match="no usable row"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize("content", ["", "1,0.5\n2,0.4\n", "step,attn_util\n1,\n2,\n"])
def test_a_run_whose_log_holds_nothing_is_named(tmp_path: Path, content: str) -> None:
    numbered(tmp_path, {"seed0/log.csv": 0.5, "seed1/log.csv": 0.5})
    (tmp_path / "seed2").mkdir()
    (tmp_path / "seed2" / "log.csv").write_text(content)
    warnings = read_log(tmp_path).warnings
    assert any("left out" in warning and "seed2" in warning for warning in warnings)


def test_a_log_in_two_formats_whose_values_differ_is_doubted(tmp_path: Path) -> None:
    curve(0.5).to_csv(tmp_path / "log.csv", index=False)
    curve(0.5).to_parquet(tmp_path / "log.parquet")
    assert not any("other values" in warning for warning in read_log(tmp_path).warnings)
    curve(0.9).to_parquet(tmp_path / "log.parquet")
    assert any("other values" in warning for warning in read_log(tmp_path).warnings)


def test_a_run_may_be_asked_for_by_its_path(tmp_path: Path) -> None:
    log = read_log(numbered(tmp_path, {"a/seed1/log.csv": 0.5, "a/seed2/log.csv": 0.2}), run="a/seed2")
    assert values_of(log) == curve(0.2)["attn_util"].tolist()


def test_a_log_may_name_hundreds_of_splits(tmp_path: Path) -> None:
    names = ["train", *(f"part {number}" for number in range(300))]
    table = pd.concat([curve(0.5, 4).assign(split=name) for name in names])
    table.to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv").utilization
    assert log is not None
    assert log.source.rows_used == len(log.frame) == 4
    assert len(log.source.rows_dropped) == 300
