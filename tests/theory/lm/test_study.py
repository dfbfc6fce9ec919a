"""The curve in context, policies on a model, and the study: on a tiny model with random weights."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import cogfit
from cogfit import cli
from cogfit.errors import InputError
from theory.lm import eviction
from theory.lm import study as studies
from theory.lm.attention import Attending, intervening
from theory.lm.eviction import NOT_HERE, PLAYABLE, WINDOW, CopyHeads, Evicting, play_policies
from theory.lm.heads import ask, copy_score, logits_of
from theory.lm.in_context import CONDITIONS, curve_in_context, make_context, read_contexts
from theory.lm.needles import NAMES, WORDS, make_needles
from theory.lm.records import COLUMNS, compare_studies, headlines, read_study, read_table
from theory.lm.shown import shown_tables
from theory.lm.sizes import QUICK, Sizes
from theory.lm.study import run_study
from theory.lm.units import UNITS, Unit
from theory.policies import POLICIES
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import read_texts

Eager = Callable[[LanguageModel, list[int]], list[np.ndarray]]
HEADS = {1: (2,), 2: (1, 6)}

# ------------------------------------------------------------------------------------------------------- in context


@pytest.mark.parametrize("condition", CONDITIONS)
def test_lines_of_a_context_say_what_was_seen_before(condition: str, tiny: LanguageModel) -> None:
    ids, lines = make_context(tiny, condition, 60, np.random.default_rng(0))
    told = [line.split(": ") for line in bytes(ids).decode().splitlines()]
    assert len(told) == len(lines) == 60
    seen: Counter[str] = Counter()
    values: dict[str, set[str]] = {}
    for line, (name, word) in zip(lines, told, strict=True):
        assert (NAMES[line.name], line.exposure) == (name, seen[name])
        assert bytes(ids[line.query : line.query + 2]) == b": "
        assert len(line.words) == line.exposure
        assert len(line.words) + len(line.others) == sum(seen.values())
        for place in line.words:
            assert bytes(ids[: place - 1]).decode().endswith(name)
        seen[name] += 1
        values.setdefault(name, set()).add(word)
        assert word in WORDS
    often = [len(values[name]) for name, count in seen.items() if count > 8]
    assert all(count == 1 for count in often) if condition == "consistent" else min(often) > 3


def test_p_episodic_is_the_attention_of_these_heads_to_earlier_words(tiny: LanguageModel, eager: Eager) -> None:
    log = read_contexts(tiny, HEADS, contexts=1, lines=12, seed=5)
    rng = np.random.default_rng(5)
    for condition in CONDITIONS:
        ids, lines = make_context(tiny, condition, 12, rng)
        weights = eager(tiny, ids)
        rows = log[log["condition"] == condition]
        for line, row in zip(lines, rows.itertuples(), strict=True):
            mine = [weights[layer - 1][head - 1, line.query] for layer, heads in HEADS.items() for head in heads]
            assert row.p_episodic == pytest.approx(np.mean([w[list(line.words)].sum() for w in mine]), abs=1e-5)
            assert row.p_other == pytest.approx(np.mean([w[list(line.others)].sum() for w in mine]), abs=1e-5)
    with pytest.raises(InputError, match="the model reads 700"):
        read_contexts(tiny, HEADS, contexts=1, lines=99)
    with pytest.raises(InputError, match="no heads"):
        read_contexts(tiny, {}, contexts=1)


def test_curves_are_means_over_lines_with_contexts_as_units() -> None:
    rng = np.random.default_rng(0)
    log = pd.DataFrame({"condition": "consistent", "run": np.repeat(list("abcdef"), 20), "step": list(range(20)) * 6})
    log["exposure"] = rng.integers(0, 3, len(log))
    for name in ("p_episodic", "p_other", "correct"):
        log[name] = rng.random(len(log))
    curve = curve_in_context(log)
    for row in curve.itertuples():
        part = log[log["exposure"] == row.exposure]
        assert row.p_episodic == pytest.approx(part["p_episodic"].mean())
        assert row.p_episodic_low < row.p_episodic < row.p_episodic_high
        assert row.n == len(part)
    log.loc[log["step"] < 10, "exposure"] = 7  # what stands in the first half is not looked at
    late = curve_in_context(log, late=True)
    assert late["exposure"].max() < 3
    assert 0 < late["n"].sum() <= 60
    with pytest.raises(InputError, match="fewer than five contexts"):
        curve_in_context(log[log["run"].isin(list("abcd"))])


# --------------------------------------------------------------------------------------------------------- policies


def test_every_policy_runs_here_or_is_listed_with_a_reason(folder: Path, essays: Path, tiny: LanguageModel) -> None:
    known = {system.id for system in POLICIES}
    assert set(PLAYABLE) - {"copy-heads", WINDOW} | set(NOT_HERE) == known
    assert not set(PLAYABLE) & set(NOT_HERE)
    rows = pd.read_csv(folder / "policies.csv").to_dict("records")
    assert [row["policy"] for row in rows] == ["full", *[name for name in PLAYABLE if name not in ("full", WINDOW)] * 2]
    prose = [list(d.read()) for d in read_texts(essays).halved().measured]
    needles = make_needles(tiny, prose, 5, tokens=64, facts=2, seed=2)
    assert rows[0]["needle_nats"] == pytest.approx(ask(tiny, needles).nats.mean(), rel=1e-4)
    assert rows[0]["attended"] == rows[0]["kept"] == 1
    tokens = np.mean([len(needle.ids) for needle in needles])
    assert rows[0]["kv_bytes_kept"] == pytest.approx(2 * 2 * 2 * 4 * 2 * tokens, rel=0.01)
    lengths = [len(needle.ids) for needle in needles]
    full_heads = SMALL.copy_heads / len(pd.read_csv(folder / "heads.csv"))
    for row in rows[1:]:
        places = [t for n in lengths for t in range(1, n + 1)]
        least = 16 if row["policy"] == "hcam" else 0  # it reads whole chunks
        budget = sum(min(t, max(row["budget"], least)) for t in places) / sum(places)
        full = full_heads if row["policy"] == "copy-heads" else 0.0
        # recycled attention and chunk summaries look at everything now and then, at most for the budget again
        assert row["attended"] < full + (1 - full) * 2 * budget, row["policy"]
        assert row["read"] >= row["attended"] - 1e-9
        assert row["kept"] >= row["kept_by_head"] - 1e-9
        assert row["nats_above_full"] != 0
    for name, message in (("cram", "reads a coordinate that marks bindings"), ("h20", "did you mean 'h2o'")):
        with pytest.raises(InputError, match=message):
            play_policies(tiny, needles, HEADS, policies=[name])


@pytest.mark.parametrize("name", ["h2o", "a2sf", "streaming", "sirllm"])
def test_what_was_evicted_is_never_attended_to_again_and_no_more_than_the_budget_is_kept(
    name: str, tiny: LanguageModel
) -> None:
    ids = [int(i) for i in np.random.default_rng(1).integers(32, 120, 90)]
    masks: list[np.ndarray] = []

    class Keep(Evicting):
        def allow(self, seen: Attending) -> torch.Tensor:
            mask = super().allow(seen)
            masks.append(mask[0].numpy())
            return mask

    evicting = Keep(PLAYABLE[name](HEADS, 6), 16, np.random.default_rng(0).random((1, 90)))
    with intervening(tiny.module, evicting):
        logits_of(tiny, ids)
    assert len(masks) == 2
    for mask in masks:
        assert (mask.sum(-1) <= 17).all()  # the budget, and the token itself
        gone = ~mask[:, :-1] & np.tri(90, dtype=bool)[:-1]
        assert not (gone & mask[:, 1:]).any()
        assert not np.triu(mask, 1).any()


@pytest.mark.long
def test_policies_on_many_texts_at_once_are_those_on_each(
    tiny: LanguageModel, essays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needles = make_needles(tiny, [list(d.read()) for d in read_texts(essays).documents], 6, tokens=64, facts=2)
    names = [name for name in PLAYABLE if name != "routing-transformer"]  # draws its centroids from all texts
    together, by_place = play_policies(tiny, needles, HEADS, policies=names, budgets=(16,))
    monkeypatch.setattr(eviction, "AT_ONCE", 1)
    alone, _ = play_policies(tiny, needles, HEADS, policies=names, budgets=(16,))
    for row, other in zip(together, alone, strict=True):
        assert row["needle_nats"] == pytest.approx(other["needle_nats"], rel=1e-4), row["policy"]
        assert row["kept"] == pytest.approx(other["kept"]), row["policy"]
        # depths share the facts among them, and so do the questions
        for by in ("depth", "question"):
            parts = [part for part in by_place if (part["policy"], part["by"]) == (row["policy"], by)]
            assert sum(part["facts"] for part in parts) == 12
            mean = sum(part["facts"] * part["nats_above_full"][0] for part in parts) / 12
            assert mean == pytest.approx(row["nats_above_full"][0], abs=1e-6)


def test_copy_heads_keep_all_and_the_others_a_window() -> None:
    policy = CopyHeads((True, False), sinks=2)
    policy.budget = 10
    kept = policy.attend(10)[0]
    assert kept[0].all()
    assert np.flatnonzero(kept[1]).tolist() == [0, 1, 7, 8, 9]


# ------------------------------------------------------------------------------------------------------------ study

SMALL = Sizes(
    documents=3, fit_documents=6, tokens=160, sink_documents=3, needles=4, test_needles=3, needle_tokens=64,
    knocked_out=(2,), draws=1, contexts=5, lines=16, copy_heads=3, budgets=(12, 24), policy_needles=5,
    control_documents=6, control_widths=(8, 12), control_layers=1, tilt_needles=2, tilt_tokens=64, pruned=(2,),
    order_documents=3, order_pairs=2, order_words=40, conversations=4, between=(0,),
)  # fmt: skip


@pytest.fixture(scope="module")
def essays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("essays")
    rng = np.random.default_rng(0)
    for i in range(16):
        out.joinpath(f"{i}.txt").write_text(" ".join(rng.choice(["raven", "shell", "sea", "stone", "the"], 120)))
    return out


@pytest.fixture(scope="module")
def folder(tiny: LanguageModel, essays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was stopped after the heads, and went on."""
    out, texts = tmp_path_factory.mktemp("study") / "lm-tiny", read_texts(essays)
    document = run_study(tiny, texts, out, digest="d" * 64, code=texts, sizes=SMALL, units=["heads"])
    assert document["status"] == "running"
    before = (out / "heads.csv").stat().st_mtime_ns
    steps = set[str]()
    document = run_study(
        tiny, texts, out, digest="d" * 64, code=texts, sizes=SMALL, progress=lambda done, total, step: steps.add(step)
    )
    assert document["status"] == "finished"
    assert {"redundancy, fitting", "code, fitting", "policies, policies"} <= steps  # no two units report as one
    assert (out / "heads.csv").stat().st_mtime_ns == before
    return out


