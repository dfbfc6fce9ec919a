"""The check of a CUDA device: parts are held apart, what is missing is said, and nothing that was measured is lost."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import gpu  # noqa: E402
import gpu_parts  # noqa: E402

LINE = {"line": {"what": "a step", "value": 1234.5, "unit": "ms", "beside": "processor", "beside_value": 2469.0,
                 "times_faster": 2.0, "agreement": "the same", "holds": True}}  # fmt: skip


def part(tmp_path: Path, ending: str, seconds: float = 60.0) -> dict[str, object]:
    """A part that writes one line and then ends in some way."""
    rows = tmp_path / "rows.jsonl"
    begins = f"import os, time; open({str(rows)!r}, 'a').write({json.dumps(LINE)!r} + '\\n'); "
    return gpu.run_part([sys.executable, "-c", begins + ending], rows, seconds)


@pytest.mark.parametrize(
    ("ending", "seconds", "message"),
    [("raise SystemExit(7)", 60.0, "exit status 7"), ("print('slow', flush=True); time.sleep(60)", 3.0, "after 3 s")],
)
def test_what_a_part_measured_survives_its_end(tmp_path: Path, ending: str, seconds: float, message: str) -> None:
    begin = time.monotonic()
    found = part(tmp_path, ending, seconds)
    assert time.monotonic() - begin < 30
    assert found["state"] in ("failed", "out of time")
    assert message in str(found["message"])
    assert found["lines"] == [LINE["line"]]
    assert not gpu.has_passed(found)


def test_a_failure_stands_in_the_table_beside_what_was_measured(tmp_path: Path) -> None:
    text = gpu.table({"training": part(tmp_path, "os.abort()")})
    assert "| training | a step | 1,234 ms | processor: 2,469 ms | 2 × | yes: the same |" in text
    assert "| training | **failed**: exit status -6 |" in text


@pytest.mark.parametrize(
    ("error", "is_missing"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), True),
        (ModuleNotFoundError("No module named 'cogfit.engine.gone'", name="cogfit.engine.gone"), False),
        (ImportError("cannot import name 'gone'", name="cogfit.engine"), False),
        (ImportError("training needs the library 'pydantic'"), True),
        (RuntimeError("out of memory"), False),
    ],
)
def test_a_missing_library_is_no_failure_and_a_missing_name_is(error: Exception, is_missing: bool) -> None:
    assert gpu_parts.is_missing(error) is is_missing


def test_one_line_that_fails_leaves_the_others(tmp_path: Path) -> None:
    work = gpu_parts.Work("cpu", 1.0, tmp_path / "rows.jsonl")
    work.attempt("large", lambda: (_ for _ in ()).throw(RuntimeError("out of memory\nmore")))
    work.attempt("small", lambda: work.note(gpu_parts.Line("small", holds=True)))
    large, small = (json.loads(line)["line"] for line in work.out.read_text(encoding="utf-8").splitlines())
    assert (large["agreement"], large["holds"]) == ("failed: RuntimeError: out of memory", False)
    assert (small["what"], small["holds"]) == ("small", True)


def test_minima_are_compared_one_sided_and_status_by_status() -> None:
    ours = pd.DataFrame({"rss": [1.0, 1.0], "gamma": [0.5, 0.5], "gamma_se": [0.1, 0.1], "status": ["ok", "ok"]})
    assert gpu_parts.agreement_of(ours, ours)[1]
    assert gpu_parts.agreement_of(ours, ours.assign(rss=[0.9, 1.0]))[1]  # lower is better
    for change in ({"rss": [1.0, 1.1]}, {"rss": [1.0, float("nan")]}, {"status": ["ok", "failed"]}):
        assert not gpu_parts.agreement_of(ours, ours.assign(**change))[1]


def test_parts_of_the_same_device_and_commit_are_kept(tmp_path: Path) -> None:
    path, about = tmp_path / "gpu.json", {"device": "a card", "commit": "abc"}
    gpu.write(path, {**about, "parts": {"batch": {"state": "done"}}})
    assert gpu.earlier(path, about) == {"batch": {"state": "done"}}
    assert gpu.earlier(path, {**about, "commit": "def"}) == {}
    path.write_text("[", encoding="utf-8")
    assert gpu.earlier(path, about) == {}


def test_without_a_device_nothing_is_run_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_small_part_runs_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--parts", "tensors", "--seconds", "3000", "--out", str(out)]) == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["parts"]["tensors"]["state"] == "done"
    assert {"device", "driver", "cuda", "versions", "commit"} <= document.keys()
    assert "| tensors | fit_many of a tensor |  |  |  | yes: the same |" in capsys.readouterr().out


@pytest.mark.long
def test_all_parts_run_small(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    parts = gpu.run_all(list(gpu.SECONDS), "cpu", 3000.0, tmp_path / "gpu.json")
    assert {name: part["state"] for name, part in parts.items()} == dict.fromkeys(gpu.SECONDS, "done"), parts
    assert all(gpu.has_passed(part) for part in parts.values()), gpu.table(parts)
