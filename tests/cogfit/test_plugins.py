"""Records of installed packages: found by their metadata, in order, and what is broken is left out by name."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from cogfit.plugins import PluginWarning, plugins

GROUPS = (f"cogfit.test{number}" for number in count())  # answers are kept by group: each test has one of its own


@dataclass(frozen=True)
class Record:
    """What the packages add."""

    name: str


Install = Callable[[str, str], str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module, with entry points; the group is returned."""
    before = set(sys.modules)

    def add(source: str, points: str) -> str:
        group = next(GROUPS)
        package = f"added{group.removeprefix('cogfit.test')}"
        (tmp_path / f"{package}.py").write_text(f"from {__name__} import Record\n{source}\n")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{points.replace('MODULE', package)}\n")
        monkeypatch.syspath_prepend(tmp_path)
        return group

    yield add
    for name in set(sys.modules) - before:
        if name.startswith("added"):
            del sys.modules[name]


def test_records_come_in_the_order_of_their_names(install: Install) -> None:
    group = install("A, B = Record('first'), Record('second')", "zeta = MODULE:A\nalpha = MODULE:B")
    assert [record.name for record in plugins(group, Record, "name")] == ["second", "first"]


def test_a_built_in_name_and_a_name_given_twice_cannot_be_taken(install: Install) -> None:
    group = install(
        "A, B, C = Record('power'), Record('own'), Record('own')", "a = MODULE:A\nb = MODULE:B\nc = MODULE:C"
    )
    with pytest.warns(PluginWarning) as caught:
        result = plugins(group, Record, "name", ("power",))
    assert [record.name for record in result] == ["own"]
    texts = [str(item.message) for item in caught]
    assert len(texts) == 2
    assert "'power' is taken" in texts[0]
    assert "'c'" in texts[1]
    assert "'own' is taken" in texts[1]


def test_a_record_of_another_kind_is_named_with_its_package(install: Install) -> None:
    group = install("A, B = 3, Record('b')", "wrong = MODULE:A\nright = MODULE:B")
    with pytest.warns(PluginWarning, match=r"'wrong' of the package added\d+ .*it is no Record, but int"):
        assert [record.name for record in plugins(group, Record, "name")] == ["b"]


@pytest.mark.parametrize("failure", ["raise RuntimeError('no licence')", "raise SystemExit(3)", "import no_such_thing"])
def test_a_package_that_fails_at_import_is_left_out_with_the_line_that_asked(install: Install, failure: str) -> None:
    group = install(failure, "broken = MODULE:A")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert plugins(group, Record, "name") == ()
    assert len(caught) == 1
    assert caught[0].category is PluginWarning
    assert "cannot be imported" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_packages_are_looked_up_once(install: Install) -> None:
    group = install("A = Record('a')", "a = MODULE:A")
    assert plugins(group, Record, "name")[0] is plugins(group, Record, "name")[0]
