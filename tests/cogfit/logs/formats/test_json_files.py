"""JSON lines that are nested too deeply for a parser that calls itself."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
