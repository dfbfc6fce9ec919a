"""Training that diverges is stopped and told, and is never on record as finished."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cogfit.cli import main
from cogfit.errors import InputError
from theory.models import build
from theory.tasks.srcd import Batch
from theory.training.divergence import Diverged
from theory.training.ensemble import train_many, train_models
from theory.training.evaluation import evaluate
from theory.training.folder import load_model
from theory.training.loop import train
from theory.training.reproducibility import CHECKPOINT, WEIGHTS, read_tensors, write_tensors
from theory.training.runs import RUN
from theory.training.setup import Setup, load_setup
from theory.training.stopping import Stopped
from theory.training.trainer import Single

pytestmark = pytest.mark.slow  # models are trained
torch.set_num_threads(1)

SMALL = {
    "data.length": 32, "data.patterns": 5, "data.novel_keys": 10, "model.d_model": 8, "training.batch": 2,
    "training.steps": 3, "training.evaluation_streams": 4, "training.final_streams": 4, "training.evaluate_every": 9,
}  # fmt: skip


def small(config: str = "mamba-n256", **changes: object) -> Setup:
    return load_setup(config, SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def status(folder: Path) -> str:
    return str(json.loads((folder / RUN).read_text())["status"])


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (
            "mamba-n256",
            {"training__rate": 1e30},
            r"diverged at step 1 \(the loss is nan\); lower training.rate",
        ),
        ("mamba-n256", {"training__rate": 1e30, "training__steps": 1}, "diverged at step 1 .*; lower training.rate"),
        ("mamba-n256", {"training__rate": 1e30, "training__evaluate_every": 1}, "diverged at step 1 .*training.rate"),
        ("cram-n256", {"training__rate": 1e30, "training__attend_until": 1, "training__steps": 4}, "at step 1 .*rate"),
        ("cram-n256", {"training__rate": 1e30, "training__attend_until": 9, "training__steps": 4}, "at step 1 .*rate"),
        ("mamba-n256", {"data__beta": 1e38}, "diverged at step 0 .*lower the settings"),
        ("mamba-n256", {"data__noise": 3e38}, "diverged at step 0 .*lower the settings"),
        ("mamba-n256", {"training__dynamics_weight": 3e38, "data__beta": 1e3}, "diverged at step 0"),
    ],
)
def test_training_that_diverges_names_its_folder_step_and_remedy(
    tmp_path: Path, config: str, changes: dict[str, object], message: str
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Diverged, match=f"run: training .*{message}"):
        train(small(config, **changes), folder, device="cpu")
    assert status(folder) == "running"
    assert not (folder / WEIGHTS).exists()
    assert "null" not in (folder / "utilization.jsonl").read_text().replace('"predicted_quality":null', "")


class Losing(Single):
    """A trainer that loses a parameter after five steps."""

    done = 0

    def advance(self, batch: Batch[Tensor], **how: Any) -> dict[str, Tensor]:
        if self.done == 5:
            with torch.no_grad():
                self.model.carry.fill_(math.nan)
        self.done += 1
        return super().advance(batch, **how)


def test_the_last_checkpoint_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.training.loop.Single", Losing)
    with pytest.raises(Diverged, match=r"diverged at step 5 \(the loss is nan\)"):
        train(small(training__steps=9, training__checkpoint_every=2), tmp_path, device="cpu")
    state, notes = read_tensors(tmp_path / CHECKPOINT)
    assert notes["step"] == "4"
    assert all(bool(torch.isfinite(value).all()) for value in state.values())


def test_a_member_that_diverges_is_named_and_none_is_finished(tmp_path: Path) -> None:
    setups = [small(training__seed=seed, data__beta=beta) for seed, beta in ((0, 0.25), (1, 1e38))]
    folders = [tmp_path / "calm", tmp_path / "wild"]
    with pytest.raises(Diverged, match="wild: training diverged at step 0"):
        train_many(setups, folders, how="stacked", device="cpu")
    assert [status(folder) for folder in folders] == ["running", "running"]
    with pytest.raises(Diverged, match="training diverged at step 0"):
        train_models(setups)


@pytest.mark.long
def test_a_process_that_diverges_lets_the_others_finish(tmp_path: Path) -> None:
    setups = [small(training__rate=1e30), small()]
    folders = [tmp_path / "wild", tmp_path / "calm"]
    with pytest.raises(Diverged, match="wild: training diverged at step 1"):
        train_many(setups, folders, how="processes", device="cpu", workers=1)
    assert [status(folder) for folder in folders] == ["running", "finished"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_refused_where_they_are_read(tmp_path: Path, value: float) -> None:
    setup = small(training__steps=6)
    looks = iter([0] * 3)
    with pytest.raises(Stopped):
        train(setup, tmp_path, device="cpu", stop=lambda: next(looks, 15))
    state, notes = read_tensors(tmp_path / CHECKPOINT)
    names = ("model/carry", "optimizer/0.exp_avg")
    for name in names if math.isnan(value) else names[:1]:
        broken = {**state, name: torch.full_like(state[name], value)}
        write_tensors(tmp_path / CHECKPOINT, broken, notes)
        with pytest.raises(InputError, match=f"{CHECKPOINT}: is damaged: .*'{name.partition('/')[2]}|{name}"):
            train(setup, tmp_path, device="cpu")
    write_tensors(tmp_path / CHECKPOINT, state, notes)
    train(setup, tmp_path, device="cpu")
    weights, _ = read_tensors(tmp_path / WEIGHTS)
    write_tensors(tmp_path / WEIGHTS, {**weights, "carry": torch.full((), value)})
    with pytest.raises(InputError, match=f"{WEIGHTS}: is damaged: 'carry' holds numbers that are not finite"):
        load_model(tmp_path)


def test_a_model_without_finite_predictions_is_not_measured() -> None:
    setup = small()
    model = build(setup.model, setup.data, 0)
    with torch.no_grad():
        model.answer.weight.fill_(3e38)
    with pytest.raises(Diverged, match="logits are not finite"):
        evaluate(model, setup.data, streams=2)


def test_the_command_says_so_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [f"--set={name}={value}" for name, value in SMALL.items()]
    out = str(tmp_path / "run")
    assert main(["theory", "train", "mamba-n256", *sets, "--set=training.rate=1e30", "--out", out]) == 2
    assert f"{out}: training diverged at step 1 (the loss is nan); lower training.rate" in capsys.readouterr().err
