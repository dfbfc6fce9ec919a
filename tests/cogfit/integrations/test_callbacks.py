"""Callbacks with the real training libraries, at the smallest size at which they train."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from cogfit.errors import InputError, MissingDependencyError
from cogfit.integrations import MetricRecorder
from cogfit.logs import read_log


class Steps(list[int]):
    """A board that remembers at which steps it was written to."""

    def write(self, look: object, step: int, folder: Path) -> None:
        self.append(step)

    def close(self) -> None:
        self.append(-1)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- what the callbacks share -----------------------------------------------------------------------------------------


def test_the_metric_is_recognised_as_the_readers_do(tmp_path: Path) -> None:
    recorder = MetricRecorder(run="seed 0")
    recorder.record(1, {"loss": 1.0, "train/attn_utilization": 0.5}, model=None, folder=tmp_path)
    recorder.record(1, {"eval_attention_utilization": 0.9, "eval_loss": 1.0}, model=None, folder=tmp_path)
    recorder.record(2, {"attn_util/layer0": 0.25, "attn_util/layer1": 0.75}, model=None, folder=tmp_path)
    recorder.close()
    assert rows(tmp_path / "utilization.jsonl") == [
        {"step": 1, "attention_utilization": 0.5, "run": "seed 0"},
        {"step": 2, "attention_utilization": 0.25, "layer": "0", "run": "seed 0"},
        {"step": 2, "attention_utilization": 0.75, "layer": "1", "run": "seed 0"},
    ]


def test_a_chosen_metric_or_a_function_of_the_model(tmp_path: Path) -> None:
    chosen = MetricRecorder("router_on")
    chosen.record(
        1, {"router_on": 0.5, "attention_utilization": 0.25, "step": 9, "layer": 3}, model=None, folder=tmp_path
    )
    chosen.close()
    measured = MetricRecorder(
        lambda model: [{"attention_utilization": value, "layer": i} for i, value in enumerate(model)]
    )
    measured.record(2, {}, model=[0.5, 0.75], folder=tmp_path)
    measured.record(2, {"eval_loss": 1.0}, model=[0.6, 0.7], folder=tmp_path)  # the same step: not measured again
    measured.close()
    assert rows(tmp_path / "utilization.jsonl") == [
        {"step": 1, "attention_utilization": 0.5},
        {"step": 2, "attention_utilization": 0.5, "layer": 0},
        {"step": 2, "attention_utilization": 0.75, "layer": 1},
    ]
    with pytest.raises(InputError, match="`metric`"):
        MetricRecorder(3)  # type: ignore[arg-type]


def test_training_goes_on_whatever_the_value(tmp_path: Path) -> None:
    recorder = MetricRecorder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step, value in enumerate([0.5, float("nan"), 1.5, "abc", 0.25]):
            recorder.record(step, {"attention_utilization": value}, model=None, folder=tmp_path)
    recorder.close()
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert "step 1: `attention_utilization`" in str(caught[0].message)
    assert [row["step"] for row in rows(tmp_path / "utilization.jsonl")] == [0, 4]
    unwritable = MetricRecorder()
    with pytest.warns(RuntimeWarning, match="not written"):
        unwritable.record(1, {"attention_utilization": 0.5}, model=None, folder=tmp_path / "utilization.jsonl" / "x")


def test_a_metric_that_never_came_is_told_at_the_end(tmp_path: Path) -> None:
    recorder = MetricRecorder("atention")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.record(1, {"attention": 0.5, "loss": 1.0}, model=None, folder=tmp_path)
    with pytest.warns(RuntimeWarning, match="did you mean 'attention'"):
        recorder.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["huggingface", "lightning"])
def test_a_missing_library_says_what_to_install(module: str) -> None:
    code = f"""
import sys
for name in ("transformers", "lightning", "lightning.pytorch", "pytorch_lightning"):
    sys.modules[name] = None  # as if it were not installed
try:
    import cogfit.integrations.{module}
except ImportError as error:
    print(type(error).__name__, error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(MissingDependencyError.__name__)
    assert f"cogfit[{module}]" in result.stdout


# --- the libraries ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_huggingface_trainer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'huggingface'")
    transformers = pytest.importorskip("transformers", reason="needs the extra 'huggingface'")
    pytest.importorskip("accelerate", reason="needs the extra 'huggingface'")
    from cogfit.integrations.huggingface import UtilizationCallback

    class Model(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)
            self.calls = 0

        def forward(self, x: Any, labels: Any = None) -> dict[str, Any]:
            self.calls += self.training
            return {"loss": ((self.linear(x)[:, 0] - labels) ** 2).mean()}

    class Trainer(transformers.Trainer):  # type: ignore[name-defined, misc]
        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            if "loss" in logs:
                logs["attention_utilization"] = 1 / self.state.global_step
            super().log(logs, *args, **kwargs)

    data = [{"x": torch.ones(2), "labels": torch.tensor(0.5)} for _ in range(12)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=6,
        per_device_train_batch_size=2,
        logging_steps=2,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    board = Steps()
    by_function = UtilizationCallback(lambda model: model.calls / 6, path=tmp_path / "function.jsonl", boards=[board])
    trainer = Trainer(Model(), arguments, train_dataset=data, callbacks=[UtilizationCallback(), by_function])
    trainer.train()
    assert rows(tmp_path / "out" / "utilization.jsonl") == [
        {"step": step, "attention_utilization": 1 / step} for step in (2, 4, 6)
    ]
    assert rows(tmp_path / "function.jsonl") == [
        {"step": step, "attention_utilization": step / 6} for step in (2, 4, 6)
    ]
    assert board == [6, -1]


@pytest.mark.slow
def test_lightning_trainer_with_a_resumed_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'lightning'")
    lightning = pytest.importorskip("lightning.pytorch", reason="needs the extra 'lightning'")
    from cogfit.integrations.lightning import UtilizationCallback

    caplog.set_level(logging.ERROR, "lightning.pytorch")

    class Module(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            self.log("attention_utilization", 1 / (self.global_step + 1))
            return self.linear(batch).mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    board = Steps()

    def fit(steps: int, checkpoint: Path | None) -> Any:
        trainer = lightning.Trainer(
            max_steps=steps,
            default_root_dir=tmp_path,
            callbacks=[UtilizationCallback(every_n_steps=2, boards=[board])],
            accumulate_grad_batches=2,
            accelerator="cpu",
            logger=lightning.loggers.CSVLogger(tmp_path),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        loader = torch.utils.data.DataLoader(torch.ones(40, 2), batch_size=1)
        trainer.fit(Module(), loader, ckpt_path=checkpoint)
        return trainer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = fit(4, None)
        first.save_checkpoint(tmp_path / "last.ckpt")
        second = fit(8, tmp_path / "last.ckpt")
    assert Path(first.log_dir) != Path(second.log_dir)
    assert board == [4, -1, 8, -1]
    expected = [(step, pytest.approx(1 / step)) for step in (2, 4, 6, 8)]
    found = rows(Path(first.log_dir, "utilization.jsonl"))  # the resumed run went on in the same file
    assert [(row["step"], row["attention_utilization"]) for row in found] == expected
    utilization = read_log(Path(first.log_dir, "utilization.jsonl")).utilization
    assert utilization is not None
    assert utilization.frame["step"].tolist() == [2, 4, 6, 8]
