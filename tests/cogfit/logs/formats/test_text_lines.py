"""Reader of what training prints."""

from __future__ import annotations

import gzip
import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.formats.contents import read_head
from cogfit.logs.formats.reader import Raw, ReadOptions
from cogfit.logs.formats.registry import reader_for
from cogfit.logs.formats.text_lines import NO_MEASUREMENT, READER, pairs

STEPS = list(range(1, 25))
LOSS = [round(3 * step**-0.5, 4) for step in STEPS]


def read(path: Path, **options: str) -> Raw:
    return READER.read(path, ReadOptions(**options))  # type: ignore[arg-type]


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_text(end.join(lines) + end)
    return path


STYLES = [
    "step {k} | loss {v} | lr 1e-4",
    "step: {k}, loss: {v}",
    "step={k} loss={v}",
    "step = {k}; loss = {v}",
    "iter {k}: loss {v}, time 12.5ms, mfu 1.2%",
    "Iteration [{k}/1000], Loss: 0.5, loss: {v}",
    "Epoch 3/10 - Step {k}/24 - loss: {v} - acc: 0.8",
    "{{'loss': {v}, 'learning_rate': 1e-4, 'step': {k}}}",
    "{{'loss': '{v}', 'step': '{k}'}}",
    "{{'loss': np.float64({v}), 'step': {k}}}",
    "2024-05-01 10:11:12,123 - INFO - train - step {k}: loss {v} (0.61)",
    "INFO:root:global step {k} loss {v}",
    "[2024-05-01 10:11:12] step {k}\tloss {v}\ttokens/s 12,345.5",
    "2024-05-01T10:11:12Z | INFO     | train:main:12 - step={k} loss={v}",
    "\x1b[32mstep {k}\x1b[0m loss \x1b[1m{v}\x1b[0m",
    "Training step {k}: loss: {v} after 12 s",
    "train | step {k} | loss {v} | time 12 ms | 1.2 it/s | eta 0:01:02",
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("suffix", ["log", "txt", "out"])
def test_each_style_is_recognised_and_read_exactly(tmp_path: Path, style: str, suffix: str) -> None:
    rows = [style.format(k=k, v=v) for k, v in zip(STEPS, LOSS, strict=True)]
    path = write(tmp_path / f"train.{suffix}", "Loading data, please wait", "", *rows, "done")
    assert reader_for(path, read_head(path)) == READER
    log = read_log(path, y="loss").utilization
    assert log is not None
    assert log.frame["step"].tolist() == STEPS
    assert log.frame["attention_utilization"].tolist() == LOSS
    assert log.source.rows_dropped == {NO_MEASUREMENT: 2}
    assert log.source.rows_read == len(rows) + 2


def test_lines_of_training_and_of_evaluation_have_one_step(tmp_path: Path) -> None:
    lines = ["step 0: train loss 3.5, val loss 3.6", "iter 0: loss 3.5, time 900ms", "iter 10: loss 3.1, time 12ms"]
    raw = read(write(tmp_path / "out.txt", *lines))
    assert raw.frame["step"].tolist() == [0, 0, 10]
    assert raw.frame["loss"].dropna().tolist() == [3.5, 3.1]
    assert raw.frame["val loss"].dropna().tolist() == [3.6]
    assert raw.notes == ("'step', 'iter' were read as one column 'step'",)


def test_one_name_in_several_units_is_several_columns(tmp_path: Path) -> None:
    raw = read(write(tmp_path / "out.txt", "step 1 time 900ms", "step 2 time 1.2s", "step 3 time 800 ms"))
    assert raw.frame["time [ms]"].dropna().tolist() == [900, 800]
    assert raw.frame["time [s]"].dropna().tolist() == [1.2]
    assert "'time' has several units (ms, s), a column each" in raw.notes


def test_a_name_that_comes_twice_in_a_line_keeps_both_values(tmp_path: Path) -> None:
    raw = read(write(tmp_path / "out.txt", "step 1 loss 0.5 | loss 0.25", "step 2 loss 0.4 | loss 0.2"))
    assert raw.frame.to_dict("list") == {"step": [1, 2], "loss": [0.5, 0.4], "loss (2)": [0.25, 0.2]}


def test_what_is_no_number_and_what_is_not_finite(tmp_path: Path) -> None:
    raw = read(write(tmp_path / "out.txt", "step 1 loss nan", "step 2 loss: -inf", "step 3 loss: information"))
    assert math.isnan(raw.frame["loss"][0])
    assert raw.frame["loss"][1] == -math.inf
    assert raw.dropped == {NO_MEASUREMENT: 1}


@pytest.mark.parametrize(
    "line",
    [
        "Saved checkpoint to /tmp/x in 3.2 s",
        "3/100 batches done",
        "version 1.2.3 at 10:20:30",
        "address: 10.0.0.1",
        "we ran it on the cluster 3 times",
    ],
)
def test_sentences_hold_no_measurement(line: str) -> None:
    assert [pair for pair in pairs(line) if pair[0] not in ("version",)] == []


def test_a_number_with_a_comma_before_its_point_is_none() -> None:
    assert list(pairs("step 3: loss 0,.91")) == [("step", "3", "")]


def test_numbers_with_decimal_commas_are_refused_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path / "out.txt", "step 1 loss 1,5", "step 2 loss 0,75", "step 3 loss 0,5")
    with pytest.raises(InputError, match="line 2: has a number with a decimal comma"):
        read(path)


