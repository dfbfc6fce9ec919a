"""The real model, where it was fetched: what is recorded of it holds on new needles."""

from __future__ import annotations

import numpy as np
import pytest

from cogfit.files import data_dir
from theory.lm.attention import KnockOut
from theory.lm.cache import place_of, read_manifest
from theory.lm.heads import ask, by_layer, encode_documents
from theory.lm.needles import make_needles
from theory.lm.records import RECORDED, read_study, read_table
from theory.redundancy.models import LanguageModel, load_language_model
from theory.redundancy.texts import read_texts

STUDY = data_dir() / "runs" / RECORDED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(read_manifest(place_of(*place)) is None for place in (("models", "smollm2"), ("texts", "prose"))),
        reason="no model here: cogfit theory lm fetch smollm2 --texts",
    ),
]


@pytest.fixture(scope="module")
def real() -> LanguageModel:
    return load_language_model(place_of("models", "smollm2"), context=512, dtype="auto")


def test_weights_and_texts_are_those_of_the_record() -> None:
    config = read_study(STUDY)["config"]
    files = (read_manifest(place_of("models", "smollm2")) or {})["files"]
    assert files["model.safetensors"] == config["model_sha256"]
    assert read_texts(place_of("texts", "prose")).describe()["sha256"] == config["texts"]["sha256"]


def test_recorded_copy_heads_carry_needles_that_they_were_not_chosen_on(real: LanguageModel) -> None:
    texts = read_texts(place_of("texts", "prose")).halved()
    prose = encode_documents(real, [document.read() for document in texts.measured[-6:]])
    needles = make_needles(real, prose, 4, tokens=200, seed=91)
    best = read_table(STUDY, "heads").sort_values("copy", ascending=False).head(10)
    heads = by_layer([(int(row.layer), int(row.head)) for row in best.itertuples()])
    whole, without = ask(real, needles), ask(real, needles, KnockOut(heads))
    assert 8 < np.exp(whole.prose[:, 0].sum() / whole.prose[:, 1].sum()) < 60
    assert (without.nats - whole.nats).min() > 3
