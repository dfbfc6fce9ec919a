"""CPU seconds of a training step: an earlier revision, this one, and ``compute = "fast"``, side by side.

    python benchmarks/training_speed.py --against c9929e2
    python benchmarks/training_speed.py --against c9929e2 --config cram-n256 --rounds 4 --out /tmp/t.csv

One process per way keeps its model; they take turns, one at a time, a few steps each, so that a busy machine slows all
of them. A step is what the loop does: draw streams, update, observe, log. CPU seconds of the process are counted.
Ratios are medians over rounds, with the percentile interval of 2,000 bootstrap samples of rounds. ``same_bits`` says
whether parameters and both logs are the same bytes as those of the earlier revision after all steps.

Writes ``data/benchmarks/training_speed.csv``. ``--parts`` times the parts of a step of this revision instead, and
writes ``training_parts.csv``; ``--markdown`` prints both tables as they stand on the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from command_line import positive_whole, run_script

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "data" / "benchmarks" / "training_speed.csv"
CONFIGS = [f"{kind}-n256" for kind in ("cram", "mamba", "jamba", "seqboat", "transmamba", "retention", "transformer")]
PARTS_NAME = "training_parts.csv"
PARTS = ("streams", "forward", "losses", "backward", "clipping", "optimiser", "observing", "logging")
SETTLE = (10, 50)
"""Steps before the first round: all tokens attend, then the router is free and attention costs."""


# ------------------------------------------------------------------------------------------------- in the children


def work(config: str, changes: dict[str, Any]) -> None:
    """Answer on standard output: CPU seconds of so many steps for each number read; at the end, what came out."""
    import torch

    torch.set_num_threads(1)
    from theory.training.loop import Streams, _record
    from theory.training.recorder import Recorder
    from theory.training.reproducibility import deterministic
    from theory.training.setup import load_setup
    from theory.training.trainer import Single

    try:
        from theory.training.reproducibility import keep_freed_memory
    except ImportError:  # an earlier revision
        pass
    else:
        keep_freed_memory()
    setup, cpu = load_setup(config, changes), torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder, deterministic(0, cpu):
        trainer = Single(setup, cpu)
        streams = Streams([setup.data], setup.training.batch, 0, cpu)
        recorder = Recorder(Path(folder), setup.training, setup.data.patterns)
        recorder.begin(0, recorder.exposures)
        step = 0

        def advance(steps: int, *, attend_all: bool) -> float:
            nonlocal step
            begin = time.process_time()
            for _ in range(steps):
                batch = streams.sample()
                is_observed = getattr(setup.training, "is_observed", lambda _: True)(step)
                asked = {} if is_observed else {"observed": False}
                seen = trainer.advance(batch, attend_all=attend_all, costs=1.0, **asked)
                _record([recorder], step, seen, batch)
                step += 1
            return time.process_time() - begin

        advance(SETTLE[0], attend_all=True)
        advance(SETTLE[1] if config.startswith("cram") else 1, attend_all=False)
        print("ready", flush=True)
        for line in sys.stdin:
            print(advance(int(line), attend_all=False), flush=True)
        digest = hashlib.sha256()
        for name, value in sorted(trainer.state().items()):
            digest.update(name.encode() + value.detach().numpy().tobytes())
        for name in ("utilization.jsonl", "routing.jsonl"):
            path = Path(folder) / name
            digest.update(path.read_bytes() if path.exists() else b"")
        print(digest.hexdigest(), flush=True)


class Way:
    """A child that trains in one way."""

    def __init__(self, source: Path, config: str, changes: dict[str, Any]) -> None:
        environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--work", config, json.dumps(changes)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, cwd=source
        )
        if self.answer() != "ready":
            raise SystemExit(f"{config} does not train in {source}")

    def answer(self) -> str:
        """The next line of the child."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def seconds(self, steps: int) -> float:
        """CPU seconds of so many steps."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self.answer())

    def close(self) -> str:
        """Digest of parameters and logs."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        digest = self.answer()
        self.process.wait()
        return digest


# ------------------------------------------------------------------------------------------------------ comparison