def test_progress_bars_count_on_and_their_last_update_stays_last(tmp_path: Path) -> None:
    bars = []
    for epoch in range(2):
        bars += [f" {k * 25}%|##   | {k}/4 [00:0{k}<00:01, 4.0it/s, loss={2 - epoch - k / 8}]" for k in range(1, 5)]
    raw = read(write(tmp_path / "train.log", *bars, end="\r"))
    assert raw.frame["step"].tolist() == list(range(1, 9))
    assert raw.frame["loss"].tolist() == [2 - epoch - k / 8 for epoch in range(2) for k in range(1, 5)]
    assert raw.rows_read == 8


def test_lines_below_the_title_of_an_epoch_are_of_that_epoch(tmp_path: Path) -> None:
    lines = [
        text
        for epoch in range(1, 6)
        for text in (f"Epoch {epoch}/5", f"100/100 [====] - 1s 5ms/step - loss: {1 / epoch} - accuracy: 0.8")
    ]
    raw = read(write(tmp_path / "keras.log", *lines))
    assert raw.frame["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert raw.frame["loss"].tolist() == [1 / epoch for epoch in range(1, 6)]
    assert raw.dropped == {NO_MEASUREMENT: 5}


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_cut_last_line_never_gives_a_wrong_value(tmp_path: Path, cut: int) -> None:
    text = "".join(f"step {k} | loss {1 / k:.4f}\n" for k in range(1, 10))
    path = tmp_path / "train.log"
    path.write_text(text[:-cut])
    raw = read(path)
    n = len(raw.frame)
    assert n in (8, 9)
    assert raw.frame["loss"].tolist() == [float(f"{1 / k:.4f}") for k in range(1, n + 1)]
    assert raw.rows_read == n + sum(raw.dropped.values())


def test_lines_are_those_of_the_file_in_messages(tmp_path: Path) -> None:
    path = write(tmp_path / "train.log", "hello", *(f"step {k} attn_util {0.5 if k < 5 else 7}" for k in range(1, 9)))
    with pytest.raises(InputError, match="line 6"):
        read_log(path)


def test_a_chosen_name_stands_in_for_the_step(tmp_path: Path) -> None:
    path = write(tmp_path / "train.log", *(f"tokens: {k * 1000:,} loss: {1 / k}" for k in range(1, 9)))
    with pytest.raises(InputError, match="no line with a step and a value"):
        read(path)
    assert read(path, x="tokens").frame["tokens"].tolist() == [k * 1000 for k in range(1, 9)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.log", "step,loss\n1,0.5\n2,0.4\n"),
        ("a.txt", "step\tloss\n1\t0.5\n2\t0.4\n"),
        ("a.txt", 'step,note\n1,"step 1 loss 2"\n2,"x"\n'),
        ("a.txt", '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.5}\n'),
        ("a.txt", '[\n{"step": 1, "loss": 0.5},\n{"step": 2, "loss": 0.5}\n]\n'),
        ("a.csv", "step 1 loss 2,x\nstep 2 loss 3,y\nstep 3 loss 3,y\n"),
        ("a.json", "step 1 loss 2\nstep 2 loss 3\n"),
    ],
)
def test_tables_are_left_to_their_readers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert not READER.recognise(tmp_path / name, text.encode())


