"""UtilizationLogger: what a crash, several processes, a fork and wrong values do."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.writer import RANK_VARIABLES, UtilizationLogger


@pytest.fixture(autouse=True)
def _no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in RANK_VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def rows(path: Path) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


# --- what is written --------------------------------------------------------------------------------------------------


def test_rows_are_what_was_given(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path / "new" / "folder", run="seed 0") as logger:
        logger.log(0, 1.0)
        logger.log(1, 0.5, layer=2, head="a", loss=2.5, note="größer", lr=None, losses=[1.0, float("nan")])
        logger.log(2, 0.25, run="other", bad=float("inf"), nested={"a": float("-inf"), 1: (2,)})
    assert rows(tmp_path / "new" / "folder" / "utilization.jsonl") == [
        {"step": 0, "attention_utilization": 1.0, "run": "seed 0"},
        {
            "step": 1,
            "attention_utilization": 0.5,
            "layer": 2,
            "head": "a",
            "run": "seed 0",
            "loss": 2.5,
            "note": "größer",
            "lr": None,
            "losses": [1.0, None],
        },
        {"step": 2, "attention_utilization": 0.25, "run": "other", "bad": None, "nested": {"a": None, "1": [2]}},
    ]
    assert os.listdir(tmp_path / "new" / "folder") == ["utilization.jsonl"]


def test_every_line_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    logger = UtilizationLogger(tmp_path)
    for step in range(3):
        logger.log(step, 0.5)
        assert [row["step"] for row in rows(logger.utilization_path)] == list(range(step + 1))
    logger.flush()
    logger.flush(sync=True)
    logger.close()
    logger.close()
    with pytest.raises(InputError, match="closed"):
        logger.log(3, 0.5)


def test_numbers_of_numpy_and_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    with UtilizationLogger(tmp_path) as logger:
        logger.log(np.int64(1), np.float32(0.5), layer=np.int8(3), values=np.array([[1, 2], [3, 4]]), flag=np.True_)
        logger.log(
            torch.tensor(2), torch.tensor([0.25], requires_grad=True), loss=torch.tensor(1.5), rest=torch.ones(2)
        )
        logger.log(3.0, torch.tensor(0.125, dtype=torch.bfloat16), loss=np.float64("nan"))
    assert rows(logger.utilization_path) == [
        {"step": 1, "attention_utilization": 0.5, "layer": 3, "values": [[1, 2], [3, 4]], "flag": True},
        {"step": 2, "attention_utilization": 0.25, "loss": 1.5, "rest": [1.0, 1.0]},
        {"step": 3, "attention_utilization": 0.125, "loss": None},
    ]


def test_routing_rows(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path) as logger:
        logger.log_routing(
            7,
            np.array([[3, -1], [5, 3]]),
            np.array([[True, False], [True, True]]),
            p_episodic=np.array([[0.5, 0.25], [1.0, 0.0]], dtype=np.float32),
            quality=[[0.5, float("nan")], [1.0, 2.0]],
            layer=1,
        )
        logger.log_routing(8, ["a", None, float("nan")], p_episodic=0.5, exposure=[0, 1, 2], correct=[1, 0, True])
        logger.log_routing(9, 4, True)
        logger.log_routing(10, [], [])
    assert rows(tmp_path / "routing.jsonl") == [
        {"step": 7, "pattern": 3, "attended": 1, "p_episodic": 0.5, "quality": 0.5, "layer": 1},
        {"step": 7, "pattern": None, "attended": 0, "p_episodic": 0.25, "quality": None, "layer": 1},
        {"step": 7, "pattern": 5, "attended": 1, "p_episodic": 1.0, "quality": 1.0, "layer": 1},
        {"step": 7, "pattern": 3, "attended": 1, "p_episodic": 0.0, "quality": 2.0, "layer": 1},
        {"step": 8, "pattern": "a", "exposure": 0, "p_episodic": 0.5, "correct": 1},
        {"step": 8, "pattern": None, "exposure": 1, "p_episodic": 0.5, "correct": 0},
        {"step": 8, "pattern": None, "exposure": 2, "p_episodic": 0.5, "correct": 1},
        {"step": 9, "pattern": 4, "attended": 1},
    ]
    assert rows(tmp_path / "utilization.jsonl") == []


@pytest.mark.parametrize(
    ("step", "utilization", "extra", "name"),
    [
        (-1, 0.5, {}, "step"),
        (1.5, 0.5, {}, "step"),
        (float("nan"), 0.5, {}, "step"),
        (True, 0.5, {}, "step"),
        ("1", 0.5, {}, "step"),
        (None, 0.5, {}, "step"),
        (1, float("nan"), {}, "attention_utilization"),
        (1, float("inf"), {}, "attention_utilization"),
        (1, 1.0000001, {}, "attention_utilization"),
        (1, -0.1, {}, "attention_utilization"),
        (1, "0.5", {}, "attention_utilization"),
        (1, None, {}, "attention_utilization"),
        (1, [0.5, 0.5], {}, "attention_utilization"),
        (1, np.zeros((2, 1)), {}, "attention_utilization"),
        (1, [], {}, "attention_utilization"),
        (1, 0.5, {"thing": object()}, "thing"),
        (1, 0.5, {"layer": 1j}, "layer"),
        (1, 0.5, {"price": Decimal(1)}, "price"),
    ],
)
def test_wrong_values_name_the_argument_and_write_nothing(
    tmp_path: Path, step: Any, utilization: Any, extra: dict[str, Any], name: str
) -> None:
    with UtilizationLogger(tmp_path) as logger:
        with pytest.raises(InputError, match=f"`{name}`"):
            logger.log(step, utilization, **extra)
        assert rows(logger.utilization_path) == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"pattern": [1, 2]}, "attended"),
        ({"pattern": [1, 2], "attended": [1, 0, 1]}, "attended"),
        ({"pattern": [1, 2], "attended": [0.5, 1]}, "attended"),
        ({"pattern": [1, 2], "p_episodic": [0.5, 1.5]}, "p_episodic"),
        ({"pattern": [1, 2], "p_episodic": [0.5, float("nan")]}, "p_episodic"),
        ({"pattern": [1.5], "attended": [1]}, "pattern"),
        ({"pattern": [-2], "attended": [1]}, "pattern"),
        ({"pattern": {"a": 1}, "attended": [1]}, "pattern"),
        ({"pattern": [1], "attended": [1], "exposure": [-1]}, "exposure"),
        ({"pattern": [1], "attended": [1], "correct": ["yes"]}, "correct"),
    ],
)
def test_wrong_routing_names_the_argument_and_writes_nothing(
    tmp_path: Path, arguments: dict[str, Any], name: str
) -> None:
    with UtilizationLogger(tmp_path) as logger:
        with pytest.raises(InputError, match=f"`{name}`"):
            logger.log_routing(1, **arguments)
        assert not logger.routing_path.exists()


def test_importing_the_logger_loads_no_library() -> None:
    code = "import sys; from cogfit.logs.writer import UtilizationLogger; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "cogfit.logs.writer" in loaded
    assert {"pandas", "pyarrow", "torch", "scipy", "matplotlib"}.isdisjoint(loaded)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path) as logger:
        for step in [0, 1, 2, 3, 2, 3, 4]:  # resumed at step 2
            logger.log(step, 1 / (step + 1), layer=0, loss=float("nan"))
            logger.log_routing(step, [7, None, 9], [True, True, step < 2], p_episodic=[0.5, 0.5, 0.25])
    with (tmp_path / "utilization.jsonl").open("ab") as file:
        file.write(b'{"step":5,"attention_util')  # crashed
    log = read_log(tmp_path)
    assert log.utilization is not None
    assert log.routing is not None
    assert log.utilization.frame["step"].tolist() == [0, 1, 2, 3, 4]
    assert log.utilization.frame["attention_utilization"].tolist() == [1 / (step + 1) for step in range(5)]
    assert log.utilization.frame["layer"].unique().tolist() == ["0"]
    assert sum(log.utilization.source.rows_dropped.values()) == 3  # two superseded, one truncated
    routing = log.routing.frame
    assert routing["step"].tolist() == [step for step in range(5) for _ in range(3)]
    assert routing["attended"].tolist() == [on for step in range(5) for on in (True, True, step < 2)]
    assert routing["exposure"].tolist() == [value for step in range(5) for value in (step, -1, step)]
    assert set(log.routing.pattern_names) == {"7", "9"}


# --- where it is written ----------------------------------------------------------------------------------------------


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path / "a" / "run.jsonl") as logger:
        logger.log(0, 0.5)
        logger.log_routing(0, 1, True)
    assert sorted(os.listdir(tmp_path / "a")) == ["run.jsonl", "run.routing.jsonl"]


@pytest.mark.parametrize("variable", RANK_VARIABLES)
def test_only_rank_zero_writes_by_default(tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    with UtilizationLogger(tmp_path / "other") as logger:
        logger.log(0, 0.5)
        logger.log_routing(0, 1, True)
    assert (logger.rank, logger.enabled) == (3, False)
    assert not (tmp_path / "other").exists()
    with UtilizationLogger(tmp_path / "all", all_ranks=True) as logger:
        logger.log(0, 0.5)
    assert rows(tmp_path / "all" / "utilization.rank3.jsonl") == [{"step": 0, "attention_utilization": 0.5, "rank": 3}]
    with UtilizationLogger(tmp_path / "given", rank=0) as logger:
        logger.log(0, 0.5)
    assert len(rows(tmp_path / "given" / "utilization.jsonl")) == 1


def test_the_world_rank_wins_over_the_local_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("SLURM_PROCID", "5")
    assert UtilizationLogger(tmp_path).rank == 5
    monkeypatch.setenv("RANK", "no number")
    assert UtilizationLogger(tmp_path).rank == 5
    monkeypatch.setenv("RANK", "2")
    assert UtilizationLogger(tmp_path).rank == 2
    with pytest.raises(InputError, match="`rank`"):
        UtilizationLogger(tmp_path, rank=-1)


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        UtilizationLogger(tmp_path / "file" / "below")
    (tmp_path / "taken" / "utilization.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be written"):
        UtilizationLogger(tmp_path / "taken")


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_an_incomplete_last_line_is_removed_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "utilization.jsonl"
    good = '{"step":0,"attention_utilization":0.5}\n{"step":1,"attention_utilization":0.25}\n'
    long = '{"step":2,"note":"' + "x" * 200_000
    for torn in ('{"step":2,"atten', "{", long):
        path.write_text(good + torn)
        with UtilizationLogger(tmp_path) as logger:
            logger.log(2, 0.125)
        assert [row["step"] for row in rows(path)] == [0, 1, 2]
        assert len(logger.notes) == 1
        assert f"{len(torn)} bytes was removed" in logger.notes[0]
    path.write_text(good.rstrip("\n"))  # complete, but an editor has taken the end of the line
    with UtilizationLogger(tmp_path) as logger:
        logger.log(2, 0.125)
    assert [row["step"] for row in rows(path)] == [0, 1, 2]


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text("my notes\nwithout an end")
    with pytest.raises(InputError, match="JSON lines"):
        UtilizationLogger(path)
    assert path.read_text() == "my notes\nwithout an end"


@pytest.mark.skipif(sys.platform == "win32", reason="files are locked by fcntl")
def test_nothing_is_removed_under_another_writer(tmp_path: Path) -> None:
    first = UtilizationLogger(tmp_path)
    first.log(0, 0.5)
    with first.utilization_path.open("ab") as file:
        file.write(b'{"step":1,')  # as if the other writer were in the middle of its write
    second = UtilizationLogger(tmp_path)
    assert second.utilization_path.read_bytes().endswith(b'{"step":1,')
    assert second.notes == ()
    first.close()
    second.close()
    with UtilizationLogger(tmp_path) as third:
        assert len(third.notes) == 1


CRASHING = """
import sys
from cogfit.logs.writer import UtilizationLogger
logger = UtilizationLogger(sys.argv[1], rank=0)
first = int(sys.argv[2])
print("ready", flush=True)
for step in range(first, 10**9):
    logger.log(step, 0.5, note="x" * 3000)
    logger.log_routing(step, list(range(50)), [True] * 50)
    print(step, flush=True)  # told only after the call has returned
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_loses_at_most_the_line_it_was_writing(tmp_path: Path) -> None:
    first = 0
    for _ in range(3):  # killed, resumed, killed, resumed, killed
        process = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = [int(process.stdout.readline()) for _ in range(50)]
        process.kill()
        told += [int(line) for line in process.stdout if line.endswith("\n")]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        UtilizationLogger(tmp_path, rank=0).close()  # removes a torn line, if there is one
        steps = [row["step"] for row in rows(tmp_path / "utilization.jsonl")]
        assert steps == list(range(len(steps)))
        assert told[-1] <= steps[-1] <= told[-1] + 1
        first = steps[-1] + 1


