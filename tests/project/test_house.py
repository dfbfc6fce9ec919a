"""The house rules that no other tool checks: folders, names, private names, first sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cogfit", "theory", "paper_figures")
FILES = sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
MOST_LOOSE = {"cogfit": 6, "theory": 3}
MOST_WORDS = 10


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize("folder", sorted({str(Path(file).parent.as_posix()) for file in FILES}))
def test_every_folder_says_in_one_sentence_what_it_is_for(folder):
    path = ROOT / folder / "__init__.py"
    assert path.is_file(), "no __init__.py"
    first, *others = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines() or [""]
    assert re.fullmatch(r"[^.]+(\.[^\s.][^.]*)*\.", first), first
    assert not others or others[0] == "", "the first sentence has one line"


@pytest.mark.parametrize("package", MOST_LOOSE)
def test_few_modules_lie_outside_a_folder(package):
    loose = sorted({path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"})
    assert len(loose) <= MOST_LOOSE[package], f"move one of {', '.join(loose)} into a folder"


@pytest.mark.parametrize("package", ["cogfit", "theory"])
def test_no_module_bears_the_name_of_a_public_function(package):
    module = import_module(package)
    functions = {name for name in module.__all__ if isinstance(getattr(module, name), FunctionType)}
    assert len(functions) >= 5
    there = {path.stem for path in (ROOT / package).glob("*.py")}
    there |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert there & functions == set()


# ------------------------------------------------------------------------------------------------------ private names


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_uses(module: ast.Module) -> Iterator[str]:
    """Private names of other modules of the packages, imported or looked up in an imported module."""
    imported: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
            for alias in node.names:
                place = f"{node.module}.{alias.name}"
                if is_private(alias.name) or any(map(is_private, (node.module or "").split("."))):
                    yield place
                if (ROOT / Path(*place.split("."))).with_suffix(".py").is_file():
                    imported[alias.asname or alias.name] = place
    for node in ast.walk(module):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and is_private(node.attr)):
            continue
        if node.value.id in imported:
            yield f"{imported[node.value.id]}.{node.attr}"


@pytest.mark.parametrize("file", FILES)
def test_no_module_uses_a_private_name_of_another(file):
    uses = sorted(private_uses(tree(file)))
    assert uses == []


def test_private_names_of_other_modules_are_found():
    text = """
from cogfit.files import _umask, write_atomic as _write
from cogfit.engine import estimate as other, noise
from numpy import _core

def f(self):
    return other._search, self._mine, noise.get, other.__name__
"""
    assert sorted(private_uses(ast.parse(text))) == ["cogfit.engine.estimate._search", "cogfit.files._umask"]


# ---------------------------------------------------------------------------------------------------- first sentences


def public_functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and docstring of the functions of a module and the methods of its classes that are not private."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield prefix + node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")


def first_sentence(docstring: str) -> str:
    """Up to the first full stop with a space or line end after it, or up to the first empty line."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.?!])\s", paragraph)[0]


def too_long(module: ast.Module) -> list[str]:
    """First sentences with too many words or with a semicolon."""
    sentences = [(name, first_sentence(text)) for name, text in public_functions(module.body)]
    return [f"{name}: {text}" for name, text in sentences if len(text.split()) > MOST_WORDS or ";" in text]


@pytest.mark.parametrize("file", FILES)
def test_first_sentences_are_short(file):
    assert too_long(tree(file)) == []


def test_long_first_sentences_are_found():
    text = '''
def f():
    """One two three four five six seven eight nine ten eleven."""

def g():
    """Do this; and that."""

def h():
    """Fit e.g. two curves. One two three four five six seven eight nine ten eleven; twelve."""

def _private():
    """One two three four five six seven eight nine ten eleven."""

class C:
    def m(self):
        """Short."""

    def n(self):
        """One two three four five
        six seven eight nine ten eleven.
        """
'''
    assert [line.split(":")[0] for line in too_long(ast.parse(text))] == ["f", "g", "C.n"]