def test_long_lines_take_no_time(tmp_path: Path) -> None:
    long = ["a" * 9_000, "1" * 9_000, "a " * 4_500, "a:" * 4_500, "step 1,1" * 1_100, "[" * 9_000, "a" * 10**6]
    path = write(tmp_path / "train.log", *long * 3, "step 1 loss 0.5", "step 2 loss 0.4")
    begin = time.perf_counter()
    assert len(read(path).frame) == 2
    assert time.perf_counter() - begin < 5


def test_compressed_texts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.log.gz"
    path.write_bytes(gzip.compress("".join(f"step {k} loss {1 / k}\n" for k in range(1, 9)).encode()))
    log = read_log(path, y="loss").utilization
    assert log is not None
    assert log.source.format == "text"


numbers = st.one_of(
    st.floats(allow_nan=False).map(repr), st.integers(0, 10**12).map("{:,}".format), st.sampled_from(["inf", "-inf"])
)


@given(
    lines=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["loss", "train/acc", "val loss", "lr", "grad_norm"]), min_size=1, unique=True),
            st.lists(numbers, min_size=5, max_size=5),
        ),
        min_size=2,
        max_size=12,
    ),
    between=st.sampled_from([", ", " | ", " - ", "; ", "  ", "\t"]),
    sep=st.sampled_from([": ", "=", " = ", " "]),
    noise=st.lists(st.integers(0, 11), max_size=5, unique=True),
)
def test_every_number_is_read_exactly_and_every_line_is_accounted_for(
    lines: list[tuple[list[str], list[str]]],
    between: str,
    sep: str,
    noise: list[int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = []
    for step, (names, values) in enumerate(lines):
        cells = [f"{name}{sep}{value}" for name, value in zip(names, values[: len(names)], strict=True)]
        text += ["nothing to see here"] * (step in noise) + [between.join([f"step{sep}{step}", *cells])]
    path = write(tmp_path_factory.mktemp("text") / "train.log", *text)
    raw = read(path)
    assert raw.rows_read == len(text) == len(raw.frame) + sum(raw.dropped.values())
    for step, (names, values) in enumerate(lines):
        row = raw.frame.iloc[step].dropna().to_dict()
        expected = {
            name: float(value.replace(",", "")) for name, value in zip(names, values[: len(names)], strict=True)
        }
        assert row == {"step": step, **expected}


def test_what_was_printed_gives_way_to_what_was_logged(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    write(tmp_path / "logs" / "train.out", *(f"step {k} loss {v}" for k, v in zip(STEPS, LOSS, strict=True)))
    only = read_log(tmp_path, y="loss").utilization
    assert only is not None
    assert only.source.format == "text"
    write(tmp_path / "metrics.csv", "step,loss", *(f"{k},{v}" for k, v in zip(STEPS, LOSS, strict=True)))
    log = read_log(tmp_path, y="loss")
    assert log.utilization is not None
    assert log.utilization.source.format == "csv"
    assert len(log.utilization.frame) == len(STEPS)
    assert any(warning.startswith("train.out was left out") for warning in log.warnings)
    chosen = read_log(tmp_path, y="loss", format="text").utilization
    assert chosen is not None
    assert chosen.source.format == "text"


def test_a_table_that_would_be_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogfit.logs.formats.text_lines.MAX_CELLS", 100)
    with pytest.raises(InputError, match="20 lines × 21 names"):
        read(write(tmp_path / "train.log", *(f"step {k} norm{k} 0.5" for k in range(20))))
