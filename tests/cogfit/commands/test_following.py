"""``cogfit fit --follow``: a line for each look, the last state at the end, also after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cogfit
from cogfit.cli import main


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    path = tmp_path / "whole.csv"
    cogfit.simulate("power", {"gamma": 0.43}, n=120, sigma=0.005, rng=1).to_csv(path, index=False)
    return path.read_text().splitlines(keepends=True)


def test_growth_is_shown_and_files_hold_the_last_state(
    tmp_path: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "last.json"
    log.write_text("".join(lines[:41]))

    def grow() -> None:
        while not out.exists():
            time.sleep(0.05)
        with open(log, "a") as file:
            file.write("".join(lines[41:]))

    thread = threading.Thread(target=grow)
    thread.start()
    options = ["--form", "power", "--every", "0.1", "--idle", "0.8", "--json", str(out)]
    assert main(["fit", str(log), "--follow", *options]) == 0
    thread.join()
    shown = capsys.readouterr().out
    assert shown.index("40 rows: ") < shown.index("120 rows: ") < shown.index("only confirmed ones keep the level")
    document = json.loads(out.read_text())
    assert document["following"] == {
        "number": 2,
        "rows": 120,
        "n_counted": 2,
        "is_counted": True,
        "confirmed": "",
        "confirmed_at": 0,
        "next_points": 240,
    }
    assert cogfit.load(out).n == 120


def test_ctrl_c_ends_with_the_last_state(tmp_path: Path, lines: list[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("".join(lines))
    command = [sys.executable, "-m", "cogfit.cli", "fit", str(log), "--follow", "--form", "power", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert "120 rows" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "γ = 0.4" in out
    assert "This is the only look." in out
    assert err.strip() == "cogfit: interrupted"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "run"], "--by does not go with it"),
        (["--audit"], "--audit does not go with it"),
        (["--json", "-"], "--follow makes many results"),
        (["--every", "0"], "a pause of 0 seconds"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    tmp_path: Path, lines: list[str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("".join(lines))
    assert main(["fit", str(log), "--follow", *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
