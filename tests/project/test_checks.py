"""The checks of `make check` that are our own, and the import contracts: each finds what it is for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cogfit", "theory", "paper_figures")
sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("importlinter", reason="needs the extra 'test'")
pytest.importorskip("radon", reason="needs the extra 'test'")

import complexity  # noqa: E402
import merge_marks  # noqa: E402

RULES = complexity.Rules(most=25, usual=15, exceptions=1, reasons={})


def function_with(branches: int, name: str = "f") -> str:
    """Source of a function of complexity `branches` + 1."""
    return "\n".join([f"def {name}(x):", *[f"    if x == {i}: x = 0" for i in range(branches)], "    return x", ""])


def measured(folder: Path, source: str) -> dict[str, int]:
    (folder / "cogfit").mkdir(exist_ok=True)
    (folder / "cogfit" / "a.py").write_text(source)
    return complexity.measure(folder)


def test_complexity_is_counted_for_functions_and_methods(tmp_path):
    method = "class C:\n    def m(self, x):\n        return x if x else 0\n"
    assert measured(tmp_path, function_with(3) + method) == {"cogfit/a.py:f": 4, "cogfit/a.py:C.m": 2}


def test_a_complex_function_is_found_unless_it_has_a_reason(tmp_path):
    values = measured(tmp_path, function_with(16))
    (told,) = complexity.complaints(values, RULES)
    assert told == "cogfit/a.py:f has complexity 17, above 15: split it, or give a reason"
    assert complexity.complaints(values, replace(RULES, reasons={"cogfit/a.py:f": "a table of cases"})) == []
    (told,) = complexity.complaints(values, replace(RULES, reasons={"cogfit/a.py:f": " "}))
    assert "give a reason" in told


def test_no_reason_is_enough_above_the_limit(tmp_path):
    values = measured(tmp_path, function_with(25))
    (told,) = complexity.complaints(values, replace(RULES, reasons={"cogfit/a.py:f": "because"}))
    assert told == "cogfit/a.py:f has complexity 26, above 25: split it"


def test_reasons_that_are_no_longer_needed_and_too_many_exceptions_are_found(tmp_path):
    values = measured(tmp_path, function_with(14))
    reasons = {"cogfit/a.py:f": "was long", "cogfit/a.py:gone": "was there"}
    assert complexity.complaints(values, replace(RULES, reasons=reasons)) == [
        "cogfit/a.py:f has complexity 15: take it off the list of exceptions",
        "cogfit/a.py:gone does not exist: take it off the list of exceptions",
    ]
    values = measured(tmp_path, function_with(16) + function_with(16, "g"))
    reasons = {"cogfit/a.py:f": "a table", "cogfit/a.py:g": "a table"}
    assert complexity.complaints(values, replace(RULES, reasons=reasons)) == [
        "2 functions are above 15; at most 1 may be"
    ]


def test_the_rules_can_be_read():
    rules = complexity.read_rules(ROOT / "pyproject.toml")
    assert (rules.most, rules.usual, rules.exceptions) == (25, 15, 10)


def test_merge_marks_are_found_and_headings_are_not(tmp_path):
    begin, between, end = merge_marks.BEGIN + "HEAD", merge_marks.BETWEEN, merge_marks.END + "other"
    lines = ["Title", between, "", begin, "a", between, "b", end, between, "x " + begin]
    assert merge_marks.marked_lines("\n".join(lines)) == [4, 6, 8]
    path = tmp_path / "page.md"
    path.write_text("\n".join(lines))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff" + begin.encode())
    done = subprocess.run(
        [sys.executable, Path(merge_marks.__file__), path, tmp_path / "picture.png"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"{path}:{n}: mark of an unfinished merge" for n in (4, 6, 8)]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git")
def test_no_tracked_file_holds_a_merge_mark():
    assert merge_marks.complaints(merge_marks.tracked_files(ROOT)) == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "", "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUTF8": "1"},
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    """The packages and their contracts in a folder that may be spoilt."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.toml"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_import_contracts_are_kept():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("cogfit/engine/estimate.py", "def late():\n    import cogfit.inference.windows", "its own floor"),
        ("cogfit/engine/noise.py", "from cogfit.integrations import lightning", "its own floor"),
        ("cogfit/inference/windows.py", "def late():\n    import theory.bounds", "in its commands only"),
        ("theory/bounds/learners.py", "import theory.claims", "its own floor"),
        ("theory/claims/published.py", "from cogfit.engine import noise", "public face"),
        ("theory/claims/published.py", "import paper_figures.style", "paper_figures stands above theory"),
        ("theory/proofs/verifiers/smt.py", "import theory.tasks.srcd", "share no code"),
        ("theory/tasks/srcd.py", "def late():\n    import torch", "torch stays"),
        ("cogfit/curves/curve.py", "import torch", "graphics processors"),
        ("cogfit/stray.py", "", "its own floor"),
        ("theory/stray.py", "", "its own floor"),
    ],
)
def test_a_forbidden_import_and_a_module_without_floor_are_found(copy, file, line, told):
    with (copy / file).open("a", encoding="utf-8") as f:
        f.write(f"\n\n{line}\n")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [text for text in done.stdout.splitlines() if "BROKEN" in text and told in text]


def test_an_exception_that_nothing_needs_is_found(copy):
    page = copy / "cogfit" / "people" / "conclusions.py"
    page.write_text(page.read_text(encoding="utf-8").replace("cogfit.show.forest", "cogfit.errors"), encoding="utf-8")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "No matches for ignored import cogfit.people.conclusions -> cogfit.show.forest" in done.stdout
