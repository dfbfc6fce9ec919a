"""Attention redundancy: probes against least squares, heads against attention weights, R where it is known."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import cogfit
from cogfit import cli
from cogfit.errors import InputError
from theory.redundancy import language_model
from theory.redundancy.equations import RIDGES, Factored, NormalEquations, choose_ridges
from theory.redundancy.language_model import Language, train_language
from theory.redundancy.models import BYTES, LanguageModel, byte_level, load_language_model
from theory.redundancy.probes import find_sites, measure, watching
from theory.redundancy.tables import TYPES, bands, over_training, ratio, read_recorded, rows_of, type_of
from theory.redundancy.texts import LEAST, read_texts, standard_library

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

NO_TOKENS = {"bos_token_id": 0, "eos_token_id": 0}
TINY = {"vocab_size": 256, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, **NO_TOKENS}
FED = {"intermediate_size": 24, "max_position_embeddings": 32}


def gpt2(**changes: Any) -> Any:
    fields = {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 256, "n_positions": 32, **NO_TOKENS, **changes}
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**fields)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # attention of random weights is all but uniform; this one is not
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def llama() -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**TINY, **FED, num_key_value_heads=2, initializer_range=0.3)
    return transformers.LlamaForCausalLM(config).eval()


def neox() -> Any:
    torch.manual_seed(0)
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**TINY, **FED, initializer_range=0.3)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty texts of unequal length."""
    out = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "x1", "42", "7", "(", ")", "=", "\n", "é"]
    for i in range(30):
        text = " ".join(rng.choice(words, rng.integers(30, 120)))
        (out / f"{i}.txt").write_text(text, encoding="utf-8")
    return out


# ------------------------------------------------------------------------------------------------------ probes


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**20))
@settings(max_examples=25)
def test_streamed_equations_are_least_squares(sizes: list[int], seed: int) -> None:
    """Against numpy's lstsq with the ridge as further rows; means are large, so that digits are at stake."""
    rng, n = np.random.default_rng(seed), sum(sizes)
    x = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + 1e4
    y = x @ rng.normal(size=(3, 2)) + rng.normal(size=(n, 2))
    equations = NormalEquations(3, 2)
    for part in np.split(np.arange(n), np.cumsum(sizes)[:-1]):
        equations.add(torch.tensor(x[part]), torch.tensor(y[part]))
    ridge = 0.01
    probe = equations.solve(ridge)
    spread = np.where(x.std(0) > 1e-9, x.std(0), 1.0)
    rows = np.vstack([(x - x.mean(0)) / spread, np.sqrt(n * ridge) * np.eye(3)])
    weight = np.linalg.lstsq(rows, np.vstack([y - y.mean(0), np.zeros((3, 2))]), rcond=None)[0]
    expected = y.mean(0) + (x - x.mean(0)) / spread @ weight
    np.testing.assert_allclose(probe(torch.tensor(x)).numpy(), expected, rtol=0, atol=1e-5)


