"""Names that are no text, files that change, layouts and downloads of other tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.clean import prepare
from cogfit.logs.formats.delimited import CSV
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.formats.registry import read_raw

STEPS = range(1, 40)
TEXT = "step,attention_utilization\n" + "".join(f"{k},{k**-0.5}\n" for k in STEPS)


def test_names_that_are_not_utf_8_are_shown_and_break_nothing(tmp_path: Path) -> None:
    try:
        for name in (b"r\xe9n1", b"r\xe9n2"):
            os.makedirs(os.fsencode(tmp_path) + b"/" + name)
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b"/\xff.csv")).write_text(TEXT)
    except OSError:
        pytest.skip("this file system takes no such names")
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.frame["run"].unique().tolist() == [r"r\udce9n1", r"r\udce9n2"]
    one = read_log(tmp_path / "r\udce9n1" / "\udcff.csv")
    assert one.path == str(tmp_path / r"r\udce9n1" / r"\udcff.csv")
    with pytest.raises(InputError) as caught:
        read_log(tmp_path / "\udcff")
    str(caught.value).encode()
    result = tmp_path.parent / f"{tmp_path.name}.json"
    command = [sys.executable, "-c", "import sys; from cogfit.cli import main; sys.exit(main())", "fit"]
    for place in (tmp_path, tmp_path / "r\udce9n1", tmp_path / "r\udce9n1" / "\udcff.csv"):
        options = ["--form", "power", "--json", str(result)]
        done = subprocess.run([*command, place, *options], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(result.read_text())["gamma"]["estimate"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["a\0b", "n" * 300, "x/" * 3000, "\udcff"])
def test_names_that_cannot_be_are_input_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        read_log(str(tmp_path) + "/" + name)


def test_long_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 245 + ".csv")
    path.write_text(TEXT)
    for place in (path, tmp_path):
        log = read_log(place).utilization
        assert log is not None
        assert len(log.frame) == len(STEPS)


@pytest.mark.parametrize("after", [None, "", "step,attn_util\n1,0.5\n"])
def test_a_file_that_changes_before_its_line_is_named_is_an_input_error(tmp_path: Path, after: str | None) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,attn_util\n1,0.5\n2,0.4\n3,x\n")
    raw = read_raw(CSV, path, ReadOptions())
    path.unlink() if after is None else path.write_text(after)
    with pytest.raises(InputError, match="changed while it was read"):
        prepare(raw, ReadOptions(), path)


def test_a_file_that_vanishes_after_it_was_read_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(TEXT)
    with pytest.raises(InputError, match="cannot be read"):
        read_log(path, progress=lambda *_: path.unlink(missing_ok=True))


# --- DVCLive ----------------------------------------------------------------------------------------------------------


def write_dvclive(folder: Path, *, timestamps: bool) -> Path:
    """What ``Live.log_metric`` and ``Live.next_step`` write."""
    for split, gamma in (("train", 0.5), ("val", 0.3)):
        file = folder / "plots" / "metrics" / split / "loss.tsv"
        file.parent.mkdir(parents=True)
        times = [f"{1_700_000_000_000 + k}\t" if timestamps else "" for k in STEPS]
        head = "timestamp\t" if timestamps else ""
        rows = [f"{time}{k}\t{k**-gamma}\n" for time, k in zip(times, STEPS, strict=True)]
        file.write_text(f"{head}step\tloss\n" + "".join(rows))
    summary = {"step": 39, "train": {"loss": 39**-0.5}, "val": {"loss": 39**-0.3}}
    (folder / "metrics.json").write_text(json.dumps(summary, indent=4))
    (folder / "params.yaml").write_text("lr: 0.1\n")
    (folder / "dvc.yaml").write_text("metrics:\n- metrics.json\nplots:\n- plots/metrics:\n    x: step\n")
    return folder


@pytest.mark.parametrize("timestamps", [False, True])
def test_the_curves_of_dvclive_are_read_and_its_summary_is_passed_over(tmp_path: Path, timestamps: bool) -> None:
    folder = write_dvclive(tmp_path / "dvclive", timestamps=timestamps)
    for split, gamma in ((None, 0.5), ("val", 0.3)):
        log = read_log(folder, y="loss", split=split).utilization
        assert log is not None
        assert log.source.rows_read == 2 * len(STEPS) == 2 * log.source.rows_used
        assert log.frame["attention_utilization"].tolist() == [k**-gamma for k in STEPS]


# --- TensorBoard's download -------------------------------------------------------------------------------------------


def download(path: Path, n: int) -> Path:
    steps = np.arange(1, n + 1)
    rows = zip(1.7e9 + steps, steps, steps**-0.5, strict=True)
    path.write_text("Wall time,Step,Value\n" + "".join(f"{time},{step},{value}\n" for time, step, value in rows))
    return path


@pytest.mark.parametrize(("n", "is_noted"), [(999, False), (1000, True), (1001, False)])
def test_a_full_download_of_tensorboard_is_said_to_be_a_sample(tmp_path: Path, n: int, is_noted: bool) -> None:
    log = read_log(download(tmp_path / "run-train.csv", n), y="Value").utilization
    assert log is not None
    assert any("random sample: read the event files" in note for note in log.source.notes) == is_noted


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (TEXT.replace("step", "é_step").encode("latin-1"), "not encoded in UTF-8"),
        (TEXT.encode() + b"40,0.1\0\n", "binary"),
    ],
)
def test_a_log_in_another_encoding_is_not_passed_over_in_a_folder(tmp_path: Path, content: bytes, reason: str) -> None:
    for seed in (0, 1):
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / "log.csv").write_text(TEXT)
    assert read_log(tmp_path).utilization is not None
    (tmp_path / "seed1" / "log.csv").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_log(tmp_path)
    assert "seed1" in str(caught.value)
    # what does not speak of logs is none, whatever it is encoded in
    (tmp_path / "seed1" / "log.csv").write_bytes("größe\n1\n".encode("utf-16"))
    assert read_log(tmp_path).utilization is not None
