"""The public names are frozen: each change to them is a change to tests/project/public_names.txt, seen in review."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROZEN = (Path(__file__).with_name("public_names.txt")).read_text(encoding="utf-8").split()
PACKAGES = ("cogfit", "theory")


def test_public_names_are_those_that_were_frozen():
    now = [f"{package}.{name}" for package in PACKAGES for name in import_module(package).__all__]
    assert sorted(now) == FROZEN


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_load_and_are_listed_by_dir(package):
    module = import_module(package)
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_names_that_are_exported(package):
    """The lazy table and the imports under TYPE_CHECKING name the same things."""
    module = import_module(package)
    text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
    block = text[text.index("if TYPE_CHECKING:") : text.index("_EXPORTS")]
    for_checkers = {
        (source.removeprefix(package + "."), name)
        for source, names in re.findall(r"from ([\w.]+) import ([^\n]+)", block)
        for name in names.split(", ")
    }
    assert for_checkers == {(source, name) for name, source in module._EXPORTS.items()}
    assert set(module._EXPORTS) == set(module.__all__) - {"__version__"}


@pytest.mark.parametrize("name", FROZEN)
def test_public_names_are_documented(name):
    package, short = name.split(".")
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    if short == "__version__":
        assert "`cogfit.__version__`" in page
        return
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    assert any(re.search(rf"^   {short}$", part, re.MULTILINE) for part in sections if part.startswith(package))
    told = getattr(import_module(package), short).__doc__
    assert len(told.splitlines()[0]) > 10
    assert ":math:" not in told  # would be drawn by MathJax, from the network
