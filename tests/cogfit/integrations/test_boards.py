"""What training sees of its own log: verdict and γ on the boards, at doublings and at the end."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import cogfit
from cogfit.following.records import FIRST, Look
from cogfit.integrations import MetricRecorder
from cogfit.integrations.boards import NAMES, TEXT, Board, TensorBoard, WandB


class Seen:
    """A board that remembers."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, Look]] = []
        self.is_closed = False

    def write(self, look: Look, step: int, folder: Path) -> None:
        self.looks.append((step, look))

    def close(self) -> None:
        self.is_closed = True


def train(recorder: MetricRecorder, folder: Path, steps: int) -> None:
    """A training run whose utilisation falls as a power law."""
    log = cogfit.simulate("power", {"gamma": 0.43}, n=steps, sigma=0.005, rng=1)
    for step, value in zip(log["step"], log["attention_utilization"], strict=True):
        recorder.record(int(step), {"attention_utilization": value}, model=None, folder=folder)
    recorder.close()


class Run:
    """What is used of a run of W&B."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


@dataclass
class Trained:
    """A run of 50 steps that was shown on every board there is."""

    folder: Path
    board: Seen
    run: Run
    has_events: bool
    fit: cogfit.FitResult


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, board, run = tmp_path_factory.mktemp("run"), Seen(), Run()
    boards: list[Board] = [board, WandB(run)]
    has_events = find_spec("tensorboard") is not None
    if has_events:
        boards.append(TensorBoard(folder / "events"))
    train(MetricRecorder(boards=boards), folder, 50)
    return Trained(folder, board, run, has_events, cogfit.fit(folder / "utilization.jsonl"))


def test_a_run_is_shown_at_doublings_and_at_the_end(trained: Trained) -> None:
    looks = trained.board.looks
    assert [(step, look.is_counted) for step, look in looks] == [(FIRST, True), (2 * FIRST, True), (50, False)]
    assert trained.board.is_closed
    assert looks[-1][1].fit == trained.fit


def test_tensorboard_reads_verdict_and_gamma_back(trained: Trained) -> None:
    if not trained.has_events:
        pytest.skip("needs the extra 'logs'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained.folder / "events")).Reload()  # type: ignore[no-untyped-call]
    assert trained.fit.gamma is not None
    assert trained.fit.interval is not None
    for name, value in zip(NAMES, (trained.fit.gamma, *trained.fit.interval), strict=True):
        last = events.Scalars(name)[-1]
        assert (last.step, last.value) == (50, pytest.approx(value, rel=1e-6))
    assert events.PluginTagToContent("text").keys() == {TEXT}
    (text,) = events.Tensors(TEXT)[-1].tensor_proto.string_val
    assert text.decode().startswith(trained.fit.headline())


def test_wandb_gets_gamma_as_a_curve_and_the_verdict_in_the_summary(trained: Trained) -> None:
    assert [row["cogfit/step"] for row in trained.run.rows] == [20, 40, 50]
    assert trained.run.rows[-1]["cogfit/gamma"] == trained.fit.gamma
    assert trained.fit.headline() in trained.run.summary[TEXT]


def test_an_offline_run_of_wandb_holds_them(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="cogfit", dir=str(tmp_path))
    WandB().write(trained.board.looks[-1][1], 50, trained.folder)
    assert run.summary["cogfit/gamma"] == trained.fit.gamma
    assert trained.fit.headline() in run.summary[TEXT]
    run.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_a_board_that_fails_is_told_once_and_training_goes_on(tmp_path: Path) -> None:
    class Broken(Seen):
        def write(self, look: Look, step: int, folder: Path) -> None:
            raise OSError("no space left")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(MetricRecorder(boards=[Broken()]), tmp_path, 4)
    assert [str(warning.message) for warning in caught] == ["no verdict was shown at step 4: no space left"]
    assert cogfit.fit(tmp_path / "utilization.jsonl", form="power").n == 4


def test_short_runs_and_runs_without_boards_are_left_alone(tmp_path: Path) -> None:
    board = Seen()
    train(MetricRecorder(), tmp_path / "a", 3)
    train(MetricRecorder(boards=[board]), tmp_path / "b", 3)
    assert [step for step, _ in board.looks] == [3]
    with pytest.raises(cogfit.InputError, match=r"wandb|W&B"):
        WandB().write(board.looks[0][1], 3, tmp_path)
