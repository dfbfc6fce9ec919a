"""JSON that is nested too deeply for a parser that calls itself, and JSON that parsers read differently."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import UtilizationLog, read_log
from cogfit.logs.formats import json_files
from cogfit.logs.formats.json_files import is_deep


def depth(line: bytes) -> int:
    """Most brackets that are open at a time, one byte after the other."""
    steps = ((byte in b"[{") - (byte in b"]}") for byte in line)
    return max(accumulate(steps), default=0)


@pytest.mark.parametrize("piece", [7, 1 << 24])
@given(st.lists(st.text("[]{}a\n", max_size=30).map(str.encode), max_size=8).map(b"".join))
@example(b"[" * 6)
@example(b"[[[\n[[[")
def test_lines_are_deep_where_more_brackets_are_open_than_allowed(piece: int, data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "_DEEPEST", 5)
        patch.setattr(json_files, "_PIECE", piece)
        assert is_deep(data) == any(depth(line) > 5 for line in data.split(b"\n"))


# --- exactness --------------------------------------------------------------------------------------------------------


def utilization(path: Path) -> UtilizationLog:
    log = read_log(path).utilization
    assert log is not None
    return log


@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
def test_numbers_that_are_none_are_missing_or_infinite(tmp_path: Path, name: str) -> None:
    values = ["0.5", "NaN", "Infinity", "-Infinity", "null", "0.25"]
    rows = [f'{{"step": {step}, "attn_util": {value}}}' for step, value in enumerate(values)]
    (tmp_path / name).write_text("\n".join(rows) if name == "log.jsonl" else f"[{','.join(rows)}]")
    log = utilization(tmp_path / name)
    assert log.frame["attention_utilization"].tolist() == [0.5, 0.25]
    assert log.source.rows_dropped == {"no value in 'attn_util'": 2, "infinite value in 'attn_util'": 2}


@pytest.mark.parametrize("row", ['{"step": 2, "a": 1, "a": 2, "attn_util": 1}', '{"step": 2, "m": {"x": 1, "x": 2}}'])
def test_two_values_of_one_name_are_refused(tmp_path: Path, row: str) -> None:
    rows = ['{"step": 1, "attn_util": 0.5}', row, '{"step": 3, "attn_util": 0.5}']
    (tmp_path / "log.jsonl").write_text("\n".join(rows))
    with pytest.raises(InputError, match="line 2: two values are called '[ax]'"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.json").write_text(f"[{','.join(rows)}]")
    with pytest.raises(InputError, match="two values are called '[ax]'"):
        read_log(tmp_path / "log.json")


@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
def test_a_name_with_a_dot_and_an_inner_value_are_not_mixed_up(tmp_path: Path, name: str) -> None:
    rows = [f'{{"step": {step}, "attn_util": 0.5, "a.b": 1, "a": {{"b": 2}}}}' for step in range(3)]
    (tmp_path / name).write_text("\n".join(rows) if name == "log.jsonl" else f"[{','.join(rows)}]")
    with pytest.raises(InputError, match=r"two values are called 'a\.b'|two columns are called 'a\.b'"):
        read_log(tmp_path / name)


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc3"])
@pytest.mark.parametrize("name", ["log.jsonl", "log.json"])
def test_text_that_is_not_utf8_is_refused(tmp_path: Path, name: str, bad: bytes) -> None:
    rows = [b'{"step": %d, "attn_util": 0.5, "run": "a%s"}' % (step, bad if step == 3 else b"b") for step in range(6)]
    (tmp_path / name).write_bytes(b"\n".join(rows) if name == "log.jsonl" else b"[" + b",\n".join(rows) + b"]")
    with pytest.raises(InputError, match="UTF-8"):
        read_log(tmp_path / name)


def test_columns_by_row_must_name_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"step": {"0": 1, "1": 2}, "attn_util": {"1": 0.5, "0": 0.25}}')
    with pytest.raises(InputError, match="rows have different names"):
        read_log(tmp_path / "log.json")


def test_two_values_of_one_name_are_refused_beside_characters_in_two_halves(tmp_path: Path) -> None:
    rows = [f'{{"step": {step}, "attn_util": 0.5, "run": "\\ud835\\udd18"}}' for step in range(3)]
    rows.append('{"step": 3, "attn_util": 0.4, "run": "b", "attn_util": 0.1}')
    (tmp_path / "log.jsonl").write_text("\n".join(rows))
    with pytest.raises(InputError, match="line 4: two values are called 'attn_util'"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.json").write_text(f"[{','.join(rows)}]")
    with pytest.raises(InputError, match="two values are called 'attn_util'"):
        read_log(tmp_path / "log.json")
