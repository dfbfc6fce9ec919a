"""Every line of a text table is a row, or was left out for a stated reason, or is refused with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import UtilizationLog, read_log

NAMES = ["plain.csv", "packed.csv.gz"]  # streamed, and held in memory


def rows(n: int, note: str = "ok", start: int = 0) -> list[str]:
    return [f"{step},{0.9 / (1 + step):.6f},{note}" for step in range(start, start + n)]


def write(folder: Path, name: str, lines: list[str], end: str = "\n") -> Path:
    data = ("\n".join(lines) + end).encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def utilization(path: Path, **options: str) -> UtilizationLog:
    log = read_log(path, **options).utilization
    assert log is not None
    source = log.source
    assert source.rows_behind(log.frame) == source.rows_used
    return log


# --- quotes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 40), data=st.data())
def test_a_quote_that_never_closes_is_refused_where_it_opens(
    tmp_path_factory: pytest.TempPathFactory, name: str, n: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, n - 1))
    column = data.draw(st.integers(0, 2))
    lines = rows(n)
    cells = lines[at].split(",")
    cells[column] = '"' + cells[column]
    lines[at] = ",".join(cells)
    path = write(tmp_path_factory.mktemp("quote"), name, ["step,attn_util,note", *lines])
    with pytest.raises(InputError, match=rf"line {at + 2}: a quote opens here .*never closes"):
        read_log(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("closing", ['"', '"open'])
def test_a_quote_that_takes_in_rows_is_refused_where_it_opens(tmp_path: Path, name: str, closing: str) -> None:
    lines = rows(30)
    lines[7], lines[19] = '7,0.11,"', f"19,0.05,{closing}"
    path = write(tmp_path, name, ["step,attn_util,note", *lines])
    with pytest.raises(InputError, match="line 9: a quote opens here"):
        read_log(path)


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_within_quotes_are_text(tmp_path: Path, name: str) -> None:
    lines = rows(30, '"first, one\nsecond\n\nthird 1,2"')
    log = utilization(write(tmp_path, name, ["step,attn_util,note", *lines]))
    assert log.frame["step"].tolist() == list(range(30))
    assert set(log.frame["note"]) == {"first, one\nsecond\n\nthird 1,2"}
    lines[20] = '20,high,"a\nb"'
    with pytest.raises(InputError, match="line 82, column 'attn_util'"):
        read_log(write(tmp_path, name, ["step,attn_util,note", *lines]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ['"3","0.', '"3","0.2', '"3","', '"3', '"3",0.2,"o'])
def test_a_quoted_cell_that_a_crash_cut_is_left_out(tmp_path: Path, name: str, end: str) -> None:
    wide = end.count(",") == 2
    lines = [f'"{step}","0.{9 - step}"' + (',"ok"' if wide else "") for step in range(3)]
    header = "step,attn_util,note" if wide else "step,attn_util"
    log = utilization(write(tmp_path, name, [header, *lines, end], end=""))
    assert log.frame["attention_utilization"].tolist() == [0.9, 0.8, 0.7]
    assert log.source.rows_dropped == {"truncated last line": 1}


def test_quotes_within_cells_are_text(tmp_path: Path) -> None:
    log = utilization(
        write(tmp_path, "log.csv", ["step,attn_util,note", *rows(9, '5" disk'), *rows(9, '"a ""b"""', 9)])
    )
    assert log.frame["note"].tolist() == ['5" disk'] * 9 + ['a "b"'] * 9


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "header", ["step,acc,loss,lr", "lr,loss,step", "step,loss", "loss,lr,step,acc,note", "step,lr,loss"]
)
def test_a_header_that_changes_begins_a_new_part(tmp_path: Path, name: str, header: str) -> None:
    values = {"acc": "0.7", "lr": "0.001", "note": '"a, b"'}

    def part(header: str, start: int) -> list[str]:
        names = header.split(",")
        cells = [values | {"step": str(step), "loss": f"{5 / step:.4f}"} for step in range(start, start + 20)]
        return [header, *(",".join(cell[name] for name in names) for cell in cells)]

    path = write(
        tmp_path, name, [*part("step,loss,lr", 1), "", *part(header, 21), *part(header, 41), *part("step,loss", 61)]
    )
    log = utilization(path, y="loss")
    assert log.frame["step"].tolist() == list(range(1, 81))
    np.testing.assert_allclose(log.frame["attention_utilization"], np.round(5 / np.arange(1, 81), 4))
    repeats = 2 if header == "step,loss" else 1
    changes = 3 - repeats
    assert log.source.rows_dropped == {"changed header line": changes, "repeated header line": repeats}
    assert any("line 23" in note and header.replace(",", ", ") in note for note in log.source.notes)
    lines = path.read_bytes() if name.endswith("csv") else gzip.decompress(path.read_bytes())
    broken = lines.replace(b"\n70,", b"\n70,x")
    path.write_bytes(broken if name.endswith("csv") else gzip.compress(broken))
    with pytest.raises(InputError, match="line 75, column 'loss'"):
        read_log(path, y="loss")


