"""The modules that write pages: they say what they do, and refuse what they do not know before they work."""

from __future__ import annotations

from importlib import import_module

import pytest

MODULES = ["theory.claims.__main__", "theory.phenomena.__main__", "theory.policies.__main__",
           "theory.policies.forgetting_page", "theory.proofs.rocq.__main__"]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_help_has_examples_and_nothing_is_done(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        import_module(module).main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m theory.")
    assert out.count("python -m theory.") > 1


@pytest.mark.parametrize("module", MODULES)
def test_unknown_options_are_refused(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        import_module(module).main(["--no-such-option"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --no-such-option" in capsys.readouterr().err
