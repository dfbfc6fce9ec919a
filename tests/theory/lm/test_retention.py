"""Gates on an encoder: on a tiny one with random weights, and on made-up answers."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cogfit import cli
from cogfit.errors import InputError
from theory.lm import retention_study
from theory.lm.encoder import Encoder, check_encoder, load_encoder
from theory.lm.retention import (
    RetentionGates,
    RetentionSizes,
    fit_classifier,
    keep_all,
    keep_attended,
    keep_random,
    make_task,
    section_of,
    top,
    train_gates,
)
from theory.lm.retention_records import COLUMNS, accuracies, by_layer, headlines, read_study, read_table, shown_tables
from theory.lm.retention_study import run_retention, units_of
from theory.redundancy.texts import read_texts

transformers = pytest.importorskip("transformers")

SIZES = RetentionSizes(tokens=18, passages=4, seeds=2, epochs=2, batch=8, rate=1e-2)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=256, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24
    )
    module = transformers.BertModel(config).eval()
    check_encoder(module)
    return Encoder("tiny", module, lambda text: list(text.encode()), (1, 2))


@pytest.fixture(scope="module")
def ids() -> torch.Tensor:
    return torch.randint(3, 256, (5, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def essays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sections with words of their own."""
    out = tmp_path_factory.mktemp("essays")
    rng = np.random.default_rng(0)
    for section, words in {"birds": "raven crow owl", "sea": "shell wave salt", "law": "judge court oath"}.items():
        (out / section).mkdir()
        for i in range(4):
            out.joinpath(section, f"{i}.txt").write_text(
                " ".join(
                    f"{word}{number}" for word, number in zip(rng.choice(words.split(), 40), range(40), strict=True)
                )
            )
    return out


# --------------------------------------------------------------------------------------------------------- encoder


def test_with_all_gates_open_the_pass_is_the_encoders_own(encoder: Encoder, ids: torch.Tensor) -> None:
    module: Any = encoder.module
    with torch.no_grad():
        pooled, gates = encoder.run(encoder.embed(ids), keep_all)
        torch.testing.assert_close(pooled, module(input_ids=ids).last_hidden_state.mean(1), atol=1e-5, rtol=1e-5)
    assert len(gates) == 2


def test_a_token_that_is_left_out_everywhere_might_as_well_be_masked(encoder: Encoder, ids: torch.Tensor) -> None:
    module: Any = encoder.module
    mask = torch.ones(ids.shape, dtype=torch.long)
    mask[:, [3, 7, 8]] = 0
    with torch.no_grad():
        pooled, _ = encoder.run(encoder.embed(ids), lambda number, states: mask.float())
        last = module(input_ids=ids, attention_mask=mask).last_hidden_state
    expected = (last * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_attention_received_is_what_transformers_returns(encoder: Encoder, ids: torch.Tensor) -> None:
    module: Any = encoder.module
    module.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            out = module(input_ids=ids, output_attentions=True, output_hidden_states=True)
    finally:
        module.set_attn_implementation("sdpa")
    for number, weights in enumerate(out.attentions):
        with torch.no_grad():
            received = encoder.attention_received(number, out.hidden_states[number])
        torch.testing.assert_close(received, weights.sum((1, 2)), atol=1e-5, rtol=1e-5)


def test_gates_have_gradients_and_the_encoder_none(encoder: Encoder, ids: torch.Tensor) -> None:
    torch.manual_seed(0)
    gates, probabilities = RetentionGates(encoder, 0.5), list[torch.Tensor]()
    pooled, _ = encoder.run(encoder.embed(ids), partial(gates.sample, probabilities=probabilities))
    pooled.square().sum().backward()  # type: ignore[no-untyped-call]
    for score in gates.scores:
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in score.parameters())
    assert any(bool((p.grad != 0).any()) for p in gates.scores.parameters())
    assert all(p.grad is None for p in encoder.module.parameters())


# -------------------------------------------------------------------------------------------------------- choosing


@given(st.integers(2, 40), st.floats(0.01, 1), st.integers(0, 9))
def test_a_budget_keeps_its_share_rounded_down_and_the_highest(tokens: int, budget: float, seed: int) -> None:
    scores = torch.rand(3, tokens, generator=torch.Generator().manual_seed(seed))
    gates = top(scores, budget)
    kept = max(1, int(budget * tokens + 1e-9))
    assert gates.sum(1).tolist() == [kept] * 3
    for row, gate in zip(scores, gates, strict=True):
        if kept < tokens:
            assert row[gate == 1].min() >= row[gate == 0].max()


