"""Scripts that are asked for what they cannot do: one line and exit code 2, and nothing is begun or left behind."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from cogfit.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
LEFT_OUT = {"kvpress_side.py"}  # another environment
SCRIPTS = sorted(
    path.name for path in BENCHMARKS.glob("*.py") if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


def run(
    script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    return stop.value.code, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("script", [name for name in SCRIPTS if name not in LEFT_OUT])
def test_unknown_options_are_refused(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--no-such-option"], ["--page", "--no-such-option"]):
        code, out, err = run(script, arguments, monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert "error: " in err.splitlines()[-1]


WRONG = [
    # numbers that mean nothing
    ("record_runs.py", ["{dir}", "--streams", "0"], "'0' is not a positive whole number"),
    ("training_speed.py", ["--against", "HEAD", "--rounds", "0"], "'0' is not a positive whole number"),
    ("equal_training.py", ["--units", "-1"], "'-1' is not a positive whole number"),
    ("equal_training.py", ["--minutes", "nan"], "'nan' is not a finite number of 0 or more"),
    ("equal_training.py", ["--minutes", "inf"], "'inf' is not a finite number of 0 or more"),
    ("equal_training.py", ["--only", "no-such-set"], "no set 'no-such-set'"),
    ("paper_size.py", ["--steps", "1.5"], "'1.5' is not a positive whole number"),
    ("fuzz_logs.py", ["--seed", "-1"], "'-1' is not a whole number of 0 or more"),
    ("gpu.py", ["--seconds", "0"], "'0' is not a positive finite number"),
    ("forecast.py", ["--repeats", "-3"], "'-3' is not a positive whole number"),
    ("forecast.py", ["--part", "3/2"], "'3/2' is no part, such as 1/4"),
    # files, folders and revisions that are not there
    ("record_runs.py", ["{dir}/nope"], "nope: is no finished run"),
    ("training_speed.py", ["--against", "nope"], "git archive failed: fatal: "),
    ("training_speed.py", ["--against", "HEAD", "--out", "{dir}/no/table.csv"], "does not exist"),
    ("training_speed.py", ["--markdown", "--out", "{dir}/nope.csv"], "No such file or directory"),
    ("forecast.py", ["--out", "{dir}/no/table.csv"], "does not exist"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("script", "arguments", "message"), WRONG)
def test_what_cannot_be_done_is_said_in_one_line(
    script: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    into = ["--into", str(tmp_path / "into")] if script == "record_runs.py" else []
    code, out, err = run(script, [word.format(dir=tmp_path) for word in arguments] + into, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_is_recorded_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import record_runs

    source, target = ROOT / "data" / "runs" / "jamba-n256" / "seed11", tmp_path / "jamba-n256" / "seed11"
    measures = record_runs.read_document(source)["final"]["measures"]
    monkeypatch.setattr(record_runs, "restore_weights", lambda *_: None)

    def fail(*_: object) -> None:
        raise InputError("not to be measured")

    monkeypatch.setattr(record_runs, "measure", fail)
    with pytest.raises(InputError, match="not to be measured"):
        record_runs.record(source, target, [], 8)
    assert not any((tmp_path / "jamba-n256").iterdir())
    # an earlier record stays until the new one is there
    monkeypatch.setattr(record_runs, "measure", lambda *_: {"streams": 8, "measures": measures})
    target.mkdir()
    (target / "run.json").write_text("{}")
    record_runs.record(source, target, [], 8)
    assert [path.name for path in (tmp_path / "jamba-n256").iterdir()] == ["seed11"]
    assert sorted(path.name for path in target.iterdir()) == ["evaluation.csv", "run.json"]
    assert record_runs.read_document(target)["final"]["measures"] == measures
