"""Do the tests of a module notice when it is wrong? Small faults are put in, one at a time, and its tests are run.

    python benchmarks/mutants.py --module cogfit/files.py --module cogfit/people/exponent.py
    python benchmarks/mutants.py --module cogfit/inference/verdict.py --sample 40 --seed 1

A mutant has one comparison, sign, constant, ``and`` or ``or``, ``not``, or return value changed. It is *killed* if the
tests of the module fail or take far longer than without it; survivors are printed with line and change. Some survivors
behave as the original does (``x < 1`` and ``x <= 0`` for whole numbers); they have to be read.

The tests are the examples in its docstrings, and ``tests/cogfit/x/test_y.py`` for ``cogfit/x/y.py``, else those named
in :data:`TESTS`, else all of the folder ``tests/cogfit/x``. Each mutant runs in a process of its own, where an import
hook hands out the changed module; no file changes. What a test starts as a further process sees the original. The C
kernels are not mutated.

Why no tool: cosmic-ray changes the files of the checkout; mutmut puts a trampoline around every function and needs
imports by file path, which lazy exports and pytest's ``importlib`` mode do not give it.

Finished mutants are kept in ``runs/mutants`` and not run again until the module or its tests change. The row of a
module in ``data/benchmarks/mutants.csv`` is replaced by that of the last run.
"""

from __future__ import annotations

import argparse
import ast
import copy
import csv
import hashlib
import importlib.abc
import importlib.util
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from command_line import positive_whole, run_script, whole

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "data" / "benchmarks" / "mutants.csv"
KEPT = ROOT / "runs" / "mutants"
COLUMNS = ("module", "mutants", "killed", "share", "survivors")
PATIENCE = 5.0
"""A mutant that takes so many times as long as the original hangs."""

TESTS: dict[str, tuple[str, ...]] = {
    "cogfit/inference/form_tests.py": ("tests/cogfit/inference/test_selection.py",),
    "cogfit/inference/interval.py": ("tests/cogfit/inference/test_intervals.py",),
    "cogfit/logs/labels.py": ("tests/cogfit/logs/test_cleaning.py",),
    "cogfit/people/conclusions.py": ("tests/cogfit/people/test_comparison.py",),
    "cogfit/people/dataset.py": ("tests/cogfit/people/test_catalogue.py",),
    "cogfit/people/block_means.py": ("tests/cogfit/people/test_fits.py",),
    "cogfit/people/over_subjects.py": ("tests/cogfit/people/test_fits.py",),
}
"""Tests of modules that have no test file of their own name."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes
    ----------
    index : int
        Number of the place in the module, in the order of :func:`mutants`.
    line : int
    change : str
        In words, such as ``"< became <="``.
    """

    index: int
    line: int
    change: str

    def __str__(self) -> str:
        return f"{self.line}: {self.change}"


# ------------------------------------------------------------------------------------------------------- the faults

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
_WORDS: dict[type[ast.AST], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
}  # fmt: skip

Change = tuple[str, Callable[[], None]]
"""What a fault is, and a function that puts it in."""


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Parts of a node that run: neither annotations, decorators, docstrings nor blocks for type checkers."""
    skipped: set[int] = set()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        skipped |= {id(item) for item in node.decorator_list}
    for name in ("annotation", "returns"):
        skipped.add(id(getattr(node, name, None)))
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    for child in ast.iter_child_nodes(node):
        is_text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if id(child) not in skipped and not is_text:
            yield child


def _walk(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Nodes with their parents, in the order of the source."""
    for child in _children(node):
        yield node, child
        yield from _walk(child)


