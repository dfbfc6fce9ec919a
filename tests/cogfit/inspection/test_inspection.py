"""What a log holds: counts as pandas counts them, and commands that work."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

import cogfit
from cogfit import cli
from cogfit.curves.exposure import exposure_curve
from cogfit.curves.utilization import utilization_curve
from cogfit.inspection.records import ColumnFacts, Inspection
from cogfit.inspection.trend import TrendOver, ranks
from cogfit.logs import read_log
from cogfit.logs.splitting import split

FIT = typer.main.get_command(cli.app).commands["fit"]  # type: ignore[attr-defined]


def falling(n: int, gamma: float = 0.4, seed: int = 0) -> np.ndarray:
    return 3 * np.arange(1.0, n + 1) ** -gamma + np.random.default_rng(seed).normal(0, 0.003, n)


def rows(command: str) -> int:
    """Rows behind the curves that a command fits; an error if it ends with one."""
    words = shlex.split(command)
    assert words[:2] == ["cogfit", "fit"]
    options = FIT.make_context("fit", words[2:]).params
    log = read_log(
        options["log"],
        format=options["log_format"],
        **{name: options[name] for name in ("x", "y", "pattern", "run", "split", "x_offset")},
    )
    if options["by"] is None:
        return rows_of(log, options["outcome"])
    return sum(rows_of(part, options["outcome"]) for _, part in split(log, tuple(options["by"].split(","))))


def rows_of(log: cogfit.Log, outcome: str) -> int:
    curve = utilization_curve(log.utilization) if log.routing is None else exposure_curve(log.routing, outcome=outcome)
    assert np.count_nonzero(curve.x > 0) > 1
    assert not (curve.x < 0).any()
    return len((log.routing or log.utilization).frame)


@settings(max_examples=12, deadline=None)
@given(
    st.dictionaries(st.integers(0, 39), st.sampled_from(["n/a?", "-", "0,5", "12 %"]), max_size=12),
    st.dictionaries(st.integers(0, 39), st.sampled_from(["", "NaN", "n/a"]), max_size=8),
    st.sampled_from(["log.csv", "log.jsonl"]),
)
def test_bad_cells_of_a_column_are_said_as_fit_says_them(bad: dict[int, str], gaps: dict[int, str], name: str) -> None:
    """A column of numbers stays one; where the first bad cell is and how many there are is said in the words of fit."""
    cells = [*map(str, falling(40).tolist())]
    for row, text in {**gaps, **bad}.items():
        cells[row] = text
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        if name.endswith("csv"):
            lines = ["step,loss", *(f'{row},"{cell}"' for row, cell in enumerate(cells))]
        else:
            lines = [json.dumps({"step": row, "loss": cell}) for row, cell in enumerate(cells)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        column = by_name(cogfit.inspect(path))["loss"]
        assert column.logged == 40 - len({*gaps, *bad})
        if not bad:
            assert not column.problem
            assert rows(column.command) == column.n
            return
        with pytest.raises(cogfit.InputError) as refusal:
            read_log(path, y="loss")
    assert column.problem == str(refusal.value)
    assert f"line {min(bad) + (2 if name.endswith('csv') else 1)}, column 'loss': '{bad[min(bad)]}'" in column.problem
    assert f"{len(bad)} among" in column.problem or len(bad) == 1
    assert f"among {40 - len({*gaps} - {*bad})} cells" in column.problem


def test_a_column_of_texts_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss,note\n1,3.0,1\n2,2.5,good\n3,2.2,better\n4,2.0,best\n", encoding="utf-8")
    assert cogfit.inspect(path).texts == ("note",)


def by_name(found: Inspection, split: str | None = None) -> dict[str, ColumnFacts]:
    return {column.name: column for column in found.columns if split is None or column.split == split}


def range_of(column: ColumnFacts) -> tuple[int, float, float, float, float]:
    return column.n, column.low, column.high, column.first, column.last


# ------------------------------------------------------------------------------------------------------- kinds of logs


def epochs(folder: Path) -> Path:
    n = 40
    table = {"epoch": range(n), "my $loss": falling(n), 'it\'s "odd"': falling(n, seed=1), "--x": falling(n, seed=2)}
    pd.DataFrame(table).to_csv(folder / "with space.csv", index=False)
    return folder / "with space.csv"


def two_trainings(folder: Path) -> Path:
    table = [pd.DataFrame({"step": range(1, n), "loss": falling(n - 1, seed=n)}) for n in (60, 90)]
    pd.concat(table).to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def splits_and_unlike_runs(folder: Path) -> Path:
    for run in ("lr0.1", "lr0.01"):
        for name in ("train", "validation"):
            (folder / run / name).mkdir(parents=True)
            table = pd.DataFrame({"step": range(5, 305, 5), "loss": falling(60, seed=len(name))})
            table.to_csv(folder / run / name / "metrics.csv", index=False)
    return folder


def replicates(folder: Path) -> Path:
    for seed in range(3):
        (folder / f"seed{seed}").mkdir()
        table = pd.DataFrame({"global_step": range(30), "attn_util": np.clip(falling(30, seed=seed) / 4, 0, 1)})
        table.assign(**{"grad norm": falling(30)}).to_json(
            folder / f"seed{seed}" / "log.jsonl", orient="records", lines=True
        )
    return folder


def layers(folder: Path) -> Path:
    table = {"step": range(1, 51)}
    table |= {f"layer_{i}/attn_util": falling(50, seed=i) / 4 for i in range(4)}
    table |= {f"blocks.{i}.norm": falling(50, seed=i) for i in range(4)}
    pd.DataFrame(table).to_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def routing(folder: Path) -> Path:
    table = cogfit.simulate(kind="routing", patterns=20, n=30, rng=1).assign(loss=4.0, quality=0.5)
    table["attended"] = (np.random.default_rng(0).random(len(table)) < table["p_episodic"]).astype(int)
    table.to_parquet(folder / "routing.parquet")
    return folder / "routing.parquet"


def unnamed_patterns(folder: Path) -> Path:
    table = cogfit.simulate(kind="routing", patterns=20, n=30, rng=1)
    table["pattern"] = "p" + table["pattern"].astype(str)
    table.rename(columns={"pattern": "the key"}).drop(columns="exposure", errors="ignore").to_csv(
        folder / "r.csv", index=False
    )
    return folder / "r.csv"


def wandb(folder: Path) -> Path:
    table = {"Step": range(1, 41)}
    for run in ("brave-sky-1", "calm [red] sea-2"):
        table |= {f"{run} - my loss": falling(40), f"{run} - my loss__MIN": falling(40), f"{run} - _step": range(1, 41)}
    pd.DataFrame(table).to_csv(folder / "wandb.csv", index=False)
    return folder / "wandb.csv"


def without_x(folder: Path) -> Path:
    pd.DataFrame({"a": falling(20), "b": falling(20)[::-1], "c": 1.5}).to_csv(folder / "x.csv", index=False)
    return folder / "x.csv"


def sparse(folder: Path) -> Path:
    table = pd.DataFrame({"step": range(100), "train_loss": falling(100), "epoch": np.arange(100) // 10})
    table["val_loss"] = np.where(table["step"] % 10 == 9, falling(100), np.nan)
    table["never"] = np.nan
    table["once"] = np.where(table["step"] == 5, 1.0, np.nan)
    table.to_csv(folder / "metrics.csv", index=False)
    return folder / "metrics.csv"


def runs_by_column(folder: Path) -> Path:
    parts = [pd.DataFrame({"run": f"r{i}", "step": range(1, 41), "loss": falling(40, seed=i)}) for i in range(3)]
    pd.concat(parts).to_csv(folder / "runs.tsv", sep="\t", index=False)
    return folder / "runs.tsv"


def trainer_state(folder: Path) -> Path:
    history = [{"step": s, "epoch": s / 10, "loss": float(v)} for s, v in zip(range(1, 41), falling(40), strict=True)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history, "global_step": 40}))
    return folder / "trainer_state.json"


def mixed_folder(folder: Path) -> Path:
    routing(folder)
    pd.DataFrame({"step": range(1, 41), "attention_utilization": falling(40) / 4, "loss": falling(40)}).to_csv(
        folder / "metrics.csv", index=False
    )
    (folder / "broken.csv").write_text("lines,words\n1,2\n3,4,5\n")
    return folder


KINDS = (
    epochs,
    two_trainings,
    splits_and_unlike_runs,
    replicates,
    layers,
    routing,
    unnamed_patterns,
    wandb,
    without_x,
    sparse,
    runs_by_column,
    trainer_state,
    mixed_folder,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_works_and_fits_as_many_rows_as_it_says(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    found = cogfit.inspect(kind(tmp_path))
    assert any(column.command for column in found.columns)
    assert found.suggestions
    for column in found.columns:
        assert bool(column.command) != bool(column.problem)
        assert not column.command or rows(column.command) == column.n, column.command
    for suggestion in found.suggestions:
        assert rows(suggestion.command) > 1, suggestion.command


@pytest.mark.parametrize("kind", KINDS)
def test_its_document_loads_again_and_draws_the_same_picture(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    found = cogfit.inspect(kind(tmp_path))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["schema"] == "cogfit.inspect/1"
    again = Inspection.from_json(document)
    assert again.to_json() == found.to_json()
    titles = [axes.get_title(loc="left") for axes in again.plot().axes if axes.has_data()]
    assert len(titles) == min(12, sum(bool(column.command) for column in found.columns))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [epochs, splits_and_unlike_runs, routing])
def test_the_command_line_takes_the_commands(
    kind: Callable[[Path], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for column in cogfit.inspect(kind(tmp_path)).columns:
        if column.command:
            assert cli.main([*shlex.split(column.command)[1:], "--form", "power", "--quiet"]) == 0, column.command
    assert capfd.readouterr().err == ""


# -------------------------------------------------------------------------------------------------- the facts


ODD = st.text(
    st.sampled_from("ab $'\"\\`!*?~#&|;<>(){}[]=-%/.,\n\téλ"), min_size=1, max_size=12
)  # what a shell, a table or a terminal takes for something else
VALUES = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=40)
@given(
    names=st.lists(ODD, min_size=1, max_size=4, unique=True),
    cells=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=3, max_size=30),
    gaps=st.sets(st.integers(0, 29)),
    ending=st.sampled_from(["parquet", "jsonl"]),
    start=st.integers(0, 3),
)
def test_counts_and_ranges_are_those_of_pandas_whatever_columns_are_called(names, cells, gaps, ending, start) -> None:
    table = pd.DataFrame({name: [row[i] for row in cells] for i, name in enumerate(names)})
    table.loc[[row for row in gaps if row < len(cells)], names[0]] = np.nan
    table.insert(0, "the step", np.arange(start, start + len(cells)))
    with TemporaryDirectory() as folder:
        path = Path(folder, f"log.{ending}")
        if ending == "parquet":
            table.to_parquet(path)
        else:
            table.to_json(path, orient="records", lines=True, double_precision=15)
        found = cogfit.inspect(path, x="the step")
        columns = by_name(found)
        for name in names:
            expected = table.loc[table[name].notna(), ["the step", name]]
            if not len(expected):
                assert name not in columns
                continue
            column = columns[name]
            assert column.logged == column.n == len(expected)
            assert (column.low, column.high) == pytest.approx((expected[name].min(), expected[name].max()))
            assert (column.first, column.last) == pytest.approx((expected[name].iloc[0], expected[name].iloc[-1]))
            assert bool(column.command) == (np.count_nonzero(expected["the step"] > 0) > 1)
            if column.command:
                assert rows(column.command) == len(expected)


def test_void_rows_and_those_of_earlier_trainings_are_not_counted(tmp_path: Path) -> None:
    first, second, third = (
        pd.DataFrame({"step": range(low, high), "loss": 100.0 * low + np.arange(high - low)[::-1]})
        for low, high in ((1, 50), (1, 80), (60, 120))
    )
    pd.concat([first, second, third]).to_csv(tmp_path / "log.csv", index=False)
    found = cogfit.inspect(tmp_path / "log.csv")
    (restart,) = found.restarts
    assert (restart.reached, restart.step, restart.rows_void) == (79, 60, 20)
    (run,) = found.runs
    assert (run.rows, run.first, run.last, run.trainings) == (49 + 59 + 60, 1, 119, 2)
    fitted = pd.concat([second[second["step"] < 60], third])
    assert [suggestion.command[-8:] for suggestion in found.suggestions] == ["--y loss", "--by run"]
    loss = by_name(found)["loss"]
    assert loss.logged == len(first) + len(second) + len(third)
    assert range_of(loss) == (
        len(fitted),
        fitted["loss"].min(),
        fitted["loss"].max(),
        fitted["loss"].iloc[0],
        fitted["loss"].iloc[-1],
    )


def test_each_split_has_its_own_row_and_command(tmp_path: Path) -> None:
    found = cogfit.inspect(splits_and_unlike_runs(tmp_path))
    assert [(split.name, split.rows) for split in found.splits] == [("train", 120), ("validation", 120)]
    assert sorted(found.unlike_runs) == ["lr0.01", "lr0.1"]
    for name in ("train", "validation"):
        values = pd.concat([pd.read_csv(path) for path in tmp_path.rglob(f"{name}/metrics.csv")])
        loss = by_name(found, name)["loss"]
        assert (loss.n, loss.low, loss.high) == (len(values), values["loss"].min(), values["loss"].max())
        assert loss.first == pytest.approx(values.groupby("step")["loss"].mean().iloc[0])
        assert ("--split" in loss.command) == (name == "validation")
        assert loss.command.endswith("--by run")


def test_runs_that_are_no_replicates_can_be_fitted_alone(tmp_path: Path) -> None:
    for run in ("base", "wide"):
        (tmp_path / run).mkdir()
        table = pd.DataFrame({"step": range(1, 41), "attention_utilization": falling(40) / 4})
        table.to_csv(tmp_path / run / "log.csv", index=False)
    by_run, one = cogfit.inspect(tmp_path).suggestions
    assert by_run.command.endswith("--by run")
    assert one.command.endswith("--run base")


def test_epochs_that_count_from_0_are_moved_and_steps_are_not(tmp_path: Path) -> None:
    for name, offset in (("epoch", 1.0), ("step", 0.0), ("epochs trained", 1.0)):
        pd.DataFrame({name: range(20), "loss": falling(20)}).to_csv(tmp_path / "log.csv", index=False)
        found = cogfit.inspect(tmp_path / "log.csv")
        assert (found.axes[0].name, found.axes[0].x_offset) == (name, offset)
        assert ("--x-offset 1" in by_name(found)["loss"].command) == bool(offset)
    pd.DataFrame({"epoch": range(1, 21), "loss": falling(20)}).to_csv(tmp_path / "log.csv", index=False)
    assert "--x-offset" not in by_name(cogfit.inspect(tmp_path / "log.csv"))["loss"].command


def test_an_x_that_does_not_do_is_replaced_and_the_reason_given(tmp_path: Path) -> None:
    for steps, reason in ((range(-5, 25), "x is negative (the least is -5)"), ([7] * 30, "are at step = 7")):
        pd.DataFrame({"step": steps, "loss": falling(30)}).to_csv(tmp_path / "log.csv", index=False)
        column = by_name(cogfit.inspect(tmp_path / "log.csv"))["loss"]
        assert column.x == "row"
        assert reason in column.warnings[0]
        assert rows(column.command) == 30


def test_attention_utilisation_comes_first_then_what_falls(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "step": range(200),
        "accuracy": np.linspace(0.1, 0.9, 200),
        "noise": rng.normal(0, 1, 200),
        "slowly": rng.normal(0, 1, 200) - np.linspace(0, 2, 200),
        "to a floor at once": np.arange(1.0, 201) ** -2 + rng.normal(0, 0.001, 200),
        "attn_util": np.linspace(0.4, 0.6, 200),
        "lr": 1e-3,
    }
    pd.DataFrame(columns).to_csv(tmp_path / "log.csv", index=False)
    found = cogfit.inspect(tmp_path / "log.csv")
    assert [(column.name, column.trend) for column in found.columns if column.command] == [
        ("attn_util", "rises"),
        ("slowly", "falls"),
        ("to a floor at once", "falls"),
        ("noise", "neither"),
        ("lr", "neither"),
        ("accuracy", "rises"),
    ]
    assert by_name(found)["attn_util"].command == f"cogfit fit {tmp_path / 'log.csv'}"


@given(st.lists(st.sampled_from([-math.inf, -1.5, 0.0, -0.0, 2.0, 7.0, math.inf, math.nan]), min_size=1))
def test_ranks_are_those_of_scipy(values: list[float]) -> None:
    np.testing.assert_array_equal(ranks(np.array(values)), rankdata(values))


@given(st.integers(0, 10**6), st.integers(2, 400), st.floats(0.01, 100))
def test_a_trend_is_that_of_the_negative_turned_round_and_of_any_scale(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, n) + rng.choice([-3, 0, 3]) * np.linspace(0, 1, n)
    over = TrendOver(np.repeat([0, 1], [n - n // 3, n // 3]))
    turned = {"falls": "rises", "rises": "falls", "neither": "neither"}
    assert over.of(-scale * values) == turned[over.of(values)]
    assert over.of(np.sort(values[: n - n // 3]).tolist() + np.sort(values[n - n // 3 :]).tolist()) == "rises"
    assert over.of(np.full(n, scale)) == "neither"


def test_values_that_are_seldom_meant_are_pointed_out(tmp_path: Path) -> None:
    n = 30
    columns = {
        "step": range(1, n + 1),
        "reward": -falling(n),
        "ends": np.where(np.arange(n) < 25, falling(n), 0.0),
        "lr": 0.1,
        "loss_ema": falling(n),
        "both": np.linspace(1, -1, n),
    }
    pd.DataFrame(columns).to_csv(tmp_path / "log.csv", index=False)
    found = by_name(cogfit.inspect(tmp_path / "log.csv"))
    assert found["reward"].warnings == ("negative: fit its size with --y=-reward",)
    assert found["ends"].warnings == ("ends in 5 zeros",)
    assert found["lr"].warnings == ("constant",)
    assert found["both"].warnings == ("partly negative",)
    assert "smoothed" in found["loss_ema"].warnings[0]
    assert found["step"].problem == "may be x: --x step"


def test_patterns_are_counted_as_pandas_counts_them(tmp_path: Path) -> None:
    table = pd.read_parquet(routing(tmp_path))
    table["pattern"] = table["pattern"].astype("Int64").where(np.arange(len(table)) % 7 != 0)
    table = table.drop(columns="exposure", errors="ignore")
    table.to_parquet(tmp_path / "routing.parquet")
    found = cogfit.inspect(tmp_path / "routing.parquet")
    counts = table["pattern"].value_counts()
    assert found.kind == "routing"
    assert found.patterns.patterns == found.labels["pattern"] == len(counts)
    assert (found.patterns.fewest, found.patterns.most) == (counts.min(), counts.max())
    assert found.patterns.median == counts.median()
    assert found.patterns.novel == table["pattern"].isna().sum()
    assert found.patterns.overridden == 0
    columns = by_name(found)
    assert columns["p_episodic"].command == found.suggestions[0].command == f"cogfit fit {tmp_path / 'routing.parquet'}"
    assert columns["attended"].command.endswith("--outcome hard")
    assert "not a fraction" in columns["loss"].problem
    assert "pattern" not in columns  # labels are text


def test_layers_and_heads_are_counted_wherever_they_are_named(tmp_path: Path) -> None:
    found = cogfit.inspect(layers(tmp_path))
    assert found.labels == {"layer": 4}
    commands = [suggestion.command for suggestion in found.suggestions]
    assert commands[0] == f"cogfit fit {tmp_path / 'log.parquet'}"
    assert any(command.endswith("--by layer") and "--y norm" in command for command in commands)


def test_options_of_the_user_stand_in_every_command(tmp_path: Path) -> None:
    path = without_x(tmp_path)
    for column in cogfit.inspect(path, x="b", format="csv").columns:
        assert column.problem == "is x" if column.name == "b" else "--format csv --x b" in column.command
    assert cogfit.inspect(path).axes[0].name == "row"


def test_columns_of_other_files_are_not_mixed_up(tmp_path: Path) -> None:
    """Two files of a folder hold columns of one name, in other places."""
    one = pd.DataFrame({"step": range(1, 31), "loss": falling(30), "norm": falling(30, seed=4)})
    other = pd.DataFrame({"norm": falling(50, seed=5), "step": range(1, 51)})
    for name, table in (("seed1", one), ("seed2", other)):
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "log.csv", index=False)
    columns = by_name(cogfit.inspect(tmp_path))
    assert (columns["loss"].n, columns["norm"].n) == (30, 80)
    norms = pd.concat([one, other])["norm"]
    assert (columns["norm"].low, columns["norm"].high) == (norms.min(), norms.max())


def test_a_damaged_file_that_a_command_would_refuse_is_told(tmp_path: Path) -> None:
    pd.DataFrame({"step": range(1, 31), "my_loss": falling(30), "norm": falling(30)}).to_csv(
        tmp_path / "good.csv", index=False
    )
    (tmp_path / "broken.csv").write_text("step,my_loss\n1,2\n3,4,5\n")
    columns = by_name(cogfit.inspect(tmp_path))
    assert "broken.csv, line 3" in columns["my_loss"].problem
    assert rows(columns["norm"].command) == 30


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x80\x04K\x01.", "never loaded"),
        (b"word,other\na,b\nc,d\n", "holds no column of numbers"),
        (b"step,loss\n", "holds a header and no rows"),
        (None, "does not exist"),
    ],
)
def test_what_cannot_be_read_is_refused_as_by_fit(
    content: bytes | None, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["inspect", str(path)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cogfit.InputError, match="holds no log"):
        cogfit.inspect(tmp_path)


# -------------------------------------------------------------------------------------------------- the command


def test_the_command_prints_json_and_writes_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = epochs(tmp_path)
    assert cli.main(["inspect", str(path), "--json", "-", "--plot", str(tmp_path / "columns.svg")]) == 0
    out, _ = capfd.readouterr()
    assert json.loads(out) == cogfit.inspect(path).to_json()
    assert "my $loss" in (tmp_path / "columns.svg").read_text()


def test_the_command_lists_the_first_columns_and_all_when_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"step": range(1, 9), **{f"c{i}": falling(8) for i in range(30)}}).to_csv(
        tmp_path / "log.csv", index=False
    )
    assert cli.main(["inspect", str(tmp_path / "log.csv")]) == 0
    out, _ = capfd.readouterr()
    assert "… and 11 more" in out
    assert "--y c29" not in out
    assert f"cogfit fit {tmp_path / 'log.csv'} --y c0  # 'c0' against step\n" in out
    assert f"cogfit fit {tmp_path / 'log.csv'} --y c1\n" in out
    assert cli.main(["inspect", str(tmp_path / "log.csv"), "--all"]) == 0
    assert "--y c29\n" in capfd.readouterr().out


def test_names_are_no_markup_and_long_ones_of_runs_are_shortened(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = "a_configuration_of_very_many_words_and_settings_[bold]_seed"
    parts = [
        pd.DataFrame({"run": f"{run}{i}", "step": range(1, 9), "attn_util": 0.5, "[red]loss[/]": falling(8)})
        for i in range(2)
    ]
    pd.concat(parts).to_csv(tmp_path / "log.csv", index=False)
    assert cli.main(["inspect", str(tmp_path / "log.csv")]) == 0
    out, _ = capfd.readouterr()
    assert "[red]loss[/]" in out
    assert run not in out
    assert "_seed0" in out
    assert str(cogfit.inspect(tmp_path / "log.csv")).startswith(f"{tmp_path / 'log.csv'} (csv): utilisation log")
