"""``cogfit claim``: the answer first, one page, one document, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, and the fit of it."""
    path = tmp_path_factory.mktemp("claim")
    cogfit.simulate("power", {"gamma": 0.43}, n=120, sigma=0.005, rng=1).to_csv(path / "log.csv", index=False)
    cogfit.fit(path / "log.csv").save(path / "fit.json")
    return path


def test_the_answer_comes_first_and_files_hold_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, out = folder / "claim.html", folder / "claim.json"
    log = str(folder / "log.csv")
    assert main(["claim", "gamma=0.43+-0.04", log, "--html", str(page), "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Claim 'gamma=0.43+-0.04': supported. γ = ")
    document = json.loads(out.read_text(encoding="utf-8"))
    assert (document["schema"], document["answer"]) == ("cogfit.claim/1", "supported")
    assert document["digest"]["sha256"] in shown
    text = page.read_text(encoding="utf-8")
    for part in ("gamma=0.43+-0.04: supported", "<svg", "Methods", document["digest"]["sha256"], "@media print", log):
        assert part in text
    assert "<script" not in text
    # a page of ours may be written again
    assert main(["claim", "gamma=0.9+-0.04", log, "--html", str(page), "--quiet"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert "contradicted" in page.read_text(encoding="utf-8")


def test_a_saved_fit_gives_the_same_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for name in ("log.csv", "fit.json"):
        assert main(["claim", "gamma=0.44", str(folder / name), "--margin", "0.02", "--json", "-"]) == 0
        document = json.loads(capsys.readouterr().out)
        answers.append((document["answer"], document["interval"], document["difference"]))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gamma=0.43", "log.csv"], "give --margin, such as 0.04"),
        (["gamma=0.43±0.04", "log.csv", "--margin", "-1"], "--margin must be"),
        (["gamma=0.43±0.04", "log.csv", "--plus-minus", "sd"], "unknown --plus-minus sd"),
        (["gamma=0.43±0.04", "log.csv", "--form", "pwer"], "unknown form"),
        (["rate=0.43±0.04", "log.csv"], "'rate' is no parameter"),
        (["half", "log.csv"], "is no claim"),
        (["gamma=0.43±0.04", "absent.csv"], "does not exist"),
        (["gamma=0.43±0.04", "log.csv", "--y", "nope"], "nope"),
        (["gamma=0.43±0.04", "log.csv", "--html", "page.txt"], "is no name of a web page"),
        (["gamma=0.43±0.04", "fit.json", "--x-min", "3", "--noise", "gaussian"], "cannot change a fit that was saved"),
    ],
)
def test_bad_input_ends_with_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["claim", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_a_page_shows_no_markup_of_a_log(tmp_path: Path) -> None:
    """Names of columns are text on the page, whatever they hold."""
    x = np.arange(1.0, 41.0)
    values = x**-0.43 * np.exp(0.01 * np.random.default_rng(2).standard_normal(40))
    lines = [f"{step:g},{value!r}" for step, value in zip(x, values.tolist(), strict=True)]
    log = tmp_path / "a.csv"
    log.write_text("\n".join(["step,<b>bold</b>", *lines]))
    page = tmp_path / "out.html"
    assert main(["claim", "gamma in 0-1", str(log), "--y", "<b>bold</b>", "--html", str(page), "--quiet"]) == 0
    text = page.read_text(encoding="utf-8")
    assert "<b>bold" not in text
    assert "&lt;b&gt;bold" in text


def test_help_names_answers_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claim", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("contradicted", "untestable", 'cogfit claim "gamma=0.43±0.04"', "Exit codes: 0", "--margin"):
        assert part in shown