def test_a_folder_holds_one_study_and_units_need_those_before_them(
    folder: Path, tiny: LanguageModel, essays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = read_texts(essays)
    with pytest.raises(InputError, match="needs the heads first"):
        run_study(tiny, texts, tmp_path / "other", digest="d" * 64, code=texts, sizes=SMALL, units=["policies"])
    for digest, sizes in (("e" * 64, SMALL), ("d" * 64, Sizes())):
        with pytest.raises(InputError, match="another model, other texts or sizes"):
            run_study(tiny, texts, folder, digest=digest, code=texts, sizes=sizes)
    with pytest.raises(InputError, match="did you mean 'heads'"):
        run_study(tiny, texts, folder, digest="d" * 64, code=texts, sizes=SMALL, units=["head"])
    unit = Unit(lambda _: pytest.fail("measured again"))
    monkeypatch.setattr(studies, "UNITS", dict.fromkeys(UNITS, unit))
    assert run_study(tiny, texts, folder, digest="d" * 64, code=texts, sizes=SMALL) == read_study(folder)


def test_tables_are_described_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = read_study(folder)
    assert set(document["units"]) == set(UNITS)
    assert {entry["path"] for entry in document["files"]} == {path.name for path in folder.glob("*.csv")}
    for entry in document["files"]:
        for column in entry["columns"]:
            base = column["name"].removesuffix("_low").removesuffix("_high")
            assert base in COLUMNS or base in ("low", "high", ""), (entry["path"], column["name"])
    for title, (header, *rows) in shown_tables(folder):
        assert rows, title
        assert {len(row) for row in rows} == {len(header)}, title
    assert cli.main(["theory", "lm", "show", str(folder), "--against", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "without first tokens" in out
    assert "NO" not in out.split()
    picture = folder.parent / "study.svg"
    assert cli.main(["theory", "lm", "show", str(folder), "--plot", str(picture)]) == 0
    drawn = picture.read_text()
    assert all(f"({letter})" in drawn for letter in "abcde")
    capsys.readouterr()
    assert cli.main(["theory", "lm", "show", str(folder), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"].keys() == headlines(folder).keys()


def test_studies_that_differ_are_told_apart(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    table = pd.read_csv(other / "redundancy.csv")
    table[["r", "r_low", "r_high"]] -= 5
    table.to_csv(other / "redundancy.csv", index=False)
    told = {row[0]: row[-1] for row in compare_studies(other, folder)[1:]}
    assert told["R of layers, prose"] == "NO"
    assert {f"h2o, {budget} tokens: nats above full" for budget in (12, 24)} <= set(told)  # each with its own
    assert set(told.values()) == {"yes", "NO"}


def test_a_quick_study_has_the_numbers_of_a_full_one() -> None:
    """Those that are compared: the same amounts of text to fit on, needles to choose on, and budgets."""
    full = Sizes()
    assert (QUICK.fit_documents, QUICK.tokens) == (full.fit_documents, full.tokens)
    assert (QUICK.needles, QUICK.copy_heads, QUICK.lines) == (full.needles, full.copy_heads, full.lines)
    assert set(QUICK.budgets) <= set(full.budgets)
    assert set(QUICK.control_widths) <= set(full.control_widths)
    assert QUICK.control_documents in {full.control_documents >> k for k in range(4)}


def test_what_is_no_study_is_named(
    tmp_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    damaged_bytes: Callable[..., Iterator[bytes]],
) -> None:
    assert cli.main(["theory", "lm", "show", str(tmp_path)]) == 2
    assert "holds no study" in capsys.readouterr().err
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    for path in sorted(folder.glob("*.csv")):
        if path.name != "context.csv":  # is shown nowhere
            for damaged in damaged_bytes(path.read_bytes(), count=1):
                (broken / path.name).write_bytes(damaged)
                with suppress(InputError):
                    read_table(broken, path.stem)
            (broken / path.name).write_bytes(b"a,b\n1,2\n")
            with pytest.raises(InputError, match=path.name):
                shown_tables(broken)
            shutil.copy(path, broken / path.name)
    assert cli.main(["theory", "lm", "study", "smollm3", "--texts", str(tmp_path)]) == 2


def test_the_log_in_context_is_one_that_cogfit_reads(folder: Path, tmp_path: Path) -> None:
    log: Any = pd.read_csv(folder / "context.csv")
    part = log[log["condition"] == "consistent"].drop(columns=["condition", "p_other", "nats"])
    part.to_csv(tmp_path / "routing.csv", index=False)
    read = cogfit.read_log(tmp_path / "routing.csv")
    assert read.routing is not None
    assert len(read.routing.frame) == len(part)


def test_scores_of_a_study_are_those_of_its_parts(folder: Path, tiny: LanguageModel, essays: Path) -> None:
    texts = read_texts(essays).halved()
    prose = [list(document.read()) for document in texts.fitted]
    scores, recall = copy_score(tiny, make_needles(tiny, prose, 4, tokens=64))
    table = pd.read_csv(folder / "scores.csv").set_index(["score", "quantity"])["estimate"]
    assert table["needle", "needle_nats"] == pytest.approx(recall.nats.mean(), rel=1e-4)
    heads = pd.read_csv(folder / "heads.csv")
    np.testing.assert_allclose(heads["copy"], scores.estimate()[0].ravel(), atol=1e-5)
