"""Train every rival on as many streams as CRAM: the most wanted first, one unit after the other, as far as time goes.

    make benchmark-equal                                 go on with what is left, into runs/
    python benchmarks/equal_training.py --list           what is done, begun and left, with the time it will take
    python benchmarks/equal_training.py --only mamba-n256-equal --units 1
    python benchmarks/equal_training.py --smoke --runs /tmp/smoke     the same units, a few steps each
    python benchmarks/equal_training.py --page                        write the table of docs/training.md

A unit is one seed of a set of ``theory.training.sets``: of ``EQUAL_TRAINING``, or with ``--paper-size`` of CRAM as
printed. First comes the first seed of every set, then the second one, and so on. It trains in this process with one
thread and stops with a checkpoint after ``--minutes``; the same command goes on from there, and from wherever Ctrl-C,
SIGTERM or a power cut left it. At the end it lists what is left. Finished units are put on record by
``python benchmarks/record_runs.py runs/<set>``, and count as done where they are.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from command_line import number, positive_whole, run_script
from grid import filled, markdown

from cogfit.errors import CogfitError, InputError, nearest
from theory.training.convergence import ENDINGS, ending
from theory.training.evaluation import Measures
from theory.training.loop import train
from theory.training.reproducibility import CHECKPOINT, read_tensors
from theory.training.runs import Record, find_records, read_document
from theory.training.sets import EQUAL, EQUAL_TRAINING, PAPER_SIZE, RunSet, find_set
from theory.training.setup import Setup, load_setup, make_setup
from theory.training.stopping import StopAsked, Stopped, held_signals

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "training.md"
BASE = "cram-n256"
"""What the others are trained as long as."""
SMOKE = {
    "training.steps": 12,
    "training.evaluate_every": 4,
    "training.evaluation_streams": 4,
    "training.final_streams": 4,
}


@dataclass(frozen=True)
class Unit:
    """One seed of a set."""

    own: RunSet
    seed: int
    folder: Path
    changes: dict[str, Any]

    @property
    def setup(self) -> Setup:
        """Its settings."""
        return load_setup(self.own.config, {**self.own.changes, **self.changes, "training.seed": self.seed})

    @property
    def is_finished(self) -> bool:
        """Whether it is done, with these settings: in its folder, or on record."""
        on_record = ROOT / "data" / "runs" / self.own.name / self.folder.name
        documents = filter(None, map(read_document, (self.folder, on_record)))
        return any(
            document.get("status") == "finished" and make_setup(document["config"]) == self.setup
            for document in documents
        )

    def state(self) -> tuple[str, float]:
        """What is done, in words, and the minutes that are left (NaN: never measured)."""
        if self.is_finished:
            return "finished", 0.0
        steps, done = self.setup.training.steps, 0
        if (self.folder / CHECKPOINT).exists():
            done = int(read_tensors(self.folder / CHECKPOINT)[1].get("step", "0"))
        text = f"at step {done:,} of {steps:,}" if done else "not begun"
        return text, self.own.minutes * (1 - done / steps)


def units(sets: Sequence[RunSet], runs: Path, only: Sequence[str], changes: dict[str, Any]) -> list[Unit]:
    """All units of some sets in the order in which they are trained.

    Raises
    ------
    InputError
        If there is no set of a name.
    """
    names = {own.name: own for own in sets}
    for name in only:
        if name not in names:
            raise InputError(f"no set '{name}'", hint=nearest(name, names))
    chosen = [own for own in sets if not only or own.name in only]
    longest = max(len(own.seed_list) for own in chosen)
    return [
        Unit(own, own.seed_list[i], runs / own.name / f"seed{own.seed_list[i]}", changes)
        for i in range(longest)
        for own in chosen
        if i < len(own.seed_list)
    ]


def print_list(chosen: Sequence[Unit]) -> None:
    """Print what is done and what is left."""
    left = [(unit, *unit.state()) for unit in chosen]
    for unit, text, minutes in left:
        expected = f"about {minutes:.0f} CPU minutes" if math.isfinite(minutes) else "not timed yet"
        print(f"{unit.own.name:40} seed {unit.seed}   {text:24} {'' if text == 'finished' else expected}")
    open_units = [minutes for _, text, minutes in left if text != "finished"]
    total = sum(minutes for minutes in open_units if math.isfinite(minutes))
    print(f"{len(left) - len(open_units)} of {len(left)} finished; about {total / 60:.1f} CPU hours are left")


def train_unit(unit: Unit, minutes: float, asked: StopAsked) -> bool:
    """Train a unit; whether it was finished in time.

    Raises
    ------
    Stopped
        If somebody asked to stop.
    """
    end = time.monotonic() + 60 * minutes

    def stop() -> int:
        return asked() or (signal.SIGTERM if time.monotonic() >= end else 0)

    def watch(done: int, total: int, measures: Measures | None) -> None:
        if measures is not None:
            print(f"  step {done:,} of {total:,}   accuracy {measures.accuracy:.2%}", flush=True)

    try:
        train(unit.setup, unit.folder, device="cpu", watch=watch, stop=stop)
    except Stopped:
        if asked():
            raise
        return False
    return True


def train_units(waiting: Sequence[Unit], minutes: float) -> None:
    """Train units one after the other.

    Raises
    ------
    Stopped
        On Ctrl-C or SIGTERM.
    """
    with held_signals() as asked:
        for unit in waiting:
            if number := asked():
                raise Stopped("stopped between two units", number)
            print(f"{unit.own.name}, seed {unit.seed}", flush=True)
            if not train_unit(unit, minutes, asked):
                print(f"  stopped after {minutes:g} minutes; the next call goes on", flush=True)


def table_of(records: Mapping[str, Sequence[Record]]) -> str:
    """What equal training gave, by set, beside the same model on fewer streams; and what is left to train."""

    def accuracy(found: Sequence[Record]) -> str:
        values = [100 * record.final["accuracy"] for record in found]
        if not values:
            return "–"
        streams = ", ".join(f"{count:,}" for count in sorted({record.streams for record in found}))
        return f"{fmean(values):.2f} % ({min(values):.2f} to {max(values):.2f}; {streams})"

    def mean(found: Sequence[Record], name: str) -> str:
        values = [record.final[name] for record in found if name in record.final]
        return f"{fmean(values):.4f}" if values else "–"

    def ends(found: Sequence[Record]) -> str:
        counts = Counter(ending(record) for record in found)
        return ", ".join(f"{counts[how]} {how}" for how in ENDINGS if counts[how])

    rows = []
    for own in (find_set(BASE), *EQUAL_TRAINING):
        if found := records.get(own.name, ()):
            before = () if own.name == BASE else records.get(own.name.removesuffix(EQUAL), ())
            size = " / ".join(dict.fromkeys(f"{record.parameters:,}" for record in found))
            rows.append(
                (f"`{own.name}`", f"{len(found)} of {len(own.seed_list)}", f"{found[0].updates:,}", size,
                 accuracy(found), accuracy(before), mean(found, "attention"), mean(found, "dynamics_mse"), ends(found))
            )  # fmt: skip
    left = [
        f"`{own.name}` ({len(own.seed_list) - len(records.get(own.name, ()))})"
        for own in EQUAL_TRAINING
        if len(records.get(own.name, ())) < len(own.seed_list)
    ]
    header = (
        "set", "seeds", "updates", "parameters", "accuracy (range; streams)", "before", "attention", "dynamics MSE",
        "at the end",
    )  # fmt: skip
    return markdown(header, rows) + (f"\nLeft to train (seeds): {', '.join(left)}.\n" if left else "")


def page(text: str) -> str:
    """docs/training.md with its table made anew."""
    records: dict[str, list[Record]] = {}
    for record in find_records(ROOT / "data" / "runs"):
        records.setdefault(record.title, []).append(record)
    return filled(text, "EQUAL", table_of(records))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="say what is done and left, and leave")
    parser.add_argument("--paper-size", action="store_true", help="CRAM as printed, in place of the rivals")
    parser.add_argument("--only", action="append", default=[], metavar="SET")
    parser.add_argument("--units", type=positive_whole, default=None, help="train at most so many")
    parser.add_argument("--minutes", type=number, default=90.0, help="of a unit, at most (default 90)")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--smoke", action="store_true", help="a few steps of each unit, to see that it works")
    parser.add_argument("--page", action="store_true", help="write the table of docs/training.md, and leave")
    options = parser.parse_args()
    if options.page:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    torch.set_num_threads(1)
    try:
        sets = PAPER_SIZE if options.paper_size else EQUAL_TRAINING
        chosen = units(sets, options.runs, options.only, SMOKE if options.smoke else {})
        if not options.list:
            train_units([unit for unit in chosen if not unit.is_finished][: options.units], options.minutes)
        print_list(chosen)
    except CogfitError as error:
        print(error, file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"{stopped}; the same command goes on from there", file=sys.stderr)
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
