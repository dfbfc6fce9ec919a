"""No file speaks to the terminal, and no encoding stops the output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import unicodedata
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.text import Text

import cogfit
from cogfit import cli
from cogfit.commands import terminal
from cogfit.errors import InputError

ORDERS = (
    "\x1b[31m",
    "\x9b2J",
    "\x1b]8;;http://a.example\x1b\\x\x1b]8;;\x07",
    "\x1b]0;title\x07",
    "\u202e",
    "\u2066",
    "\b\b",
    "\x0b\x0c",
    "\r",
    "[red]",
    "[link=http://a.example]",
    "[/]",
    "[/x]",
    "\\",
    ":boom:",
    "\udcff",
)
HOSTILE = st.lists(st.one_of(st.sampled_from(ORDERS), st.characters(), st.just("a")), max_size=8).map("".join)


def is_harmless(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" or unicodedata.category(sign) == "Zs" for sign in text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=HOSTILE)
def test_no_name_is_obeyed_wherever_it_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = terminal.console()
    table = terminal.new_table([name], ["n"], title=name)
    terminal.add_rows(table, (name, "1"))
    table.add_row(name, name)  # as markup, had nobody looked
    table.caption = name
    terminal.print_table(out, table)
    out.print(Text(name), style="bold")
    out.print(name)
    terminal.warn((name,))
    terminal.print_text(f"{name}\n")
    terminal.print_error(str(InputError(name, path=name, column=name, hint=name)))
    printed = "".join(capsys.readouterr())
    assert is_harmless(printed), ascii(printed)


def test_brackets_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = terminal.new_table(["name"])
    table.add_row("[red]a[/red] :boom:")
    terminal.print_table(terminal.console(), table)
    assert "[red]a[/red] :boom:" in capsys.readouterr().out


@pytest.fixture(scope="module")
def hostile_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs and one of a single row, whose names are orders; γ is logged under another."""
    path = tmp_path_factory.mktemp("log") / "\x1b[31mlog\u202e.jsonl"
    frame = cogfit.simulate("power", n=40, rng=1)
    steps, values = frame.iloc[:, 0].tolist(), frame.iloc[:, 1].tolist()
    names = ("".join(ORDERS[:6]) + "[/x]$\\frac", "=cmd|'/C calc'!A0", "two\nlines")
    rows = [
        {"step": step, "y\x9b[31m": value, "run": name}
        for name, count in zip(names, (40, 40, 1), strict=True)
        for step, value in zip(steps[:count], values[:count], strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "{log}", "--y", "y\x9b[31m", "--by", "run", "--form", "power"],
        ["fit", "{log}", "--y", "y\x9b[31n"],  # an error that names what is near
        ["fit", "{log}", "--y", "y\x9b[31m", "--form", "power", "--methods", "--windows"],
        ["fit", "{log}.gone"],
        ["fit", "{log}", "{log}"],
        ["fit", "{log}", "--\x1b[31m", "1"],
        ["fit", "{log}", "--level", "\x1b[31m"],
        ["claim", "\x1b[31mgamma=0.43", "{log}"],
        ["claim", "gamma in 0-1", "{log}", "--y", "y\x9b[31m", "--run", "=cmd|'/C calc'!A0"],
        ["human", "\x1b[31m"],
        ["theory", "check", "\x1b[31m"],
        ["theory", "check", "--verify", "{log}"],
        ["theory", "train", "\x1b[31m"],
    ],
)
def test_no_command_lets_a_file_speak_to_the_terminal(
    hostile_log: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    cli.main([argument.format(log=hostile_log) for argument in arguments])
    printed = "".join(capfd.readouterr())
    assert len(printed) > 10
    assert is_harmless(printed), ascii(printed)


def test_warnings_of_others_are_printable_too(
    hostile_log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warned(*_: object, **__: object) -> None:
        warnings.warn("column \x1b[31m", UserWarning, stacklevel=1)
        raise InputError("stop")

    monkeypatch.setattr("cogfit.fitting.fit", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: sys.stderr.write(str(message)))
        cli.main(["fit", str(hostile_log), "--y", "y\x9b[31m"])
    err = capfd.readouterr().err
    assert "column" in err
    assert is_harmless(err), ascii(err)


def test_a_task_of_a_progress_bar_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal.ProgressBars, "DELAY", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with terminal.ProgressBars() as progress:
        time.sleep(0.3)
        progress.report(1, 2, "[/x]run\x1b]0;title\x07")
        time.sleep(0.2)
    err = capfd.readouterr().err
    assert "[/x]run" in err
    assert "\x1b]0;" not in err


# ---------------------------------------------------------------------------------------------------- encodings


def run_encoded(encoding: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "cogfit.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, check=False, timeout=300)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["cite"], ["human"], ["human", "ebbinghaus1885_savings", "--no-fit"], ["fit", "γ.csv"], ["fit", "-h"]],
    ids=" ".join,
)
def test_output_never_fails_for_want_of_a_sign(encoding: str, arguments: list[str]) -> None:
    done = run_encoded(encoding, *arguments)
    text = (done.stdout + done.stderr).decode(encoding)
    assert done.returncode == (2 if "γ.csv" in arguments else 0), text
    assert "Traceback" not in text
    assert "internal error" not in text
    if "γ.csv" in arguments:
        assert "gamma.csv" in text


def test_frames_of_the_help_are_straight_in_ascii() -> None:
    lines = run_encoded("ascii", "--help").stdout.decode("ascii").splitlines()
    framed = [line for line in lines if line.startswith(("+", "|"))]
    assert "gamma" in "".join(framed)
    assert len(set(map(len, framed))) == 1


@pytest.mark.slow
def test_a_fit_is_readable_in_ascii_and_its_json_is_utf_8(hostile_log: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    cogfit.simulate("power", n=60, rng=1).to_csv(log, index=False)
    done = run_encoded("ascii", "fit", log, "--windows", "--methods")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert "gamma = 0." in text
    assert "DeltaAICc" in text
    # rows of the table are as wide as its header: names were spelled out before columns were laid out
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if "DeltaAICc" in line)
    assert lines[start].index("interval") + len("interval") <= len(lines[start + 1].rstrip())
    done = run_encoded("ascii", "fit", hostile_log, "--y", "y\x9b[31m", "--by", "run", "--form", "power", "--json", "-")
    names = [item["labels"]["run"] for item in json.loads(done.stdout.decode("utf-8"))["fits"]]
    assert "".join(ORDERS[:6]) + "[/x]$\\frac" in names  # to the letter


def test_no_line_of_a_table_ends_with_blanks_where_no_person_reads_along(capsys: pytest.CaptureFixture[str]) -> None:
    table = terminal.new_table(["name", "why"])
    terminal.add_rows(table, ("a", "because"), ("b", ""))
    terminal.print_table(terminal.console(), table)
    lines = capsys.readouterr().out.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line.split() for line in lines if line.strip()][-2:] == [["a", "because"], ["b"]]
