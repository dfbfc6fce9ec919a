"""Speed of ``cogfit.fit_many`` beside scipy's ``curve_fit`` and lmfit, and of reading logs beside tbparse and pandas.

Run ``python benchmarks/batch_speed.py`` (``--help`` for the options); less than ten minutes on two cores. Every peer is
timed in the same process on the same data (as many curves as ``--seconds`` allow), right before ours; of several rounds
the median of the ratios counts, so that load on the machine changes it little. The peers share no code with ours.
Printed are Markdown tables; ``--out`` takes the numbers, with a JSON file on machine and versions beside it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import routing_log
import tensorboard_reading
from grid import FOLDER, versions
from numpy.typing import NDArray

from cogfit.files import write_atomic

Array = NDArray[np.float64]
N = 200
STARTS = ((0.9, 0.2, 0.0), (0.9, 0.6, 0.05), (0.6, 1.2, 0.1), (1.2, 0.4, 0.2))
ROWS: list[dict[str, Any]] = []
"""Results: what was done, beside whom, the goal, the median of the ratios, least and most, seconds of both."""


def power_floor(x: Array, a: float, gamma: float, c: float) -> Array:
    return c + a * x**-gamma


def power_floor_jac(x: Array, a: float, gamma: float, c: float) -> Array:
    value = x**-gamma
    return np.stack([value, -a * np.log(x) * value, np.ones_like(x)], axis=1)


def curves(count: int, n: int = N, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = np.arange(1.0, n + 1.0)
    gamma, c = rng.uniform(0.2, 1.5, (count, 1)), rng.uniform(0.0, 0.3, (count, 1))
    return x, c + 0.8 * x**-gamma + rng.normal(0.0, 0.02, (count, n))


# ------------------------------------------------------------------------------------------------------ the peers


def curve_fit_from_four(x: Array, y: Array) -> float:
    from scipy.optimize import curve_fit

    best = np.inf
    for start in STARTS:
        try:
            p, _ = curve_fit(power_floor, x, y, start, jac=power_floor_jac)
        except RuntimeError:
            continue
        best = min(best, float(((y - power_floor(x, *p)) ** 2).sum()))
    return best


def curve_fit_in_bounds(x: Array, y: Array) -> float:
    from scipy.optimize import curve_fit

    best = np.inf
    for start in STARTS:
        p, _ = curve_fit(power_floor, x, y, start, jac=power_floor_jac, bounds=([0, 1e-4, 0], [np.inf, 12, np.inf]))
        best = min(best, float(((y - power_floor(x, *p)) ** 2).sum()))
    return best


def lmfit_once() -> Callable[[Array, Array], float]:
    import lmfit

    model = lmfit.Model(power_floor)
    start = model.make_params(a={"value": 0.9, "min": 0}, gamma={"value": 0.5, "min": 1e-4}, c={"value": 0.1, "min": 0})
    return lambda x, y: float(model.fit(y, start, x=x).chisqr)


def all_forms(x: Array, y: Array) -> str:
    """Fourteen forms by curve_fit from four starts each, without bounds, which is its fastest way; the least AICc."""
    from scipy.optimize import curve_fit

    big = float(x[-1])
    forms: dict[str, tuple[Callable[..., Array], Sequence[Sequence[float]]]] = {
        "constant": (lambda x, c: c + 0.0 * x, [(0.3,)]),
        "logarithmic": (lambda x, a, c: c - a * np.log(x), [(0.1, 0.9)]),
        "power": (lambda x, a, g: a * x**-g, [(0.9, g) for g in (0.1, 0.4, 0.8, 1.5)]),
        "power_floor": (power_floor, STARTS),
        "exponential": (lambda x, a, r: a * np.exp(-r * x), [(0.9, r / big) for r in (0.5, 2, 8, 30)]),
        "exponential_floor": (
            lambda x, a, r, c: c + a * np.exp(-r * x), [(0.8, r / big, 0.1) for r in (0.5, 2, 8, 30)],
        ),
        "hyperbolic": (lambda x, a, b: a / (1 + x / b), [(0.9, b * big) for b in (0.01, 0.1, 0.5, 2)]),
        "shifted_power": (
            lambda x, a, g, b: a * (1 + x / b) ** -g, [(0.9, g, b) for g in (0.4, 1.0) for b in (1.0, 20.0)],
        ),
        "shifted_power_floor": (
            lambda x, a, g, b, c: c + a * (1 + x / b) ** -g,
            [(0.9, g, b, 0.05) for g in (0.4, 1.0) for b in (1.0, 20.0)],
        ),
        "apex_floor": (
            lambda x, a, g, r, c: c + a * x**-g * np.exp(-r * x),
            [(0.9, g, r / big, 0.05) for g in (0.2, 0.8) for r in (0.5, 5)],
        ),
        "stretched_exponential": (
            lambda x, a, t, b: a * np.exp(-((x / t) ** b)), [(0.9, t * big, b) for t in (0.1, 0.5) for b in (0.4, 1)],
        ),
        "stretched_exponential_floor": (
            lambda x, a, t, b, c: c + a * np.exp(-((x / t) ** b)),
            [(0.9, t * big, b, 0.05) for t in (0.1, 0.5) for b in (0.4, 1)],
        ),
        "log_logistic_step": (
            lambda x, a, m, s, c: c + a / (1 + (x / m) ** s),
            [(0.8, m * big, s, 0.1) for m in (0.1, 0.5) for s in (1, 4)],
        ),
        "broken_power": (
            lambda x, a, g, h, m: a * (x / m) ** -np.where(x <= m, g, h),
            [(0.5, g, 0.8, m * big) for g in (0.2, 0.6) for m in (0.2, 0.5)],
        ),
    }  # fmt: skip
    scores = {}
    for name, (function, starts) in forms.items():
        best = np.inf
        for start in starts:
            try:
                p, _ = curve_fit(function, x, y, start)
            except (RuntimeError, ValueError, TypeError):
                continue
            best = min(best, float(((y - function(x, *p)) ** 2).sum()))
        k = len(starts[0]) + 1
        scores[name] = x.size * np.log(best / x.size) + 2 * k + 2 * k * (k + 1) / (x.size - k - 1)
    return min(scores, key=scores.__getitem__)


def warm_started(x: Array, y: Array, start: Array) -> Array:
    from scipy.optimize import curve_fit

    return np.asarray(curve_fit(power_floor, x, y, start, jac=power_floor_jac)[0])


# ------------------------------------------------------------------------------------------------------ measuring


def timed(task: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def seconds_each(peer: Callable[[Array, Array], Any], x: Array, ys: Array, budget: float) -> float:
    """Seconds a curve, over as many curves as the budget allows."""
    begin, done = time.perf_counter(), 0
    while done < len(ys) and (done == 0 or time.perf_counter() - begin < budget):
        peer(x, ys[done])
        done += 1
    return (time.perf_counter() - begin) / done


def table(
    title: str, ours: Callable[[], float], peers: dict[str, tuple[float, Callable[[], float]]], rounds: int
) -> None:
    """Print and keep the ratios of each peer's time (a function that returns seconds) to ours, taken in turn.

    peers holds the goal and the function by name; a goal of 0: none.
    """
    ours()
    print(f"\n**{title}**\n\n| peer | its time / ours | least | most | goal |\n|---|---|---|---|---|")
    for name, (goal, peer) in peers.items():
        pairs = [(peer(), ours()) for _ in range(rounds)]
        ratios = sorted(a / b for a, b in pairs)
        row = {
            "task": title, "peer": name, "goal": goal or "", "ratio": statistics.median(ratios), "least": ratios[0],
            "most": ratios[-1], "peer_seconds": statistics.median(a for a, _ in pairs),
            "cogfit_seconds": statistics.median(b for _, b in pairs),
        }  # fmt: skip
        ROWS.append(row)
        numbers = " | ".join(f"{row[key]:.3g} ×" for key in ("ratio", "least", "most"))
        print(f"| {name} | {numbers} | {f'≥ {goal:g}' if goal else ''} |", flush=True)


def fitting(count: int, seconds: float, rounds: int) -> None:
    import cogfit
    from cogfit.engine import separable

    x, ys = curves(count)
    each = seconds / rounds

    def loop(peer: Callable[[Array, Array], Any], x: Array, ys: Array) -> Callable[[], float]:
        peer(x, ys[0])
        return lambda: seconds_each(peer, x, ys, each)

    table(
        f"power + floor, {N} points: estimate, standard error, status (a curve)",
        lambda: timed(lambda: cogfit.fit_many(x, ys)) / count,
        {
            "curve_fit, four starts": (100.0, loop(curve_fit_from_four, x, ys)),
            "curve_fit, four starts, in bounds": (0.0, loop(curve_fit_in_bounds, x, ys)),
            "lmfit, one start": (200.0, loop(lmfit_once(), x, ys)),
        },
        rounds,
    )
    few = ys[:200]
    table(
        f"all 14 forms with selection, {N} points (a curve)",
        lambda: timed(lambda: cogfit.fit_many(x, few, form=None)) / len(few),
        {"curve_fit, four starts a form": (20.0, loop(all_forms, x, ys))},
        rounds,
    )
    from cogfit.formulas.registry import get_form

    x4, one = curves(1, 400)
    form = get_form("power_floor")
    first = cogfit.fit_many(x4, one)[["A", "gamma", "c"]].to_numpy()[0]
    fitted = power_floor(x4, *first)
    again = fitted + np.random.default_rng(1).choice(one[0] - fitted, (2000, 400))
    starts, w = np.full((2000, 1, 1), first[1]), np.ones_like(again)
    table(
        "2,000 bootstrap refits of a curve of 400 points (a refit)",
        lambda: timed(lambda: separable.solve(form, x4, again, w, starts=starts, tolerance=1e-9)) / 2000,
        {"curve_fit, warm start": (20.0, loop(lambda x, y: warm_started(x, y, first), x4, again))},
        rounds,
    )
    cuda(curves)


def cuda(make: Callable[[int], tuple[Array, Array]]) -> None:
    """A graphics processor beside the processor, where there is one."""
    import torch

    if not torch.cuda.is_available():
        print("\nCUDA: not measured, this machine has none")
        return
    import cogfit

    x, ys = make(100_000)
    many = np.tile(ys, (10, 1))
    table(
        f"power + floor, {N} points, 10^6 curves on CUDA",
        lambda: timed(lambda: cogfit.fit_many(x, many, device="cuda")),
        {"cogfit on the processor": (20.0, lambda: timed(lambda: cogfit.fit_many(x, many)))},
        1,
    )


def reading(scalars: int, rounds: int) -> None:
    """Reading of logs beside tbparse and plain pandas, with the same values; damage must be noticed."""
    import cogfit
    from cogfit.logs.formats.parquet import PARQUET
    from cogfit.logs.formats.reader import ReadOptions
    from cogfit.logs.formats.registry import read_raw

    with tempfile.TemporaryDirectory() as temporary:
        warm_up, events = Path(temporary, "warm-up"), Path(temporary, "events")
        for folder, n in ((warm_up, 100), (events, scalars)):
            tensorboard_reading.write(folder, n, tensors=False)
        tensorboard_reading.by_tbparse(warm_up)
        table(
            f"TensorBoard, {scalars:,} scalars",
            lambda: timed(lambda: tensorboard_reading.by_cogfit(events)),
            {"tbparse": (5.0, lambda: timed(lambda: tensorboard_reading.by_tbparse(events)))},
            1,
        )
        tensorboard_reading.check_damage(warm_up)
        rng = np.random.default_rng(0)
        log = Path(temporary, "log.csv")
        frame = pd.DataFrame({"step": np.arange(scalars), "attention_utilization": rng.random(scalars)})
        frame.assign(loss=rng.random(scalars)).to_csv(log, index=False)
        read = cogfit.read_log(log).utilization
        assert read is not None
        np.testing.assert_array_equal(read.frame["attention_utilization"], pd.read_csv(log)["attention_utilization"])
        table(
            f"CSV, {scalars:,} rows: read and checked",
            lambda: timed(lambda: cogfit.read_log(log)),
            {"pandas.read_csv, unchecked": (1.0, lambda: timed(lambda: pd.read_csv(log)))},
            rounds,
        )
    table(
        "Parquet, a routing log of 1,075,413 rows: read",
        lambda: timed(lambda: read_raw(PARQUET, routing_log.LOG, ReadOptions())),
        {"pandas.read_parquet": (1.0, lambda: timed(lambda: pd.read_parquet(routing_log.LOG)))},
        rounds,
    )
    table(
        "Parquet, a routing log of 1,075,413 rows: read, checked, P(k)",
        lambda: timed(routing_log.ours),
        {"pandas.read_parquet, groupby, mean, unchecked": (0.0, lambda: timed(routing_log.plain))},
        rounds,
    )


EXPONENTIALS = 840
"""Of a power law with a floor at 200 points: four evaluations and a little more, by which the limit is counted."""


def limit(count: int) -> dict[str, float]:
    """How far least squares are from the exponentials that they need, at what these cost in a plain loop of C."""
    from ctypes import c_int64, c_void_p

    from cogfit.engine import separable
    from cogfit.formulas.registry import get_form
    from cogfit.native.library import kernel, level

    x, ys = curves(count)
    form = get_form("power_floor")
    bundle = separable.Bundle.rectangular(x, ys, np.ones_like(ys))
    search = separable._Search.for_bundle(form, bundle, 1e-13, separable.WHITE, 200)
    probe = kernel("probe", c_void_p, c_void_p, c_int64, c_int64)
    exponents, out = -np.log(x), np.empty(N)

    def least(task: Callable[[], Any]) -> float:
        """Least processor time of this thread, in µs a curve: load does not change it much."""
        times = []
        for _ in range(7):
            begin = time.thread_time()
            task()
            times.append(time.thread_time() - begin)
        return 1e6 * min(times) / count

    power = least(lambda: probe(exponents.ctypes.data, out.ctypes.data, N, count)) / N
    alone = least(lambda: separable.solve_bundle(form, bundle, threads=1))
    grid = least(lambda: search._grid_starts(0, count))
    print(
        f"\n**Distance to the limit** (power + floor, {N} points, {level()}, processor time of one thread): "
        f"{EXPONENTIALS} exponentials a curve at {1e3 * power:.2f} ns in a plain loop of C = "
        f"{EXPONENTIALS * power:.2f} µs; least squares take {alone:.2f} µs, of which {grid:.2f} µs rank the grid of "
        f"starts: {alone / (EXPONENTIALS * power):.1f} × the exponentials alone.",
        flush=True,
    )
    return {
        "evaluations_per_curve": EXPONENTIALS / N, "ns_per_exponential": 1e3 * power, "us_per_curve": alone,
        "us_for_starts": grid, "times_the_exponentials": alone / (EXPONENTIALS * power),
    }  # fmt: skip


_PEAK = """
def peak():  # MB; ru_maxrss would begin at that of the parent
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
"""

_COST = (
    _PEAK
    + """
