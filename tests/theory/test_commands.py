"""``cogfit theory`` as a user meets it: tables, JSON, certificates, exit codes, one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import theory
from cogfit import cli
from cogfit.errors import MissingDependencyError
from theory.claims import Claim
from theory.tasks.retrieval import FirstExposures, Stream, play, uniform

WriteLog = Callable[..., Path]


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["theory", *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def log(write_log: WriteLog) -> Path:
    return write_log(play(Stream.independent(uniform(20), values=8, length=1500), FirstExposures(), 1, 1))


@pytest.mark.long
def test_all_theorems_and_claims_in_one_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, "check", "--json", tmp_path / "all.json", "--certificate", tmp_path / "all.cert.json")
    assert (code, err) == (0, "")
    document = json.loads((tmp_path / "all.json").read_text())
    assert document["schema"] == "theory.check/1"
    ids = [entry["id"] for entry in document["verdicts"]]
    assert {"T0", "T3", "cram-theorem-1", "retention-lemma-1"} <= set(ids)
    lines = {line.split()[0]: line for line in out.splitlines()[1:] if line.strip()}
    for entry in document["verdicts"]:
        assert entry["certificate_holds"] is True
        assert entry["verdict"]["status"] in lines[entry["id"]]
        assert entry["title"] in lines[entry["id"]]
    assert f"{len(ids)} verdicts; all certificates hold" in out
    assert len(theory.load_certificate(tmp_path / "all.cert.json")["verdicts"]) == len(ids)
    for file in ("all.json", "all.cert.json"):  # both are read back
        code, out, _ = run(capfd, "check", "--verify", tmp_path / file)
        assert code == 0
        assert all(f"  {name}: " in out for name in ids)


def test_one_claim_is_shown_in_full_with_its_counterexample(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "check", "CRAM-theorem-1")
    assert code == 0  # a refuted claim is a result
    for text in ("cram-theorem-1: REFUTED", "17/25", "counterexample: static, no memory", "attend: 9/25",
                 "facts: error == 8/25 * queries", "re-checked: holds"):  # fmt: skip
        assert text in out
    code, out, _ = run(capfd, "check", "cram-opt", "cram-static", "--full")
    assert "cram-opt: CONDITIONAL" in out
    assert "cram-static: REFUTED" in out
    code, out, _ = run(capfd, "check", "cram-opt", "--json", "-")
    assert theory.Verdict.from_json(json.loads(out)["verdicts"][0]["verdict"]).status == "conditional"


def test_a_certificate_is_rechecked_alone_and_a_tampered_one_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "opt.json"
    assert run(capfd, "check", "cram-opt", "--certificate", file)[0] == 0
    code, out, _ = run(capfd, "check", "--verify", file)
    assert code == 0
    assert out.startswith(f"{file}: holds")
    assert "counterexample: " in out
    text = file.read_text()
    assert "attention == 1/50" not in text
    document = json.loads(text)
    assert "cram-opt: conditional; statement " in out
    part = next(part for part in document["certificate"]["parts"] if part["kind"] == "counterexample")
    part["facts"] = ["attention == 1/50"]
    file.write_text(json.dumps(document))
    code, out, _ = run(capfd, "check", "--verify", file)
    assert code == 3
    assert "FAILS: cram-opt: its certificate proves something else" in out


def test_a_file_without_a_claim_is_said_to_name_no_statement(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"kind": "arithmetic", "title": "T1 is false", "facts": ["1 < 2"]}))
    code, out, _ = run(capfd, "check", "--verify", file)
    assert code == 0
    assert "names no statement" in out
    assert "T1 is false" not in out
    file.write_text('{"kind": "arithmetic", "facts": ["1 == 2"], "facts": ["1 == 1"]}')
    code, _, err = run(capfd, "check", "--verify", file)
    assert code == 2
    assert "'facts' stands twice" in err


def test_a_verdict_whose_certificate_fails_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = theory.Verdict("cram-opt", "x", "proved", "x", {"kind": "arithmetic", "facts": ["1 == 2"]})
    monkeypatch.setattr(Claim, "check", lambda claim: wrong)
    code, out, _ = run(capfd, "check", "cram-opt", "cram-static")
    assert code == 3
    assert "FAILS" in out
    assert "2 without certificate" in out


def test_a_solver_that_is_not_installed_does_not_stop_the_other_claims(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def check(claim: Claim) -> theory.Verdict:
        if claim.id == "cram-opt":
            raise MissingDependencyError("z3-solver", "theory", "checking an SMT script")
        return made

    made = theory.Verdict("cram-static", "x", "proved", "x", {"kind": "arithmetic", "facts": ["1 == 1"]})
    monkeypatch.setattr(Claim, "check", check)
    code, out, err = run(capfd, "check", "cram-opt", "cram-static")
    assert code == 2
    assert "not checked" in out
    assert "holds" in out
    assert err == "cogfit: checking an SMT script needs the library 'z3-solver'; run: pip install 'cogfit[theory]'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "cram-theorem-9"], "did you mean 'cram-theorem-"),
        (["check", "--verify", "absent.json"], "absent.json: cannot be read"),
        (["check", "T1", "--verify", "x.json"], "--verify re-checks one file"),
        (["check", "T0", "--certificate", "absent/x.json"], "the folder does not exist"),
        (["bound", "absent.csv", "--values", "16"], "absent.csv: does not exist"),
        (["bound", "LOG"], "give the number of values V"),
        (["bound", "LOG", "--values", "16", "--side-information", "0.2"], "not both"),
        (["bound", "LOG", "--values", "16", "--f", "2"], "the share f of queries is 2"),
        (["bound", "LOG", "--values", "16", "--unit", "query"], "no unit 'query'"),
        (["bound", "LOG", "--values", "16", "--plot", "x.docx"], "names no picture format"),
        (["bound", "LOG", "--values", "16", "--json", "LOG"], "is the log itself"),
        (["bound", "LOG", "--values", "16", "--json", "-", "--follow"], "--follow makes many reports"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    log: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, out, err = run(capfd, *(str(log) if argument == "LOG" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_no_certificate_is_exit_code_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    for text in ("[1, 2]", '{"kind": "magic"}', "{", '{"kind": "arithmetic", "facts": "none"}'):
        file.write_text(text)
        code, _, err = run(capfd, "check", "--verify", file)
        assert code == 2
        assert err.startswith("cogfit: ")
        assert err.count("\n") == 1


def test_bound_prints_a_table_and_writes_json_and_a_picture(
    log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(
        capfd, "bound", log, "--values", 8, "--f", 0.05, "--bits", 16, "--json", tmp_path / "b.json",
        "--plot", tmp_path / "b.svg",
    )  # fmt: skip
    assert (code, err) == (0, "")
    for text in ("1,500 queries", "without memory (T1)", "impossible", "with 16 bits of memory (T2)", "not excluded"):
        assert text in out
    document = json.loads((tmp_path / "b.json").read_text())
    assert document["schema"] == "theory.bound/1"
    assert document["settings"]["f"] == 0.05
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")
    code, out, _ = run(capfd, "bound", log, "--values", 8, "--json", "-")
    assert json.loads(out)["queries"]["rows"] == 1500


def test_follow_reports_growth_and_leaves_when_nothing_comes(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:501]))
    out_file = log.parent / "last.json"

    def grow() -> None:
        while not out_file.exists():
            time.sleep(0.05)
        with open(log, "a") as out:
            out.write("".join(lines[501:]))

    thread = threading.Thread(target=grow)
    thread.start()
    code, out, _ = run(
        capfd, "bound", log, "--values", 8, "--follow", "--every", 0.1, "--idle", 0.6, "--json", out_file
    )
    thread.join()
    assert code == 0
    assert out.index("500 queries, ") < out.index("1,500 queries, ") < out.index("router")
    assert json.loads(out_file.read_text())["queries"]["rows"] == 1500


@pytest.mark.slow
def test_ctrl_c_ends_following(log: Path) -> None:
    command = [sys.executable, "-m", "cogfit.cli", "theory", "bound", str(log), "--values", "8", "--follow"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert "1,500 queries" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "cogfit: interrupted"


def test_help_has_examples(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("check", "bound"):
        code, out, _ = run(capfd, command, "--help")
        assert code == 0
        assert f"cogfit theory {command} " in out
