"""A tiny model with random weights: the code is that of the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from theory.redundancy.models import LanguageModel, byte_level  # noqa: E402


def make_llama(**changes: Any) -> Any:
    torch.manual_seed(0)
    fields = {
        "vocab_size": 256,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 1024,
        "initializer_range": 0.4,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**fields | changes)).eval()


@pytest.fixture(scope="session")
def tiny() -> LanguageModel:
    """Two layers of six heads in two groups, over bytes."""
    return byte_level(make_llama(), "tiny", 700)


@pytest.fixture(scope="session")
def prose() -> list[list[int]]:
    """Tokens of eight documents."""
    rng = np.random.default_rng(0)
    words = ["the", "raven", "came", "back", "with", "a", "shell", "and", "left."]
    return [list(" ".join(rng.choice(words, 80)).encode()) for _ in range(8)]


@pytest.fixture(scope="session")
def eager() -> Callable[[LanguageModel, list[int]], list[np.ndarray]]:
    """Weights (heads, tokens, tokens) of every layer, as transformers returns them."""

    def weights(model: LanguageModel, ids: list[int]) -> list[np.ndarray]:
        module: Any = model.module
        before = module.config._attn_implementation
        module.set_attn_implementation("eager")
        try:
            with torch.no_grad():
                found = module(input_ids=torch.tensor([ids]), output_attentions=True).attentions
        finally:
            module.set_attn_implementation(before)
        return [layer[0].double().numpy() for layer in found]

    return weights
