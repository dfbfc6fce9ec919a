"""Speed of ``cogfit``: many fits beside scipy's ``curve_fit``, lmfit and others, long logs, commands, reading of logs.

Run ``python benchmarks/batch_speed.py`` (``--help`` for the options, ``--parts`` for some of it); twelve minutes at
most on two cores. Every peer is timed in the same process on the same data (as many curves as ``--seconds`` allow),
right before ours; of several rounds the median of the ratios counts, so that load on the machine changes it little. The
peers (``speed_peers.py``) share no code with ours. What has to be reached stands in ``speed_goals.py``; each goal has a
row, and what was not measured says why. Printed are Markdown tables; ``--out`` takes the numbers, with a JSON file on
machine and versions beside it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import routing_log
import tensorboard_reading
from command_line import positive_number, positive_whole, run_script
from grid import FOLDER, versions
from numpy.typing import NDArray
from speed_goals import COLUMNS, HEADER, LEVELS, Results, line
from speed_limit import EXPONENTIALS, least_processor_time, nanoseconds_of_an_exponential
from speed_peers import (
    STARTS,
    all_forms,
    curve_fit_from_four,
    curve_fit_in_bounds,
    lmfit_once,
    optimistix_batch,
    power_floor,
    warm_started,
)

from cogfit.files import write_atomic

Array = NDArray[np.float64]
N = 200
PARTS = ("fitting", "limit", "levels", "long", "commands", "reading", "cost")
LEVEL_VARIABLE = "COGFIT_ENGINE_LEVEL"
LONGEST = 120.0
"""Seconds after which a command is ended: it has missed its goal by far."""


def curves(count: int, n: int = N, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = np.arange(1.0, n + 1.0)
    gamma, c = rng.uniform(0.2, 1.5, (count, 1)), rng.uniform(0.0, 0.3, (count, 1))
    return x, c + 0.8 * x**-gamma + rng.normal(0.0, 0.02, (count, n))


def own_axes(count: int, n: int = N, seed: int = 1) -> tuple[Array, Array]:
    """Curves of which each has its own x: sorted, without repetition, from 1 to n."""
    rng = np.random.default_rng(seed)
    x = 1.0 + np.sort(rng.uniform(0.0, n - 1.0, (count, n)), axis=1)
    gamma, c = rng.uniform(0.2, 1.5, (count, 1)), rng.uniform(0.0, 0.3, (count, 1))
    return x, c + 0.8 * x**-gamma + rng.normal(0.0, 0.02, (count, n))


# ------------------------------------------------------------------------------------------------------ measuring


def timed(task: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def environment(**variables: str) -> dict[str, str]:
    """The variables of a process of its own: the same cogfit, and bytecode is written as it is for users."""
    import cogfit

    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    folders = (str(Path(cogfit.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", ""))
    return {**own, "PYTHONPATH": os.pathsep.join(filter(None, folders)), **variables}


def output_of(*arguments: str, **variables: str) -> str:
    """What this Python prints in a process of its own."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a process of its own failed: {done.stderr[-1000:]}")
    return done.stdout


def seconds_each(peer: Callable[[Array, Array], Any], x: Array, ys: Array, budget: float) -> float:
    """Seconds a curve, over as many curves as the budget allows; x is one axis, or one for each curve."""
    begin, done = time.perf_counter(), 0
    while done < len(ys) and (done == 0 or time.perf_counter() - begin < budget):
        peer(x if x.ndim == 1 else x[done], ys[done])
        done += 1
    return (time.perf_counter() - begin) / done


def loop(peer: Callable[[Array, Array], Any], x: Array, ys: Array, budget: float) -> Callable[[], float]:
    """A peer as a function that returns its seconds a curve, after a first call that does not count."""
    peer(x if x.ndim == 1 else x[0], ys[0])
    return lambda: seconds_each(peer, x, ys, budget)