def _replace(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
        elif isinstance(value, list):
            setattr(parent, name, [new if item is old else item for item in value])


def _changes(parent: ast.AST, node: ast.AST) -> Iterator[Change]:
    """Faults that can be put in at a node."""

    def set_operator(index: int, new: ast.cmpop) -> Callable[[], None]:
        return lambda: node.ops.__setitem__(index, new)  # type: ignore[attr-defined]

    if isinstance(node, ast.Compare):
        for index, old in enumerate(node.ops):
            new = _COMPARISONS[type(old)]
            yield f"{_WORDS[type(old)]} became {_WORDS[new]}", set_operator(index, new())
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        operator = _OPERATORS[type(node.op)]
        yield f"{_WORDS[type(node.op)]} became {_WORDS[operator]}", lambda: setattr(node, "op", operator())
    elif isinstance(node, ast.BoolOp):
        both = isinstance(node.op, ast.And)
        yield "and became or" if both else "or became and", lambda: setattr(node, "op", ast.Or() if both else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        word = "not" if isinstance(node.op, ast.Not) else "the sign -"
        yield f"{word} is left out", lambda: _replace(parent, node, node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value!r} became {value!r}", lambda: setattr(node, "value", value)
    elif isinstance(node, ast.Return) and node.value is not None:
        is_none = isinstance(node.value, ast.Constant) and node.value.value is None
        if not is_none:
            yield "returns None", lambda: setattr(node, "value", ast.Constant(None))


def mutants(source: str) -> list[Mutant]:
    r"""All faults that can be put into a module.

    Examples
    --------
    >>> for mutant in mutants("def f(x):\n    return x + 1\n"):
    ...     print(mutant)
    2: returns None
    2: + became -
    2: 1 became 2
    """
    out: list[Mutant] = []
    for parent, node in _walk(ast.parse(source)):
        for change, _ in _changes(parent, node):
            out.append(Mutant(len(out), getattr(node, "lineno", 0), change))
    return out


def mutated(source: str, index: int) -> ast.Module:
    """The syntax tree of a module with one fault."""
    tree = copy.deepcopy(ast.parse(source))
    counted = 0
    for parent, node in _walk(tree):
        for _, put_in in _changes(parent, node):
            if counted == index:
                put_in()
                return ast.fix_missing_locations(tree)
            counted += 1
    raise IndexError(index)


# ------------------------------------------------------------------------------------- one mutant, in its own process


class _Hook(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Hands out the module with its fault to whoever imports it."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Answer for the one module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_source(self, fullname: str) -> str:
        """Text of the original, for messages."""
        return self.path.read_text(encoding="utf-8")

    def get_code(self, fullname: str) -> CodeType:
        """Code of the mutant."""
        return self.code

    def exec_module(self, module: ModuleType) -> None:
        """Run it."""
        exec(self.code, module.__dict__)  # noqa: S102 - our own module, one operator changed


def dotted(module: str) -> str:
    """Name by which a file is imported."""
    return module.removesuffix(".py").replace("/", ".")


def run_tests(module: str, index: int, tests: Sequence[str]) -> int:
    """Run the tests in this process with a fault (with none if the index is negative); the exit code."""
    import doctest

    import pytest

    path = ROOT / module
    source = path.read_text(encoding="utf-8")
    sys.path.insert(0, str(ROOT))
    tree = ast.parse(source) if index < 0 else mutated(source, index)
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _Hook(dotted(module), path, compile(tree, str(path), "exec")))
    code = int(pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]))
    return code or int(doctest.testmod(importlib.import_module(dotted(module))).failed > 0)


# --------------------------------------------------------------------------------------------------- all of a module


def tests_of(module: str) -> tuple[str, ...]:
    """Test files of a module."""
    path = Path("tests") / module
    own = path.with_name(f"test_{path.name}")
    if (ROOT / own).is_file():
        return (own.as_posix(),)
    if module in TESTS:
        return TESTS[module]
    beside = sorted((ROOT / path).parent.glob("test_*.py"))
    if not beside:
        raise SystemExit(f"{module} has no tests in {path.parent.as_posix()}; name them in TESTS of {__file__}")
    return tuple(item.relative_to(ROOT).as_posix() for item in beside)


