"""Bad input ends in one line that says where and what to do; no other exception escapes."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import random
import socket
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import CogfitError, InputError
from cogfit.logs import Log, read_log
from cogfit.logs.formats.registry import readers

HEADER = "step,attention_utilization\n"


def lying_parquet() -> bytes:
    return b"PAR1" + bytes(64) + struct.pack("<I", 2**31 - 1) + b"PAR1"


def lying_event_file() -> bytes:
    return struct.pack("<Q", 2**31) + bytes(4) + b"\x09brain.Event:2" + bytes(8)


BAD: dict[str, tuple[str, bytes, str]] = {
    "empty": ("log.csv", b"", "is empty"),
    "blank": ("log.csv", b"\n \n", "is empty"),
    "zeros": ("log.csv", bytes(500), "is empty"),
    "header only": ("log.csv", HEADER.encode(), "header and no rows"),
    "one row": ("log.csv", f"{HEADER}1,0.5\n".encode(), "only one usable row"),
    "one line": ("log.jsonl", b'{"step": 1, "attention_utilization": 0.5}\n', "only one usable row"),
    "all NaN": ("log.csv", f"{HEADER}1,NaN\n2,nan\n3,\n".encode(), "no usable row.*no value.*3"),
    "negative": ("log.csv", f"{HEADER}1,0.5\n2,-0.1\n".encode(), "line 3, column 'attention_utilization'.*-0.1"),
    "percent": ("log.csv", f"{HEADER}\n1,0.5\n2,50\n".encode(), "line 4, column.*percentages"),
    "above 1": (
        "log.jsonl",
        b'{"step":1,"attn_util":0.5}\n\n{"step":2,"attn_util":300}\n',
        "line 3, column 'attn_util'",
    ),
    "text": ("log.csv", f"# note\n{HEADER}1,0.5\n2,high\n3,0.1\n".encode(), "line 4, column.*'high' is not a number"),
    "text step": (
        "log.jsonl",
        b'{"step":"one","attn_util":1}\n{"step":2,"attn_util":0}\n',
        "line 1, column 'step'.*'one'",
    ),
    "ragged": ("log.csv", f"{HEADER}1,0.5\n2\n3,0.1\n".encode(), "line 3: has 1 field where the header has 2"),
    "too wide": ("log.csv", f"{HEADER}1,0.5\n2,0.4,0.3\n3,0.1\n".encode(), "line 3: has 3 fields"),
    "no header": ("log.csv", b"1,0.5\n2,0.4\n", "line 1: has no header"),
    "twice": ("log.csv", b"step,attn_util,attn_util\n1,0.5,0.5\n2,0.4,0.4\n", "two columns are called 'attn_util'"),
    "bad line": ("log.jsonl", b'{"step":1}\n{"step":\n{"step":3}\n', "line 2: is no valid JSON"),
    "no object": (
        "log.jsonl",
        b'{"step":1,"attn_util":1}\n[1]\n{"step":3,"attn_util":1}\n',
        "line 2: is no JSON object",
    ),
    "not JSON": ("log.json", b'{"step": [1, 2', "is no valid JSON"),
    "deep": ("log.json", b"[" * 200_000, "nested too deeply"),
    "deep_line": ("log.jsonl", b'{"step": 1, "a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}\n", "nested too deeply"),
    "deep_objects": ("log.jsonl", b'{"step": 1}\n' + b'{"a": ' * 9_000 + b"1" + b"}" * 9_000 + b"\n", "too deeply"),
    "digits": ("log.json", b'[{"step": ' + b"9" * 5000 + b"}]", "cannot be read"),
    "config": ("run.json", b'{"seed": 1, "layers": [1, 2]}', "no table"),
    "empty history": ("trainer_state.json", b'{"log_history": []}', "empty 'log_history'"),
    "no columns": ("log.csv", b"step,loss\n1,2\n2,1\n", "no column is recognised.*loss, step.*--y"),
    "UTF-16": ("log.csv", f"{HEADER}1,1\n".encode("utf-16"), "UTF-16"),
    "Latin-1": ("log.csv", b"step,attn_util,who\n1,0.5,Ren\xe9\n2,0.4,a\n", "UTF-8"),
    "late Latin-1": ("log.csv", b"step,attn_util,who\n" + b"1,0.5,a\n" * 9000 + b"2,0.4,\xe9\n", "line 9002: .*UTF-8"),
    "zero byte": (
        "log.csv",
        HEADER.encode() + b"1,0.5\n" * 20000 + b"1,0.\x005\n2,1\n",
        "line 20002: holds zero bytes",
    ),
    "garbage": ("log.bin", random.Random(0).randbytes(5000), "binary and of no known format"),
    "garbage csv": ("log.csv", random.Random(1).randbytes(5000), r"log\.csv"),
    "pickle": ("log.csv", pickle.dumps({"step": [1]}), "never loaded; export"),
    "checkpoint": ("model.ckpt", b"PK\x03\x04" + bytes(60), "never loaded; export"),
    "NumPy": ("log.bin", b"\x93NUMPY" + bytes(60), "NumPy array; export"),
    "prose": ("notes.txt", b"Dear diary\ntoday we trained\n", "no table"),
    "2 GB Parquet": ("log.parquet", lying_parquet(), r"log\.parquet: cannot be read"),
    "cut Parquet": ("log.parquet", b"PAR1" + bytes(64), r"log\.parquet: cannot be read"),
    "2 GB event": ("events.out.tfevents.1.a", lying_event_file(), "tfevents"),
    "cut gzip": ("log.csv.gz", gzip.compress(HEADER.encode() * 99)[:-9], "cannot be read.*complete"),
    "damaged gzip": ("log.csv.gz", gzip.compress(HEADER.encode() * 99)[:20] + b"\xff" * 40, "cannot be read"),
    "other SQLite": ("mlflow.db", b"SQLite format 3\0" + bytes(84), r"mlflow\.db"),
    "fraction": ("log.csv", b"step,pattern,attended\n1,1,1\n1,2,0.5\n", "line 3, column 'attended'.*p_episodic"),
    "half steps": ("log.csv", b"step,pattern,attended\n1,1,1\n1.5,2,0\n", "line 3, column 'step'.*whole"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file(tmp_path: Path, kind: str) -> None:
    name, content, message = BAD[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_log(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind not in ("no columns", "config", "prose")])
def test_bad_file_in_a_folder_is_named_or_passed_over(tmp_path: Path, kind: str) -> None:
    name, content, _ = BAD[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CogfitError):
        read_log(tmp_path)


def test_folder_without_logs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no log.*TensorBoard.*Parquet|holds no log.*Parquet"):
        read_log(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("nothing, here\n")
    with pytest.raises(InputError, match="log"):
        read_log(tmp_path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "utilization.csv").write_text("")
    with pytest.raises(InputError, match=r"does not exist; did you mean 'utilization\.csv'"):
        read_log(tmp_path / "utilisation.csv")
    with pytest.raises(InputError, match="nor does its folder"):
        read_log(tmp_path / "nowhere" / "log.csv")
    with pytest.raises(InputError, match="cannot be opened"):
        read_log("a\0b")
    with pytest.raises(InputError, match="cannot be opened"):
        read_log("a" * 10_000)
    with pytest.raises(InputError, match="empty"):
        read_log("")
    with pytest.raises(InputError, match="did you mean 'csv'"):
        read_log(tmp_path / "utilization.csv", format="cvs")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_devices_and_sockets_are_refused_and_pipes_in_folders_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="holds no log"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="device"):
        read_log("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(InputError, match="socket"):
            read_log(tmp_path / "s")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (MemoryError(), "memory"),
        (RecursionError(), "nested"),
        (OverflowError("too large"), "too large"),
        (OSError(5, "Input/output error"), "Input/output"),
    ],
)
def test_errors_of_the_system_name_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"{HEADER}1,0.5\n2,0.4\n")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("cogfit.logs.formats.delimited.table_of", fail)
    with pytest.raises(InputError, match=rf"log\.csv.*{message}"):
        read_log(path)


def test_a_broken_log_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(f"{HEADER}1,0.5\n2,0.4\n")
    (tmp_path / "bad.csv").write_text(f"{HEADER}1,0.5\n2\n3,1\n")
    with pytest.raises(InputError, match=r"bad\.csv, line 3"):
        read_log(tmp_path)


# --- what a crash leaves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["3", "3,", "3,1e-", "3,-", "3,0.2,"])
@pytest.mark.parametrize("zeros", [b"", bytes(100)], ids=["", "zeros"])
def test_truncated_last_line_of_a_table(tmp_path: Path, end: str, zeros: bytes) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(f"{HEADER}1,0.5\n2,0.4\n{end}".encode() + zeros)
    if end == "3,0.2,":  # too long is not too short
        with pytest.raises(InputError, match="line 4"):
            read_log(path)
        return
    log = read_log(path).utilization
    assert log is not None
    assert log.frame["step"].tolist() == [1, 2]
    assert log.source.rows_read == 3
    assert sum(log.source.rows_dropped.values()) == 1


@settings(deadline=None, derandomize=True, max_examples=40)
@given(cut=st.integers(60, 400))
def test_json_lines_cut_anywhere_lose_at_most_one_line(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    lines = [json.dumps({"step": step, "attention_utilization": 0.5, "note": "é"}) for step in range(8)]
    data = ("\n".join(lines) + "\n").encode()[:cut]
    path = tmp_path_factory.mktemp("cut") / "log.jsonl"
    path.write_bytes(data)
    complete = data.count(b"\n") + (data.rsplit(b"\n", 1)[-1].decode(errors="replace") in lines)
    if complete < 2:
        with pytest.raises(InputError):
            read_log(path)
        return
    log = read_log(path).utilization
    assert log is not None
    assert len(log.frame) == complete
    assert log.source.rows_read - complete == log.source.rows_dropped.get("truncated last line", 0) <= 1


def test_header_repeated_by_a_resumed_run(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"{HEADER}1,0.5\n2,0.4\n{HEADER}2,0.3\n3,0.2\n4,x\n")
    with pytest.raises(InputError, match="line 7"):
        read_log(path)
    path.write_text(f"{HEADER}1,0.5\n2,0.4\n{HEADER}2,0.3\n3,0.2\n")
    log = read_log(path).utilization
    assert log is not None
    assert log.frame["attention_utilization"].tolist() == [0.5, 0.3, 0.2]
    assert log.source.rows_dropped == {
        "repeated header line": 1,
        "superseded by a later row of the same step": 1,
    }


def test_line_numbers_with_quoted_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('step,attn_util,note\n1,0.5,"a\nb"\n\n2,x,c\n3,0.1,d\n')
    with pytest.raises(InputError, match="line 5, column 'attn_util'"):
        read_log(path)


# --- fuzz -------------------------------------------------------------------------------------------------------------


def sample_csv(folder: Path) -> Path:
    path = folder / "log.csv"
    rows = "".join(f"{step},{step % 3},{step % 2},0.{step},a\n" for step in range(9))
    path.write_text("step,pattern,attended,p_episodic,run\n" + rows)
    return path


def sample_wandb(folder: Path) -> Path:
    path = folder / "log.csv"
    path.write_text(
        "Step,a - attn_util,a - attn_util__MIN,b - attn_util\n" + "".join(f"{s},0.5,0.5,1\n" for s in range(5))
    )
    return path


def sample_jsonl(folder: Path) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(json.dumps({"step": s, "attn_util": s / 9, "x": {"y": [s]}}) + "\n" for s in range(9)))
    return path


def sample_json(folder: Path) -> Path:
    path = folder / "log.json"
    path.write_text(json.dumps({"step": list(range(9)), "attn_util": [0.5] * 9}))
    return path


def sample_huggingface(folder: Path) -> Path:
    path = folder / "trainer_state.json"
    history = [{"step": s, "attn_util": s / 9} for s in range(9)]
    path.write_text(json.dumps({"global_step": 9, "log_history": history}))
    return path


def sample_parquet(folder: Path) -> Path:
    path = folder / "log.parquet"
    pd.DataFrame({"step": range(9), "pattern": list("abcabcab") + [None], "attended": [True] * 9}).to_parquet(path)
    return path


def sample_tensorboard(folder: Path) -> Path:
    crc = pytest.importorskip("google_crc32c").value
    events = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    summaries = pytest.importorskip("tensorboard.compat.proto.summary_pb2")

    def masked(data: bytes) -> bytes:
        value = crc(data)
        return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    path = folder / "events.out.tfevents.1.a"
    with path.open("wb") as file:
        for step in range(9):
            value = summaries.Summary.Value(tag="attn_util", simple_value=step / 9)
            data = events.Event(wall_time=1.0, step=step, summary=summaries.Summary(value=[value])).SerializeToString()
            length = struct.pack("<Q", len(data))
            file.write(length + masked(length) + data + masked(data))
    return path


def sample_mlflow(folder: Path) -> Path:
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            PRAGMA page_size = 512;
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, experiment_id INTEGER, lifecycle_stage TEXT,
                               start_time INTEGER);
            CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);
            INSERT INTO runs VALUES ('u', 'r', 0, 'active', 0);
            """
        )
        connection.executemany(
            "INSERT INTO metrics VALUES ('attn_util', ?, 0, 'u', ?, 0)", [(0.5, s) for s in range(9)]
        )
    connection.close()
    return path


