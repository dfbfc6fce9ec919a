"""Tables at terminals that are too narrow for them: no number is ever cut."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit import cli
from cogfit.commands.terminal import add_rows, console, new_table, print_table

ROOT = Path(__file__).resolve().parents[3]


class Terminal(io.StringIO):
    """A terminal, as far as a program can tell."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


words = st.sampled_from(["", "yes", "by the query", "still climbing", "mamba-n256-equal", "n2048", "drops tokens"])
numbers = st.one_of(
    st.integers(0, 10**9).map(lambda value: f"{value:,}"),
    st.floats(0, 100).map(lambda value: f"{value:.2f} ± {value / 10:.2f}"),
)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(0, 9), st.integers(50, 160), st.booleans())
def test_all_cells_are_printed_in_full_whatever_the_width(
    data: st.DataObject, left: int, right: int, width: int, is_terminal: bool
) -> None:
    names = [f"name {i}" for i in range(left)], [f"number {i}" for i in range(right)]
    rows = [
        [data.draw(words) for _ in range(left)] + [data.draw(numbers) for _ in range(right)]
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    table = new_table(*names, wrapped=names[0][1:2])
    add_rows(table, *rows)
    out = console(stream := Terminal() if is_terminal else io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")  # a dumb terminal has 80 columns whatever it is told
        out.width = width
        print_table(out, table)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for row in rows:
        for number in row[left:]:
            assert number in text
        for word in " ".join(row[:left]).split():
            assert word in text


def test_numbers_of_a_table_with_room_stay_where_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    table = new_table(["run"], ["accuracy", "attention"])
    add_rows(table, ["one", "76.55 %", "0.0 %"])
    print_table(console(), table)
    assert capfd.readouterr().out == "run  accuracy  attention\none   76.55 %      0.0 %\n"


@pytest.mark.long
@pytest.mark.parametrize("columns", [60, 100, 140])
@pytest.mark.parametrize(
    "arguments",
    [
        ["theory", "runs", str(ROOT / "data" / "runs" / "cram-n256-state-router"), str(ROOT / "data/runs/jamba-n256")],
        ["theory", "policies", "--policy", "a2sf", "--length", "64", "--patterns", "8", "--streams", "8", "--interval",
         "12", "--budget", "0.2"],
        ["theory", "lm", "show"],
        ["theory", "lm", "recall"],
        ["theory", "redundancy"],
        ["human"],
        ["human", "anderson1981_latency", "--no-fit"],
        ["figures", "--list"],
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)  # fmt: skip
def test_no_command_cuts_a_number(
    arguments: list[str], columns: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main(arguments) == 0
    out = capfd.readouterr().out
    assert not re.findall(r"\S*\d\S*…", out)