def halves(seed: int, n: int, inputs: int = 6, outputs: int = 4) -> tuple[list[NormalEquations], list[np.ndarray]]:
    """Moments of two halves of data with strong and weak laws, and the data."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n, inputs)) @ rng.normal(size=(inputs, inputs)) + 5
    y = x @ rng.normal(size=(inputs, outputs)) * np.array([1, 0.1, 0.01, 0])[:outputs] + rng.normal(
        size=(2 * n, outputs)
    )
    parts = [NormalEquations(inputs, outputs), NormalEquations(inputs, outputs)]
    for part, rows in zip(parts, (slice(0, n), slice(n, 2 * n)), strict=True):
        part.add(torch.tensor(x[rows]), torch.tensor(y[rows]))
    return parts, [x, y]


@given(st.integers(0, 2**20), st.integers(8, 40), st.floats(-6, 2))
@settings(max_examples=8)
def test_errors_and_probes_from_moments_are_those_from_data(seed: int, n: int, power: float) -> None:
    (fitted, held_out), (x, y) = halves(seed, n)
    probe = fitted.solve(10.0**power)
    factored = Factored(fitted).solve(10.0**power)
    np.testing.assert_allclose(factored.weight, probe.weight, rtol=1e-6, atol=1e-8)
    direct = ((y[n:] - probe(torch.tensor(x[n:])).numpy()) ** 2).sum(0)
    np.testing.assert_allclose(held_out.squared_errors(probe), direct, rtol=1e-8)
    fitted.merge(held_out)
    whole = NormalEquations(6, 4)
    whole.add(torch.tensor(x), torch.tensor(y))
    for name in ("x", "y", "xx", "xy", "yy"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(whole, name), rtol=1e-9, atol=1e-9)


def test_each_unit_gets_the_ridge_that_errs_least_on_held_out_data() -> None:
    chosen = set()
    for seed in range(6):
        (fitted, held_out), (x, y) = halves(seed, 12)
        units = torch.tensor([0, 1, 1, 2])
        by_unit, by_output = choose_ridges(fitted, held_out, units)
        assert torch.equal(by_output, by_unit[units])
        errors = np.stack([((y[12:] - fitted.solve(r)(torch.tensor(x[12:])).numpy()) ** 2).sum(0) for r in RIDGES])
        for unit, columns in enumerate(([0], [1, 2], [3])):
            assert by_unit[unit] == RIDGES[int(errors[:, columns].sum(1).argmin())]
        mixed = fitted.solve(by_output).weight
        for column, ridge in enumerate(by_output.tolist()):
            np.testing.assert_allclose(mixed[:, column], fitted.solve(ridge).weight[:, column], atol=1e-8)
        chosen |= set(by_unit.tolist())
    assert len(chosen) > 3  # a law and noise want different ones


def test_moments_do_not_grow_with_tokens() -> None:
    equations = NormalEquations(4, 3)
    sizes = []
    for _ in range(3):
        equations.add(torch.randn(500, 4), torch.randn(500, 3))
        sizes.append(sum(value.numel() for value in vars(equations).values() if isinstance(value, Tensor)))
    assert len(set(sizes)) == 1
    assert equations.n == 1500


# ------------------------------------------------------------------------------------------------- known cases


class KnownAttention(nn.Module):
    """Puts out a constant, plus noise that knows nothing of the input, plus a linear function of it."""

    def __init__(self, width: int, noise: float, linear: float) -> None:
        super().__init__()
        self.o_proj = nn.Linear(width, width, bias=False)
        self.noise, self.linear = noise, linear
        nn.init.eye_(self.o_proj.weight)

    def forward(self, hidden_states: Tensor) -> Tensor:
        noise = self.noise * torch.randn_like(hidden_states)
        return self.o_proj(3.0 + noise + self.linear * hidden_states.flip(-1))


class Known(nn.Module):
    """A language model around it, as far as it is measured."""

    def __init__(self, noise: float, linear: float, width: int = 64, *, fresh: bool = False) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_attention_heads=4)
        self.fresh = fresh  # a vector of its own for every token, so that no direction is rare
        self.embedding = nn.Embedding(256, width)
        self.layers = nn.ModuleList([nn.Sequential(KnownAttention(width, noise, linear))])

    def forward(self, input_ids: Tensor, use_cache: bool) -> SimpleNamespace:
        x = self.embedding(input_ids)
        x = torch.randn_like(x) if self.fresh else x
        return SimpleNamespace(logits=self.layers[0](x)[..., :1].expand(*input_ids.shape, 256))


def known(folder: Path, noise: float, linear: float) -> pd.DataFrame:
    torch.manual_seed(0)
    model = LanguageModel("known", Known(noise, linear), list, BYTES, 32)
    return measure(model, read_texts(folder), tokens=600).table()


def test_a_linear_map_is_fully_redundant(folder: Path) -> None:
    table = known(folder, noise=0.0, linear=1.0)
    assert (table["r"] > 0.999).all()
    assert (table["share"] == 1).all()
    assert (table["r2"] > 0.999).all()


def test_of_noise_nothing_is_foretold_but_its_mean_makes_r_high(folder: Path) -> None:
    table = known(folder, noise=1.0, linear=0.0)
    whole = rows_of(table, "layer").iloc[0]
    assert -0.5 < whole["r2"] < 0.02
    expected = 1 - np.sqrt(1 / (9 + 1))  # ‖a − ā‖/‖a‖ with a mean of 3 and a deviation of 1 in every direction
    assert whole["r_constant"] == pytest.approx(expected, abs=0.02)
    assert whole["r"] < whole["r_constant"]
    small = rows_of(known(folder, noise=0.5, linear=0.0), "layer").iloc[0]
    assert small["share"] > 0.8  # "redundant" operations of which no input explains anything
    assert small["r2"] < 0.02


def test_a_chosen_ridge_keeps_short_texts_from_over_fitting_and_says_what_is_missing(folder: Path) -> None:
    """A linear teacher whose R is known: a constant, a linear function of the input, and noise."""
    texts = read_texts(folder).halved()

    def teacher(linear: float) -> LanguageModel:
        torch.manual_seed(0)
        return LanguageModel("known", Known(noise=1.0, linear=linear, fresh=True), list, BYTES, 32)

    # a weak law and few tokens: all but no ridge is worse than to know nothing
    fixed, chosen = (measure(teacher(0.3), texts, fit_documents=2, tokens=80, ridge=ridge) for ridge in (1e-6, None))
    r_fixed, r_chosen = (rows_of(found.table(), "layer").iloc[0] for found in (fixed, chosen))
    assert r_fixed["r2"] < -0.2
    assert r_chosen["r2"] > -0.05
    assert any("R lies below that of a constant in layer 1" in warning for warning in fixed.warnings())
    assert any("R² lies below 0" in warning for warning in fixed.warnings())
    assert not any("constant" in warning for warning in chosen.warnings())
    assert "2.5 tokens per input" in chosen.warnings()[0]
    # a strong law: R grows with the text, towards what is known
    noise, signal = torch.randn(4000, 64), torch.randn(4000, 64) + 3
    truth = float((1 - noise.norm(dim=1) / (noise + signal).norm(dim=1)).mean())
    found = measure(teacher(1.0), texts, tokens=600, halvings=3)
    points = found.learning_curve()
    assert [point["documents"] for point in points] == [1, 3, 7, 15]
    assert all(before["r"] < after["r"] for before, after in itertools.pairwise(points))
    assert points[-1]["r"] == pytest.approx(rows_of(found.table(), "layer").iloc[0]["r"], abs=1e-9)
    limit = found.limit()
    assert limit is not None
    assert points[0]["r"] < truth - 0.02
    assert limit[0] == pytest.approx(truth, abs=0.01)
    assert found.to_json()["limit"]["estimate"] == limit[0]


def test_a_document_without_tokens_counts_for_nothing(folder: Path) -> None:
    texts, model = read_texts(folder), gpt2()
    empty = {texts.measured[1].read(), texts.fitted[0].read()}
    reader = LanguageModel("m", model, lambda content: [] if content in empty else list(content), BYTES, 32)
    found = measure(reader, texts, tokens=64)
    assert found.sums[1].sum() == 0
    assert found.losses[1].sum() == 0
    assert rows_of(found.table(), "layer")["n"].item() == 2 * sum(
        len(document.read()[:64]) for document in texts.measured if document.read() not in empty
    )


def test_layers_are_measured_alone_as_among_all(folder: Path) -> None:
    model, texts = byte_level(gpt2()), read_texts(folder)
    every, second = (measure(model, texts, tokens=64, layers=layers).table() for layers in (None, (2,)))
    of_second = every[every["layer"] == 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(second[second["layer"] == 2].reset_index(drop=True), of_second)
    later = rows_of(every, "layer", tokens="later")["n"].item()
    assert later == every.query("unit == 'layer' and layer == 0 and tokens not in ('all', 'later', 'first')")["n"].sum()
    with pytest.raises(InputError, match="there is no layer 3"):
        measure(model, texts, layers=(1, 3))


def test_a_token_that_attends_to_itself_only_is_linear_in_the_normed_state(folder: Path) -> None:
    model, texts = byte_level(gpt2()), read_texts(folder)
    alone = LanguageModel("alone", model.module, list, BYTES, context=1)
    normed = measure(alone, texts, ridge=1e-12, probe_input="attention")
    assert (normed.table()["r"] > 1 - 1e-4).all()
    assert set(normed.table()["tokens"]) == {"all", "first"}
    assert normed.to_json()["loss"] is None  # there is no next token in a window of one
    stream = measure(alone, texts, ridge=1e-12)
    assert rows_of(stream.table(), "layer")["r"].item() < 1 - 1e-3  # the norm is no linear map


# ------------------------------------------------------------------------------------------------------- hooks


@pytest.mark.parametrize("make", [gpt2, llama, neox])
def test_heads_are_attention_weights_times_values(make: Callable[[], Any]) -> None:
    model = make()
    model.set_attn_implementation("eager")
    seen: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    normed: list[Tensor] = []
    sites = find_sites(model)
    ids = torch.randint(0, 256, (3, 20))
    with torch.no_grad():
        with watching(sites, lambda i, *tensors: seen.__setitem__(i, tensors)):
            output = model(input_ids=ids, output_attentions=True, output_hidden_states=True, use_cache=False)
        with watching(sites, lambda i, x, z, a: normed.append(x), "attention"):
            model(input_ids=ids, use_cache=False)
    for i, site in enumerate(sites):
        x, z, a = seen[i]
        attention: Any = site.attention
        torch.testing.assert_close(x, output.hidden_states[i].flatten(0, 1))
        norm: Any = next(module for name, module in site.block.named_children() if name in ("ln_1", "input_layernorm"))
        torch.testing.assert_close(norm(x), normed[i])
        if make is gpt2:
            values = attention.c_attn(normed[i])[:, 32:].view(3, 20, 4, 4)
        elif make is llama:
            values = attention.v_proj(normed[i]).view(3, 20, 2, 4).repeat_interleave(2, 2)  # two heads share values
        else:
            values = attention.query_key_value(normed[i]).view(3, 20, 4, 12)[..., 8:]
        expected = torch.einsum("bhts,bshd->bthd", output.attentions[i], values)
        torch.testing.assert_close(z.view(3, 20, 4, 4), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(site.projection(expected.flatten(2)).flatten(0, 1), a, atol=1e-5, rtol=1e-4)
        assert z.std() > 0.05


@pytest.mark.parametrize(
    ("kind", "changes", "width"),
    [
        ("Bloom", {"n_layer": 2, "n_head": 4}, 16),  # adds the residual within its attention
        ("Gemma", {"head_dim": 8, "num_key_value_heads": 2}, 32),  # heads wider than their share of the state
        ("GPTNeo", {"num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]}, 16),  # nested attention
    ],
)
def test_other_families_are_recognised(kind: str, changes: dict[str, Any], width: int) -> None:
    config = getattr(transformers, f"{kind}Config")(**TINY | FED | {"pad_token_id": 0} | changes)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    sites = find_sites(model)
    assert [site.heads for site in sites] == [4, 4]
    with torch.no_grad(), watching(sites, lambda i, *tensors: seen.append(tensors)):
        model(input_ids=torch.zeros((2, 5), dtype=torch.long), use_cache=False)
    for (_, z, a), site in zip(seen, sites, strict=True):
        assert z.shape == (10, width)
        torch.testing.assert_close(site.projection(z), a)


def test_models_that_are_not_understood_are_refused() -> None:
    t5 = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=16)
    with pytest.raises(InputError, match="attends to another text"):
        find_sites(transformers.T5ForConditionalGeneration(t5))
    with pytest.raises(InputError, match="how many heads"):
        find_sites(nn.Linear(2, 2))
    bare = Known(0.0, 1.0)
    bare.layers = nn.ModuleList([nn.Linear(64, 64)])
    with pytest.raises(InputError, match="no attention that is recognised"):
        find_sites(bare)


# --------------------------------------------------------------------------------------------------- measuring


def test_measure_is_what_its_definition_says(folder: Path) -> None:
    """Against whole documents at once, numpy's lstsq and plain loops; windows of 32 that the texts do not fill."""
    model, texts = gpt2(), read_texts(folder)
    found = measure(byte_level(model), texts, ridge=1e-12, tokens=200)
    sites = find_sites(model)

    def states(documents: Any) -> list[list[tuple[np.ndarray, np.ndarray, list[bool]]]]:
        out = []
        for document in documents:
            content = list(document.read())[:200]
            mine: list[list[Any]] = [[], []]
            for start in range(0, len(content), 32):
                with torch.no_grad(), watching(sites, lambda i, x, z, a, mine=mine: mine[i].append((x, z))):
                    model(input_ids=torch.tensor([content[start : start + 32]]))
            first = [i % 32 == 0 for i in range(len(content))]
            out.append([(*(torch.cat(part).double().numpy() for part in zip(*m, strict=True)), first) for m in mine])
        return out

    fit, held = states(texts.fitted), states(texts.measured)
    for layer in (0, 1):
        x, z = (np.concatenate([document[layer][j] for document in fit]) for j in (0, 1))
        x = np.column_stack([x, np.ones(len(x))])
        weight = np.linalg.lstsq(x, z, rcond=None)[0]
        for head in range(4):
            columns = slice(4 * head, 4 * head + 4)
            r, first, errors, spread = [], [], 0.0, 0.0
            for document in held:
                x_new, z_new, is_first = document[layer]
                predicted = np.column_stack([x_new, np.ones(len(x_new))]) @ weight[:, columns]
                error = np.linalg.norm(z_new[:, columns] - predicted, axis=1)
                r += list(1 - error / np.linalg.norm(z_new[:, columns], axis=1))
                first += is_first
                errors += (error**2).sum()
                spread += ((z_new[:, columns] - z[:, columns].mean(0)) ** 2).sum()
            table = found.table()
            row = table[(table["layer"] == layer + 1) & (table["head"] == head + 1)].set_index("tokens")
            assert row.loc["all", "n"] == len(r)
            assert row.loc["all", "r"] == pytest.approx(np.mean(r), abs=1e-4)
            assert row.loc["all", "share"] == pytest.approx(np.mean(np.array(r) > 0.8), abs=2 / len(r))
            assert row.loc["all", "r2"] == pytest.approx(1 - errors / spread, abs=1e-4)
            assert row.loc["first", "r"] == pytest.approx(np.mean(np.array(r)[first]), abs=1e-4)
    whole = rows_of(table, "head").iloc[0]
    each = rows_of(table, "head", each=True)
    assert whole["r"] == pytest.approx(each["r"].mean(), rel=1e-9)  # as many tokens in each
    assert sum(bands(table).values()) == pytest.approx(1)