def fitting(results: Results, count: int, seconds: float, rounds: int) -> None:
    """Many fits beside the peers."""
    import cogfit
    from cogfit.engine import separable
    from cogfit.formulas.registry import get_form

    each = seconds / rounds
    x, ys = curves(count)

    def ours() -> float:
        return timed(lambda: cogfit.fit_many(x, ys)) / count

    results.compare(
        ours,
        {
            "four": loop(curve_fit_from_four, x, ys, each),
            "bounds": loop(curve_fit_in_bounds, x, ys, each),
            "lmfit": loop(lmfit_once(), x, ys, each),
        },
        rounds,
    )
    compiled_peers(results, ours, x, ys[:2000], rounds)

    x2, y2 = own_axes(count)
    results.compare(
        lambda: timed(lambda: cogfit.fit_many(x2, y2)) / count,
        {"own_four": loop(curve_fit_from_four, x2, y2, each), "own_lmfit": loop(lmfit_once(), x2, y2, each)},
        rounds,
    )

    few = ys[:200]
    results.compare(
        lambda: timed(lambda: cogfit.fit_many(x, few, form=None)) / len(few),
        {"all": loop(all_forms, x, ys, each)},
        rounds,
    )

    x4, one = curves(1, 400)
    form = get_form("power_floor")
    first = cogfit.fit_many(x4, one)[["A", "gamma", "c"]].to_numpy()[0]
    fitted = power_floor(x4, *first)
    again = fitted + np.random.default_rng(1).choice(one[0] - fitted, (2000, 400))
    starts, w = np.full((2000, 1, 1), first[1]), np.ones_like(again)
    results.compare(
        lambda: timed(lambda: separable.solve(form, x4, again, w, starts=starts, tolerance=1e-9)) / 2000,
        {"bootstrap": loop(lambda x, y: warm_started(x, y, first), x4, again, each)},
        rounds,
    )


def compiled_peers(results: Results, ours: Callable[[], float], x: Array, ys: Array, rounds: int) -> None:
    """Peers that compile: what they compile does not count."""
    for name, starts, damped in (("jax_one", STARTS[1:2], False), ("jax_four", STARTS, True)):
        try:
            solve = optimistix_batch(x, starts=starts, damped=damped)
        except ImportError as error:
            results.miss(name, f"{error.name} is not installed")
            continue
        solve(ys)
        peer = {name: lambda solve=solve: timed(lambda: solve(ys)) / len(ys)}
        results.compare(ours, peer, rounds)


# -------------------------------------------------------------------------------------- the limit, and the levels


def distance_to_the_limit(count: int) -> dict[str, float]:
    """Least squares on one core beside what its exponentials cost in a plain C loop."""
    from cogfit.engine import separable
    from cogfit.formulas.registry import get_form

    x, ys = curves(count)
    form, bundle = get_form("power_floor"), separable.Bundle.rectangular(x, ys, np.ones_like(ys))
    separable.solve_bundle(form, bundle, threads=1)
    alone = 1e6 * least_processor_time(lambda: separable.solve_bundle(form, bundle, threads=1)) / count
    one = nanoseconds_of_an_exponential()
    return {
        "exponentials_per_curve": EXPONENTIALS, "ns_per_exponential": one, "us_per_curve": alone,
        "times_the_exponentials": 1e3 * alone / (EXPONENTIALS * one),
    }  # fmt: skip


def limit(results: Results) -> dict[str, Any]:
    """The distance at the level that is used by default."""
    found = distance_to_the_limit(2000)
    results.note("limit", [found["times_the_exponentials"]])
    print(f"({found['us_per_curve']:.2f} µs a curve; {found['ns_per_exponential']:.2f} ns an exponential)")
    return found


def usable_levels() -> tuple[str, ...]:
    """Levels of the engine that this machine can run; none if it has no levels."""
    if not find_spec("cogfit.native"):
        return ()
    from cogfit.native import library  # type: ignore[import-not-found, unused-ignore]

    return tuple(library.levels())


def levels(results: Results, count: int, seconds: float, rounds: int) -> None:
    """The same fits at each level of the engine, each in a process of its own."""
    usable = usable_levels()
    for level in LEVELS:
        names = [f"{level}_{what}" for what in ("four", "lmfit", "limit")]
        if level not in usable:
            reason = "this machine cannot run it" if usable else "this engine has no levels"
            for name in names:
                results.miss(name, reason)
            continue
        printed = output_of(__file__, "--level", f"{count} {seconds} {rounds}", **{LEVEL_VARIABLE: level})
        found = json.loads(printed.splitlines()[-1])
        for name in names:
            row = found[name.removeprefix(f"{level}_")]
            results.note(name, row.pop("values"), **row)


