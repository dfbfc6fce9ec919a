"""The parts of ``gpu.py``, each run in a process of its own.

A part calls `note` for every line of the table as soon as it is measured, so that what is done survives what
fails later. Sizes are those of a graphics card; with the device "cpu" all is small, to check the script.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from command_line import run_script
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SEED = 20261201
SAME_RSS = 1e-8
"""Relative distance of two residual sums of squares below which two fits have found one minimum."""

CUDA_TESTS = (
    "tests/cogfit/many/test_batch.py",
    "tests/theory/models/test_models.py",
    "tests/theory/models/test_sampler.py",
    "tests/theory/training/test_training.py",
)
CUDA_TEST_NAMES = "test_cuda or test_the_device_gives_what_the_cpu_gives or test_on_a_device"
"""Tests that are skipped where there is no CUDA device: 18."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    what : str
    value, unit : float or None, str
        What was measured on the device.
    beside, beside_value : str, float or None
        What it is compared with, in the same unit.
    times_faster : float or None
        Than that.
    agreement : str
        How far the answers agree, in words.
    holds : bool or None
        Whether they agree as far as they have to; None where nothing is compared.
    """

    what: str
    value: float | None = None
    unit: str = ""
    beside: str = ""
    beside_value: float | None = None
    times_faster: float | None = None
    agreement: str = ""
    holds: bool | None = None


@dataclass(frozen=True)
class Work:
    """Where a part runs, and where its lines go.

    Attributes
    ----------
    device : str
        "cuda" or "cpu".
    seconds : float
        The time that the part should take.
    out : Path
        One JSON object a line.
    """

    device: str
    seconds: float
    out: Path

    @property
    def is_small(self) -> bool:
        """Whether the script is only checked."""
        return self.device == "cpu"

    def note(self, line: Line) -> None:
        """Write a line at once."""
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"line": asdict(line)}, ensure_ascii=False) + "\n")

    def attempt(self, what: str, task: Callable[[], None]) -> None:
        """Do something that may fail alone, such as a model that does not fit into a small card's memory."""
        try:
            task()
        except Exception as error:
            if is_missing(error):
                raise
            traceback.print_exc()
            reason = (str(error).splitlines() or [""])[0]
            self.note(Line(what, agreement=f"failed: {type(error).__name__}: {reason}"[:300], holds=False))
        if self.device == "cuda":
            import torch

            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Wait until the device has done what was asked of it."""
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def time(self, task: Callable[[], Any], *, share: float = 0.1, most: int = 20) -> float:
        """Median seconds of a task after one call that does not count.

        It is repeated at least once, and until it has taken its share of the part's time.
        """
        task()
        self.wait()
        begin, times = time.perf_counter(), []
        while not times or (len(times) < most and time.perf_counter() - begin < share * self.seconds):
            start = time.perf_counter()
            task()
            self.wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times)


# ------------------------------------------------------------------------------------------------------- the tests


def run_tests(work: Work) -> None:
    """The tests that only a CUDA device can run."""
    missing = [name for name in ("pytest", "hypothesis", "pydantic", "safetensors") if not find_spec(name)]
    if missing:
        raise ModuleNotFoundError(f"{', '.join(missing)} not installed", name=missing[0])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run(
            [*command, "-k", CUDA_TEST_NAMES, *CUDA_TESTS], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if not report.is_file():
            raise RuntimeError(f"pytest made no report: {(done.stderr or done.stdout)[-500:]}")
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    kinds = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    outcomes = {
        f"{case.get('classname')}::{case.get('name')}": next((kinds[e.tag] for e in case if e.tag in kinds), "passed")
        for case in cases
    }
    counts = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "skipped")}
    failed = [name.rpartition(".")[2] for name, outcome in outcomes.items() if outcome == "failed"]
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    if failed:
        said += f" ({'; '.join(failed)})"
    passes = not failed and (work.is_small or (counts["passed"] > 0 and not counts["skipped"]))
    work.note(Line(f"{len(outcomes)} tests of CUDA", agreement=said, holds=passes and bool(outcomes)))


# ------------------------------------------------------------------------------------------------------- many fits


MEMORY_PER_POINT = 80
"""Bytes that must be free for each point of a batch: y, its weights, and what is made of them."""


def many_curves(count: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power laws with a floor and noise, made block by block to spare memory."""
    x, y = np.arange(1.0, n + 1.0), np.empty((count, n))
    rng = np.random.default_rng(SEED)
    for begin in range(0, count, 10_000):
        block = y[begin : begin + 10_000]
        gamma, floor = rng.uniform(0.2, 1.5, (len(block), 1)), rng.uniform(0.0, 0.3, (len(block), 1))
        block[:] = rng.normal(0.0, 0.02, block.shape)
        block += floor + 0.8 * x**-gamma
    return x, y


