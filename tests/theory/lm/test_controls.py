"""Controls of redundancy, against what is known of least squares, and the study's texts of programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from cogfit.errors import InputError
from theory.lm.controls import shuffling, teach, with_random_weights
from theory.lm.pages import LEAST, MOST
from theory.lm.study import programs
from theory.redundancy.models import LanguageModel


def test_shuffled_text_has_the_same_tokens_in_one_other_order(tiny: LanguageModel) -> None:
    content = b"the raven came back with a shell and left."
    shuffled = shuffling(tiny, seed=1)
    ids = list(shuffled.encode(content))
    assert Counter(ids) == Counter(content)
    assert ids != list(content)
    assert ids == list(shuffled.encode(content))
    assert ids != list(shuffling(tiny, seed=2).encode(content))


def test_random_weights_keep_the_architecture_at_another_width(tiny: LanguageModel) -> None:
    found: Any = with_random_weights(tiny, 48, 3, seed=5).module
    assert (found.config.hidden_size, found.config.num_hidden_layers) == (48, 3)
    assert (found.config.num_attention_heads, found.config.num_key_value_heads) == (12, 4)  # three heads of a group
    assert found.config.intermediate_size == 64
    weight = found.model.layers[2].mlp.up_proj.weight
    assert weight.std().item() == pytest.approx(48**-0.5, rel=0.05)
    again: Any = with_random_weights(tiny, 48, 3, seed=5).module
    other: Any = with_random_weights(tiny, 48, 3, seed=6).module
    assert (again.model.layers[2].mlp.up_proj.weight == weight).all()
    assert (other.model.layers[2].mlp.up_proj.weight != weight).any()
    assert with_random_weights(tiny, 20, 1).module.config.num_key_value_heads == 5  # five heads make no groups of three
    with pytest.raises(InputError, match="no multiple of 4"):
        with_random_weights(tiny, 10, 1)


@pytest.mark.parametrize("r", [0.5, 0.84])
def test_what_a_probe_finds_of_a_teacher_is_what_least_squares_must_find(r: float) -> None:
    """Residuals: σ² (1 + (d + 1)/(n − d − 2)) on other tokens, σ² (1 − (d + 1)/n) on its own, for Gaussian inputs."""
    d = 96
    for point in teach(d, r, documents=20, fit_documents=16, tokens=64, seed=1):
        n = point["tokens"]
        assert point["r_true"] == pytest.approx(r, abs=0.01)
        outside = 1 - (1 - point["r_true"]) * np.sqrt(1 + (d + 1) / (n - d - 2))
        inside = 1 - (1 - point["r_true"]) * np.sqrt(1 - (d + 1) / n)
        # at 128 tokens the error of the error is large: only the order is sure
        tolerance = 0.006 if n > 3 * d else 0.35
        assert point["r"] == pytest.approx(outside, abs=tolerance)
        assert point["r_in_sample"] == pytest.approx(inside, abs=0.02)
        assert point["r"] < point["r_true"] < point["r_in_sample"]
    assert n == 16 * 64


def test_a_wider_model_looks_less_redundant_on_other_text_and_more_on_its_own() -> None:
    narrow, wide = (teach(d, 0.5, documents=8, fit_documents=8, tokens=64)[-1] for d in (32, 128))
    assert wide["r"] < narrow["r"] - 0.03
    assert wide["r_in_sample"] > narrow["r_in_sample"] + 0.03


def test_programs_are_as_long_as_prose_and_no_two_are_one_table() -> None:
    texts = programs().halved()
    assert min(len(texts.measured), len(texts.fitted)) >= 60
    for document in texts.documents:
        assert LEAST <= document.stop - document.start <= MOST
        assert not document.name.startswith("encodings/")
