"""Every container gives the same table, from one file or a folder."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogfit.curves.utilization import utilization_curve
from cogfit.errors import InputError, MissingDependencyError
from cogfit.logs import Log, read_log
from cogfit.logs.formats import delimited
from cogfit.logs.formats.contents import read_head
from cogfit.logs.formats.registry import other_names, reader_for, reader_named, readers


def utilization(n: int = 50, start: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    steps = np.arange(start, start + n) * 10
    return pd.DataFrame({"step": steps, "attention_utilization": rng.random(n), "loss": rng.normal(size=n)})


def routing(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    return pd.DataFrame(
        {
            "step": np.sort(rng.integers(0, 40, n)),
            "pattern": rng.integers(0, 7, n),
            "attended": rng.random(n) < 0.5,
            "p_episodic": rng.random(n),
            "quality": rng.random(n),
        }
    )


def text_of_lines(frame: pd.DataFrame) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in frame.to_dict("records")).encode()


def parquet_of(frame: pd.DataFrame) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame), sink)
    return bytes(sink.getvalue().to_pybytes())


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


WRITERS: dict[str, tuple[str, Callable[[pd.DataFrame], bytes]]] = {
    "log.csv": ("csv", lambda frame: frame.to_csv(index=False).encode()),
    "log.tsv": ("csv", lambda frame: frame.to_csv(index=False, sep="\t").encode()),
    "semicolon.csv": ("csv", lambda frame: frame.to_csv(index=False, sep=";").encode()),
    "decimal_comma.csv": ("csv", lambda frame: frame.to_csv(index=False, sep=";", decimal=",").encode()),
    "bom.csv": ("csv", lambda frame: b"\xef\xbb\xbf" + frame.to_csv(index=False).encode()),
    "windows.csv": ("csv", lambda frame: frame.to_csv(index=False, lineterminator="\r\n").encode()),
    "mac.csv": ("csv", lambda frame: frame.to_csv(index=False, lineterminator="\r").encode()),
    "quoted.csv": ("csv", lambda frame: frame.to_csv(index=False, quoting=1).encode()),
    "comments.csv": ("csv", lambda frame: b"# seed 1\n\n# two\n" + frame.to_csv(index=False).encode()),
    "savetxt.csv": ("csv", lambda frame: b"# " + frame.to_csv(index=False).encode()),
    "blank_lines.csv": ("csv", lambda frame: frame.to_csv(index=False).replace("\n", "\n\n").encode()),
    "no_last_newline.csv": ("csv", lambda frame: frame.to_csv(index=False).rstrip().encode()),
    "no_suffix": ("csv", lambda frame: frame.to_csv(index=False).encode()),
    "wrong_suffix.parquet": ("csv", lambda frame: frame.to_csv(index=False).encode()),
    "log.csv.gz": ("csv", lambda frame: gzip.compress(frame.to_csv(index=False).encode())),
    "two_members.csv.gz": (
        "csv",
        lambda frame: b"".join(gzip.compress(line.encode()) for line in frame.to_csv(index=False).splitlines(True)),
    ),
    "log.csv.zst": ("csv", lambda frame: zstd(frame.to_csv(index=False).encode())),
    "log.jsonl": ("jsonl", text_of_lines),
    "log.jsonl.zst": ("jsonl", lambda frame: zstd(text_of_lines(frame))),
    "lines.json": ("jsonl", text_of_lines),
    "records.json": ("json", lambda frame: json.dumps(frame.to_dict("records"), indent=1).encode()),
    "columns.json": ("json", lambda frame: json.dumps(frame.to_dict("list")).encode()),
    "pandas.json": ("json", lambda frame: frame.to_json(double_precision=15).encode()),
    "log.parquet": ("parquet", parquet_of),
    "indexed.parquet": ("parquet", lambda frame: parquet_of(frame.set_index("step"))),
    "log.parquet.gz": ("parquet", lambda frame: gzip.compress(parquet_of(frame))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_utilization_is_the_same_from_every_container(tmp_path: Path, name: str) -> None:
    frame = utilization()
    format, write = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write(frame))
    log = read_log(path)
    assert log.routing is None
    assert log.utilization is not None
    got = log.utilization
    assert (got.source.format, got.source.rows_read, dict(got.source.rows_dropped)) == (format, len(frame), {})
    assert got.frame["step"].dtype == np.int64
    assert got.frame["attention_utilization"].dtype == np.float64
    np.testing.assert_array_equal(got.frame["step"], frame["step"])
    np.testing.assert_allclose(
        got.frame["attention_utilization"], frame["attention_utilization"], rtol=1e-14, atol=1e-14
    )
    np.testing.assert_allclose(got.frame["loss"], frame["loss"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("indexed.parquet", "savetxt.csv")])
def test_routing_is_the_same_from_every_container(tmp_path: Path, name: str) -> None:
    frame = routing()
    path = tmp_path / name
    path.write_bytes(WRITERS[name][1](frame))
    got = read_log(path).routing
    assert got is not None
    assert list(got.frame.dtypes.astype(str)[:4]) == ["int64", "int32", "int64", "bool"]
    assert got.pattern_names == tuple("0123456")
    np.testing.assert_array_equal(got.frame["pattern"], frame["pattern"])
    np.testing.assert_array_equal(got.frame["attended"], frame["attended"])
    np.testing.assert_allclose(got.frame["p_episodic"], frame["p_episodic"], rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(got.frame["exposure"], frame.groupby("pattern").cumcount())


@pytest.mark.slow
def test_recorded_runs() -> None:
    root = Path(__file__).parents[4] / "data" / "runs" / "srcd-n256-consolidates"
    if not (root / "routing.parquet").exists():
        pytest.skip("the recorded runs are not here")
    log = read_log(root)
    assert log.routing is not None
    assert log.utilization is not None
    assert log.warnings == ()
    expected = pd.read_parquet(root / "routing.parquet")
    assert len(log.routing.frame) == len(expected) == log.routing.source.rows_read
    assert log.routing.exposure_logged
    np.testing.assert_array_equal(log.routing.frame["exposure"], expected["exposure"])
    np.testing.assert_array_equal(expected["exposure"], expected.groupby("pattern").cumcount())
    column = pd.read_csv(root / "utilization.csv")["attention_utilization"]
    np.testing.assert_allclose(log.utilization.frame["attention_utilization"], column, rtol=1e-14)


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
def test_what_is_returned_belongs_to_the_caller(tmp_path: Path, name: str) -> None:
    frame = routing().assign(exposure=lambda table: table.groupby("pattern").cumcount(), correct=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_bytes(WRITERS[name][1](frame))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / name).write_bytes(WRITERS[name][1](utilization()))
    log = read_log(tmp_path)
    assert pickle.loads(pickle.dumps(log)).path == log.path
    for part in (log.routing, log.utilization):
        assert part is not None
        for column in part.frame.select_dtypes(["number", "bool"]):
            part.frame.loc[0, column] = part.frame[column].iloc[1]


def test_importing_loads_no_table_library() -> None:
    heavy = ("pandas", "pyarrow", "tensorboard", "sqlite3")
    code = f"import sys, cogfit.logs; print([name for name in {heavy} if name in sys.modules])"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.strip() == "[]"


# --- trainers ---------------------------------------------------------------------------------------------------------


def test_sparse_lightning_metrics(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(
        "attention_utilization,epoch,step,val/loss\n0.9,0,49,\n,0,99,1.5\n0.7,0,99,\n,1,199,1.2\n0.4,1,149,\n"
    )
    log = read_log(path).utilization
    assert log is not None
    assert log.frame["step"].tolist() == [49, 99, 149]
    assert log.frame["attention_utilization"].tolist() == [0.9, 0.7, 0.4]
    assert log.source.rows_dropped == {"no value in 'attention_utilization'": 2}


def test_lightning_versions_are_runs(tmp_path: Path) -> None:
    for version in (0, 1, 10):
        folder = tmp_path / "lightning_logs" / f"version_{version}"
        folder.mkdir(parents=True)
        utilization(20 + version).to_csv(folder / "metrics.csv", index=False)
        (folder / "hparams.yaml").write_text("lr: 0.1\n")
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04" + bytes(100))
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.frame["run"].unique().tolist() == ["version_0", "version_1", "version_10"]
    assert log.frame.groupby("run").size().to_dict() == {"version_0": 20, "version_1": 21, "version_10": 30}
    assert log.source.rows_read == 71


@pytest.mark.parametrize(("step", "epoch"), [("train/attn_util_step", "train/attn_util_epoch")])
def test_lightning_forked_names(tmp_path: Path, step: str, epoch: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(f"step,{epoch},{step}\n0,,0.5\n1,,0.4\n1,0.45,\n")
    log = read_log(path).utilization
    assert log is not None
    assert (log.y_name, log.frame["attention_utilization"].tolist()) == (step, [0.5, 0.4])


def state(n: int, **more: object) -> str:
    history = [{"step": s, "loss": 1.0 / s, "epoch": s / 10} for s in range(1, n + 1)]
    history += [{"step": s, "train/attention_utilization": 1.0 / s} for s in range(1, n + 1)]
    return json.dumps({"global_step": n, "log_history": history, **more}, indent=2)


def test_huggingface_state(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(state(5))
    log = read_log(tmp_path / "trainer_state.json").utilization
    assert log is not None
    assert log.source.format == "huggingface"
    assert log.source.rows_read == 10
    np.testing.assert_allclose(log.frame["attention_utilization"], 1.0 / np.arange(1, 6))


@pytest.mark.parametrize("root", [True, False])
def test_huggingface_output_folder_gives_the_final_state_once(tmp_path: Path, root: bool) -> None:
    for n in (9, 100, 20):
        (tmp_path / f"checkpoint-{n}").mkdir()
        (tmp_path / f"checkpoint-{n}" / "trainer_state.json").write_text(state(n))
        (tmp_path / f"checkpoint-{n}" / "optimizer.pt").write_bytes(b"\x80\x04")
    if root:
        (tmp_path / "trainer_state.json").write_text(state(120))
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert len(log.utilization.frame) == (120 if root else 100)
    assert "run" not in log.utilization.frame
    assert any("trainer_state.json" in warning for warning in log.warnings)


def test_wandb_export(tmp_path: Path) -> None:
    path = tmp_path / "wandb.csv"
    path.write_text(
        '"Step","calm-sun-1 - attention_utilization","calm-sun-1 - attention_utilization__MIN",'
        '"calm-sun-1 - attention_utilization__MAX","b - c - attention_utilization"\n'
        '"0","1","1","1",""\n"10","0.5","0.5","0.5","0.8"\n"20","","","","0.25"\n'
    )
    log = read_log(path).utilization
    assert log is not None
    assert log.source.format == "wandb"
    assert log.frame.loc[log.frame["run"] == "calm-sun-1", "attention_utilization"].tolist() == [1.0, 0.5]
    assert log.frame.loc[log.frame["run"] == "b - c", "step"].tolist() == [10, 20]
    assert log.source.rows_read == 3 == log.source.rows_behind(log.frame)
    one = read_log(path, y="b - c - attention_utilization").utilization
    assert one is not None
    assert one.frame["attention_utilization"].tolist() == [0.8, 0.25]


def test_wandb_history_prefers_the_trainers_step(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(",_step,_runtime,trainer/global_step,attn_util\n0,0,0.1,50,1\n1,1,0.2,100,0.5\n")
    log = read_log(path).utilization
    assert log is not None
    assert (log.x_name, log.frame["step"].tolist()) == ("trainer/global_step", [50, 100])


def event_file(folder: Path, tag: str, values: list[float]) -> None:
    pytest.importorskip("google_crc32c")
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer").EventFileWriter(str(folder))
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    for step, value in enumerate(values):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=step, step=step, summary=summary))
    writer.close()


def test_tensorboard_runs_beside_csv_count_once(tmp_path: Path) -> None:
    for version in (0, 1):
        event_file(tmp_path / f"version_{version}", "train/attention_utilization", [1.0, 0.5, 0.25])
    alone = read_log(tmp_path).utilization
    assert alone is not None
    assert alone.source.format == "tensorboard"
    assert alone.frame["run"].tolist() == ["version_0"] * 3 + ["version_1"] * 3
    (tmp_path / "version_0" / "metrics.csv").write_text("step,attention_utilization\n0,1\n1,0.5\n")
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert log.utilization.frame.groupby("run").size().to_dict() == {"version_0": 2, "version_1": 3}
    assert any("--format" in warning for warning in log.warnings)
    forced = read_log(tmp_path, format="tensorboard").utilization
    assert forced is not None
    assert len(forced.frame) == 6


# --- folders ----------------------------------------------------------------------------------------------------------


def both(folder: Path, n: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    utilization(n).to_csv(folder / "utilization.csv", index=False)
    routing().to_parquet(folder / "routing.parquet")
    (folder / "run.json").write_text('{"seed": 1, "step": [0, 1], "attention_utilization": [0.5, 0.5]}')
    (folder / "README.md").write_text("# attention_utilization, a run\n")
    (folder / "config.json").write_text('{"steps": 100}')
    (folder / "weights.safetensors").write_bytes(os.urandom(200))
    (folder / "samples.csv").write_text("a,b\n1,2\n3\n4,5,6\n")


def test_folder_with_both_kinds_and_other_files(tmp_path: Path) -> None:
    both(tmp_path)
    log = read_log(tmp_path)
    assert log.routing is not None
    assert log.utilization is not None
    assert (len(log.routing.frame), len(log.utilization.frame)) == (400, 30)
    assert "run" not in log.routing.frame
    assert log.warnings == ()


def test_subfolders_are_runs_in_both_kinds(tmp_path: Path) -> None:
    both(tmp_path / "a" / "seed0")
    both(tmp_path / "a" / "seed1", 40)
    log = read_log(tmp_path)
    assert log.routing is not None
    assert log.utilization is not None
    assert log.routing.frame["run"].value_counts().to_dict() == {"seed0": 400, "seed1": 400}
    assert log.utilization.frame["run"].value_counts().to_dict() == {"seed0": 30, "seed1": 40}
    frame = log.routing.frame
    expected = frame.groupby(["run", "pattern"], observed=True).cumcount()
    np.testing.assert_array_equal(frame["exposure"], expected)


def test_files_of_one_folder_are_runs_or_parts(tmp_path: Path) -> None:
    for seed in (0, 1):
        utilization(10 + seed).to_csv(tmp_path / f"seed{seed}.csv", index=False)
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert log.utilization.frame["run"].unique().tolist() == ["seed0", "seed1"]
    assert "separate runs" in log.warnings[0]
    for seed in (0, 1):
        (tmp_path / f"seed{seed}.csv").unlink()
    for part in (9, 10, 11):
        utilization(12, start=10 * part).to_csv(tmp_path / f"part{part}.csv", index=False)
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert "run" not in log.utilization.frame
    assert len(log.utilization.frame) == 32
    assert log.utilization.source.rows_dropped == {"superseded after a restart": 4}
    assert "one run" in log.warnings[0]


def test_option_applies_to_the_files_that_have_the_column(tmp_path: Path) -> None:
    both(tmp_path)
    routing().rename(columns={"pattern": "key"}).to_parquet(tmp_path / "routing.parquet")
    log = read_log(tmp_path, pattern="key")
    assert log.routing is not None
    assert log.utilization is not None
    with pytest.raises(InputError, match="did you mean"):
        read_log(tmp_path, pattern="kee")
    only = read_log(tmp_path, y="attention_utilization")
    assert only.routing is None
    assert only.utilization is not None
    with pytest.raises(InputError, match="did you mean"):
        read_log(tmp_path, y="attention_utilisatoin")


def test_links_that_run_in_circles(tmp_path: Path) -> None:
    both(tmp_path / "run")
    (tmp_path / "run" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nothing")
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert len(log.utilization.frame) == 30


def test_too_deep_folders_are_left_out_and_told(tmp_path: Path) -> None:
    both(tmp_path / "a")
    both(tmp_path / "1" / "2" / "3" / "4" / "5" / "6" / "7" / "8")
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert len(log.utilization.frame) == 30
    assert any("levels" in warning for warning in log.warnings)


# --- formats by name, progress, optional libraries --------------------------------------------------------------------


def test_formats_by_name(tmp_path: Path) -> None:
    names = [reader.name for reader in readers()]
    assert len(set(names)) == len(names)
    assert {reader_named(name).name for name in other_names()} <= set(names)
    assert reader_named("JSON-lines").name == "jsonl"
    with pytest.raises(InputError, match="did you mean 'parquet'"):
        reader_named("parqet")
    path = tmp_path / "log.txt"
    path.write_text("step,attention_utilization\n0,1\n1,0.5\n")
    assert reader_for(path, read_head(path)) is reader_named("csv")
    assert read_log(path, format="tsv").utilization is not None
    with pytest.raises(InputError, match=r"log\.txt"):
        read_log(path, format="parquet")


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.jsonl", "log.parquet"])
def test_progress_ends_at_the_size_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(WRITERS[name][1](utilization(5000)))
    seen: list[tuple[int, int]] = []
    read_log(path, progress=lambda done, total, _: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    both(tmp_path)
    seen.clear()
    read_log(tmp_path, progress=lambda done, total, _: seen.append((done, total)))
    done = [value for value, _ in seen]
    assert done == sorted(done)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


def test_zstandard_is_only_needed_where_arrow_lacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.csv.zst"
    path.write_bytes(zstd(utilization().to_csv(index=False).encode()))
    monkeypatch.setattr("cogfit.logs.formats.contents._arrow_has_zstd", lambda: False)
    pytest.importorskip("zstandard")
    assert isinstance(read_log(path), Log)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingDependencyError, match="zstandard"):
        read_log(path)


def test_large_integers_with_gaps_stay_exact(tmp_path: Path) -> None:
    big = 2**60
    text = f"step,pattern,attended\n0,{big},1\n1,{big + 1},0\n2,,1\n3,{big},0\n"
    cells = [(0, big, 1), (1, big + 1, 0), (2, None, 1), (3, big, 0)]
    rows = [dict(zip(("step", "pattern", "attended"), row, strict=True)) for row in cells]
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.csv", "a.json"):
        log = read_log(tmp_path / name).routing
        assert log is not None
        assert log.pattern_names == (str(big), str(big + 1))
        assert log.frame["pattern"].tolist() == [0, 1, -1, 0]
        assert log.frame["exposure"].tolist() == [0, 0, -1, 1]


def test_nested_fields_are_flattened_and_lists_left_out(tmp_path: Path) -> None:
    rows = [{"step": i, "train": {"attention_utilization": 0.5 + i / 10}, "hist": [1, 2]} for i in range(3)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.jsonl", "a.json"):
        log = read_log(tmp_path / name).utilization
        assert log is not None
        assert log.frame["attention_utilization"].tolist() == [0.5, 0.6, 0.7]
        assert any("hist" in note for note in log.source.notes)


@pytest.mark.parametrize("progress", [None, lambda done, total, name: None])
def test_a_table_that_grows_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Callable[[int, int, str], None] | None
) -> None:
    path = tmp_path / "log.csv"
    utilization(10).to_csv(path, index=False)
    size = path.stat().st_size
    cut_line = delimited._cut_line

    grown: list[int] = []  # sizes at which the end of the file was looked at

    def grow(*arguments: Any) -> int | None:
        grown.append(path.stat().st_size)
        if len(grown) == 1:
            with path.open("a") as file:
                file.write("100,0.5,1.0\n110,0.25,1")
        return cut_line(*arguments)

    monkeypatch.setattr("cogfit.logs.formats.delimited._cut_line", grow)
    log = read_log(path, progress=progress).utilization
    assert log is not None
    assert len(log.frame) in (10, 12)  # as it was, or looked at anew: never without that look
    assert grown == ([size] if len(log.frame) == 10 else [size, path.stat().st_size])


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"l\xf6g.csv")
    utilization(10).to_csv(path, index=False)
    assert len(read_log(path).utilization.frame) == 10  # type: ignore[union-attr]


@pytest.mark.parametrize("offset", [0.0, -1.0])
def test_rows_of_a_wandb_export_are_counted_alike_for_each_run(tmp_path: Path, offset: float) -> None:
    rows = "".join(f"{10 * k},{0.9 / (k + 1)},{0.8 / (k + 1)}\n" for k in range(5))
    (tmp_path / "wandb.csv").write_text(f"Step,calm - attn_util,warm - attn_util\n{rows}")
    log = read_log(tmp_path / "wandb.csv", x="row", x_offset=offset).utilization
    assert log is not None
    for run in ("calm", "warm"):
        steps = log.frame.loc[log.frame["run"] == run, "step"]
        assert steps.tolist() == [k + offset for k in range(1, 6)]
    assert log.source.rows_behind(log.frame) == log.source.rows_used == 5


def test_rows_of_a_wandb_export_are_counted_once_where_only_some_runs_begin_anew(tmp_path: Path) -> None:
    rows = [f"{k % 6},{0.9 / (k % 6 + 1)},{0.5 / (k + 1) if k < 6 else ''}" for k in range(12)]
    (tmp_path / "wandb.csv").write_text("\n".join(["Step,a - attn_util,b - attn_util", *rows]))
    log = read_log(tmp_path / "wandb.csv").utilization
    assert log is not None
    assert len(log.frame) == 12  # rows 6 to 11 of a, the second training, and rows 0 to 5 of b
    assert log.source.rows_read == log.source.rows_used == 12 == log.source.rows_behind(log.frame)
    assert log.source.rows_behind(log.frame[log.frame["step"] < 2]) == 4
    assert utilization_curve(log).rows.tolist() == [2] * 6


def test_levels_of_runs_below_a_folder_are_counted_as_rows_of_their_files(tmp_path: Path) -> None:
    for run, n in (("seed0", 5), ("seed1", 8)):
        folder = tmp_path / "mlruns" / "0" / run
        (folder / "metrics" / "layer0").mkdir(parents=True)
        (folder / "metrics" / "layer1").mkdir()
        (folder / "meta.yaml").write_text(f"run_id: {run * 4}\nrun_name: {run}\nlifecycle_stage: active\n")
        again = [*range(n), 2, *range(2, n)]  # restarted at step 2, which is logged twice
        for layer in (0, 1):
            lines = [f"{1000 + place} {0.9 / (place + 1 + layer)} {step}" for place, step in enumerate(again)]
            (folder / "metrics" / f"layer{layer}" / "attn_util").write_text("\n".join(lines) + "\n")
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.source.rows_read == 9 + 15
    assert log.source.rows_used == 5 + 8 == log.source.rows_behind(log.frame)
