"""Practice and forgetting of facts: on a tiny model with random weights, and on made-up logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit import cli
from cogfit.errors import InputError
from theory.lm import practice_study
from theory.lm.facts import MOST_FACTS, TEMPLATES, in_other_templates, make_prompts, sessions, share_out, words_of
from theory.lm.practice import (
    INTERFERENCE,
    Cell,
    Course,
    Material,
    PracticeSizes,
    Upper,
    gather_material,
    looks_at,
    states_below,
)
from theory.lm.practice_plot import plot_facts
from theory.lm.practice_records import (
    COLUMNS,
    fit_row,
    forgetting_log,
    headlines,
    over_runs,
    practice_log,
    read_cell,
    read_study,
    retained,
    shown_tables,
)
from theory.lm.practice_study import CELLS, run_practice
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import read_texts

LETTERS = tuple("abcdefghijkl")  # one token each; to a model of bytes " a" is two
SIZES = PracticeSizes(
    exposures=(0, 1, 4), facts=3, words=9, gap=1, delay=12, new_facts=6, prose=16, tokens=50, layers=1, rate=1e-2
)
SMALL_CELLS = (Cell("main", batch=4, seeds=2), Cell("sgd", optimiser="sgd", batch=2, seeds=1))


class _Words:
    """A tokenizer of bytes, but for words that facts end with: one token each."""

    def __call__(self, content: bytes) -> Sequence[int]:
        text = content.decode()
        return [128 + LETTERS.index(text[1])] if len(text) == 2 and text[0] == " " else list(content)


@pytest.fixture(scope="module")
def model(tiny: LanguageModel) -> LanguageModel:
    return LanguageModel("tiny", tiny.module, _Words(), tiny.pieces, tiny.context)


@pytest.fixture(scope="module")
def material(model: LanguageModel, prose: list[list[int]]) -> Material:
    return gather_material(model, prose, SIZES, words=LETTERS)


# ------------------------------------------------------------------------------------------------------------ facts


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_each_fact_is_shown_as_often_as_planned_once_a_session_and_all_in_the_last(planned: list[int]) -> None:
    plan = sessions(planned)
    assert len(plan) == max(planned)
    assert [sum(fact in due for due in plan) for fact in range(len(planned))] == planned
    for due in plan:
        assert len(set(due)) == len(due)
    if plan:
        assert plan[-1] == [fact for fact, times in enumerate(planned) if times]


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 5))
def test_words_are_shared_out_evenly(count: int, words: int, seed: int) -> None:
    counts = np.bincount(share_out(count, words, np.random.default_rng(seed)), minlength=words)
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1


def test_no_two_facts_share_a_name(model: LanguageModel) -> None:
    made = make_prompts(model, {"studied": 40, "studied:new": 40, "other": 40})
    names = [name for prompts in made.values() for prompt in prompts for name in _names(prompt.text)]
    assert len(set(names)) == len(names) == 120
    with pytest.raises(InputError, match="as many names"):
        make_prompts(model, {"studied": MOST_FACTS + 1})


def _names(text: str) -> list[str]:
    words = text.split()
    pairs = [f"{a} {b}" for a, b in pairwise(words) if a[0].isupper() and b[0].isupper()]
    return pairs[-1:]  # "The Velna ..." would be no name; none of the templates puts a capital before one


def test_other_templates_say_the_same_of_the_same_person(model: LanguageModel) -> None:
    for kind, templates in TEMPLATES.items():
        prompts = make_prompts(model, {kind: 9})[kind]
        again = in_other_templates(model, prompts, kind)
        assert len(again) == len(prompts) * (len(templates) - 1)
        for number, prompt in enumerate(prompts):
            own = again[number * (len(templates) - 1) : (number + 1) * (len(templates) - 1)]
            assert [_names(other.text) for other in own] == [_names(prompt.text)] * len(own)
            assert sorted([prompt.template, *(other.template for other in own)]) == list(range(len(templates)))


def test_words_that_are_not_one_token_are_left_out_and_too_few_are_refused(tiny: LanguageModel) -> None:
    with pytest.raises(InputError, match="0 are one token of tiny"):
        words_of(tiny, 8)


# --------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("layers", [1, 2])
def test_last_layers_on_cached_states_give_what_the_whole_model_gives(layers: int, tiny: LanguageModel) -> None:
    ids = torch.randint(0, 256, (3, 17), generator=torch.Generator().manual_seed(0))
    module: Any = tiny.module
    with torch.no_grad():
        upper = Upper(tiny, layers)
        logits = upper(states_below(tiny, ids, layers, at_once=2)) @ upper.output.T
        torch.testing.assert_close(logits, module(input_ids=ids).logits, atol=1e-4, rtol=1e-4)


def test_models_whose_layers_cannot_be_trained_apart_are_refused() -> None:
    transformers = pytest.importorskip("transformers")
    gpt2 = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1))
    with pytest.raises(InputError, match="GPT2LMHeadModel cannot be trained apart"):
        Upper(LanguageModel("gpt2", gpt2, list, (), 16), 1)


def test_recall_is_the_probability_that_the_whole_model_gives_the_word(material: Material) -> None:
    course = Course(material, Cell("main"), 3)
    seen = course.examine(range(len(course.planned)), 0, -1)
    answers = list(material.words.values())
    module: Any = material.model.module
    for fact, prompt in enumerate(material.prompts["studied"]):
        with torch.no_grad():
            p = module(input_ids=torch.tensor([prompt.ids])).logits[0, -1].double().softmax(-1)
        own = answers[course.words["studied"][fact]]
        assert seen["recall"][fact] == pytest.approx(float(p[own]), rel=1e-3)
        assert seen["nats"][fact] == pytest.approx(-float(p[own].log()), rel=1e-3)
        versus = [float(p[own] / (p[own] + p[other])) for other in answers if other != own]
        assert seen["recognition"][fact] == pytest.approx(np.mean(versus), rel=1e-3)


def test_practice_is_learned_and_leaves_the_model_as_it_was(material: Material) -> None:
    module: Any = material.model.module
    before = [parameter.clone() for parameter in module.parameters()]
    sizes = replace(material.sizes, rate=5e-2)
    log = pd.DataFrame(_train(replace(material, sizes=sizes), Cell("main", batch=4)))
    at_end = log[log["since"] == 0].groupby("planned")["nats"].mean()
    at_start = log[log["step"] == 0].groupby("planned")["nats"].mean()
    assert at_end[4] < at_start[4] - 0.5
    assert at_end[4] - at_start[4] < at_end[0] - at_start[0]  # more than what the controls gain
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def _train(material: Material, cell: Cell, seed: int = 0) -> dict[str, Any]:
    from theory.lm.practice import train_unit

    return train_unit(material, cell, seed)


def test_updates_and_exposures_are_counted_as_they_are_made(material: Material) -> None:
    log = pd.DataFrame(_train(material, Cell("main", batch=4)))
    # four sessions of 3, 3, 3 and 6 facts in updates of 4, three gaps of one update
    assert log.loc[log["since"] == 0, "step"].unique().tolist() == [1 + 1 + 1 + 2 + 3]
    last = log[log["since"] == SIZES.delay]
    assert (last["exposure"] == last["planned"]).all()
    assert last["step"].unique().tolist() == [8 + SIZES.delay]
    assert sorted(set(log["since"])) == [-1, *looks_at(SIZES.delay)]
    often = log[(log["since"] < 0) & (log["planned"] == 4)]
    assert (often["exposure"] == often["session"]).all()


def test_the_same_seed_gives_the_same_log_and_another_one_another(material: Material) -> None:
    first, again, other = (_train(material, Cell("main"), seed)["recall"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("interference", INTERFERENCE)
def test_what_comes_after_practice_is_what_the_cell_says(
    interference: str, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, seen = Course(material, Cell("x", interference=interference, batch=4), 0), list[dict[str, int]]()
    monkeypatch.setattr(
        course, "update", lambda rows: seen.append({kind: len(chosen) for kind, chosen in rows.items()})
    )
    course.interfere()
    kind = INTERFERENCE[interference]
    assert seen == [{"prose": 4} if kind is None else {kind: 2, "prose": 2}]


def test_a_state_reset_changes_what_comes_after_practice_and_nothing_before(material: Material) -> None:
    kept, reset = (pd.DataFrame(_train(material, Cell("x", optimiser=name))) for name in ("adamw", "adamw-reset"))
    before = kept["since"] <= 0
    np.testing.assert_array_equal(kept.loc[before, "recall"], reset.loc[before, "recall"])
    assert (kept.loc[~before, "recall"] != reset.loc[~before, "recall"]).any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens": 20}, "set tokens="),
        ({"prose": 9999}, "9999 are needed"),
        ({"layers": 3}, "3 layers to train of 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    changed: dict[str, int], message: str, model: LanguageModel, prose: list[list[int]]
) -> None:
    sizes = PracticeSizes(**{**SIZES.__dict__, **changed})
    with pytest.raises(InputError, match=message):
        gather_material(model, prose, sizes, words=LETTERS)


@pytest.mark.parametrize("cell", [Cell("x", interference="sane"), Cell("x", optimiser="adam"), Cell("x", batch=1)])
def test_cells_that_there_are_not_are_refused(cell: Cell, material: Material) -> None:
    with pytest.raises(InputError):
        Course(material, cell, 0)


# ------------------------------------------------------------------------------------------------------------ curves


def made_up(runs: int = 5, decay: float = 0.5, peak: int = 3) -> pd.DataFrame:
    """A log in which recall rises to a maximum after practice and then follows a power law."""
    rng, rows = np.random.default_rng(0), []
    for run in range(runs):
        for session in range(33):
            since = -1 if session < 32 else 0
            known = 0.8 * (1 - (session + 1) ** -0.7) if session < 32 else 0.7 - 0.1 * peak
            for planned, recall in ((0, 0.1), (32, 0.1 + known)):
                rows.append((f"main-{run}", session, session, since, planned, planned and session, recall))
        for since in looks_at(1000)[1:]:
            net = 0.5 * (since - peak) ** -decay if since > peak else 0.7 - 0.1 * (peak - since)
            for planned, recall in ((0, 0.1), (32, 0.1 + net)):
                rows.append((f"main-{run}", 32 + since, 32, since, planned, planned, recall))
    log = pd.DataFrame(rows, columns=["run", "step", "session", "since", "planned", "exposure", "recall"])
    log["recall"] += rng.normal(0, 1e-3, len(log))
    log["pattern"], log["recognition"], log["nats"] = log["planned"], log["recall"], -np.log(log["recall"])
    return log


def test_delay_counts_from_the_local_maximum_and_controls_are_taken_off() -> None:
    curve = over_runs(forgetting_log(made_up(), 32), "delay")
    assert curve["delay"].iloc[0] == 0
    row = curve[curve["delay"] == 997].iloc[0]
    assert row["recall_net"] == pytest.approx(0.5 * 997**-0.5, abs=3e-3)
    assert row["recall"] == pytest.approx(row["recall_net"] + 0.1, abs=3e-3)
    assert row["recall_net_low"] < row["recall_net"] < row["recall_net_high"]
    left, low, high, delay = retained(forgetting_log(made_up(), 32), 1000)
    assert delay == 997
    assert low < left < high
    assert left == pytest.approx(0.5 * 997**-0.5 / 0.7, abs=5e-3)


def test_practice_is_that_of_the_facts_shown_most_before_they_are_shown_again() -> None:
    curve = practice_log(made_up())
    assert sorted(set(curve["exposure"])) == list(range(32))
    row = over_runs(curve, "exposure").set_index("exposure").loc[15]
    assert row["recall_net"] == pytest.approx(0.8 * (1 - 16**-0.7), abs=3e-3)
    assert row["error"] == pytest.approx(1 - row["recall"])


@pytest.mark.slow
def test_a_power_law_of_forgetting_is_found_with_its_exponent() -> None:
    found = fit_row(forgetting_log(made_up(peak=0), 32), "delay", "recall_net")
    assert "power" in {found["form"], *found["forms"].split()}
    assert found["gamma_low"] - 0.02 < 0.5 < found["gamma_high"] + 0.02


def test_facts_that_were_not_shown_that_often_are_named() -> None:
    for exposures in (0, 7):
        with pytest.raises(InputError, match="they were shown 32 times"):
            forgetting_log(made_up(1), exposures)


# ------------------------------------------------------------------------------------------------------------- study


@pytest.fixture(scope="module")
def essays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("essays")
    rng = np.random.default_rng(0)
    for i in range(12):
        out.joinpath(f"{i}.txt").write_text(" ".join(rng.choice(["raven", "shell", "sea", "stone", "the"], 60)))
    return out


@pytest.fixture(scope="module")
def folder(model: LanguageModel, essays: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was stopped after a cell, and went on."""
    out, options = tmp_path_factory.mktemp("study") / "facts", {"digest": "d" * 64, "words": LETTERS}
    common: dict[str, Any] = {"sizes": SIZES, "cells": SMALL_CELLS, **options}
    document = run_practice(model, read_texts(essays), out, only=["sgd"], **common)
    assert (document["status"], list(document["units"])) == ("running", ["sgd-0"])
    before = (out / "sgd-0.parquet").stat().st_mtime_ns
    document = run_practice(model, read_texts(essays), out, **common)
    assert (document["status"], set(document["units"])) == ("finished", {"sgd-0", "main-0", "main-1"})
    assert (out / "sgd-0.parquet").stat().st_mtime_ns == before
    return out