def free_memory() -> float:
    """Bytes that are free on this machine; infinity where that is not told."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    except OSError:
        pass
    return np.inf


def agreement_of(ours: Any, theirs: Any) -> tuple[str, bool]:
    """How far two tables of fits agree: minima, γ in standard errors, status."""
    excess = theirs["rss"].to_numpy() / ours["rss"].to_numpy() - 1.0
    above, below = float(np.mean(~(excess <= SAME_RSS))), float(np.mean(excess < -SAME_RSS))
    said = f"minimum higher in {100 * above:.2g} %, lower in {100 * below:.2g} %"
    if "gamma" in ours:
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(theirs["gamma"].to_numpy() - ours["gamma"].to_numpy()) / ours["gamma_se"].to_numpy()
        known = distance[np.isfinite(distance)]
        if known.size:
            said += f"; γ within {np.quantile(known, 0.999):.1g} standard errors in 99.9 %"
    same_status = float((ours["status"] == theirs["status"]).mean())
    said += f"; same status in {100 * same_status:.4g} %"
    return said, above <= 1e-3 and same_status >= 0.999


def run_batch(work: Work) -> None:
    """`fit_many` on the device beside the processor: the same minima, and how many a second."""
    from cogfit.engine import device as on_device

    name = "torch" if work.is_small else "cuda"  # "torch" is the processor, by the code of the device
    for form in on_device.separable_forms():
        if work.is_small and form not in ("power_floor", "exponential", "hyperbolic"):
            continue  # a grid over two parameters takes a processor too long in torch
        work.attempt(f"fit_many, {form}", lambda form=form: compare_form(work, form, name))

    for count, n in [(1_000, 50)] if work.is_small else [(100_000, 200), (1_000_000, 50), (1_000_000, 200)]:
        what = f"fit_many, power_floor, {count:,} × {n}"
        if MEMORY_PER_POINT * count * n > free_memory():
            work.note(Line(what, agreement="not run: this machine has too little memory"))
            continue
        work.attempt(what, lambda what=what, count=count, n=n: compare_rates(work, what, count, n, name))
    note_memory(work, "fit_many")


def compare_form(work: Work, form: str, name: str) -> None:
    """Fit some curves by a form on both."""
    import cogfit

    x, y = many_curves(50 if work.is_small else 2_000, 200)
    said, holds = agreement_of(cogfit.fit_many(x, y, form=form), cogfit.fit_many(x, y, form=form, device=name))
    work.note(Line(f"fit_many, {form}, {len(y):,} curves", agreement=said, holds=holds))


def compare_rates(work: Work, what: str, count: int, n: int, name: str) -> None:
    """Fit very many curves on both, once each."""
    import cogfit
    from cogfit.engine import device as on_device
    from cogfit.engine import separable
    from cogfit.formulas.registry import get_form

    x, y = many_curves(count, n)
    for where in (name, "cpu"):
        cogfit.fit_many(x, y[:1000], device=where)  # the first call sets up the device
    seconds, theirs = timed(lambda: cogfit.fit_many(x, y, device=name))
    beside, ours = timed(lambda: cogfit.fit_many(x, y))
    said, holds = agreement_of(ours, theirs)
    work.note(Line(what, count / seconds, "curves/s", "processor", count / beside, beside / seconds, said, holds=holds))
    bundle = separable.Bundle.rectangular(x, y, np.ones_like(y))
    solved, _ = timed(lambda: on_device.solve_bundle(get_form("power_floor"), bundle, name))
    work.note(Line(f"{what}: least squares alone", count / solved, "curves/s"))


def timed(task: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returns."""
    begin = time.perf_counter()
    result = task()
    return time.perf_counter() - begin, result