@pytest.mark.parametrize("budget", [0.3, 0.5])
def test_every_way_keeps_as_many_tokens(budget: float, encoder: Encoder, ids: torch.Tensor) -> None:
    torch.manual_seed(0)
    ways = {
        "attention": partial(keep_attended, encoder, budget),
        "random": partial(keep_random, torch.Generator().manual_seed(0), budget),
        "gates": RetentionGates(encoder, budget).keep_top,
    }
    chosen = {}
    for name, way in ways.items():
        with torch.no_grad():
            _, gates = encoder.run(encoder.embed(ids), way)
        assert all(gate.sum(1).tolist() == [int(budget * 12)] * 5 for gate in gates), name
        chosen[name] = torch.stack(gates)
    assert not torch.equal(chosen["random"][0], chosen["random"][1])  # other tokens in every layer
    assert not torch.equal(chosen["random"], chosen["attention"])


def test_multipliers_rise_above_the_budget_and_fall_below_it(encoder: Encoder) -> None:
    gates = RetentionGates(encoder, 0.5)
    gates.raise_multipliers([torch.full((2, 4), 0.9), torch.full((2, 4), 0.2)], 0.1)
    assert gates.multipliers.tolist() == pytest.approx([0.04, 0.0])
    assert float(gates.cost([torch.full((2, 4), 0.9), torch.full((2, 4), 0.9)])) == pytest.approx(0.04 * 0.4)
    gates.raise_multipliers([torch.full((2, 4), 0.2), torch.full((2, 4), 0.2)], 0.1)
    assert gates.multipliers.tolist() == pytest.approx([0.01, 0.0])


def test_training_pushes_retention_towards_a_small_budget(encoder: Encoder, essays: Path) -> None:
    task = make_task(encoder, read_texts(essays), SIZES)
    sizes = RetentionSizes(**{**SIZES.__dict__, "dual_rate": 3.0, "epochs": 4})
    trained = train_gates(encoder, task.trained, len(task.sections), 0.1, sizes, seed=0)
    torch.manual_seed(0)
    fresh = RetentionGates(encoder, 0.1)
    states = encoder.embed(task.judged.ids)
    with torch.no_grad():
        after, before = (float(gates.scores[0](states).sigmoid().mean()) for gates in (trained, fresh))
    assert after < before - 0.1
    assert float(trained.multipliers.min()) > 0


def test_the_classifier_is_the_regression_that_statsmodels_fits() -> None:
    """Without a ridge; the most probable class is compared."""
    statsmodels = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = (x @ rng.normal(size=(3, 3)) + rng.gumbel(size=(300, 3))).argmax(1)
    expected = np.asarray(statsmodels.MNLogit(y, statsmodels.add_constant(x)).fit(disp=0).predict()).argmax(1)
    classify = fit_classifier(torch.from_numpy(x).float(), torch.from_numpy(y), 3, 0.0)
    assert (classify(torch.from_numpy(x).float()).numpy() == expected).mean() > 0.99


# ------------------------------------------------------------------------------------------------------------ task


def test_of_each_page_every_other_passage_is_judged_and_none_is_in_both(encoder: Encoder, essays: Path) -> None:
    task = make_task(encoder, read_texts(essays), SIZES)
    assert task.sections == ("birds", "law", "sea")
    assert set(task.trained.pages) == set(task.judged.pages)
    both = {tuple(row) for row in task.trained.ids.tolist()} & {tuple(row) for row in task.judged.ids.tolist()}
    assert not both
    for part in (task.trained, task.judged):
        assert part.ids.shape[1] == SIZES.tokens
        assert (part.ids[:, 0] == 1).all()
        assert (part.ids[:, -1] == 2).all()
        for label, page in zip(part.labels.tolist(), part.pages, strict=True):
            assert task.sections[label] == section_of(page)


def test_texts_without_sections_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    for i in range(12):
        tmp_path.joinpath(f"{i}.txt").write_text("a raven " * 30)
    with pytest.raises(InputError, match="0 sections"):
        make_task(encoder, read_texts(tmp_path), SIZES)


# ----------------------------------------------------------------------------------------------------------- study