def sample_mlflow_files(folder: Path) -> Path:
    path = folder / "run" / "metrics" / "attn_util"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"17{s} 0.{s} {s}\n" for s in range(9)))
    return path


def sample_text(folder: Path) -> Path:
    path = folder / "train.log"
    path.write_text("".join(f"INFO step {s} | attn_util 0.{s}, time 1{s}ms\n" for s in range(9)))
    return path


SAMPLES: dict[str, Callable[[Path], Path]] = {
    "csv": sample_csv,
    "wandb": sample_wandb,
    "jsonl": sample_jsonl,
    "json": sample_json,
    "huggingface": sample_huggingface,
    "parquet": sample_parquet,
    "tensorboard": sample_tensorboard,
    "mlflow": sample_mlflow,
    "mlflow_files": sample_mlflow_files,
    "text": sample_text,
}
JUNK = (b"\0", b"\n", b",", b'"', b"\xff", b"-", b"e", b"NaN", b"1e999", b"[", b"{", b"}", b"true", b"9" * 30, b"\xc3")


def only_own_exceptions(path: Path, format: str | None) -> None:
    try:
        log = read_log(path, format=format)
    except CogfitError:
        return
    assert isinstance(log, Log)
    for part in (log.routing, log.utilization):
        assert part is None or part.source.rows_behind(part.frame) == part.source.rows_used


