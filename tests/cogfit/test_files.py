"""Atomic writing and errors."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest

import cogfit
from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.files import write_atomic


def test_writing_replaces_whole_files_and_keeps_their_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_atomic(path, "one")
    path.chmod(0o640)
    write_atomic(path, b"two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_links_and_pipes_keep_being_what_they_are(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    write_atomic("/dev/null", "gone")
    assert not Path("/dev/null").is_file()


def test_errors_are_one_line_and_pickle() -> None:
    error = InputError("is wrong\nreally", path="a.csv", line=3, column="y", hint="fix it")
    assert str(error) == "a.csv, line 3, column 'y': is wrong really; fix it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    missing = MissingDependencyError("zstandard", "logs", "reading .zst")
    assert str(pickle.loads(pickle.dumps(missing))) == str(missing)
    assert isinstance(error, cogfit.CogfitError)
    assert isinstance(error, ValueError)


def test_nearest_names() -> None:
    assert nearest("gama", ["gamma", "A"]) == "did you mean 'gamma'?"
    assert nearest("STEP", ["step", "loss"]) == "did you mean 'step'?"
    assert nearest("zzz", ["a", "b"]) == "choose from a, b"
    assert nearest("zzz", []) == "there is nothing to choose from"