def note_memory(work: Work, what: str) -> None:
    """Note the most memory that the device has given so far."""
    if work.device == "cuda":
        import torch

        work.note(Line(f"{what}: most memory on the device", torch.cuda.max_memory_allocated() / 2**20, "MiB"))


# ------------------------------------------------------------------------------------------- tensors on the device


def run_tensors(work: Work) -> None:
    """Tensors of the device as arguments of fits and of the logger."""
    import torch

    import cogfit

    x, y = many_curves(4, 60)
    axis, values = (torch.as_tensor(a, device=work.device) for a in (x, y))
    for form in ("power_floor", "exponential_floor"):
        same = cogfit.fit(axis, values[0], form=form).params == cogfit.fit(x, y[0], form=form).params
        work.note(Line(f"fit of a tensor, {form}", agreement="the same" if same else "differs", holds=same))
    same = bool(cogfit.fit_many(axis, values).equals(cogfit.fit_many(x, y)))
    work.note(Line("fit_many of a tensor", agreement="the same" if same else "differs", holds=same))
    half = values[0].to(torch.bfloat16).requires_grad_()
    same = np.array_equal(cogfit.fit_many(axis, half[None])["n"], [60])
    work.note(Line("fit_many of bfloat16 with a gradient", agreement="read" if same else "differs", holds=same))
    with tempfile.TemporaryDirectory() as folder:
        with cogfit.UtilizationLogger(folder, rank=0) as logger:
            for step in range(60):
                logger.log(torch.tensor(step, device=work.device), values[0, step].clamp(0, 1))
        read = cogfit.read_log(folder).utilization
        same = read is not None and np.array_equal(read.frame["attention_utilization"], y[0].clip(0, 1))
    work.note(Line("UtilizationLogger.log of tensors", agreement="the same" if same else "differs", holds=bool(same)))


# -------------------------------------------------------------------------------------------------------- training


def run_ensembles(work: Work) -> None:
    """Stacks of 256 models beside the same models one by one."""
    import ensemble_speed
    import torch

    from theory.training.ensemble import train_many

    device = torch.device(work.device)
    members = 4 if work.is_small else 256
    steps, alone = (2, 2) if work.is_small else (20, 4)
    for config in ensemble_speed.CONFIGS:
        what = f"a stack of {members} models, {config}"

        def compare(what: str = what, config: str = config) -> None:
            setups = ensemble_speed.setups(config, members, 32, 16, 4)
            fast = ensemble_speed.stacked(setups, steps, device)
            slow = ensemble_speed.one_by_one(setups[:alone], steps, device) * members / alone
            rate = members * steps
            work.note(Line(what, rate / fast, "model steps/s", "one by one", rate / slow, slow / fast))

        work.attempt(what, compare)
    note_memory(work, "stacks")
    small = {"training.steps": 4, "training.final_streams": 8, "training.evaluation_streams": 8}
    changes = small | {"data.length": 32, "model.d_model": 16, "training.batch": 4}
    setups = [
        ensemble_speed.load_setup("transformer-n256", ensemble_speed.PAIRS | changes | {"training.seed": seed})
        for seed in range(3)
    ]
    with tempfile.TemporaryDirectory() as folder:
        runs = train_many(setups, [Path(folder, str(i)) for i in range(3)], how="stacked", device=work.device)
        losses = [bool(torch.isfinite(parameter).all()) for run in runs for parameter in run.model().parameters()]
    work.note(Line("train_many, 3 runs with logs", agreement="weights are finite", holds=all(losses)))