def interval(ratios: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Median, and its bootstrap interval at 95 %."""
    samples = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def compare(config: str, earlier: Path, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Rows of one configuration: every way against the earlier revision."""
    fast = {"model.compute": "fast"}
    rare = {"training.log_every": 10, "training.routing_every": 10}
    changes: dict[str, dict[str, Any]] = {"reference": {}, "fast": fast, "fast, logs every 10 steps": fast | rare}
    if config.startswith("cram"):
        changes["queries only, logs every 10 steps"] = {"model.routes": "queries"} | rare
    ways = {"earlier": Way(earlier, config, {})} | {name: Way(ROOT, config, own) for name, own in changes.items()}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            spent[name].append(way.seconds(steps) / steps)
    digests = {name: way.close() for name, way in ways.items()}
    rng, rows = np.random.default_rng(0), []
    base = np.array(spent["earlier"])
    for name in ways:
        own = np.array(spent[name])
        ratio, low, high = interval(base / own, rng)
        rows.append(
            {
                "config": config,
                "way": name,
                "cpu_ms_per_step": round(1e3 * float(np.median(own)), 1),
                "ratio": round(ratio, 3),
                "ratio_low": round(low, 3),
                "ratio_high": round(high, 3),
                "same_bits": digests[name] == digests["earlier"],
                "rounds": rounds,
                "steps_per_round": steps,
            }
        )
    return rows


# ---------------------------------------------------------------------------------------------------------- parts


def parts_of(config: str, steps: int) -> dict[str, float]:
    """CPU milliseconds of the parts of a step, means over steps in which the router is free."""
    import torch

    from theory.training.loop import Streams, _record
    from theory.training.recorder import Recorder
    from theory.training.reproducibility import deterministic, keep_freed_memory
    from theory.training.setup import load_setup
    from theory.training.trainer import Losses, Single, index_batch, objective, observe

    torch.set_num_threads(1)
    keep_freed_memory()
    setup, cpu, spent = load_setup(config), torch.device("cpu"), dict.fromkeys(PARTS, 0.0)

    def timed(name: str, do: Callable[[], Any]) -> Any:
        begin = time.process_time()
        result = do()
        spent[name] += time.process_time() - begin
        return result

    with tempfile.TemporaryDirectory() as folder, deterministic(0, cpu):
        trainer, streams = Single(setup, cpu), Streams([setup.data], setup.training.batch, 0, cpu)
        recorder = Recorder(Path(folder), setup.training, setup.data.patterns)
        recorder.begin(0, recorder.exposures)
        for _ in range(SETTLE[0]):
            trainer.advance(streams.sample(), attend_all=True, costs=0.0, observed=False)
        for step in range(steps):
            whole = timed("streams", streams.sample)
            batch = index_batch(whole, 0)
            trainer.optimizer.zero_grad(set_to_none=True)
            output = timed("forward", lambda b=batch: trainer.model(b.tokens))
            losses = timed("losses", lambda o=output, b=batch: Losses.of(o, b))
            loss = objective(output, losses, dynamics_weight=1.0, costs=1.0)
            timed("backward", loss.backward)
            weights = list(trainer.model.parameters())
            timed("clipping", lambda w=weights: torch.nn.utils.clip_grad_norm_(w, setup.training.clip))
            timed("optimiser", trainer.optimizer.step)
            seen = timed("observing", lambda o=output, x=losses, b=batch: observe(o, x, b))
            stacked = {name: value.unsqueeze(0) for name, value in seen.items()}
            timed("logging", lambda s=step, x=stacked, w=whole: _record([recorder], s, x, w))
    return {name: 1e3 * seconds / steps for name, seconds in spent.items()}


def pages(out: Path) -> str:
    """Both tables as Markdown."""
    speed, parts = pd.read_csv(out), pd.read_csv(out.with_name(PARTS_NAME))
    lines = ["| | " + " | ".join(PARTS) + " | all |", "|---" * (len(PARTS) + 2) + "|"]
    for row in parts.to_dict("records"):
        cells = [f"{row[name]:.1f}" for name in PARTS]
        lines.append(f"| {row['config']} | " + " | ".join(cells) + f" | {sum(row[name] for name in PARTS):.0f} |")
    lines += ["", "| | way | CPU ms a step | times less | same bits |", "|---|---|---:|---:|---|"]
    for row in speed.to_dict("records"):
        ratio = f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"
        ratio = "" if row["way"] == "earlier" else ratio
        bits = "" if row["way"] == "earlier" else "yes" if row["same_bits"] else "no"
        lines.append(f"| {row['config']} | {row['way']} | {row['cpu_ms_per_step']:.0f} | {ratio} | {bits} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="the earlier revision, from this repository")
    parser.add_argument("--config", action="append", choices=CONFIGS, help="default: all")
    parser.add_argument("--rounds", type=positive_whole, default=20)
    parser.add_argument("--steps", type=positive_whole, default=5, help="steps of each way in a round")
    parser.add_argument("--parts", action="store_true", help="time the parts of a step instead")
    parser.add_argument("--markdown", action="store_true", help="print the tables on record, and leave")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], json.loads(options.work[1]))
        return 0
    if options.markdown:
        print(pages(options.out), end="")
        return 0
    if options.parts:
        timed = [{"config": name, **parts_of(name, 8 * options.steps)} for name in options.config or CONFIGS[:3]]
        pd.DataFrame(timed).round(2).to_csv(options.out.with_name(PARTS_NAME), index=False)
        return 0
    if not options.out.absolute().parent.is_dir():
        parser.error(f"the folder {options.out.parent} does not exist")
    if not options.against:
        parser.error("name the earlier revision: --against REVISION")
    from theory.training.reproducibility import choose_device, hardware

    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", options.against], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        kernels = Path("cogfit") / "native" / "kernels.bin"
        (Path(folder) / kernels).write_bytes((ROOT / kernels).read_bytes())
        rows: list[dict[str, Any]] = []
        for config in options.config or CONFIGS:
            own = compare(config, Path(folder), options.rounds, options.steps)
            print(pd.DataFrame(own).to_string(index=False), flush=True)
            rows += own
    import torch

    table = pd.DataFrame(rows)
    table["earlier_revision"] = options.against
    table["processor"], table["torch"] = hardware(choose_device("cpu"))["name"], torch.__version__
    table.to_csv(options.out, index=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