def test_intervals_are_cluster_robust_with_documents_for_clusters() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    sizes = rng.integers(5, 50, 12)
    groups = np.repeat(np.arange(12), sizes)
    values = rng.normal(size=sizes.sum()) + rng.normal(size=12)[groups]
    fit = sm.OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    found = ratio(np.bincount(groups, values), sizes.astype(float), 0.9)
    np.testing.assert_allclose(found, [fit.params[0], *fit.conf_int(0.1)[0]], rtol=1e-9)


def test_kinds_of_tokens_add_up_and_are_those_of_the_text(folder: Path) -> None:
    texts = read_texts(folder)
    table = measure(byte_level(gpt2()), texts, tokens=64).table()
    rows = table[(table["unit"] == "layer") & (table["layer"] == 1)].set_index("tokens")["n"]
    expected = dict.fromkeys(TYPES, 0)
    for document in texts.measured:
        for i, byte in enumerate(document.read()[:64]):
            expected["first" if i % 32 == 0 else type_of(BYTES[byte])] += 1
    assert {kind: rows[kind] for kind in TYPES if expected[kind]} == {k: n for k, n in expected.items() if n}
    assert rows["all"] == sum(expected.values())


def test_too_little_text_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need 32 tokens or more"):
        measure(byte_level(gpt2()), read_texts(folder), documents=2, tokens=10)
    (tmp_path / "short.txt").write_text("x" * (9 * LEAST))
    with pytest.raises(InputError, match="holds 9 documents"):
        read_texts(tmp_path / "short.txt")
    with pytest.raises(InputError, match="neither file nor folder"):
        read_texts(tmp_path / "nothing")