FULL = ("transformer", "mamba", "fast-weights", "retention", "seqboat", "jamba", "transmamba", "cram-no-consolidation")


def run_training(work: Work) -> None:
    """A training step of CRAM at N = 2048 beside the processor, and one of every other model."""
    length = 64 if work.is_small else 2048
    for config in ("cram", *(FULL[:2] if work.is_small else FULL)):
        what = f"a step of {config}, N = {length}"
        work.attempt(what, lambda what=what, config=config: training_step(work, what, config, length, config == "cram"))
    note_memory(work, "training")


def training_step(work: Work, what: str, config: str, length: int, with_processor: bool) -> None:
    """Time one update, and compare outputs with the processor's for the same weights and streams."""
    import torch

    from theory.training.loop import Streams
    from theory.training.reproducibility import deterministic
    from theory.training.setup import load_setup
    from theory.training.trainer import Single

    device, processor = torch.device(work.device), torch.device("cpu")
    changes = {"data.length": length} | ({"training.batch": 2} if work.is_small else {})
    setup = load_setup(config, changes)
    batch = setup.training.batch
    what = f"{what}, batch {batch}"

    def step_on(where: torch.device) -> Callable[[], Any]:
        learner, streams = Single(setup, where), Streams([setup.data], batch, 0, where)
        return lambda: learner.advance(streams.sample(), attend_all=False, costs=1.0)

    said, holds = same_outputs(setup, device)
    with deterministic(0, device):
        seconds = work.time(step_on(device), share=0.05)
    if not with_processor:
        work.note(Line(what, 1e3 * seconds, "ms", agreement=said, holds=holds))
        return
    with deterministic(0, processor):
        beside = work.time(step_on(processor), share=0.05, most=2)
    work.note(Line(what, 1e3 * seconds, "ms", "processor", 1e3 * beside, beside / seconds, said, holds=holds))


def same_outputs(setup: Any, device: Any) -> tuple[str, bool]:
    """Routing and loss of the first model on a device beside the processor, without the noise of routers."""
    import torch

    from theory.models.sampler import Sampler
    from theory.tasks.srcd import Batch, Tokens
    from theory.training.trainer import start

    model = start(setup).eval()
    here = Sampler(setup.data, 0, "cpu").sample(2)
    place = {f.name: getattr(here.tokens, f.name).to(device) for f in fields(here.tokens)}
    asked = {f.name: getattr(here, f.name).to(device) for f in fields(here) if f.name != "tokens"}
    there = Batch(tokens=Tokens(**place), **asked)
    with torch.no_grad():
        expected = model(here.tokens)
        loss = float(expected.retrieval_loss(here))
        found = model.to(device)(there.tokens)
        moved = float(found.retrieval_loss(there))
    routed = (found.routing.cpu() == expected.routing).all(-1).float().mean().item()
    distance = abs(moved - loss) / max(abs(loss), 1e-12)
    return f"same routes {100 * routed:.4g} %, loss within {distance:.1g}", routed > 0.95 and distance < 1e-2


# ------------------------------------------------------------------------------------------------------ redundancy