import sys, time
import numpy as np
import cogfit
count, n = int(sys.argv[1]), int(sys.argv[2])
x, rng = np.arange(1.0, n + 1.0), np.random.default_rng(0)
y = rng.normal(0.0, 0.02, (count, n))
y += 0.1 + 0.8 * x**-0.5
cogfit.fit_many(x, y[:100])
before, wall, work = peak(), time.perf_counter(), time.process_time()
cogfit.fit_many(x, y)
print(time.perf_counter() - wall, time.process_time() - work, peak() - before)
"""
)


def cost(largest: int) -> list[dict[str, float]]:
    """Time against curves and against points, and peak memory beyond the data; each in a process of its own."""
    print("\n**Cost**\n\n| curves | points | processor µs a curve | ns a point | memory beyond the data, MB |"
          "\n|---|---|---|---|---|")  # fmt: skip
    sizes = [(count, N) for count in (1_000, 10_000, 100_000, 1_000_000) if count <= largest]
    out = []
    for count, n in [*sizes, (10_000, 50), (10_000, 800), (2_000, 3_200)]:
        done = subprocess.run(
            [sys.executable, "-c", _COST, str(count), str(n)], check=True, capture_output=True, text=True
        )
        wall, work, memory = map(float, done.stdout.split())
        out.append({"curves": count, "points": n, "seconds": wall, "processor_us_per_curve": 1e6 * work / count,
                    "memory_mb": memory})  # fmt: skip
        print(
            f"| {count:,} | {n:,} | {1e6 * work / count:.1f} | {1e9 * work / count / n:.1f} | {memory:.0f} |",
            flush=True,
        )
    return out


_STREAM = (
    _PEAK
    + """