# ------------------------------------------------------------------------------------------------------- texts


def test_no_document_is_in_two_parts(folder: Path) -> None:
    for texts in (standard_library(), read_texts(folder)):
        parts = [set(part) for part in (texts.training, texts.fitted, texts.measured)]
        assert set.union(*parts) == set(texts.documents)
        assert sum(map(len, parts)) == len(texts.documents)
    assert read_texts(folder).describe() == read_texts(folder).describe()


def test_a_file_is_cut_into_stretches_that_make_it_up(tmp_path: Path) -> None:
    content = bytes(np.random.default_rng(0).integers(32, 127, 70_001).tolist())
    (tmp_path / "one.txt").write_bytes(content)
    documents = read_texts(tmp_path / "one.txt").documents
    assert len(documents) == 100
    assert b"".join(d.read() for d in sorted(documents, key=lambda d: d.start)) == content


def test_hidden_and_binary_files_are_left_out(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / ".hidden").write_text("x" * 100)
    (copy / "binary.dat").write_bytes(b"\0" * 100)
    assert read_texts(copy).describe()["sha256"] == read_texts(folder).describe()["sha256"]
    (copy / "0.txt").write_text("y" * 100)
    assert read_texts(copy).describe()["sha256"] != read_texts(folder).describe()["sha256"]


