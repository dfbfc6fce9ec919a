"""A log of copies of a state, as a file and at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cogfit import cli
from cogfit.errors import InputError
from theory.audit.copies import check_copies
from theory.bounds.t12_copied_states import judge, play_states


def write(path: Path, right: np.ndarray, wrong: np.ndarray, order: np.random.Generator | None = None) -> Path:
    """One run per table; patterns in any order."""
    lines = ["run,step,pattern,attended,correct"]
    for table in range(len(right)):
        patterns = np.arange(right.shape[1]) if order is None else order.permutation(right.shape[1])
        for step, k in enumerate(patterns):
            attended = not (right[table, k] or wrong[table, k])
            lines.append(f"{table:03d},{step},p{k},{int(attended)},{int(not wrong[table, k])}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_file_says_what_the_tables_say(tmp_path: Path) -> None:
    right, wrong = play_states(5, 2, patterns=9, values=8, tables=6, flips=0.05, rng=2)
    for order in (None, np.random.default_rng(0)):
        found = check_copies(write(tmp_path / "copies.csv", right, wrong, order), values=8, bits=12.0)
        expected = judge(right, wrong, values=8, bits=12.0)
        assert (found.p_value, found.least_bits) == pytest.approx((expected.p_value, expected.least_bits))
        assert found.tables == 6


def test_the_command_prints_and_writes_the_judgement(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    right, wrong = play_states(6, 0, patterns=8, values=16, tables=5)
    log = write(tmp_path / "copies.csv", right, wrong)
    assert cli.main(["theory", "copies", str(log), "--values", "16", "--bits", "16", "--json", "-"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["impossible"] is True
    assert 16 < document["least_bits"] <= 24
    assert cli.main(["theory", "copies", str(log), "--values", "16"]) == 0
    assert capfd.readouterr().out.startswith("the state holds ")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (["1,1,a,0,1", "1,2,a,0,1"], "more than once"),
        (["1,1,a,0,1", "1,2,,0,1"], "without a pattern"),
    ],
)
def test_a_log_that_is_none_of_copies_is_refused(tmp_path: Path, rows: list[str], match: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text("\n".join(["run,step,pattern,attended,correct", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=match):
        check_copies(file, values=4)


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("run,step,pattern,attended\n1,1,a,0\n1,2,b,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column 'correct'"):
        check_copies(file, values=4)
    with pytest.raises(InputError, match="no routing log"):
        check_copies(3, values=4)  # type: ignore[arg-type]