def test_every_reader_has_a_sample() -> None:
    assert set(SAMPLES) == {reader.name for reader in readers()}


@pytest.mark.parametrize("format", SAMPLES)
def test_samples_are_read(tmp_path: Path, format: str) -> None:
    log = read_log(SAMPLES[format](tmp_path))
    part = log.routing or log.utilization
    assert part is not None
    assert part.source.format == format


@pytest.mark.parametrize("format", SAMPLES)
def test_damaged_files_raise_nothing_else(tmp_path: Path, format: str) -> None:
    path = SAMPLES[format](tmp_path)
    whole = path.read_bytes()

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(
        st.lists(
            st.tuples(st.floats(0, 1), st.sampled_from(("put", "cut", "flip", "end")), st.sampled_from(JUNK)),
            min_size=1,
            max_size=4,
        ),
        st.booleans(),
    )
    def damage(changes: list[tuple[float, str, bytes]], forced: bool) -> None:
        data = bytearray(whole)
        for where, change, junk in changes:
            place = int(where * len(data))
            if change == "put":
                data[place:place] = junk
            elif change == "cut":
                del data[place : place + len(junk)]
            elif change == "flip" and place < len(data):
                data[place] ^= junk[0] | 1
            elif change == "end" and where > 0.5:
                del data[place:]
        path.write_bytes(bytes(data))
        only_own_exceptions(path, format if forced else None)

    damage()


@pytest.mark.parametrize("format", [None, *SAMPLES])
def test_garbage_raises_nothing_else(tmp_path: Path, format: str | None) -> None:
    path = tmp_path / "log"
    text = st.text(alphabet='step,attn_util01.5-eE"\n\r\t;#{}[]: ', max_size=80).map(str.encode)

    @settings(deadline=None, derandomize=True, max_examples=40, database=None)
    @given(st.binary(max_size=200) | text | text.map(lambda rows: b"step,attn_util\n" + rows))
    def throw(data: bytes) -> None:
        path.write_bytes(data)
        only_own_exceptions(path, format)

    throw()


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["step", "attn_util", "pattern", "attended", "run", "layer", "exposure"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=3)
            | st.lists(st.integers(), max_size=2)
            | st.dictionaries(st.text(max_size=2), st.integers(0, 1), max_size=2),
        ),
        min_size=1,
        max_size=6,
    ),
    lines=st.booleans(),
)
def test_json_of_any_content(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], lines: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "log.json"
    path.write_text("\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows))
    only_own_exceptions(path, None)
