"""Policies that installed packages add by entry points."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

import cogfit.plugins
from cogfit.errors import InputError
from cogfit.plugins import PluginWarning
from theory.policies import POLICIES, System, find, systems
from theory.policies.streams import Setting
from theory.policies.study import study

MINE = System("latest", "the latest tokens", "", "attend to all", "fixed", "theory.policies.fixed:Full")
CLASH = System("h2o", "another H2O", "", "attend to all", "fixed", "theory.policies.fixed:Full")
POINTS = (
    EntryPoint("a-good-one", f"{__name__}:MINE", "theory.policies"),
    EntryPoint("b-broken", "no_such_package.policies:SYSTEM", "theory.policies"),
    EntryPoint("c-clash", f"{__name__}:CLASH", "theory.policies"),
    EntryPoint("d-no-system", f"{__name__}:POINTS", "theory.policies"),
)


def clear() -> None:
    """Forget what was looked up."""
    cogfit.plugins.plugins.cache_clear()
    cogfit.plugins._loaded.cache_clear()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clear()
    monkeypatch.setattr(cogfit.plugins, "entry_points", lambda *, group: POINTS if group == "theory.policies" else ())
    yield
    clear()


def test_a_good_plug_in_comes_after_the_built_in_systems_and_the_others_are_named_in_warnings() -> None:
    with pytest.warns(PluginWarning) as record:
        everything = systems()
    assert everything == (*POLICIES, MINE)
    messages = [str(warning.message) for warning in record]
    assert len(messages) == 3
    assert "b-broken" in messages[0]
    assert "cannot be imported" in messages[0]
    assert any("c-clash" in text and "'h2o' is taken" in text for text in messages)
    assert any("d-no-system" in text and "no System" in text for text in messages)


@pytest.mark.filterwarnings("ignore::cogfit.plugins.PluginWarning")
def test_a_plug_in_is_found_and_played_by_its_name() -> None:
    assert find("LATEST") is MINE
    assert find("h2o") is next(system for system in POLICIES if system.id == "h2o")
    small = Setting(length=64, patterns=8, interval=12)
    result = study(small, policies=["latest"], laws=["mix"], budgets=[0.25], streams=8)
    assert [system.id for system in result.systems] == ["latest"]
    assert result.cells[0].accuracy.value > 0.5
    with pytest.raises(InputError, match="latest"):
        find("latestt")


def test_built_in_names_ask_for_no_plug_in(recwarn: pytest.WarningsRecorder) -> None:
    assert find("a2sf").id == "a2sf"
    assert not [warning for warning in recwarn if issubclass(warning.category, PluginWarning)]


def test_importing_the_policies_looks_nothing_up() -> None:
    code = "import sys, theory, theory.policies; sys.exit('cogfit.plugins' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
