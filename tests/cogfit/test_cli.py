"""The command line as a user meets it: exit codes, clean JSON, one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import typer

import cogfit
from cogfit import cli, plugins
from cogfit.commands import terminal


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=120, sigma=0.01, rng=1).to_csv(path, index=False)
    return path


def test_fit_prints_answer_table_and_parameters(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "fit", log)
    assert (code, err) == (0, "")
    assert out.startswith("Power law: supported. γ = 0.4")
    for text in ("95% interval", "ΔAICc", "exponential + floor", "power-law exponent", "120 rows read"):
        assert text in out
    code, out, _ = run(capfd, "fit", log, "--quiet")
    assert out.count("\n") == 1
    code, out, _ = run(capfd, "fit", log, "--methods", "--form", "power")
    assert "maximum likelihood" in out


def test_json_on_standard_output_is_nothing_but_json(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "fit", log, "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "cogfit.fit/1"
    assert document["source"]["rows_read"] == 120
    assert document["gamma"]["low"] < document["gamma"]["estimate"] < document["gamma"]["high"]
    assert "NaN" not in out


@pytest.mark.slow
def test_json_file_and_picture_are_written_and_the_file_loads(
    log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        code, _, _ = run(capfd, "fit", log, "--json", tmp_path / "fit.json", "--plot", tmp_path / f"fit{suffix}")
        assert code == 0
        assert (tmp_path / f"fit{suffix}").read_bytes().startswith(magic)
    assert cogfit.load(tmp_path / "fit.json").form == "power"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.json", "fit.pdf", "fit.png", "fit.svg", "log.csv"]


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes(log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        for suffix in ("png", "svg", "pdf"):
            run(capfd, "fit", log, "--form", "power", "--json", folder / "f.json", "--plot", folder / f"f.{suffix}")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_by_fits_each_run_and_a_failed_one_does_not_stop_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    good = cogfit.simulate("power", n=60, rng=1).assign(run="good")
    short = good.iloc[:1].assign(run="short")
    pd.concat([good, short]).to_csv(tmp_path / "runs.csv", index=False)
    code, out, _ = run(capfd, "fit", tmp_path / "runs.csv", "--by", "run", "--json", tmp_path / "fits.json")
    assert code == 0
    assert "good" in out
    assert "not fitted" in out
    document = json.loads((tmp_path / "fits.json").read_text())
    assert document["schema"] == "cogfit.fits/1"
    assert [sorted(item) for item in document["fits"]] == [["fit", "labels"], ["error", "labels"]]
    code, _, err = run(capfd, "fit", tmp_path / "runs.csv", "--by", "runs")
    assert code == 2
    assert "no column 'runs' to split by" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "missing.csv"], "missing.csv"),
        (["fit", "{log}", "--y", "attention_utilisatio"], "did you mean 'attention_utilization'"),
        (["fit", "{log}", "--form", "powr"], "did you mean 'power'"),
        (["fit", "{log}", "--noise", "gauss"], "did you mean 'gaussian'"),
        (["fit", "{log}", "--plot", "fit.bmp"], "use .png, .svg or .pdf"),
        (["fit", "{log}", "--json", "{dir}/none/fit.json"], "create it first"),
        (["fit", "{log}", "--json", "{dir}"], "is a folder"),
        (["fit", "{log}", "--by", "run", "--plot", "x.png"], "leave one of them out"),
        (["fit", "{log}", "--format", "exel"], "no log format 'exel'"),
        (["fit", "{log}", "--level", "95"], "between 0 and 1"),
        (["fit", "{log}", "--by", ","], "nothing to split by"),
        (["fit", "{log}", "--seed", "-1"], "--seed must be a whole number"),
        (["fit", "{log}", "--level", "95"], "for 95 % pass --level 0.95"),
        (["fit", "{log}", "--x-min", "nan"], "must be a finite number"),
        (["fit", "{log}", "--x-min", "50", "--x-max", "20"], "the window is empty"),
        (["fit", "{log}", "--x-min", "1000"], "the log reaches from 1 to 120"),
        (["fit", "{log}", "--outcome", "hard"], "go with routing logs"),
        (["fit"], "Missing argument"),
        (["fit", "{log}", "--frm", "power"], "No such option"),
        (["simulate", "{dir}/s.csv", "--param", "gamma"], "is not name=value"),
        (["simulate", "{dir}/s.csv", "--param", "gama=1"], "did you mean 'gamma'"),
        (["simulate", "{dir}/s.xls"], "cannot be told"),
    ],
)
def test_bad_input_is_exit_code_2_and_one_line(
    arguments: list[str], message: str, log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capfd, *(a.format(log=log, dir=tmp_path) for a in arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    if err.startswith("cogfit:"):
        assert err.count("\n") == 1
    assert out == ""


@pytest.mark.slow
def test_the_log_is_never_overwritten(log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = log.read_bytes()
    for source in (log, tmp_path):
        code, _, err = run(capfd, "fit", source, "--json", log)
        assert code == 2
        assert "for the output" in err
        assert log.read_bytes() == before
    assert run(capfd, "fit", log, "-q", "--json", tmp_path / "fit.json")[0] == 0
    assert run(capfd, "fit", tmp_path, "-q", "--json", tmp_path / "fit.json")[0] == 0  # our own result may be replaced


def test_a_constant_curve_is_no_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flat.csv").write_text("step,attention_utilization\n" + "".join(f"{i},0.25\n" for i in range(1, 40)))
    code, out, _ = run(capfd, "fit", tmp_path / "flat.csv", "--json", "-")
    assert code == 0
    document = json.loads(out)
    assert document["verdict"]["power_law"] == "not_identified"
    assert {item["status"] for item in document["forms"]} == {"not_identified"}


def test_an_internal_error_is_exit_code_1_without_traceback(
    log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("cogfit.fitting.fit", broken)
    code, _, err = run(capfd, "fit", log)
    assert code == 1
    assert "internal error (ZeroDivisionError: planted)" in err


def test_a_warning_of_the_package_is_one_line(
    log: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint(name="mine", value="no_such_module:READER", group="cogfit.broken")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [broken])
    found = cogfit.fit(np.arange(1.0, 21.0), np.arange(1.0, 21.0) ** -0.5, form="power")

    def warned(*_: object, **__: object) -> cogfit.FitResult:
        plugins._loaded.cache_clear()
        assert plugins.plugins("cogfit.broken", str, "name") == ()
        warnings.warn("somebody else's", UserWarning, stacklevel=1)
        return found

    monkeypatch.setattr("cogfit.fitting.fit", warned)
    before = warnings.showwarning
    with pytest.warns(UserWarning, match="somebody else's") as others:  # left to Python, which pytest listens to
        code, _, err = run(capfd, "fit", log)
    assert (code, len(others)) == (0, 1)
    start = "warning: plug-in 'mine' (cogfit.broken: no_such_module:READER) was left out: it cannot be imported"
    assert err.startswith(start)
    assert err.count("\n") == 1
    assert warnings.showwarning is before


def test_simulate_writes_what_fit_reads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("s.csv", "s.jsonl", "s.parquet", "events"):
        code, out, _ = run(capfd, "simulate", tmp_path / name, "--param", "gamma=0.6", "--n", 150)
        assert code == 0
        assert "150 rows" in out
        code, out, _ = run(capfd, "fit", tmp_path / name, "--form", "power", "--json", "-")
        assert code == 0
        assert json.loads(out)["gamma"]["estimate"] == pytest.approx(0.6, abs=0.02)


def test_a_progress_bar_appears_for_a_person_and_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal.ProgressBars, "DELAY", 0.0)
    for person in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda person=person: person)
        with terminal.ProgressBars() as progress:
            time.sleep(0.5)
            progress.report(1, 2, "reading")
            progress.stage("fitting")(3, 14, "power")
        out, err = capfd.readouterr()
        assert out == ""
        assert ("fitting" in err) == person


def test_cite_names_the_papers(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "cite")
    assert code == 0
    for text in ("@software{cogfit", "2602.12204", "2510.08798"):
        assert text in out


def test_ctrl_c_is_exit_code_130_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    big = tmp_path / "big.parquet"
    cogfit.simulate("power", kind="routing", n=3000, patterns=300, rng=0).to_parquet(big)
    target = tmp_path / "fit.json"
    command = [sys.executable, "-m", "cogfit.cli", "fit", str(big), "--json", str(target)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), err  # a shell reports 130 for both
    assert "Traceback" not in err
    assert not target.exists()
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.slow
@pytest.mark.parametrize("options", ["--json -", "--methods"], ids=["JSON", "tables"])
def test_a_closed_pipe_is_no_error(log: Path, options: str) -> None:
    command = f"'{sys.executable}' -m cogfit.cli fit '{log}' --form power {options} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


COMMANDS = tuple(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


def test_commands_that_are_not_asked_for_keep_name_and_help_only() -> None:
    """What is asked for has all its options; the list of commands is the same."""
    whole, none = (typer.main.get_command(cli._with_options_of(cli.app, names)) for names in (COMMANDS, ()))
    assert list(none.commands) == list(whole.commands)  # type: ignore[attr-defined]
    for name, command in whole.commands.items():  # type: ignore[attr-defined]
        short = none.commands[name]  # type: ignore[attr-defined]
        assert (short.help, short.get_short_help_str()) == (command.help, command.get_short_help_str())
        one = typer.main.get_command(cli._with_options_of(cli.app, [name])).commands[name]  # type: ignore[attr-defined]
        assert [p.name for p in one.params] == [p.name for p in command.params]
    assert len(whole.commands["fit"].params) > 20  # type: ignore[attr-defined]
    assert not none.commands["fit"].params  # type: ignore[attr-defined]
    assert whole.commands["theory"].commands.keys() == none.commands["theory"].commands.keys()  # type: ignore[attr-defined]
