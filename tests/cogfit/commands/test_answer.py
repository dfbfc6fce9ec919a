"""What ``cogfit fit`` prints for a person: short, wrapped, with a project's defaults; and its help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.commands.terminal import first_clause
from cogfit.formulas.registry import POWER_LAWS, get_form
from cogfit.show import tables

MOST_LINES = 25
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def grouped() -> cogfit.FitResult:
    """A fit with findings of every kind, more than a short answer has room for."""
    rng, x = np.random.default_rng(3), np.arange(1.0, 41.0)
    y = np.concatenate([1.0 / (1.0 + np.exp(0.6 * (x - at))) + rng.normal(0, 0.03, 40) for at in range(8, 32, 2)])
    return cogfit.fit(np.tile(x, 12), y, groups=np.repeat(np.arange(12), 40))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=60, sigma=0.01, rng=1).to_csv("log.csv", index=False)
    return Path("log.csv")


def printed(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return ESCAPE.sub("", capfd.readouterr().out)


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_an_answer_at_a_terminal_is_short_and_wrapped(
    columns: int,
    grouped: cogfit.FitResult,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("cogfit.fitting.fit", lambda *_, **__: grouped)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    short = printed(capfd, "fit", log)
    assert len(short.splitlines()) <= MOST_LINES
    assert max(map(len, short.splitlines())) <= columns
    assert len(re.findall(r"^  · ", short, re.MULTILINE)) == len(grouped.key_findings) == 4
    hidden = len(grouped.findings) - 4
    assert hidden > 0
    assert f"{hidden} finding{'s' * (hidden > 1)}, " in short
    whole = " ".join(printed(capfd, "fit", log, "--verbose").split())
    assert all(" ".join(text.split()) in whole for text in (*grouped.findings, *grouped.warnings))
    assert all(item.title in whole for item in grouped.forms)


def test_what_goes_into_a_pipe_is_not_shortened(
    grouped: cogfit.FitResult, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cogfit.fitting.fit", lambda *_, **__: grouped)
    monkeypatch.delenv("COLUMNS", raising=False)
    out = printed(capfd, "fit", log)
    assert out == printed(capfd, "fit", log, "--verbose")
    lines = out.splitlines()
    assert all(f"  · {text}" in lines for text in grouped.findings)
    forms = tables.forms_table(grouped)
    (header,) = [line for line in lines if line.startswith("form ")]
    assert header.split() == " ".join(column.title for column in forms.columns).split()
    for row in forms.rows:
        assert any(all(cell in line for cell in row.cells) for line in lines)


def test_the_forms_to_look_at_first_are_the_one_reported_a_power_law_and_what_is_not_refused(
    grouped: cogfit.FitResult,
) -> None:
    for most in (2, 4):
        names = [item.name for item in tables.leading_forms(grouped, most)]
        assert len(names) <= most
        assert grouped.form in names
        assert set(names) & set(POWER_LAWS)
        assert names == [item.name for item in grouped.forms if item.name in names]
    assert set(grouped.indistinguishable_forms) <= {item.name for item in tables.leading_forms(grouped, 99)}


@pytest.mark.parametrize(
    ("text", "clause"),
    [("a; b", "a"), ("a (b; c); d", "a (b; c)"), ("a", "a"), ("a [1; 2], (b; (c; d)); e", "a [1; 2], (b; (c; d))")],
)
def test_a_first_clause_ends_at_a_semicolon_outside_of_brackets(text: str, clause: str) -> None:
    assert first_clause(text) == clause


# -------------------------------------------------------------------------------------------------------- defaults


def test_defaults_of_a_project_are_used_printed_and_overruled(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text(
        '[tool.cogfit]\nlevel = 0.8\nnoise = "gaussian"\nshow = ["methods"]\n[tool.cogfit.other]\nlevel = 1\n'
    )
    out = printed(capfd, "fit", log, "--form", "power")
    assert "80% interval" in out
    assert "gaussian noise" in out
    assert "maximum likelihood" in out
    assert "defaults of pyproject.toml: level = 0.8, noise = gaussian, show = methods" in out
    document = json.loads(printed(capfd, "fit", log, "--form", "power", "--level", "0.5", "--json", "-"))
    assert document["level"] == 0.5
    assert document["defaults"] == {"file": "pyproject.toml", "noise": "gaussian", "show": ["methods"]}
    Path("fit.json").write_text(json.dumps(document))
    assert cogfit.load("fit.json").noise == "gaussian"
    assert "maximum likelihood" not in printed(capfd, "fit", log, "--form", "power", "--quiet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("level = 95", "level = 95 cannot be; it is a number between 0 and 1"),
        ("levl = 0.9", "no key 'levl'; did you mean 'level'?"),
        ('noise = "gauss"', "noise = 'gauss' cannot be"),
        ('show = "windows"', "it is a list of verbose, windows"),
        ("by = 3", "by = 3 cannot be"),
        ("level = ", "is no TOML"),
    ],
)
def test_defaults_that_cannot_be_are_refused(
    text: str, message: str, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text(f"[tool.cogfit]\n{text}\n")
    assert cli.main(["fit", str(log), "--form", "power"]) == 2
    assert message in capfd.readouterr().err


# ------------------------------------------------------------------------------------------------- a first look


def test_a_first_gamma_comes_before_the_forms_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.arange(1.0, 61.0)
    y = 0.9 * x**-0.5 + np.random.default_rng(0).normal(0, 0.01, x.size)
    seen: list[str] = []

    def compare(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr("cogfit.fitting.comparing._compare", compare)
        with pytest.raises(InterruptedError):
            cogfit.fit(x, y, preview=seen.append)
    assert len(seen) == 1
    (gamma,) = re.findall(r"γ ≈ ([\d.]+) if it is power", seen[0])
    assert float(gamma) == pytest.approx(0.5, abs=0.05)
    cogfit.fit(x, y, form="power", preview=seen.append)
    assert len(seen) == 1, "one form needs no first look"


# ------------------------------------------------------------------------------------------- options and help


@pytest.mark.parametrize("title", ["power + floor", "Power+Floor", "power_floor", "POWER + FLOOR"])
def test_a_form_is_known_by_its_title_too(title: str) -> None:
    assert get_form(title).name == "power_floor"


def test_every_title_names_its_form() -> None:
    assert [form.name for form in cogfit.forms().values() if get_form(form.title) is not form] == []


@pytest.mark.parametrize(
    ("line", "completed"),
    [("cogfit fit --diag", ["--diagnostics"]), ("cogfit fit x.csv --form power", ["power", "power_floor"])],
)
def test_a_shell_completes_options_and_forms(line: str, completed: list[str]) -> None:
    place = str(len(line.split()) - 1)
    words = {"_COGFIT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": place}
    program = "import sys; sys.argv = ['cogfit']; from cogfit.cli import main; main()"
    environment = words | {"PYTHONPATH": str(Path(cogfit.__file__).parents[1]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == completed


def test_version_has_a_short_option(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, "-V") == printed(capfd, "--version") == f"cogfit {cogfit.__version__}\n"
