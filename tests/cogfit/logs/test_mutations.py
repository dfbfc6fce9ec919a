"""Damaged files end in a log whose rows add up or in the package's own error, never in anything else."""

from __future__ import annotations

import datetime
import json
import random
import warnings
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogfit.errors import CogfitError
from cogfit.logs import read_log

N_MUTANTS = 60  # of each sample
SEED = 20_261_128

TOKENS = [b"\0", b"\r", b"\n", b"\r\n", b",", b";", b"\t", b'"', b'""', b"'", b"\\", b"\xff", b"\xc3", b"\xed\xa0\x80"]
TOKENS += [b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\0\0", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999"]
TOKENS += [b"9" * 40, b"9" * 5000, b"0." + b"3" * 400, b"-1", b"1,000", b"[" * 300, b"{", b"}", b"null", b"true"]
TOKENS += [b"step", b"pattern,step", b"step,pattern,attended\n", b'{"step":1}', b"1e400000", b"# ", b" ", b"_", b"\x1b"]


def csv_sample() -> bytes:
    rows = "".join(f'{s},fact {s % 3},{s % 2},0.{s},"a, ""{s}""\nb",01\n' for s in range(12))
    return f"# run 1\nstep,pattern,attended,p_episodic,note,run\n{rows}".encode()


def utilization_csv_sample() -> bytes:
    rows = "".join(f'"{s * 1000:,}",{0.9 / (s + 1):.4f},{0.8 / (s + 1):.4f},é\n' for s in range(12))
    return f"step,layer0/attn_util,layer1/attn_util,note\n{rows}".encode()


def jsonl_sample() -> bytes:
    cells = [
        {"step": s, "pattern": [s, f"p{s}", 2**70, "2024-01-01", None][s % 5], "attended": s % 2} for s in range(12)
    ]
    return "".join(json.dumps(cell | {"meta": {"run": "é", "x": [1]}}) + "\n" for cell in cells).encode()


def json_sample() -> bytes:
    table = {"step": list(range(9)), "attn_util": [0.5, None, *[0.25] * 7], "run": ["a", 1, 1.0, True, None, *"bcde"]}
    return json.dumps(table, ensure_ascii=False).encode()


def parquet_of(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue().to_pybytes())


def parquet_sample() -> bytes:
    frame = pd.DataFrame({"pattern": [*"abcabcab", None], "attended": [True] * 9, "layer": [1.0, None] * 4 + [2.0]})
    return parquet_of(pa.Table.from_pandas(frame.rename_axis("step")), compression="none")


def typed_parquet_sample() -> bytes:
    table = pa.table(
        {
            "step": pa.array([None, *range(8)], pa.int64()),
            "attn_util": pa.array([Decimal("0.50")] * 9),
            "run": pa.array([datetime.datetime(2024, 1, 1)] * 9),
            "head": pa.array([b"a", b"b"] * 4 + [None]),
            "meta": [{"x": [1], "y": "é"}] * 9,
        }
    )
    return parquet_of(table, row_group_size=4, compression="snappy", use_dictionary=False)


SAMPLES = {
    "routing.csv": csv_sample,
    "utilization.csv": utilization_csv_sample,
    "log.jsonl": jsonl_sample,
    "log.json": json_sample,
    "routing.parquet": parquet_sample,
    "typed.parquet": typed_parquet_sample,
}


def mutant(data: bytes, chance: random.Random) -> bytes:
    """A copy with one to three faults."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(content) + 1)
        end = min(len(content), place + chance.choice((1, 1, 4, 30)))
        match chance.randrange(6):
            case 0:
                content[place:place] = chance.choice(TOKENS)
            case 1:
                content[place:end] = chance.choice(TOKENS)
            case 2:
                del content[place:end]
            case 3:
                content[place:place] = content[chance.randrange(len(content) + 1) :][:40]
            case 4 if place < len(content):
                content[place] ^= 1 << chance.randrange(8)
            case 5 if place > len(content) // 2:
                del content[place:]
    return bytes(content)


def check_texts(texts: Sequence[str]) -> None:
    """Texts can be printed."""
    assert "".join(texts).encode("utf-8")


def read_or_refuse(path: Path) -> bool:
    """Whether a file is read; rows must add up, and texts must be fit for output."""
    try:
        log = read_log(path)
    except CogfitError as error:
        check_texts([str(error)])
        return False
    for part in (log.routing, log.utilization):
        if part is None:
            continue
        assert part.source.rows_behind(part.frame) == part.source.rows_used
        texts = [str(name) for name in part.frame]
        for name in part.frame.select_dtypes(["object", "string", "category"]):
            texts += map(str, part.frame[name])
        check_texts([*texts, *part.source.notes, *log.warnings])
    return True


@pytest.mark.parametrize("name", SAMPLES)
def test_only_own_errors_leave(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    data = SAMPLES[name]()
    path = tmp_path / name
    path.write_bytes(data)
    assert read_or_refuse(path)
    chance = random.Random(SEED)
    n_read = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(N_MUTANTS):
            content = mutant(data, chance)
            path.write_bytes(content)
            try:
                n_read += read_or_refuse(path)
            except BaseException as error:
                raise AssertionError(f"mutant {number}: {content!r}") from error
    assert 0 < n_read < N_MUTANTS  # faults that matter, and faults that do not
    assert capfd.readouterr() == ("", "")