@pytest.fixture(scope="module")
def folder(encoder: Encoder, essays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "retention"
    document = run_retention(encoder, read_texts(essays), out, digest="d" * 64, sizes=SIZES)
    assert list(document["units"]) == [unit.id for unit in units_of(SIZES)]
    return out


def test_a_study_that_was_stopped_goes_on_and_nothing_is_counted_twice(
    folder: Path, encoder: Encoder, essays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = read_texts(essays)
    part = Path(shutil.copytree(folder, tmp_path / "part"))
    document = json.loads((part / "run.json").read_text())
    for unit in ("random-0.5-1", "gates-0.3-1"):  # their rows are left in the tables, as a stop would leave them
        del document["units"][unit]
    (part / "run.json").write_text(json.dumps({**document, "status": "running"}))
    with pytest.raises(InputError, match="is not finished"):
        read_study(part)
    run_retention(encoder, texts, part, digest="d" * 64, sizes=SIZES)
    for name, keys in (("answers", ["way", "budget", "seed", "page"]), ("layers", ["budget", "seed", "layer"])):
        one, other = (read_table(place, name).sort_values(keys, ignore_index=True) for place in (folder, part))
        pd.testing.assert_frame_equal(one, other)
    monkeypatch.setattr(retention_study, "make_task", lambda *_: pytest.fail("made again"))
    assert run_retention(encoder, texts, part, digest="d" * 64, sizes=SIZES) == read_study(part)
    with pytest.raises(InputError, match="another model"):
        run_retention(encoder, texts, part, digest="e" * 64, sizes=SIZES)


def test_tables_are_described_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = read_study(folder)
    assert {entry["path"] for entry in document["files"]} == {path.name for path in folder.iterdir()} - {"run.json"}
    for entry in document["files"]:
        assert {column["name"] for column in entry["columns"]} <= set(COLUMNS)
    for title, (header, *rows) in shown_tables(folder):
        assert rows, title
        assert {len(row) for row in rows} == {len(header)}, title
    assert cli.main(["theory", "lm", "budgets", str(folder), "--markdown"]) == 0
    assert "| gates |" in capsys.readouterr().out
    assert cli.main(["theory", "lm", "budgets", str(folder), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"].keys() == headlines(folder).keys()


def test_accuracies_are_shares_of_passages_with_pages_as_units() -> None:
    rng, rows = np.random.default_rng(0), []
    for page in range(20):
        for way, budget, seeds, p in (
            ("full", 1.0, [-1], 0.8),
            ("gates", 0.5, [0, 1], 0.6),
            ("random", 0.5, [0, 1], 0.4),
        ):
            for seed in seeds:
                right = int(rng.binomial(4, p))
                rows.append(
                    {"way": way, "budget": budget, "seed": seed, "page": str(page), "passages": 4, "correct": right}
                )
    answers = pd.DataFrame(rows)
    table = accuracies(answers).set_index("way")
    for way, part in answers.groupby("way"):
        row = table.loc[str(way)]
        assert row["accuracy"] == pytest.approx(part["correct"].sum() / part["passages"].sum())
        assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
        assert row["of_full"] == pytest.approx(row["accuracy"] / table.loc["full", "accuracy"])
    assert table.loc["gates", "above_random"] == pytest.approx(
        table.loc["gates", "accuracy"] - table.loc["random", "accuracy"]
    )
    assert table.loc["full", "of_full_low"] == table.loc["full", "of_full_high"] == 1
    with pytest.raises(InputError, match="no answers of random"):
        accuracies(answers[answers["way"] != "random"])


def test_retention_by_layer_is_the_mean_over_seeds() -> None:
    layers = pd.DataFrame({"budget": 0.3, "seed": [0, 1], "layer": 1, "expected": [0.2, 0.4], "above_half": [0.0, 0.2]})
    row = by_layer(layers).iloc[0]
    assert (row["expected"], row["expected_low"], row["expected_high"]) == pytest.approx((0.3, 0.2, 0.4))


def test_what_is_no_study_and_no_encoder_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["theory", "lm", "budgets", str(tmp_path)]) == 2
    assert "holds no study of retention" in capsys.readouterr().err
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    for name in ("answers", "layers"):
        (broken / f"{name}.csv").write_bytes(b"a,b\n1,2\n")
        with pytest.raises(InputError, match=rf"{name}\.csv"):
            shown_tables(broken)
        shutil.copy(folder / f"{name}.csv", broken / f"{name}.csv")
    with pytest.raises(InputError, match="holds no encoder"):
        load_encoder(tmp_path)
    with pytest.raises(InputError, match="no encoder of the BERT kind"):
        check_encoder(torch.nn.Linear(2, 2))
