"""A file that grows is read again when it has, and no oftener."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs.growing import stamp_of, watch


def play(path: Path, sizes: list[int], growth: float) -> list[int]:
    """Rows that are shown where the file has so many at each look."""
    left = list(sizes)

    def write(_: float) -> None:
        if left:
            path.write_text("x" * left.pop(0))

    write(0.0)
    read: Callable[[], str] = path.read_text
    return [len(text) for text in watch(path, read, len, growth=growth, every=1.0, idle=len(sizes) + 1.0, sleep=write)]


@given(steps=st.lists(st.integers(0, 9), min_size=1, max_size=12), growth=st.sampled_from([1.0, 1.1, 2.0]))
def test_each_growth_is_shown_once_and_the_last_state_always(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], growth: float
) -> None:
    sizes = [1 + sum(steps[: i + 1]) for i in range(len(steps))]
    shown = play(tmp_path_factory.mktemp("grow") / "log", sizes, growth)
    assert shown[0] == sizes[0]
    assert shown[-1] == sizes[-1]
    assert shown == sorted(set(shown))
    for before, after in itertools.pairwise(shown[:-1]):  # the last may be less
        assert after > growth * before
    if growth == 1.0:
        assert shown == sorted(set(sizes))


def test_fewer_rows_are_shown_too(tmp_path: Path) -> None:
    assert play(tmp_path / "log", [5, 3, 8], 1.0) == [5, 3, 8]


def test_what_cannot_be_read_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("")
    seen = []

    def read() -> str | None:
        seen.append(path.read_text())
        return seen[-1] or None

    shown = list(watch(path, read, len, every=1.0, idle=3.0, sleep=lambda _: path.write_text("ab") and None))
    assert shown == ["ab"]
    assert seen[0] == ""


def test_a_folder_changes_with_its_files(tmp_path: Path) -> None:
    before = stamp_of(tmp_path)
    (tmp_path / "part.csv").write_text("1")
    assert stamp_of(tmp_path) != before
    with pytest.raises(InputError, match="more than 0"):
        next(watch(tmp_path, lambda: None, len, every=0.0))
