"""Drift and forgetting by module: by hand, and that runs on two tasks do not change all modules alike."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cogfit.errors import InputError
from theory.training.loop import train
from theory.training.module_drift import drift_of_runs, module_drift, module_forgetting, module_of
from theory.training.setup import load_setup


def test_drift_by_hand() -> None:
    before = {
        "key.weight": torch.tensor([[3.0, 4.0]]),
        "layers.1.ffn.body.0.weight": torch.ones(4),
        "layers.1.ffn.body.0.bias": torch.zeros(2),
        "carry": torch.zeros(()),
        "count": torch.tensor(3),
    }
    after = before | {
        "key.weight": torch.tensor([[4.0, 4.0]]),
        "layers.1.ffn.body.0.bias": torch.tensor([0.0, 2.0]),
        "count": torch.tensor(9),
    }
    ffn, key, carry = module_drift(before, after)
    assert (ffn.module, ffn.parameters, ffn.change, ffn.step) == ("layers.1.ffn", 6, 1.0, pytest.approx(2 / 6))
    assert ffn.cosine == pytest.approx(4 / (2 * math.sqrt(8)))
    assert (key.module, key.change, key.step) == ("key", pytest.approx(0.2), 0.5)
    assert (carry.module, carry.change) == ("carry", 0.0)
    assert math.isnan(carry.cosine)
    (away,) = module_drift({"carry": torch.zeros(())}, {"carry": torch.ones(())})
    assert math.isinf(away.change)


class Sum(nn.Module):
    """Error is the sum of two numbers, one of them in a layer."""

    def __init__(self, key: float, ffn: float) -> None:
        super().__init__()
        self.key = nn.Parameter(torch.tensor(key))
        self.layers = nn.ModuleList([nn.Module()])
        self.layers[0].register_parameter("ffn", nn.Parameter(torch.tensor(ffn)))

    def error(self) -> float:
        values: list[Tensor] = list(self.parameters())
        return sum(float(value.detach()) for value in values)


def test_forgetting_is_what_comes_back_with_a_module() -> None:
    before, after = Sum(0.25, 0.0), Sum(0.5, 0.75)
    low, high, found = module_forgetting(before, after, Sum.error)
    assert (low, high) == (0.25, 1.25)
    assert [(item.module, item.error, item.recovered) for item in found] == [
        ("layers.0.ffn", 0.5, 0.75),
        ("key", 1.0, 0.25),
    ]
    assert (before.error(), after.error()) == (0.25, 1.25)  # neither was changed


def test_what_cannot_be_compared_is_refused() -> None:
    one = {"key.weight": torch.ones(2)}
    for other in ({"key.weight": torch.ones(3)}, {}, one | {"value.weight": torch.ones(1)}):
        with pytest.raises(InputError, match="states of different models"):
            module_drift(one, other)
    with pytest.raises(InputError, match="'key.weight' holds numbers that are not finite"):
        module_drift(one, {"key.weight": torch.tensor([1.0, math.nan])})
    with pytest.raises(InputError, match="nothing was forgotten"):
        module_forgetting(Sum(1.0, 1.0), Sum(0.5, 0.5), Sum.error)
    assert module_of("layers.12.router.body.0.weight") == "layers.12.router"


@pytest.mark.slow
def test_another_table_is_learned_by_few_modules_and_what_is_forgotten_sits_in_few(tmp_path: Path) -> None:
    """The phenomenon of the paper: from one table of values to another, modules neither move nor forget alike."""
    small = {
        "data.length": 32, "data.patterns": 4, "data.novel_keys": 8, "data.values": 4, "data.query_fraction": 0.25,
        "data.recurring_fraction": 1.0, "model.d_model": 16, "model.heads": 1, "model.layers": 1, "training.batch": 16,
        "training.evaluation_streams": 2, "training.final_streams": 64, "training.rate": 1e-2,
        "training.routing_every": 0,
    }  # fmt: skip
    # without any attention the table must be learned by the weights
    train(load_setup("mamba-n256", small | {"training.steps": 150, "model.heads": 1}), tmp_path / "one", device="cpu")
    second = {"data.table_seed": 1, "training.steps": 60, "transfer.source": str(tmp_path / "one")}
    train(load_setup("mamba-n256", small | second), tmp_path / "two", device="cpu")
    report = drift_of_runs(tmp_path / "one", tmp_path / "two", streams=128)
    assert report.before < 0.1
    assert report.after > 0.4
    changes = {item.module: item.change for item in report.drift if math.isfinite(item.change)}
    assert max(changes.values()) > 3 * min(changes.values())
    recovered = [item.recovered for item in report.forgetting]
    assert recovered[0] > 0.2
    assert abs(recovered[-1]) < 0.1
