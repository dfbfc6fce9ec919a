"""Run a simulation study cell by cell: resumable, splittable, with seeds, into one committed table.

A study is a list of cells (settings) and a function that measures one of them. Every finished cell is written at once,
so that an interrupted study goes on where it stopped; a cell counts as finished when it is there with at least as many
repeats and the same seed. The random numbers of a cell depend on its settings only, not on the order.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import re
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from command_line import positive_whole, refusing
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cogfit.files import write_atomic

FOLDER = Path(__file__).resolve().parents[1] / "data" / "benchmarks"
Cell = Mapping[str, Any]
Measure = Callable[[Cell, int, np.random.Generator], Mapping[str, Any]]
"""``measure(cell, repeats, rng)`` -> results by column; a top-level function of the script, for worker processes."""


@dataclass(frozen=True)
class Study:
    """A simulation study.

    Attributes
    ----------
    name : str
        Of the table: ``data/benchmarks/<name>.csv`` with ``<name>.json`` beside it.
    about : str
        What is measured, for ``--help`` and the JSON file.
    cells : sequence of mapping
        Settings; all with the same keys, values numbers or strings.
    measure : callable
    repeats : int
        Per cell, in the committed table.
    """

    name: str
    about: str
    cells: Sequence[Cell]
    measure: Measure
    repeats: int
    seed: int = 20261121

    def key(self, cell: Mapping[str, Any]) -> tuple[str, ...]:
        """Settings of a cell as they stand in the table, in the order of its columns."""
        return tuple(_text(cell[name]) for name in self.cells[0])

    def entropy(self, cell: Cell) -> int:
        """Seed of a cell's own: it depends on its settings only."""
        return zlib.crc32("\n".join(str(cell[name]) for name in self.cells[0]).encode())


def main(study: Study, arguments: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Run what is missing of a study and return the table's rows (all values as text)."""
    with refusing():
        return _run_study(study, arguments)


def _run_study(study: Study, arguments: Sequence[str] | None) -> list[dict[str, str]]:
    options = _options(study, arguments)
    out: Path = options.out
    wanted, todo, rows = _plan(study, options)
    console = Console(stderr=True)
    console.print(f"{study.name}: {len(wanted)} cells, {len(todo)} to run at {options.repeats} repeats -> {out}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(options.workers, mp_context=get_context("spawn"))
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(study.name, total=len(todo))
            jobs = {
                pool.submit(_run, study.measure, dict(c), study.entropy(c), options.repeats, study.seed): c
                for c in todo
            }
            for job in as_completed(jobs):
                cell = jobs[job]
                rows[study.key(cell)] = {k: _text(v) for k, v in {**cell, **job.result()}.items()}
                _write(out, study, rows, options.repeats)
                bar.advance(task)
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        console.print("interrupted: finished cells are kept; the same command goes on from here")
        raise SystemExit(130) from None
    pool.shutdown()
    return [rows[study.key(c)] for c in wanted if study.key(c) in rows]


def missing(study: Study, arguments: Sequence[str] | None = None) -> list[Cell]:
    """Cells that :func:`main` will run, for what has to be there before."""
    return _plan(study, _options(study, arguments))[1]


def _plan(
    study: Study, options: argparse.Namespace
) -> tuple[list[Cell], list[Cell], dict[tuple[str, ...], dict[str, str]]]:
    """Cells that are wanted, those of them that are missing, and the rows that there are."""
    wanted = [c for c in study.cells if all(word in " ".join(study.key(c)) for word in options.only)]
    part, parts = options.part
    wanted = wanted[part - 1 :: parts]
    rows = {} if options.fresh else _read(options.out, study)
    return wanted, [c for c in wanted if not _done(rows.get(study.key(c)), options.repeats, study.seed)], rows


def _options(study: Study, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=study.about)
    parser.add_argument(
        "--repeats", type=positive_whole, default=study.repeats, help="per cell (smaller for a smoke check)"
    )
    parser.add_argument("--workers", type=positive_whole, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=FOLDER / f"{study.name}.csv", help="the table")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="I/N", help="every N-th cell from the I-th on")
    parser.add_argument("--only", nargs="*", default=[], metavar="TEXT", help="cells whose settings hold these texts")
    parser.add_argument("--fresh", action="store_true", help="start anew instead of going on")
    options = parser.parse_args(arguments)
    if not options.out.absolute().parent.is_dir():  # said before the first cell is measured
        parser.error(f"the folder {options.out.parent} does not exist")
    return options


def _part(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}' is no part, such as 1/4")
    return int(part), int(parts)


def _run(measure: Measure, cell: Cell, entropy: int, repeats: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, entropy])
    return {"repeats": repeats, "seed": seed, **measure(cell, repeats, rng)}


def _done(row: Mapping[str, str] | None, repeats: int, seed: int) -> bool:
    return row is not None and int(row["repeats"]) >= repeats and int(row["seed"]) == seed


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _read(path: Path, study: Study) -> dict[tuple[str, ...], dict[str, str]]:
    if not path.exists():
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        return {study.key(row): row for row in csv.DictReader(file)}


def _write(path: Path, study: Study, rows: Mapping[tuple[str, ...], Mapping[str, str]], repeats: int) -> None:
    order = {study.key(c): i for i, c in enumerate(study.cells)}
    kept = sorted((key for key in rows if key in order), key=order.__getitem__)
    names = list(dict.fromkeys(name for key in kept for name in rows[key]))
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows[key] for key in kept)
    write_atomic(path, buffer.getvalue())
    about = {
        "study": study.name,
        "about": study.about,
        "command": f"python benchmarks/{study.name}.py",
        "repeats": repeats,
        "seed": study.seed,
        "cells": len(kept),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
    }
    write_atomic(path.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def versions(names: Sequence[str] = ("cogfit", "numpy", "scipy")) -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as it stands in the documentation."""
    lines = [header, ["---:"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def wrapped(text: str) -> str:
    """Paragraphs and items broken at 120 characters; tables, headings and pictures as they are."""

    def item(line: str) -> str:
        indent = "  " if line.startswith("- ") else ""
        one = " ".join(line.split())
        return textwrap.fill(one, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    blocks = (block.strip("\n") for block in text.strip().split("\n\n"))
    return (
        "\n\n".join(
            block if block.startswith(("|", "#", "![")) else "\n".join(map(item, re.split(r"\n(?=- )", block)))
            for block in blocks
        )
        + "\n"
    )


def recorded(name: str) -> list[dict[str, str]]:
    """Rows of a committed table."""
    with open(FOLDER / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def filled(text: str, mark: str, part: str) -> str:
    """A page with what stands between ``<!--MARK-->`` and ``<!--/MARK-->`` made anew."""
    lines = re.compile(f"<!--{mark}-->\n.*?<!--/{mark}-->", re.DOTALL)
    made, count = lines.subn(lambda _: f"<!--{mark}-->\n{part}<!--/{mark}-->", text)
    assert count == 1, f"the page has {count} parts {mark}"
    return made


def clopper_pearson(hits: int, repeats: int, level: float = 0.999) -> tuple[float, float]:
    """Exact limits of a share (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    tail = 0.5 * (1.0 - level)
    low = beta.ppf(tail, hits, repeats - hits + 1) if hits else 0.0
    high = beta.ppf(1.0 - tail, hits + 1, repeats - hits) if hits < repeats else 1.0
    return float(low), float(high)
