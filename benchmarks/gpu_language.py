"""A language model's heads and policies on a device and on the processor: the same numbers, how fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from theory.lm.eviction import play_policies
from theory.lm.heads import copy_score, induction_score, sink_share
from theory.lm.needles import make_needles
from theory.redundancy.models import LanguageModel, byte_level


def random_model(layers: int, width: int) -> LanguageModel:
    """A Llama over bytes with grouped queries and random weights, large enough that attention is not even."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=2048,
        initializer_range=2 * width**-0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return byte_level(LlamaForCausalLM(config).eval(), context=1024)


def compare(device: str, *, is_small: bool) -> list[tuple[str, float, float, float]]:
    """Measure both ways.

    Returns
    -------
    list of (str, float, float, float)
        What was measured, seconds on the device and on the processor, and the largest difference of any number.
    """
    model = random_model(*((2, 24) if is_small else (8, 384)))
    rng = np.random.default_rng(0)
    prose = [rng.integers(32, 127, 300 if is_small else 700).tolist() for _ in range(4)]
    needles = make_needles(model, prose, 4, tokens=100 if is_small else 400)

    def heads() -> np.ndarray:
        scores = sink_share(model, prose), copy_score(model, needles)[0], induction_score(model, 2)
        return np.concatenate([score.part.ravel() for score in scores[::2]])  # random weights copy nothing

    def policies() -> np.ndarray:
        rows, _ = play_policies(model, needles, {1: (1,)}, policies=("streaming", "h2o"), budgets=(32,))
        return np.array([row[name][0] for row in rows for name in ("needle_nats", "kept", "read")])

    return [
        (name, *_both(model, device, task))
        for name, task in (("sinks, copy and induction scores", heads), ("policies on needles", policies))
    ]


def _both(model: LanguageModel, device: str, task: Callable[[], np.ndarray]) -> tuple[float, float, float]:
    seconds, found = {}, {}
    module: Any = model.module
    for where in (device, device, "cpu"):  # the first call sets up the device
        module.to(where)
        begin = time.perf_counter()
        found[where] = task()
        seconds[where] = time.perf_counter() - begin
    return seconds[device], seconds["cpu"], float(np.abs(found[device] - found["cpu"]).max())
