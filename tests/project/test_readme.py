"""The README is short, and what it shows is what the commands print."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cogfit import simulate
from cogfit.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_WORDS = 900


def run(folder: Path, *command: str) -> str:
    code = "import sys; from cogfit.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def shown(text: str) -> str:
    """The words of a text, wherever its lines end."""
    return " ".join(text.split())


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_first_answer_is_the_one_that_is_shown(tmp_path: Path) -> None:
    run(tmp_path, "simulate", "truth.csv", "--param", "gamma=0.43")
    headline, *rest = run(tmp_path, "fit", "truth.csv").splitlines()
    assert shown(headline) in shown(README)
    assert shown(rest[0]) in shown(README)


@pytest.mark.slow
def test_the_recorded_run_is_answered_as_shown() -> None:
    headline = run(ROOT, "fit", "data/runs/srcd-n256-consolidates", "--quiet")
    assert shown(headline) in shown(README)


# ------------------------------------------------------------------------------------------------------------ scripts


def commands() -> set[str]:
    """Commands that the README shows, in blocks and in the table of questions, without what stands behind them."""
    blocks = "\n".join(re.findall(r"^```(?:sh)?\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    shown_in_blocks = re.findall(r"^(?:\$ )?(cogfit .+?)(?:\s{2,}#.*)?$", blocks, re.MULTILINE)
    return {*shown_in_blocks, *re.findall(r"`(cogfit [^`]+)`", README)}


SCRIPTS = {
    "student": (["cogfit inspect runs/seed0", "cogfit fit runs/seed0"], r"^Power law: supported\. γ = 0\.43"),
    "student in a hurry": (["cogfit fit LOG --reach 0.02"], r"y = 0\.02 is expected at x = \d"),
    "psychologist": (["cogfit compare LOG"], r"falls as a power law: γ = 0\.43"),
    "psychologist with subjects": (["cogfit fit LOG --by subject --pool"], r"^γ over 12 subjects"),
    "reviewer": (
        ["cogfit report runs/seed0 --html seed0.html", 'cogfit claim "gamma=0.43±0.04" LOG'],
        r"^Claim 'gamma=0\.43±0\.04': supported\.",
    ),
}
"""For each reader: commands of the README, in order, and what the last one has to answer."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of one's own, made by a command of the README."""
    folder = tmp_path_factory.mktemp("clone")
    (making,) = (command for command in commands() if command.startswith("cogfit simulate"))
    run(folder, *shlex.split(making)[1:])
    (folder / "runs" / "seed0").mkdir(parents=True)
    shutil.copy(folder / "truth.csv", folder / "runs" / "seed0" / "metrics.csv")
    people = [
        simulate("power", {"A": 0.8, "gamma": 0.3 + 0.02 * i}, n=25, sigma=0.02, rng=i).assign(subject=i)
        for i in range(12)
    ]
    pd.concat(people).to_csv(folder / "people.csv", index=False)
    return folder


@pytest.mark.parametrize("reader", SCRIPTS)
def test_commands_of_the_readme_alone_lead_each_reader_to_an_answer(
    clone: Path, reader: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, answer = SCRIPTS[reader]
    assert set(script) <= commands(), "these are not in the README"
    monkeypatch.chdir(clone)
    for command in script:
        capsys.readouterr()
        log = "people.csv" if "--by subject" in command else "runs/seed0"
        words = [log if word == "LOG" else word for word in shlex.split(command)]
        assert main(words[1:]) == 0
    assert re.search(answer, capsys.readouterr().out, re.MULTILINE)


def test_commands_are_found_in_blocks_and_tables() -> None:
    assert {"cogfit fit truth.csv", "cogfit fit runs/seed0", "cogfit ledger"} <= commands()