def one_level(count: int, seconds: float, rounds: int) -> dict[str, Any]:
    """What `levels` asks of a process: ratios to both peers, and the distance to the limit."""
    import cogfit

    x, ys = curves(count)
    cogfit.fit_many(x, ys)
    found: dict[str, Any] = {}
    for name, peer in (("four", curve_fit_from_four), ("lmfit", lmfit_once())):
        task = loop(peer, x, ys, seconds / rounds)
        pairs = [(task(), timed(lambda: cogfit.fit_many(x, ys)) / count) for _ in range(rounds)]
        found[name] = {
            "values": [a / b for a, b in pairs],
            "beside_seconds": statistics.median(a for a, _ in pairs),
            "cogfit_seconds": statistics.median(b for _, b in pairs),
        }
    distance = distance_to_the_limit(2000)
    return {**found, "limit": {"values": [distance["times_the_exponentials"]]}}


# ------------------------------------------------------------------------------------------- long logs, and commands


def write_log(path: Path, n: int) -> None:
    """A utilisation log that follows a power law with a floor."""
    x = np.arange(1.0, n + 1.0)
    y = 0.1 + 0.8 * x**-0.5 + np.random.default_rng(0).normal(0.0, 0.01, n)
    frame = pd.DataFrame({"step": np.arange(1, n + 1), "attention_utilization": y.clip(0.0, 1.0)})
    frame.to_csv(path, index=False)


def command(*arguments: str | Path, bytecode: Path, **caches: Path) -> tuple[float, float]:
    """Seconds and processor seconds of a command; infinite if it does not end.

    Bytecode lies in a folder of the benchmark's own.
    """
    entry = "import sys; from cogfit.cli import main; sys.exit(main())"
    places = {name: str(place) for name, place in caches.items()}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", entry, *map(str, arguments)],
            env=environment(PYTHONPYCACHEPREFIX=str(bytecode), **places),
            cwd=bytecode.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return np.inf, np.inf
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"cogfit {arguments[0]} failed: {done.stderr[-1000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def long_logs(results: Results) -> None:
    """A command on one long log, and one form in a process that runs already."""
    import cogfit

    with tempfile.TemporaryDirectory() as folder:
        short, bytecode = Path(folder, "short.csv"), Path(folder, "bytecode")
        write_log(short, 300)
        command("fit", short, bytecode=bytecode)
        for name, n in (("long_1e5", 100_000), ("long_1e6", 1_000_000)):
            log = Path(folder, f"{name}.csv")
            write_log(log, n)
            _, work = command("fit", log, bytecode=bytecode)
            if np.isfinite(work):
                results.note(name, [work])
            else:
                results.miss(name, f"it does not end within {LONGEST:.0f} s", is_failure=True)
    x, ys = curves(1, 100_000)
    cogfit.fit(x, ys[0], form="power_floor")
    results.note("long_one_form", [timed(lambda: cogfit.fit(x, ys[0], form="power_floor")) for _ in range(3)])


def commands(results: Results, rounds: int) -> None:
    """A command on a short log: the first after an installation, and any later one.

    pip compiles libraries to bytecode when it installs them, but not a package that is installed to be edited: before
    each cold command its bytecode and all caches are removed, that of libraries stays.
    """
    import cogfit

    with tempfile.TemporaryDirectory() as folder:
        log, bytecode = Path(folder, "log.csv"), Path(folder, "bytecode")
        write_log(log, 300)
        command("fit", log, bytecode=bytecode)
        package = Path(cogfit.__file__).resolve().parent
        own = bytecode / package.relative_to(package.anchor)
        cold = []
        for number in range(rounds):
            shutil.rmtree(own)
            caches = {"XDG_CACHE_HOME": f"cache-{number}", "MPLCONFIGDIR": f"matplotlib-{number}"}
            places = {name: Path(folder, place) for name, place in caches.items()}
            cold.append(command("fit", log, bytecode=bytecode, **places)[0])
        warm = [command("fit", log, bytecode=bytecode)[0] for _ in range(2 * rounds)]
        ledger = command("ledger", "--row", "gamma", bytecode=bytecode)[1]
    results.note("cold", cold)
    results.note("warm", warm)
    if np.isfinite(ledger):
        results.note("ledger_row", [ledger])
    else:
        results.miss("ledger_row", f"it does not end within {LONGEST:.0f} s", is_failure=True)


# --------------------------------------------------------------------------------------------------------- reading


