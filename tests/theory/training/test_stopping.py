"""Runs that are stopped or killed at any moment go on, and end with the same bytes as one that was not."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

import torch

from cogfit.cli import main
from cogfit.commands import terminal
from theory.training.loop import train
from theory.training.reproducibility import CHECKPOINT, read_tensors
from theory.training.setup import Setup, load_setup
from theory.training.stopping import Stopped, held_signals

SMALL = {
    "data.length": 64,
    "data.patterns": 8,
    "data.novel_keys": 16,
    "model.d_model": 16,
    "training.steps": 60,
    "training.batch": 2,
    "training.attend_until": 20,
    "training.costs_from": 30,
    "training.evaluate_every": 20,
    "training.evaluation_streams": 4,
    "training.final_streams": 4,
    "training.checkpoint_every": 7,
}
in_main_thread = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread only"
)

LOGS = ("utilization.jsonl", "routing.parquet", "evaluation.csv", "model.safetensors")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def small(**changes: object) -> Setup:
    return load_setup("cram-n256", SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in LOGS}


def train_slowly(folder: Path) -> None:
    """Train in a process of its own, so slowly that a signal comes in between."""
    torch.set_num_threads(1)
    with contextlib.suppress(Stopped):
        train(small(), folder, device="cpu", watch=lambda *_: time.sleep(0.02))


@pytest.mark.long
def test_a_run_that_is_killed_twenty_times_ends_with_the_same_bytes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(small(), tmp_path / "whole", device="cpu")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["theory.training.loop"])  # torch is loaded once, and not for each of them
    chance, folder, begun = random.Random(4), tmp_path / "killed", 0
    for number in range(20):
        process = context.Process(target=train_slowly, args=(folder,))
        process.start()
        while process.is_alive() and not (folder / "run.json").exists():
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.3))
        assert process.pid is not None
        begun += process.is_alive()
        os.kill(process.pid, SIGNALS[number % 3])
        process.join()
    assert begun >= 10, "the run ended before it could be killed"
    train(small(), folder, device="cpu")
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_with_values_that_change_goes_on_with_its_own(tmp_path: Path) -> None:
    setup = small(data__redraw=0.2, training__steps=24)
    train(setup, tmp_path / "whole", device="cpu")
    looks = iter([0] * 11 + [signal.SIGTERM])
    with pytest.raises(Stopped):
        train(setup, tmp_path / "stopped", device="cpu", stop=lambda: next(looks))
    train(setup, tmp_path / "stopped", device="cpu")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    still = small(training__steps=24)
    train(still, tmp_path / "still", device="cpu")
    assert contents(tmp_path / "still")["model.safetensors"] != contents(tmp_path / "whole")["model.safetensors"]


@in_main_thread
@pytest.mark.slow
def test_the_command_saves_a_checkpoint_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.ProgressBars, "LINE_EVERY", 0.0)
    folder = tmp_path / "run"
    sets = [f"--set={name}={value}" for name, value in (SMALL | {"training.steps": 9999}).items()]

    def ask() -> None:
        log = folder / "utilization.jsonl"
        while not log.exists() or log.read_bytes().count(b"\n") < 10:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    code = main(["theory", "train", "cram-n256", *sets, "--out", str(folder), "--device", "cpu"])
    assert code == 128 + signal.SIGTERM
    *lines, last = capsys.readouterr().err.splitlines()
    done = int(last.removeprefix("cogfit: stopped after step ").split(" of 9,999; everything is saved")[0])
    assert done >= 10
    _, notes = read_tensors(folder / CHECKPOINT)
    assert int(notes["step"]) == done
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    # without a terminal, lines say how far it is
    assert any(line.startswith("training: 2 of 9,999 (0%), ") and line.endswith(" left") for line in lines)


@in_main_thread
def test_a_request_is_noted_and_a_second_ctrl_c_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with held_signals() as asked:
        assert asked() == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM
    with held_signals() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_interrupt_does_not_stop_the_next_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.Interrupt, "seen", True)
    sets = [f"--set={name}={value}" for name, value in (SMALL | {"training.steps": 2}).items()]
    assert main(["theory", "train", "cram-n256", *sets, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0


def test_threads_leave_signals_alone() -> None:
    seen: list[int] = []

    def look() -> None:
        with held_signals() as asked:
            seen.append(asked())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [0]