@pytest.mark.parametrize("name", NAMES)
def test_wider_rows_without_a_header_are_refused(tmp_path: Path, name: str) -> None:
    lines = ["step,loss", *(f"{step},{5 / step:.3f}" for step in range(1, 20))]
    lines += [f"{step},{5 / step:.3f},{step / 2},0.5" for step in range(20, 30)]
    with pytest.raises(InputError, match="line 21: has 4 fields where the header has 2"):
        read_log(write(tmp_path, name, lines), y="loss")


def test_a_changed_header_keeps_labels_and_large_integers(tmp_path: Path) -> None:
    lines = ["step,attn_util,run,big", *(f"{step},0.5,01,{2**60 + step}" for step in range(5))]
    lines += ["step,run,attn_util", *(f"{step},1,0.5" for step in range(5))]
    log = utilization(write(tmp_path, "log.csv", lines))
    assert log.frame["run"].value_counts().to_dict() == {"1": 5, "01": 5}
    assert log.frame.loc[log.frame["run"] == "01", "big"].tolist() == [2**60 + step for step in range(5)]


# --- thousands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_thousands_are_read_where_every_number_is_written_so(tmp_path: Path, name: str) -> None:
    steps = [1, 999, 1000, 12_345, 1_000_000, 123_456_789]
    lines = ["step,attn_util", *(f'"{step:,}",0.5' for step in steps)]
    log = utilization(write(tmp_path, name, lines))
    assert log.frame["step"].tolist() == steps
    assert any("thousands" in note and "'step'" in note for note in log.source.notes)


@pytest.mark.parametrize("cell", ["1,00", "0,500", "1,0000", "12,34,567", "1,000.5", "x"])
def test_other_commas_within_numbers_are_refused(tmp_path: Path, cell: str) -> None:
    lines = ["step,attn_util", '"1,000",0.5', f'"{cell}",0.4', '"2,000",0.3']
    with pytest.raises(InputError, match=r"line [23], column 'step'"):
        read_log(write(tmp_path, "log.csv", lines))


def test_a_comma_is_no_thousands_separator_in_other_dialects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2, column 'step'"):
        read_log(write(tmp_path, "log.tsv", ["step\tattn_util", "1,000\t0.5", "2,000\t0.4"]))


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_cells_of_any_length(tmp_path: Path, size: int) -> None:
    lines = ["step,attn_util,note", *rows(3), f"3,0.2,{'a' * size}", f'4,0.1,"{"b" * size}\nc"', "5,x,d"]
    path = write(tmp_path, "log.csv", lines[:-1])
    log = utilization(path)
    assert log.frame["note"].str.len().tolist() == [2, 2, 2, size, size + 2]
    with pytest.raises(InputError, match="line 8, column 'attn_util'"):
        read_log(write(tmp_path, "log.csv", lines))


def test_long_names_of_columns(tmp_path: Path) -> None:
    name = "n" * 245
    log = utilization(write(tmp_path, "log.csv", [f"step,attn_util,{name}", *rows(3, "1")]))
    assert log.frame[name].tolist() == [1, 1, 1]