def reading(results: Results, scalars: int, rounds: int) -> None:
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
        results.compare(
            lambda: timed(lambda: tensorboard_reading.by_cogfit(events)),
            {"tensorboard": lambda: timed(lambda: tensorboard_reading.by_tbparse(events))},
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
        results.compare(
            lambda: timed(lambda: cogfit.read_log(log)), {"csv": lambda: timed(lambda: pd.read_csv(log))}, rounds
        )
    results.compare(
        lambda: timed(lambda: read_raw(PARQUET, routing_log.LOG, ReadOptions())),
        {"parquet": lambda: timed(lambda: pd.read_parquet(routing_log.LOG))},
        rounds,
    )
    results.compare(lambda: timed(routing_log.ours), {"plain": lambda: timed(routing_log.plain)}, rounds)


# ------------------------------------------------------------------------------------------------------------ cost


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
        wall, work, memory = map(float, output_of("-c", _COST, str(count), str(n)).split())
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
from cogfit.many import streaming
from cogfit.many.batch import Options
from cogfit.many.collection import Columns
place = Path(sys.argv[2])
plan = streaming.plan_table(place / "table", Columns(), Options(), float(sys.argv[1]))
marks = {}
def report(done, total, task):
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
        printed = output_of("-c", _STREAM, str(memory), place)
    parts, sorting, fits, read, written, peak, before = map(float, printed.split())
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


def save(path: Path, results: Results, extra: dict[str, Any]) -> None:
    """Write the table, and what it was measured on and with."""
    buffer = io.StringIO()
    out = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    out.writeheader()
    out.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in results.rows())
    write_atomic(path, buffer.getvalue())
    names = ("cogfit", "numpy", "scipy", "pandas", "pyarrow", "lmfit", "tbparse", "tensorboard")
    about = {
        "study": "batch_speed", "about": str(__doc__).splitlines()[0], "command": "make benchmark",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores", "load": os.getloadavg()[0],
        "versions": versions(names), **extra,
    }  # fmt: skip
    write_atomic(path.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--curves", type=positive_whole, default=20_000, help="of ours in each round")
    parser.add_argument("--largest", type=positive_whole, default=1_000_000, help="curves in the table of costs")
    parser.add_argument(
        "--streamed", type=positive_whole, default=20_000, help="curves of the table that is fitted in parts"
    )
    parser.add_argument("--scalars", type=positive_whole, default=1_000_000, help="of the logs that are read")
    parser.add_argument("--seconds", type=positive_number, default=9.0, help="for each peer")
    parser.add_argument("--rounds", type=positive_whole, default=3)
    parser.add_argument("--out", type=Path, default=FOLDER / "batch_speed.csv", help="the table")
    parser.add_argument("--level", help=argparse.SUPPRESS)  # curves, seconds and rounds of a process of `levels`
    options = parser.parse_args(given)
    import warnings

    warnings.simplefilter("ignore")
    if options.level:
        count, seconds, rounds = options.level.split()
        print(json.dumps(one_level(int(count), float(seconds), int(rounds))))
        return 0

    results = Results()
    extra: dict[str, Any] = {"sizes": sizes(options), "limit": {"reason": "its part was not run"}}
    changed = {name: size for name, size in extra["sizes"].items() if size != parser.get_default(name)}
    if changed:
        print(f"not the sizes that the rows name: {changed}\n")
    print(HEADER)
    parts: dict[str, Callable[[], Any]] = {
        "fitting": lambda: fitting(results, options.curves, options.seconds, options.rounds),
        "limit": lambda: extra.update(limit=limit(results)),
        "levels": lambda: levels(results, options.curves, options.seconds / 3, options.rounds),
        "long": lambda: long_logs(results),
        "commands": lambda: commands(results, options.rounds),
        "reading": lambda: reading(results, options.scalars, 3 * options.rounds),  # each is short
        "cost": lambda: extra.update(streamed=streamed(options.streamed), cost=cost(options.largest)),
    }
    failed = []
    for name in PARTS:
        if name in options.parts:
            try:
                parts[name]()
            except Exception:  # what the other parts measure is not lost
                traceback.print_exc()
                failed.append(name)
    save(options.out, results, extra)
    print_goals(results)
    if failed:
        print(f"parts that failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def sizes(options: argparse.Namespace) -> dict[str, float]:
    """How much was measured."""
    return {name: getattr(options, name) for name in ("curves", "largest", "streamed", "scalars", "seconds", "rounds")}


def print_goals(results: Results) -> None:
    """The whole table, and which goals are not met."""
    print(f"\n{HEADER}")
    for row in results.rows():
        print(line(row))
    missed = [f"{row['task']} beside {row['beside']}".removesuffix(" beside ") for row in results.rows()
              if row["met"] == "no"]  # fmt: skip
    print(f"\ngoals not met: {'; '.join(missed)}" if missed else "\nall goals that were measured are met")


if __name__ == "__main__":
    raise SystemExit(run_script(main))
