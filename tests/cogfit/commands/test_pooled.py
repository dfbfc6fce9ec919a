"""``cogfit fit --by … --pool``."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cogfit.cli import main


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    rng = np.random.default_rng(0)
    k, gamma = np.arange(1, 21), rng.normal(0.45, 0.1, 12)
    rows = [(f"s{i:02d}", x, 900 * x**-g * np.exp(rng.normal(0, 0.05))) for i, g in enumerate(gamma) for x in k]
    path = tmp_path_factory.mktemp("pooled") / "practice.csv"
    pd.DataFrame(rows, columns=["subject", "trial", "rt"]).to_csv(path, index=False)
    return path


def arguments(path):
    return ["fit", str(path), "--x", "trial", "--y", "rt", "--by", "subject", "--form", "power"]


def test_one_model_of_all_subjects(practice, tmp_path, capsys):
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    options = ["--pool", "--between", "0.4", "0.5", "--json", str(out), "--plot", str(picture)]
    assert main([*arguments(practice), *options]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("γ over 12 subjects (power): mean ")
    assert "of subjects have γ between 0.4 and 0.5" in shown
    assert all(f"s{i:02d}" in shown for i in range(12))
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["schema"] == "cogfit.population/1"
    assert document["noise"] == "lognormal"
    gamma = next(p for p in document["parameters"] if p["name"] == "gamma")
    assert gamma["low"] < 0.45 < gamma["high"]
    assert 0.0 < document["share"]["share"] < 1.0
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--between", "0.4", "0.5"], "add --pool"),
        (["--pool", "--thorough"], "--thorough is of one curve"),
        (["--pool", "--bins", "3"], "--bins is of one curve"),
        (["--pool", "--run", "seed1"], "both say what runs are"),
        (["--pool", "--between", "0.5", "0.4"], "the smaller first"),
        (["--pool", "--noise", "binomial"], "--noise binomial needs the trials behind each y"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_a_line(practice, options, message, capsys):
    assert main([*arguments(practice), *options]) == 2
    assert message in capsys.readouterr().err


def test_pool_needs_by(practice, capsys):
    assert main(["fit", str(practice), "--x", "trial", "--y", "rt", "--pool"]) == 2
    assert "--pool needs --by" in capsys.readouterr().err


def test_two_subjects_are_no_population(practice, tmp_path, capsys):
    table = pd.read_csv(practice)
    path = tmp_path / "two.csv"
    table[table["subject"] < "s02"].to_csv(path, index=False)
    assert main([*arguments(path), "--pool"]) == 2
    assert "only 2 subjects can be fitted, and a distribution needs 3" in capsys.readouterr().err