def start(module: str, index: int, tests: Sequence[str], seconds: float | None) -> tuple[str, float]:
    """Run one mutant in a process of its own: ``"killed"``, ``"survived"`` or ``"timeout"``, and its seconds."""
    begin = time.monotonic()
    command = [sys.executable, __file__, "--child", str(index), "--module", module, *tests]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False,
                timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "timeout", time.monotonic() - begin
    if done.returncode == 5:
        raise SystemExit(f"no test was found in {', '.join(tests)}")
    return "survived" if done.returncode == 0 else "killed", time.monotonic() - begin


def _fingerprint(module: str, tests: Sequence[str]) -> str:
    texts = (Path(ROOT / name).read_bytes() for name in (module, *tests))
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def study(module: str, sample: int | None, seed: int, workers: int) -> dict[str, str]:
    """Run the mutants of a module and return its row of the table."""
    source = (ROOT / module).read_text(encoding="utf-8")
    tests = tests_of(module)
    every = mutants(source)
    chosen = every if sample is None or sample >= len(every) else random.Random(seed).sample(every, sample)
    chosen = sorted(chosen, key=lambda mutant: mutant.index)
    state = KEPT / f"{dotted(module)}.json"
    fingerprint = _fingerprint(module, tests)
    kept = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {}
    outcomes: dict[str, str] = kept["outcomes"] if kept.get("fingerprint") == fingerprint else {}
    print(f"{module}: {len(chosen)} of {len(every)} mutants, tests {', '.join(tests)}", flush=True)
    outcome, seconds = start(module, -1, tests, None)
    if outcome != "survived":
        raise SystemExit(f"{', '.join(tests)}: the tests fail without a mutant")
    limit = 20.0 + PATIENCE * seconds
    state.parent.mkdir(parents=True, exist_ok=True)
    waiting = [mutant for mutant in chosen if str(mutant.index) not in outcomes]
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda mutant: start(module, mutant.index, tests, limit)[0], waiting)
        for mutant, outcome in zip(waiting, results, strict=True):
            outcomes[str(mutant.index)] = outcome
            state.write_text(json.dumps({"fingerprint": fingerprint, "outcomes": outcomes}), encoding="utf-8")
            print(f"  {outcome:8} {module}:{mutant}", flush=True)
    survivors = [mutant for mutant in chosen if outcomes[str(mutant.index)] == "survived"]
    killed = len(chosen) - len(survivors)
    print(f"{module}: {killed} of {len(chosen)} killed" + "".join(f"\n  survived {module}:{m}" for m in survivors))
    share = f"{killed / len(chosen):.3f}" if chosen else ""
    values = (module, str(len(chosen)), str(killed), share, "; ".join(map(str, survivors)))
    return dict(zip(COLUMNS, values, strict=True))


def write_row(row: dict[str, str], table: Path) -> None:
    """Put a row into the table, in place of an earlier one of the module."""
    from cogfit.files import write_atomic

    rows = []
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as f:
            rows = [item for item in csv.DictReader(f) if item["module"] != row["module"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted([*rows, row], key=lambda item: item["module"]))
    write_atomic(table, text.getvalue())


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", required=True, help="file, such as cogfit/files.py; repeatable")
    parser.add_argument("--sample", type=positive_whole, help="so many mutants of each module, drawn at random")
    parser.add_argument("--seed", type=whole, default=0, help="of the draw (default 0)")
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=TABLE, help="table (default data/benchmarks/mutants.csv)")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("tests", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    modules = [Path(name).as_posix().removeprefix("./") for name in options.module]
    if options.child is not None:
        return run_tests(modules[0], options.child, options.tests)
    sys.path.insert(0, str(ROOT))
    for module in modules:
        if not (ROOT / module).is_file():
            parser.error(f"there is no file {module}")
        write_row(study(module, options.sample, options.seed, options.workers), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
