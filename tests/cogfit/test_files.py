"""Atomic writing and errors."""

from __future__ import annotations

import io
import os
import pickle
import stat
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.files import csv_for_people, inert, write_atomic
from cogfit.logs.export import write_log


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


def test_a_new_file_has_the_mode_that_open_would_give(tmp_path: Path) -> None:
    for umask in (0o022, 0o077, 0o002):
        before = os.umask(umask)
        try:
            write_atomic(tmp_path / f"own{umask}", "")
            (tmp_path / f"usual{umask}").write_text("")
            left = os.umask(umask)
        finally:
            os.umask(before)
        assert left == umask  # writing changes nothing of the process
        modes = [stat.S_IMODE((tmp_path / f"{name}{umask}").stat().st_mode) for name in ("own", "usual")]
        assert modes[0] == modes[1]


def test_the_reason_of_a_failure_is_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(source: str, target: object) -> None:
        Path(source).unlink()
        raise OSError("the disk went away")  # without a number, thus without words of the system

    monkeypatch.setattr(os, "replace", lost)
    with pytest.raises(InputError, match=r"cannot be written \(the disk went away\); check the path"):
        write_atomic(tmp_path / "out.txt", "new")


def test_a_missing_folder_and_a_folder_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written \(No such file or directory\); create the folder first"):
        write_atomic(tmp_path / "missing" / "out.txt", "new")
    with pytest.raises(InputError, match="is a folder, not a file"):
        write_atomic(tmp_path, "new")


# ------------------------------------------------------------------------------------------------ spreadsheets

FORMULAS = ("=1+1", "=cmd|' /C calc'!A0", "+1+1", "-1-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "-1 ")


@given(st.one_of(st.sampled_from(FORMULAS), st.builds(str.__add__, st.sampled_from("=+-@\t\r"), st.text())))
def test_no_label_begins_like_a_formula_unless_it_is_a_number(label: str) -> None:
    shown = inert(label)
    if shown == label:
        float(label)
    else:
        assert shown == "'" + label


@pytest.mark.parametrize("label", ["", "a=b", "-0.5", "+3", "-1e-3", "-inf", "seed=1", "'=x"])
def test_other_labels_stay_as_they_are(label: str) -> None:
    assert inert(label) == label


def test_a_table_for_people_holds_no_formula_and_every_number() -> None:
    frame = pd.DataFrame({"=run": ["=1+1", "b"], "x": [-1.5, 2.0], "kind": pd.Categorical(["@a", "@b"])})
    read = pd.read_csv(io.StringIO(csv_for_people(frame)))
    assert read.to_dict("list") == {"'=run": ["'=1+1", "b"], "x": [-1.5, 2.0], "kind": ["'@a", "'@b"]}
    assert frame.columns[0] == "=run"
    assert frame.iloc[0, 0] == "=1+1"


def test_logs_that_are_read_again_keep_their_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame({"step": [1, 2, 3], "run": ["=1+1"] * 3, "attention_utilization": [0.5, 0.4, 0.3]})
    write_log(frame, tmp_path / "log.csv")
    assert pd.read_csv(tmp_path / "log.csv")["run"].tolist() == ["=1+1"] * 3
