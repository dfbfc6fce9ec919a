"""Mutants: every kind of fault is put in, none into what does not run, and tests that are too weak are found."""

from __future__ import annotations

import ast
import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import mutants  # noqa: E402

SOURCE = '''
"""A module with 1 number in its docstring."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    ONE = 1


@decorator(1)
def f(x: Literal[1], y) -> Literal[2]:
    """Some 3."""
    total = -x
    total += 1
    if x < 0 and not y or x is None:
        return None
    return total * 2.5 if x in y else True
'''


def test_all_kinds_of_faults_are_found_where_code_runs() -> None:
    found = [str(mutant) for mutant in mutants.mutants(SOURCE)]
    assert found == [
        "13: the sign - is left out",
        "14: + became -",
        "14: 1 became 2",
        "15: or became and",
        "15: and became or",
        "15: < became <=",
        "15: 0 became 1",
        "15: not is left out",
        "15: is became is not",
        "17: returns None",
        "17: in became not in",
        "17: * became /",
        "17: 2.5 became 3.5",
        "17: True became False",
    ]


def test_each_fault_changes_the_module_and_leaves_the_rest() -> None:
    original = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in mutants.mutants(SOURCE):
        changed = ast.unparse(mutants.mutated(SOURCE, mutant.index)).splitlines()
        assert sum(one != other for one, other in zip(original, changed, strict=True)) == 1, mutant
    with pytest.raises(IndexError):
        mutants.mutated(SOURCE, len(mutants.mutants(SOURCE)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one module, one good and one weak test, and the script."""
    for folder in ("cogfit", "tests/cogfit", "benchmarks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "cogfit" / "__init__.py").write_text("")
    (tmp_path / "cogfit" / "files.py").write_text((ROOT / "cogfit" / "files.py").read_text(encoding="utf-8"))
    (tmp_path / "cogfit" / "errors.py").write_text((ROOT / "cogfit" / "errors.py").read_text(encoding="utf-8"))
    (tmp_path / "cogfit" / "small.py").write_text("def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x < 0\n")
    (tmp_path / "tests" / "cogfit" / "test_small.py").write_text(
        "from cogfit.small import f, g\n\n\ndef test_f():\n    assert f(1) == 2\n\n\ndef test_g():\n    assert g(-1)\n"
    )
    for name in ("mutants.py", "command_line.py"):
        script = (ROOT / "benchmarks" / name).read_text(encoding="utf-8")
        (tmp_path / "benchmarks" / name).write_text(script, encoding="utf-8")
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "benchmarks" / "mutants.py"), "--workers", "2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": ""}, timeout=300)


@pytest.mark.long
def test_survivors_are_named_and_finished_mutants_are_not_run_again(project: Path) -> None:
    table = project / "t.csv"
    options = ("--module", "cogfit/small.py", "--out", str(table))
    before = (project / "cogfit" / "small.py").read_bytes()
    done = run(project, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed   cogfit/small.py:2: + became -" in done.stdout
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row == {
        "module": "cogfit/small.py",
        "mutants": "6",
        "killed": "4",
        "share": "0.667",
        "survivors": "6: < became <=; 6: 0 became 1",
    }
    assert (project / "cogfit" / "small.py").read_bytes() == before
    again = run(project, *options)
    assert "  killed  " not in again.stdout
    assert list(csv.DictReader(table.read_text().splitlines())) == [row]


def test_modules_without_tests_are_refused(project: Path) -> None:
    (project / "cogfit" / "sub").mkdir()
    (project / "cogfit" / "sub" / "lonely.py").write_text("X = 1\n")
    done = run(project, "--module", "cogfit/sub/lonely.py")
    assert done.returncode == 1
    assert "has no tests" in done.stderr
