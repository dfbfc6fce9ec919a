"""Standard input and pipes, and how much they and compressed files may hold."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.columns import NoLogColumns
from cogfit.logs.formats.contents import most_bytes

TEXT = "step,attention_utilization\n" + "".join(f"{k},{k**-0.5}\n" for k in range(1, 40))
VALUES = [k**-0.5 for k in range(1, 40)]


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever happens, nothing is left among the temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def fed(path: Path, data: bytes) -> threading.Thread:
    """A named pipe that is given data."""
    os.mkfifo(path)

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):
            path.write_bytes(data)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch, pack: type[bytes]) -> None:
    give(monkeypatch, pack(TEXT.encode()))
    log = read_log("-")
    assert log.path == "<stdin>"
    assert log.utilization is not None
    assert log.utilization.source.path == "<stdin>"
    assert log.utilization.frame["attention_utilization"].tolist() == VALUES


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@needs_pipes
def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    thread = fed(path, TEXT.encode())
    log = read_log(path)
    thread.join()
    assert log.path == str(path)
    assert log.utilization is not None
    assert log.utilization.frame["attention_utilization"].tolist() == VALUES


def test_messages_name_standard_input_and_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, (TEXT + "x,0.5\n40,0.5\n").encode())
    with pytest.raises(InputError, match=r"^<stdin>, line 41, column 'step': 'x' is not a number"):
        read_log("-")
    give(monkeypatch, (TEXT + "40,0.5,7\n41,1\n").encode())
    with pytest.raises(InputError, match="^<stdin>, line 41"):
        read_log("-")
    give(monkeypatch, TEXT.encode())
    with pytest.raises(NoLogColumns) as caught:
        read_log("-", y="loss")
    assert caught.value.option == "y"
    give(monkeypatch, b"\0\1")
    with pytest.raises(InputError, match="^<stdin>: is binary"):
        read_log("-")
    give(monkeypatch, b"")
    with pytest.raises(InputError, match="^<stdin>: is empty"):
        read_log("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        read_log("-")


@needs_pipes
def test_a_pipe_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fed(path, bytes(10**7))
    with pytest.raises(InputError, match=r"log\.csv: gives more than 1,000,000 bytes; .*--max-bytes"):
        read_log(path, max_bytes=10**6)


def test_as_much_as_is_allowed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, TEXT.encode())
    assert read_log("-", max_bytes=len(TEXT)).utilization is not None
    give(monkeypatch, TEXT.encode())
    with pytest.raises(InputError, match=f"more than {len(TEXT) - 1:,} bytes"):
        read_log("-", max_bytes=len(TEXT) - 1)
    with pytest.raises(InputError, match="allow at least one byte"):
        read_log("-", max_bytes=0)


def test_the_command_line_reads_standard_input_and_refuses_devices() -> None:
    command = [sys.executable, "-c", "import sys; from cogfit.cli import main; sys.exit(main())"]
    options = ["fit", "-", "--form", "power", "--quiet"]
    done = subprocess.run([*command, *options], input=TEXT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("γ = 0.5")
    options += ["--max-bytes", "10"]
    done = subprocess.run([*command, *options], input=TEXT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "gives more than 10 bytes" in done.stderr
    done = subprocess.run([*command, "fit", "-"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "<stdin>: is a terminal, a device or a socket" in done.stderr


# --- compressed files -------------------------------------------------------------------------------------------------


def test_how_much_a_compressed_file_may_hold() -> None:
    assert most_bytes(10**5, None) == 10**9
    assert most_bytes(2 * 10**6, None) == 2 * 10**9
    assert most_bytes(10**9, None) == 16 * 10**9
    assert most_bytes(10**9, 7) == 7


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.json", "log.parquet", "train.log"])
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_compressed_file_that_holds_too_much_is_refused_as_it_is_read(tmp_path: Path, name: str, codec: str) -> None:
    start = {
        "log.csv": b"step,attention_utilization\n1,0.5\n2,0.5\n",
        "log.jsonl": b'{"step": 1, "attn_util": 0.5}\n{"step": 2, "attn_util": 0.5}\n',
        "log.json": b'[{"step": 1, "attn_util": 0.5},\n{"step": 2, "attn_util": 0.5}',
        "log.parquet": b"PAR1",
        "train.log": b"step 1 attn_util 0.5\nstep 2 attn_util 0.4\n",
    }[name]
    if codec == "zstd":
        zstandard = pytest.importorskip("zstandard", reason="needs the extra 'logs'")
        data = zstandard.compress(start + b"\n" * 10**8)
    else:
        data = gzip.compress(start + b"\n" * 10**8, 1)
    path = tmp_path / f"{name}.gz"
    path.write_bytes(data)
    read_head = read_log.__globals__["read_head"](path)  # libraries are loaded before memory is measured
    assert read_head.startswith(start)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(InputError, match=r"decompresses to more than 5,000,000 bytes; .*--max-bytes"):
        read_log(path, max_bytes=5_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e7
    assert time.perf_counter() - begin < 5


def test_members_of_gzip_one_after_the_other_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    lines = TEXT.encode().splitlines(keepends=True)
    path.write_bytes(b"".join(gzip.compress(line) for line in [*lines, b""]))
    log = read_log(path).utilization
    assert log is not None
    assert log.frame["attention_utilization"].tolist() == VALUES
    with pytest.raises(InputError, match="decompresses to more than"):
        read_log(path, max_bytes=len(TEXT) - 1)
    assert read_log(path, max_bytes=len(TEXT)).utilization is not None