@pytest.mark.parametrize("gaps", [False, True])
def test_wide_tables_are_read_as_narrow_ones(tmp_path: Path, gaps: bool) -> None:
    rng = np.random.default_rng(5)
    n, levels = 7, 300
    values = rng.random((n, levels)).round(4)
    if gaps:
        values[2, 5] = values[4, 250] = values[6, 250] = np.nan
        values[5] = np.nan
    steps = np.arange(n) * 3
    header = ",".join(["step", "note", *(f"layer{level}/attn_util" for level in range(levels))])
    lines = [header]
    for step, row in zip(steps, values, strict=True):
        lines.append(",".join([str(step), "a", *("" if np.isnan(value) else f"{value:.4f}" for value in row)]))
    log = utilization(write(tmp_path, "log.csv", lines))
    by_level = log.frame.set_index(["layer", "step"])["attention_utilization"]
    for level in range(levels):
        for place, step in enumerate(steps):
            if np.isnan(values[place, level]):
                assert (str(level), step) not in by_level.index
            else:
                assert by_level[str(level), step] == values[place, level]
    assert log.source.rows_dropped == ({"no value in 'layer0/attn_util' and its like": 1} if gaps else {})
    lines[3] = lines[3].replace(f"{values[2, 7]:.4f}", "1.5", 1)
    with pytest.raises(InputError, match="line 4, column 'layer7/attn_util'"):
        read_log(write(tmp_path, "log.csv", lines))


# --- encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.txt"])
def test_wide_encodings_are_named(tmp_path: Path, encoding: str, name: str) -> None:
    text = '{"step": 1, "attn_util": 0.5}\n' * 3 if "json" in name else "\n".join(["step,attn_util,note", *rows(5)])
    (tmp_path / name).write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match=f"encoded in {encoding[:6].upper()}; save it as UTF-8"):
        read_log(tmp_path / name)


@pytest.mark.parametrize("name", NAMES)
def test_decimal_commas_may_be_quoted(tmp_path: Path, name: str) -> None:
    lines = ['"step";"attn_util";"note"', *(f'"{step}";"0,{90 - step}";"a, b"' for step in range(6))]
    log = utilization(write(tmp_path, name, lines))
    assert log.frame["attention_utilization"].tolist() == [(90 - step) / 100 for step in range(6)]


@pytest.mark.parametrize(
    "end", [["3\t0.25\tok"], ["attn_util\tstep\tnote", "0.25\t3\tok"]]
)  # by Arrow, and record by record
def test_a_row_of_empty_cells_between_tabs_is_a_row(tmp_path: Path, end: list[str]) -> None:
    # read by Arrow, and record by record where the header changes
    lines = ["step\tattn_util\tnote", *(f"{step}\t0.{9 - step}\tok" for step in range(3)), "\t\t", "", *end]
    log = utilization(write(tmp_path, "log.tsv", lines))
    assert log.source.rows_read == 4 + len(end)
    assert log.source.rows_dropped["no value in 'step'"] == 1
    assert log.frame["attention_utilization"].tolist() == [0.9, 0.8, 0.7, 0.25]


@pytest.mark.parametrize("name", NAMES)
def test_two_damaged_lines_at_the_end_are_not_one_that_was_cut(tmp_path: Path, name: str) -> None:
    lines = ["step,attn_util,note", *rows(5), "5,0.1\r5,ok"]  # a carriage return amid a number
    with pytest.raises(InputError, match="line 7: has 2 fields where the header has 3"):
        read_log(write(tmp_path, name, lines))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", ["qq", '""', 'say "x"'])
def test_a_line_cut_after_a_doubled_quote_is_no_row(tmp_path: Path, name: str, label: str) -> None:
    quoted = '"' + label.replace('"', '""') + '"'
    lines = ["step,attn_util,run", *(f"{step},{0.9 / (1 + step):.4f},{quoted}" for step in range(5))]
    whole = "\n".join(lines)
    doubled = [
        place + 2 for place in range(len(whole) - len(quoted) + 1, len(whole) - 1) if whole[place : place + 2] == '""'
    ]
    for cut in doubled[:1]:
        log = utilization(write(tmp_path, name, [whole[:cut]], end=""))
        assert len(log.frame) == 4
        assert log.source.rows_dropped == {"truncated last line": 1}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ends", ["\r\n\n\n", "\r\r\n\n", "\r\n\r\n", "\r\r\r\n"])  # of the header, and of each row
def test_a_carriage_return_ends_the_header_as_it_ends_rows(tmp_path: Path, name: str, ends: str) -> None:
    lines = ["step,attn_util,note", *rows(3)]
    log = utilization(write(tmp_path, name, ["".join(map("".join, zip(lines, ends, strict=True)))], end=""))
    assert log.frame["step"].tolist() == [0, 1, 2]
    assert log.source.rows_read == 3