@pytest.mark.slow
def test_a_folder_holds_one_study_and_nothing_is_trained_twice(
    folder: Path, model: LanguageModel, essays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = read_texts(essays)
    for digest, sizes in (("e" * 64, SIZES), ("d" * 64, PracticeSizes())):
        with pytest.raises(InputError, match="another model, other texts or sizes"):
            run_practice(model, texts, folder, digest=digest, sizes=sizes, cells=SMALL_CELLS)
    with pytest.raises(InputError, match="did you mean 'main'"):
        run_practice(model, texts, folder, digest="d" * 64, sizes=SIZES, cells=SMALL_CELLS, only=["mein"])
    monkeypatch.setattr(practice_study, "gather_material", lambda *_, **__: pytest.fail("made again"))
    again = run_practice(model, texts, folder, digest="d" * 64, sizes=SIZES, cells=SMALL_CELLS)
    assert again == read_study(folder)


@pytest.mark.slow
def test_tables_are_described_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = read_study(folder)
    assert {entry["path"] for entry in document["files"]} == {path.name for path in folder.iterdir()} - {"run.json"}
    for entry in document["files"]:
        for column in entry["columns"]:
            assert column["name"].removesuffix("_low").removesuffix("_high") in COLUMNS, (entry["path"], column)
    for title, (header, *rows) in shown_tables(folder):
        assert rows, title
        assert {len(row) for row in rows} == {len(header)}, title
    assert cli.main(["theory", "lm", "recall", str(folder), "--markdown"]) == 0
    assert "| main |" in capsys.readouterr().out
    assert cli.main(["theory", "lm", "recall", str(folder), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"].keys() == headlines(folder).keys()


@pytest.mark.slow
def test_the_picture_shows_every_cell_and_the_maximum_of_the_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forgetting = pd.read_csv(folder / "forgetting.csv")
    most = forgetting[forgetting["exposures"] == forgetting["exposures"].max()]
    axes = plot_facts(folder).axes[-1]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for cell, part in most.groupby("cell"):
        np.testing.assert_array_equal(lines[cell].get_ydata(), part.sort_values("delay")["recall_net"])
    assert cli.main(["theory", "lm", "recall", str(folder), "--plot", str(tmp_path / "facts.svg")]) == 0
    assert "by cell" in (tmp_path / "facts.svg").read_text()
    assert cli.main(["theory", "lm", "recall", str(tmp_path), "--plot", str(tmp_path / "none.svg")]) == 2
    assert not (tmp_path / "none.svg").exists()
    capsys.readouterr()


@pytest.mark.slow
def test_a_curve_that_is_written_is_a_log_that_cogfit_reads(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, x in ((["practice"], "exposure"), (["forgetting", "--exposures", "4"], "delay")):
        assert cli.main(["theory", "lm", "recall", str(folder), "--log", *arguments]) == 0
        text = capsys.readouterr().out
        table = pd.read_csv(StringIO(text))
        (tmp_path / "curve.csv").write_text(text)
        log = cogfit.read_log(tmp_path / "curve.csv", x=x, y="recall")
        assert log.utilization is not None
        assert len(log.utilization.frame) == len(table)
        expected = practice_log(read_cell(folder, "main")) if x == "exposure" else None
        if expected is not None:
            np.testing.assert_allclose(table["recall"], expected["recall"], rtol=1e-4)
    assert cli.main(["theory", "lm", "recall", str(folder), "--log", "practice", "--exposures", "4"]) == 2
    assert cli.main(["theory", "lm", "recall", str(folder), "--log", "forgetting", "--cell", "man"]) == 2
    assert "did you mean 'main'" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_no_study_of_facts_is_named(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["theory", "lm", "recall", str(tmp_path)]) == 2
    assert "holds no study of practice" in capsys.readouterr().err
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / "main-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"main-0\.parquet"):
        read_cell(broken, "main")
    pd.DataFrame({"run": ["main-0"]}).to_parquet(broken / "main-0.parquet")
    with pytest.raises(InputError, match="is not there"):
        read_cell(broken, "main")
    for table in ("practice", "fits"):
        (broken / f"{table}.csv").write_bytes(b"a,b\n1,2\n")
        shutil.copy(folder / "main-0.parquet", broken / "main-0.parquet")
        with pytest.raises(InputError, match=rf"{table}\.csv"):
            shown_tables(broken)
        shutil.copy(folder / f"{table}.csv", broken / f"{table}.csv")


def test_paraphrases_show_a_fact_in_every_sentence_in_turn(material: Material) -> None:
    course = Course(material, Cell("again", wording="all", batch=4), 0)
    same = Course(material, Cell("main", batch=4), 0)
    assert all((course.words[kind] == words).all() for kind, words in same.words.items())
    facts = np.array([3, 5])
    seen = []
    for shown in range(5):
        course.shown[facts] = shown
        rows = course._sentences_of(facts)
        texts = [material.prompts[kind][i].text for kind, chosen in rows.items() for i in chosen]
        answers = [course.words[kind][i] for kind, chosen in rows.items() for i in chosen]
        assert answers == course.words["studied"][facts].tolist()
        seen.append(texts)
    assert seen[4] == seen[0] == [material.prompts["studied"][i].text for i in facts]
    assert len({text for texts in seen for text in texts}) == 8
    assert same._sentences_of(facts) == {"studied": facts.tolist()}


def test_cells_differ_from_the_main_one_in_one_thing() -> None:
    main, *others = CELLS
    for cell in others:
        differing = [
            name
            for name in ("interference", "optimiser", "batch", "wording")
            if getattr(cell, name) != getattr(main, name)
        ]
        assert len(differing) == 1, cell