def test_a_write_that_fails_is_an_input_error_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = UtilizationLogger(tmp_path)
    logger.log(0, 0.5)
    write = os.write
    calls = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return write(descriptor, data[:10])  # the disk takes a part …
        raise OSError(28, "No space left on device")  # … and is full

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(InputError, match="No space left"):
        logger.log(1, 0.5)
    monkeypatch.undo()
    logger.log(2, 0.5)
    logger.close()
    assert [row["step"] for row in rows(logger.utilization_path)] == [0, 2]


# --- processes and threads --------------------------------------------------------------------------------------------


def _write_as(rank: int, folder: str, n: int) -> None:
    with UtilizationLogger(folder, rank=rank, all_ranks=True) as logger:
        for step in range(n):
            logger.log(step, rank / 10)


def test_several_processes_write_by_rank(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_as, args=(rank, str(tmp_path), 200)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for rank, name in enumerate(["utilization.jsonl", "utilization.rank1.jsonl", "utilization.rank2.jsonl"]):
        assert rows(tmp_path / name) == [
            {"step": step, "attention_utilization": rank / 10, "rank": rank} for step in range(200)
        ]


def test_threads_share_a_logger(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path) as logger:

        def work(layer: int) -> None:
            for step in range(300):
                logger.log(step, 0.5, layer=layer, note="x" * 500)

        threads = [threading.Thread(target=work, args=(layer,)) for layer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = rows(logger.utilization_path)
    for layer in range(4):
        assert [row["step"] for row in found if row["layer"] == layer] == list(range(300))


FORKING = """
import os, sys, threading, time
from cogfit.logs.writer import UtilizationLogger
logger = UtilizationLogger(sys.argv[1], rank=0)
logger.log(0, 0.5, who="parent")
inside, leave = threading.Event(), threading.Event()
def hold():  # another thread is inside the lock while we fork
    with logger._lock:
        inside.set()
        leave.wait()
thread = threading.Thread(target=hold)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    for step in range(100):
        logger.log(step, 0.25, who="child")
    logger.close()
    os._exit(0)
leave.set()
thread.join()
for step in range(1, 100):
    logger.log(step, 0.5, who="parent")
assert os.waitpid(child, 0)[1] == 0
logger.log(100, 0.5, who="parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_writes_on_its_own(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)], check=True, timeout=30)
    found = rows(tmp_path / "utilization.jsonl")
    assert [row["step"] for row in found if row["who"] == "parent"] == list(range(101))
    assert [row["step"] for row in found if row["who"] == "child"] == list(range(100))


def test_a_forgotten_logger_gives_its_files_back(tmp_path: Path) -> None:
    logger = UtilizationLogger(tmp_path)
    logger.log(0, 0.5)
    descriptor = logger._descriptors[logger.utilization_path]
    del logger
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_logging_is_cheap(tmp_path: Path) -> None:
    with UtilizationLogger(tmp_path) as logger:
        start = time.perf_counter()
        for step in range(2000):
            logger.log(step, 0.5, layer=1)
        elapsed = time.perf_counter() - start
    assert elapsed < 2.0  # 1 ms each would be felt in training; it takes some 20 µs