import sys, time
from pathlib import Path
from cogfit import streaming
from cogfit.many.batch import Options
from cogfit.many.collection import Columns
place = Path(sys.argv[2])
plan = streaming.plan_table(place / "table", Columns(), Options(), float(sys.argv[1]))
marks = {}
def report(task, done, total):
    if task == "parts" and done == 0: marks["begin"], marks["peak"] = time.process_time(), peak()
    if task == "reading": marks["spooled"] = time.process_time()
streaming.run(plan, place / "out", report=report)
end = time.process_time()
size = sum(f.stat().st_size for f in (place / "out").glob("part-*"))
read = sum(f.stat().st_size for f in (place / "table").glob("*"))
print(plan.parts, marks["spooled"] - marks["begin"], end - marks["spooled"], read, size, peak(), marks["peak"])
"""
)


def streamed(count: int, memory: float = 1e8) -> dict[str, float]:
    """A tidy Parquet table, fitted in parts: processor time of sorting its rows and of fitting, bytes, memory."""
    with tempfile.TemporaryDirectory() as place:
        x, y = curves(count)
        Path(place, "table").mkdir()
        for file, rows in enumerate(np.array_split(np.arange(N), 20)):  # as a run logs them: all curves at every x
            columns = np.tile(np.arange(count), rows.size), np.repeat(x[rows], count), y[:, rows].T.ravel()
            frame = pd.DataFrame(dict(zip(("curve", "x", "y"), columns, strict=True)))
            frame.to_parquet(Path(place, "table", f"{file:02d}.parquet"), index=False)
        done = subprocess.run(
            [sys.executable, "-c", _STREAM, str(memory), place], check=True, capture_output=True, text=True
        )
    parts, sorting, fits, read, written, peak, before = map(float, done.stdout.split())
    out = {
        "curves": count, "parts": parts, "sorting_us_per_curve": 1e6 * sorting / count,
        "fitting_us_per_curve": 1e6 * fits / count, "bytes_read_per_curve": read / count,
        "bytes_written_per_curve": written / count,
        "peak_memory_mb": peak, "memory_before_mb": before,
    }  # fmt: skip
    print(f"\n**Streamed** ({count:,} curves of {N} points in a tidy Parquet table, {parts:.0f} parts): processor µs a "
          f"curve {out['sorting_us_per_curve']:.0f} for sorting rows into parts, {out['fitting_us_per_curve']:.0f} for "
          f"reading and fitting them; {read / count:.0f} bytes read, {written / count:.0f} written a curve; peak "
          f"memory {peak:.0f} MB, {before:.0f} MB of it before", flush=True)  # fmt: skip
    return out


def save(path: Path, extra: dict[str, Any]) -> None:
    buffer = io.StringIO()
    out = csv.DictWriter(buffer, list(ROWS[0]), lineterminator="\n")
    out.writeheader()
    out.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in ROWS)
    write_atomic(path, buffer.getvalue())
    names = ("cogfit", "numpy", "scipy", "numba", "pandas", "pyarrow", "lmfit", "tbparse", "tensorboard")
    about = {
        "study": "batch_speed", "about": str(__doc__).splitlines()[0], "command": "make benchmark",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores", "load": os.getloadavg()[0],
        "versions": versions(names), **extra,
    }  # fmt: skip
    write_atomic(path.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=20_000, help="of ours in each round")
    parser.add_argument("--largest", type=int, default=1_000_000, help="curves in the table of costs")
    parser.add_argument("--streamed", type=int, default=20_000, help="curves of the table that is fitted in parts")
    parser.add_argument("--scalars", type=int, default=1_000_000, help="of the logs that are read")
    parser.add_argument("--seconds", type=float, default=9.0, help="for each peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=FOLDER / "batch_speed.csv", help="the table")
    arguments = parser.parse_args()
    import warnings

    warnings.simplefilter("ignore")
    fitting(arguments.curves, arguments.seconds, arguments.rounds)
    reading(arguments.scalars, 3 * arguments.rounds)  # each is short
    save(
        arguments.out, {"limit": limit(2000), "streamed": streamed(arguments.streamed), "cost": cost(arguments.largest)}
    )
    missed = [f"{row['peer']} ({row['task']})" for row in ROWS if row["goal"] and row["ratio"] < row["goal"]]
    print(f"\ngoals not met: {'; '.join(missed)}" if missed else "\nall goals met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