# ----------------------------------------------------------------------------------------------------- folders


def test_a_saved_model_measures_as_the_model_itself(folder: Path, tmp_path: Path) -> None:
    model = gpt2()
    model.save_pretrained(tmp_path / "m")
    loaded = load_language_model(tmp_path / "m")
    assert loaded.pieces == BYTES
    expected = measure(byte_level(model), read_texts(folder), tokens=64)
    np.testing.assert_allclose(measure(loaded, read_texts(folder), tokens=64).sums, expected.sums, rtol=1e-9)
    assert not model.training


def test_a_tokenizer_in_the_folder_is_used(folder: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<unk>": 0, "alpha": 1, "42": 2, "(": 3, "beta": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(tmp_path)
    gpt2(vocab_size=8).save_pretrained(tmp_path)
    loaded = load_language_model(tmp_path, context=16)
    assert loaded.context == 16
    assert list(loaded.encode(b"beta 42 (")) == [4, 2, 3]
    assert [type_of(piece) for piece in loaded.pieces[1:4]] == ["word", "number", "punctuation"]
    assert len(measure(loaded, read_texts(folder)).table())


def test_pickled_missing_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is downloaded"):
        load_language_model("gpt2")
    with pytest.raises(InputError, match="no config.json"):
        load_language_model(tmp_path)
    gpt2().config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds no weights"):
        load_language_model(tmp_path)

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the pickle was opened",))

    torch.save({"x": Bomb()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled weights \(pytorch_model.bin\)"):
        load_language_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_language_model(tmp_path)


# ---------------------------------------------------------------------------------------------------- training

SMALL = Language(
    layers=1, heads=2, d_model=16, context=16, steps=24, batch=8, warm_up=4, rate=1e-2, checkpoint_every=3,
    documents=4, tokens=64,
)  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def test_a_run_that_was_stopped_ends_with_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    texts = read_texts(folder)
    table, loss = train_language(SMALL, tmp_path / "whole", texts=texts, device="cpu")
    assert loss["step"].tolist() == [0, 10, 20, 24]
    assert loss["loss"].iloc[-1] < loss["loss"].iloc[0] - 0.3
    assert loss["loss"].iloc[0] == pytest.approx(np.log(256), abs=0.1)

    class Stopped(Exception):
        pass

    for stop in (1, 11, 19):  # before the first checkpoint, just after a measurement, between checkpoints

        def watch(done: int, total: int, found: object, stop: int = stop) -> None:
            if done == stop:
                raise Stopped

        with pytest.raises(Stopped):
            train_language(SMALL, tmp_path / "parts", texts=texts, device="cpu", watch=watch)
        with pytest.raises(InputError, match="holds no finished run"):
            read_recorded(tmp_path / "parts")
    train_language(SMALL, tmp_path / "parts", texts=texts, device="cpu")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    again, _ = train_language(SMALL, tmp_path / "whole", texts=texts, watch=lambda *_: pytest.fail("trained again"))
    pd.testing.assert_frame_equal(again, table)
    assert len(over_training(table, loss)) == 5
    loaded = load_language_model(tmp_path / "whole")
    last = measure(loaded, texts, documents=4, tokens=64, ridge=SMALL.ridge).table()
    recorded = table[table["step"] == 24].drop(columns="step").reset_index(drop=True)
    pd.testing.assert_frame_equal(recorded, last, rtol=1e-4, check_dtype=False)  # a column of zeros is read as integers
    with pytest.raises(InputError, match="other settings or texts"):
        train_language(SMALL.model_copy(update={"seed": 1}), tmp_path / "whole", texts=texts)
    with pytest.raises(InputError, match="is not empty"):
        train_language(SMALL, folder, texts=texts)


@pytest.mark.parametrize("name", ["redundancy.csv", "loss.csv"])
def test_a_run_without_its_measurements_does_not_go_on(folder: Path, tmp_path: Path, name: str) -> None:
    class Stopped(Exception):
        pass

    def watch(done: int, total: int, found: object) -> None:
        if done == 12:
            raise Stopped

    texts = read_texts(folder)
    with pytest.raises(Stopped):
        train_language(SMALL, tmp_path, texts=texts, device="cpu", watch=watch)
    lines = (tmp_path / name).read_text().splitlines(keepends=True)
    for kept in (None, [], lines[:1], [line for line in lines if not line.startswith("10,")], ["x\n", "1\n"]):
        (tmp_path / name).unlink(missing_ok=True)
        if kept is not None:
            (tmp_path / name).write_text("".join(kept))
        with pytest.raises(InputError, match=f"{name}: is damaged: measurements before the checkpoint at step 12"):
            train_language(SMALL, tmp_path, texts=texts, device="cpu")


def test_training_that_diverges_or_cannot_start_is_not_finished(folder: Path, tmp_path: Path) -> None:
    texts = read_texts(folder)
    with pytest.raises(InputError, match="run: training diverged at step .* lower rate, and name another folder"):
        train_language(SMALL.model_copy(update={"rate": 1e30}), tmp_path / "run", texts=texts, device="cpu")
    with pytest.raises(InputError, match="holds no finished run"):
        read_recorded(tmp_path / "run")
    with pytest.raises(InputError, match="bytes to train on"):
        train_language(SMALL.model_copy(update={"context": 10**8}), tmp_path / "other", texts=texts, device="cpu")
    assert not (tmp_path / "other").exists()


def test_training_sees_its_own_part_only(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = read_texts(folder)
    seen: list[np.ndarray] = []
    monkeypatch.setattr(language_model, "_windows", lambda data, *_: seen.append(data) or np.zeros((1, 16), np.int64))
    train_language(SMALL.model_copy(update={"steps": 1}), tmp_path / "run", texts=texts, device="cpu")
    assert seen[0].tobytes() == b"\n".join(document.read() for document in texts.training)


# ----------------------------------------------------------------------------------------------------- command


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["theory", "redundancy", *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out, err


def test_the_recorded_run_is_shown_as_table_and_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "--json", tmp_path / "r.json", "--plot", tmp_path / "r.png")
    assert code == 0
    assert "0 (random)" in out
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["schema"] == "theory.redundancy/1"
    assert {row["step"] for row in document["table"]} == {row["step"] for row in document["loss"]}
    assert (tmp_path / "r.png").stat().st_size > 1000
    code, out, _ = run(capfd, "--markdown")
    assert out.splitlines()[1].startswith("| ---:")


def test_a_folder_is_measured(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gpt2().save_pretrained(tmp_path / "m")
    capfd.readouterr()
    options = ("--text", folder, "--tokens", 64, "--device", "cpu")
    code, out, err = run(capfd, tmp_path / "m", *options)
    assert (code, err) == (0, "")
    assert "tokens × heads" in out
    assert "head 2.4" in out
    code, out, _ = run(capfd, tmp_path / "m", *options, "--json", "-", "--input", "attention")
    document = json.loads(out)
    assert document["probe"]["input"] == "attention"
    assert document["measured"]["documents"] == 15  # half of thirty: the model has seen none of them
    assert document["sinks"] is None  # no window has more than 64 tokens
    assert len(document["probe"]["ridges"]) == 2
    code, out, _ = run(capfd, tmp_path / "m", *options, "--layers", "2", "--ridge", "1e-3", "--json", "-")
    document = json.loads(out)
    assert document["layers"] == [2]
    assert document["probe"]["ridges"] == [[1e-3] * 5]
    assert {row["layer"] for row in document["table"]} == {0, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt2-is-not-here"], "fetch a model first"),
        (["--train", "."], "leave MODEL out"),
        (["--set", "steps=3"], "--set is for --train"),
        (["--train", "--set", "stps=3"], "did you mean 'steps'"),
        (["--input", "embedding"], "use layer or attention"),
        ([".", "--layers", "one"], "'one' is no number or range"),
        ([".", "--ridge", "0"], "the ridge is 0"),
        (["."], "no config.json"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_damaged_tables_of_a_recorded_run_are_named(
    tmp_path: Path, damaged_bytes: Callable[..., Iterator[bytes]]
) -> None:
    source = next(path.parent for path in (cogfit.data_dir() / "runs").rglob("redundancy.csv"))
    folder = Path(shutil.copytree(source, tmp_path / "run"))
    over_training(*read_recorded(folder))
    for name in ("redundancy.csv", "loss.csv"):
        content = (folder / name).read_bytes()
        head = content.split(b"\n")[0] + b"\n"
        for damaged in (*damaged_bytes(content, count=8), content.replace(b"0.", b"x."), b"step\n1\n", head):
            (folder / name).write_bytes(damaged)
            with suppress(InputError):
                over_training(*read_recorded(folder))
        (folder / name).write_bytes(content)
