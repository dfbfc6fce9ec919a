"""Logs beside a checkpoint: complete up to it, or the run does not go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.training.ensemble import train_many
from theory.training.loop import train
from theory.training.reproducibility import CHECKPOINT, read_tensors, write_tensors
from theory.training.setup import Setup, Training, load_setup
from theory.training.stopping import Stopped

pytestmark = pytest.mark.slow  # models are trained
torch.set_num_threads(1)

SMALL = {
    "data.length": 32, "data.patterns": 5, "data.novel_keys": 10, "model.d_model": 8, "training.batch": 2,
    "training.steps": 14, "training.evaluation_streams": 2, "training.final_streams": 2, "training.evaluate_every": 3,
    "training.log_every": 2, "training.routing_every": 3, "training.attend_until": 4,
}  # fmt: skip
LOGS = ("utilization.jsonl", "routing.jsonl", "evaluation.csv")
ENDS = ("utilization.jsonl", "routing.parquet", "evaluation.csv", "model.safetensors")
STOP_AT = 8

Damage = Callable[[Path], object]


def small(**changes: object) -> Setup:
    return load_setup("cram-n256", SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def stop_after(steps: int) -> Callable[[], int]:
    looks = iter([0] * steps)
    return lambda: next(looks, 15)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped with a checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.raises(Stopped):
        train(small(), folder, device="cpu", stop=stop_after(STOP_AT))
    return folder


def cut(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def nulls(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def without_one_in_the_middle(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))


@pytest.mark.parametrize("damage", [Path.unlink, cut, nulls, without_one_in_the_middle])
@pytest.mark.parametrize("log", LOGS)
def test_a_log_that_does_not_reach_the_checkpoint_is_refused(
    stopped: Path, tmp_path: Path, log: str, damage: Damage
) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    damage(folder / log)
    with pytest.raises(InputError, match=log) as caught:
        train(small(), folder, device="cpu")
    if log != "evaluation.csv":
        assert f"is at {STOP_AT}; delete the run to begin anew" in str(caught.value)


def test_the_message_says_where_the_log_ends(stopped: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    cut(folder / "utilization.jsonl")
    with pytest.raises(InputError, match="is damaged: ends at step 2, the checkpoint is at 8; delete the run"):
        train(small(), folder, device="cpu")


def test_a_complete_run_goes_on_whatever_is_logged_how_often(stopped: Path, tmp_path: Path) -> None:
    train(small(), tmp_path / "whole", device="cpu")
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    for name in LOGS[:2]:  # rows after the checkpoint, and a torn one
        with (folder / name).open("ab") as log:
            log.write(b'{"step":8,"x":1}\n{"st')
    train(small(), folder, device="cpu")
    for name in ENDS:
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("changes", [{"data__recurring_fraction": 0.0}, {"training__routing_every": 0}])
def test_a_run_without_a_routing_log_goes_on(tmp_path: Path, changes: dict[str, object]) -> None:
    setup = small(**changes)
    with pytest.raises(Stopped):
        train(setup, tmp_path / "run", device="cpu", stop=stop_after(5))
    assert not (tmp_path / "run" / "routing.jsonl").exists()
    train(setup, tmp_path / "run", device="cpu")


def test_a_run_that_was_killed_just_before_its_end_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patch:
        patch.setattr("theory.training.loop.close_run", die)
        with pytest.raises(ConnectionAbortedError):
            train(small(), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "routing.jsonl").exists()
    train(small(), tmp_path / "run", device="cpu")
    # without the log in either form there is nothing to finish
    with monkeypatch.context() as patch:
        patch.setattr("theory.training.loop.close_run", die)
        with pytest.raises(ConnectionAbortedError):
            train(small(), tmp_path / "again", device="cpu")
    (tmp_path / "again" / "routing.parquet").unlink()
    with pytest.raises(InputError, match=r"routing.jsonl: is damaged: is missing, the checkpoint is at 14"):
        train(small(), tmp_path / "again", device="cpu")


def test_a_member_of_a_stack_without_its_log_is_refused(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(name: str, done: int, total: int, measures: object) -> None:
        if done == STOP_AT:
            raise Stop

    setups = [small(training__seed=seed, training__checkpoint_every=4) for seed in (0, 1)]
    folders = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(Stop):
        train_many(setups, folders, how="stacked", device="cpu", watch=stop)
    whole = (folders[1] / "utilization.jsonl").read_bytes()
    cut(folders[1] / "utilization.jsonl")
    with pytest.raises(InputError, match=r"b.utilization.jsonl: is damaged: ends at step 2, the checkpoint is at 8"):
        train_many(setups, folders, how="stacked", device="cpu")
    (folders[1] / "utilization.jsonl").write_bytes(whole)
    assert len(train_many(setups, folders, how="stacked", device="cpu")) == 2


@pytest.mark.parametrize("text", ["", "x", "null", "[]", "[1]", '[{"utilization.jsonl": "9"}]', "[" * 100_000])
def test_damaged_sizes_of_logs_are_refused(stopped: Path, tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    state, notes = read_tensors(folder / CHECKPOINT)
    write_tensors(folder / CHECKPOINT, state, {**notes, "sizes": text})
    with pytest.raises(InputError, match=f"{CHECKPOINT}: is damaged: the sizes of its logs"):
        train(small(), folder, device="cpu")


def test_a_checkpoint_of_an_earlier_version_goes_on(stopped: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    state, notes = read_tensors(folder / CHECKPOINT)
    write_tensors(folder / CHECKPOINT, state, {name: notes[name] for name in ("step", "setup")})
    train(small(), folder, device="cpu")


@pytest.mark.parametrize("count", [-1, 2**40])
def test_impossible_exposures_are_refused_before_a_row_is_logged(stopped: Path, tmp_path: Path, count: int) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    before = (folder / "routing.jsonl").read_bytes()
    state, notes = read_tensors(folder / CHECKPOINT)
    state["exposures/0"][2] = count
    write_tensors(folder / CHECKPOINT, state, notes)
    with pytest.raises(InputError, match=f"{CHECKPOINT}: is damaged: the count {count} in 'exposures/0'"):
        train(small(), folder, device="cpu")
    assert (folder / "routing.jsonl").read_bytes() == before


def test_logs_reach_the_disk_before_the_checkpoint_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("the system does not say which file a descriptor belongs to")
    monkeypatch.setattr(os, "fsync", note)
    with pytest.raises(Stopped):
        train(small(), tmp_path / "run", device="cpu", stop=stop_after(5))
    first = next(i for i, name in enumerate(synced) if CHECKPOINT in name)
    assert {"utilization.jsonl", "routing.jsonl", "run"} <= set(synced[:first])


@settings(max_examples=30)
@given(steps=st.integers(1, 20), every=st.integers(1, 20), until=st.integers(0, 20))
def test_the_evaluations_before_a_checkpoint_are_those_that_the_loop_makes(steps: int, every: int, until: int) -> None:
    until = min(until, steps)
    made = [done for done in range(1, until + 1) if done == steps or done % every == 0]
    assert Training(steps=steps, evaluate_every=every).evaluated_steps(until) == made