def run_redundancy(work: Work) -> None:
    """Redundancy of a byte-level GPT-2: measured on the device and the processor, and trained on the device."""
    if not find_spec("transformers"):
        raise ModuleNotFoundError("transformers is not installed", name="transformers")
    import torch

    from theory.redundancy.language_model import Language, build_model, train_language
    from theory.redundancy.models import byte_level
    from theory.redundancy.probes import measure
    from theory.redundancy.texts import standard_library
    from theory.training.reproducibility import deterministic

    layers, width, documents = (1, 16, 4) if work.is_small else (4, 64, 20)
    settings = Language(layers=layers, heads=2, d_model=width, context=128, documents=documents, tokens=512)
    with deterministic(0, torch.device("cpu")):
        model = build_model(settings)
    texts = standard_library()

    def table_on(where: str) -> Any:
        return measure(byte_level(model.to(where), context=128), texts, documents=documents, tokens=512).table()

    table_on(work.device)  # the first call sets up the device
    seconds, found = timed(lambda: table_on(work.device))
    beside, expected = timed(lambda: table_on("cpu"))
    numbers = expected.select_dtypes("number").columns
    far = float(np.nanmax(np.abs(found[numbers].to_numpy() - expected[numbers].to_numpy())))
    work.note(
        Line("R of a GPT-2", 1e3 * seconds, "ms", "processor", 1e3 * beside, beside / seconds,
             f"table within {far:.1g}", holds=far < 1e-3)
    )  # fmt: skip
    small = settings.model_copy(update={"steps": 4 if work.is_small else 100, "warm_up": 2})
    with tempfile.TemporaryDirectory() as folder:
        seconds, (_, loss) = timed(lambda: train_language(small, Path(folder, "run"), texts=texts, device=work.device))
    falls = bool(np.isfinite(loss["loss"]).all())
    line = Line(f"train_language, {small.steps} steps with its measurements", seconds, "s",
                agreement=f"loss {loss['loss'].iloc[0]:.3f} → {loss['loss'].iloc[-1]:.3f}", holds=falls)  # fmt: skip
    work.note(line)


def run_language_model(work: Work) -> None:
    """Scores of heads, and policies, of a language model on the device and the processor."""
    if not find_spec("transformers"):
        raise ModuleNotFoundError("transformers is not installed", name="transformers")
    from gpu_language import compare

    for what, seconds, beside, far in compare(work.device, is_small=work.is_small):
        work.note(
            Line(what, 1e3 * seconds, "ms", "processor", 1e3 * beside, beside / seconds,
                 f"within {far:.1g}", holds=far < 1e-2)
        )  # fmt: skip


PARTS: dict[str, Callable[[Work], None]] = {
    "tests": run_tests,
    "batch": run_batch,
    "tensors": run_tensors,
    "ensembles": run_ensembles,
    "training": run_training,
    "redundancy": run_redundancy,
    "language-model": run_language_model,
}


EXTRAS = {
    "tests": "test",
    "batch": "train",
    "tensors": "train",
    "ensembles": "train",
    "training": "train",
    "redundancy": "train,huggingface",
    "language-model": "lm",
}
"""What a part needs beside torch and the package itself."""


def is_missing(error: Exception) -> bool:
    """Whether a library is not installed; a module or name that this repository lacks is a fault of its own."""
    if isinstance(error, ModuleNotFoundError):
        package, _, module = (error.name or "").partition(".")
        return not (package in ("cogfit", "theory") and module)
    return isinstance(error, ImportError) and error.name is None  # cogfit.errors.MissingDependencyError is one


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part; the last object in its file says how it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", required=True, choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.device == "cpu" and find_spec("torch"):
        import torch

        torch.set_num_threads(1)  # small tensors, and others use the machine
    end = {"state": "done", "message": ""}
    try:
        PARTS[options.part](Work(options.device, options.seconds, options.rows))
    except Exception as error:
        traceback.print_exc()
        end = {"state": "failed", "message": f"{type(error).__name__}: {error}"}
        if is_missing(error):
            end = {"state": "missing", "message": f"{error}; needed is: pip install -e '.[{EXTRAS[options.part]}]'"}
    with options.rows.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"end": end}, ensure_ascii=False) + "\n")
    return int(end["state"] == "failed")


if __name__ == "__main__":
    raise SystemExit(run_script(main))
