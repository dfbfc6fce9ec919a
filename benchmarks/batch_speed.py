"""Speed of ``cogfit.fit_many`` beside loops over scipy's ``curve_fit`` and over lmfit, in one run.

Run ``python benchmarks/batch_speed.py`` (``--help`` for the options). Every peer is timed in the same process on the
same curves (as many as ``--seconds`` allow), right after ours; of several rounds the medians of the ratios count, so
that load on the machine changes them little. The peers share no code with the package. All use analytic Jacobians if
that makes them faster. Printed are Markdown tables for benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
N = 200
STARTS = ((0.9, 0.2, 0.0), (0.9, 0.6, 0.05), (0.6, 1.2, 0.1), (1.2, 0.4, 0.2))


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
    """Fourteen forms by curve_fit from four starts each, ordered by AICc."""
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
                p, _ = curve_fit(function, x, y, start, bounds=(0.0, np.inf) if len(start) > 2 else (-np.inf, np.inf))
            except (RuntimeError, ValueError):
                continue
            best = min(best, float(((y - function(x, *p)) ** 2).sum()))
        k = len(starts[0]) + 1
        scores[name] = x.size * np.log(best / x.size) + 2 * k + 2 * k * (k + 1) / (x.size - k - 1)
    return min(scores, key=scores.__getitem__)


def warm_started(x: Array, y: Array, start: Array) -> Array:
    from scipy.optimize import curve_fit

    return np.asarray(curve_fit(power_floor, x, y, start, jac=power_floor_jac)[0])


# ------------------------------------------------------------------------------------------------------ measuring


def seconds_each(peer: Callable[[Array, Array], Any], x: Array, ys: Array, budget: float) -> float:
    """Seconds a curve, over as many curves as the budget allows."""
    peer(x, ys[0])
    begin, done = time.perf_counter(), 0
    while done < len(ys) and time.perf_counter() - begin < budget:
        peer(x, ys[done])
        done += 1
    return (time.perf_counter() - begin) / done


def best_of(task: Callable[[], Any], rounds: int = 2) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        task()
        times.append(time.perf_counter() - begin)
    return min(times)


def compare(
    ours: Callable[[], Any], count: int, peers: dict[str, Callable[[Array, Array], Any]], x: Array, ys: Array,
    budget: float, rounds: int,
) -> list[tuple[str, float, float, float]]:  # fmt: skip
    """(peer, its µs a curve, our µs a curve, ratio) as medians over rounds in which both are timed in turn."""
    ours()
    rows = []
    for name, peer in peers.items():
        pairs = [(seconds_each(peer, x, ys, budget / rounds), best_of(ours) / count) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in pairs)
        rows.append(
            (name, 1e6 * statistics.median(a for a, _ in pairs), 1e6 * statistics.median(b for _, b in pairs), ratio)
        )
    return rows


def table(title: str, goal: dict[str, float], rows: list[tuple[str, float, float, float]]) -> bool:
    print(f"\n**{title}**\n\n| peer | peer, µs a curve | cogfit, µs a curve | ratio | goal |\n|---|---|---|---|---|")
    for name, peer, ours, ratio in rows:
        wanted = f"≥ {goal[name]:.0f}" if name in goal else ""
        print(f"| {name} | {peer:,.0f} | {ours:,.1f} | {ratio:,.0f} × | {wanted} |", flush=True)
    return all(ratio >= goal.get(name, 0.0) for name, _, _, ratio in rows)


def limit(count: int) -> None:
    """How far the kernel is from the least it could do: the exponentials it needs, at what they cost."""
    from cogfit import curves as forms
    from cogfit import separable
    from cogfit._bases import columns

    x, ys = curves(count)
    form = forms.get("power_floor")
    bundle = separable.Bundle.rectangular(x, ys, np.ones_like(ys))
    search = separable._Search.of(form, bundle, 1e-13, separable.WHITE, 200)
    theta, counts = search._grid_starts(0, count)
    evaluations, none = 0.0, np.empty((0, 1))
    for k in range(30):  # an evaluation more for every start that is not done after k iterations
        from dataclasses import replace

        _, _, done = replace(search, iterations=k).descend(0, count, theta.copy(), counts, none)
        open_starts = (~done) & (np.arange(done.shape[1]) < counts[:, None])
        evaluations += float(open_starts.sum()) / count
        if not open_starts.any():
            break
    many = np.repeat(theta[:, 0], 4, axis=0)
    power = best_of(lambda: columns("power", 1, x, np.log(x), many), 5) / len(many)
    alone = best_of(lambda: separable.solve_bundle(form, bundle, threads=1), 5) / count
    grid = best_of(lambda: search._grid_starts(0, count), 5) / count
    print(
        f"\n**Distance to the limit** (power + floor, {N} points, one thread): {evaluations:.1f} evaluations a curve of "
        f"{N} exponentials at {1e9 * power / N:.2f} ns (with their derivative) = {1e6 * evaluations * power:.2f} "
        f"µs; least squares take {1e6 * alone:.2f} µs, of which {1e6 * grid:.2f} µs rank 27 starts "
        f"({27 * N} multiplications): {alone / (evaluations * power):.1f} × the exponentials alone."
    )


def scaling(largest: int) -> None:
    """Time against curves and against points; peak memory in processes of their own."""
    import cogfit

    print(
        "\n**Cost**\n\n| curves | points | µs a curve | ns a point | peak memory beyond the data, MB |\n|---|---|---|---|---|"
    )
    sizes = [(count, N) for count in (1_000, 10_000, 100_000, 1_000_000) if count <= largest]
    for count, n in [*sizes, (10_000, 50), (10_000, 800), (2_000, 3_200)]:
        x, ys = curves(min(count, 10_000), n)
        seconds = best_of(lambda: cogfit.fit_many(x, ys), 2) / len(ys) if count <= 10_000 else None  # noqa: B023
        code = (
            "import resource, sys, time; import numpy as np; import cogfit\n"
            f"x = np.arange(1.0, {n} + 1.0); rng = np.random.default_rng(0)\n"
            f"y = np.tile(0.1 + 0.8 * x**-0.5, ({count}, 1)); y += rng.normal(0, 0.02, y.shape)\n"
            "cogfit.fit_many(x, y[:100]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "t = time.perf_counter(); cogfit.fit_many(x, y); t = time.perf_counter() - t\n"
            "print(t, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
        )
        taken, memory = map(float, subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split())  # fmt: skip
        each = seconds if seconds is not None else taken / count
        print(f"| {count:,} | {n:,} | {1e6 * each:.1f} | {1e9 * each / n:.1f} | {memory:.0f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=20_000, help="of ours in each round")
    parser.add_argument("--largest", type=int, default=1_000_000, help="curves in the table of costs")
    parser.add_argument("--seconds", type=float, default=9.0, help="for each peer")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    import warnings

    import cogfit

    warnings.simplefilter("ignore")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "lmfit", "numba", "pandas"))
    print(f"{platform.machine()}, {len(__import__('os').sched_getaffinity(0))} cores; Python "
          f"{platform.python_version()}, {libraries}")  # fmt: skip
    x, ys = curves(arguments.curves)
    fine = table(
        f"Power + floor, {N} points: estimate, standard error, status",
        {"curve_fit, four starts": 100.0, "lmfit, one start": 200.0},
        compare(
            lambda: cogfit.fit_many(x, ys), len(ys),
            {"curve_fit, four starts": curve_fit_from_four, "curve_fit, four starts, in bounds": curve_fit_in_bounds,
             "lmfit, one start": lmfit_once()},
            x, ys, arguments.seconds, arguments.rounds,
        ),
    )  # fmt: skip
    few = ys[:200]
    fine &= table(
        f"All 14 forms with selection, {N} points",
        {"curve_fit, four starts": 20.0},
        compare(
            lambda: cogfit.fit_many(x, few, form=None), len(few), {"curve_fit, four starts": all_forms}, x, ys,
            arguments.seconds, arguments.rounds,
        ),
    )  # fmt: skip
    from cogfit import curves as forms
    from cogfit import separable

    x4, one = curves(1, 400)
    form = forms.get("power_floor")
    first = cogfit.fit_many(x4, one)[["A", "gamma", "c"]].to_numpy()[0]
    f, rng = power_floor(x4, *first), np.random.default_rng(1)
    again = f + rng.choice(one[0] - f, (2000, 400))
    starts, w = np.full((2000, 1, 1), first[1]), np.ones_like(again)
    fine &= table(
        "2,000 bootstrap refits of a curve of 400 points",
        {"curve_fit, warm start": 20.0},
        compare(
            lambda: separable.solve(form, x4, again, w, starts=starts, tolerance=1e-9), 2000,
            {"curve_fit, warm start": lambda x, y: warm_started(x, y, first)}, x4, again, arguments.seconds,
            arguments.rounds,
        ),
    )  # fmt: skip
    limit(2000)
    scaling(arguments.largest)
    print(f"\npeak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB; goals "
          f"{'met' if fine else 'not met'}")  # fmt: skip
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
