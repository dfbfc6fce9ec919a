"""A tiny model with random weights: the code is that of the real one."""

from __future__ import annotations

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
        "num_hidden_layers": 3,
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
    """Three layers of six heads in two groups, over bytes."""
    return byte_level(make_llama(), "tiny", 512)


@pytest.fixture(scope="session")
def prose() -> list[list[int]]:
    """Tokens of eight documents."""
    rng = np.random.default_rng(0)
    words = ["the", "raven", "came", "back", "with", "a", "shell", "and", "left."]
    return [list(" ".join(rng.choice(words, 80)).encode()) for _ in range(8)]
