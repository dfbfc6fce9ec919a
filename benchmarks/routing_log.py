"""From a routing log of a million rows to P_episodic(k), beside plain pandas doing the same without checks.

Run: python benchmarks/routing_log.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from command_line import positive_whole, run_script
from rich.console import Console
from rich.table import Table

import cogfit

LOG = cogfit.data_dir() / "runs" / "srcd-n256-consolidates" / "routing.parquet"


def ours() -> np.ndarray:
    log = cogfit.read_log(LOG)
    assert log.routing is not None
    return cogfit.exposure_curve(log.routing, k_min=600).y


def plain() -> np.ndarray:
    frame = pd.read_parquet(LOG)
    return frame.groupby("exposure")["p_episodic"].mean().to_numpy()


def seconds(work: Callable[[], np.ndarray], repeats: int) -> float:
    work()  # imports and caches
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=positive_whole, default=5)
    repeats = parser.parse_args().repeats
    rows = len(pd.read_parquet(LOG, columns=["step"]))
    np.testing.assert_allclose(ours()[:5000], plain()[600:5600], rtol=1e-6)
    mine, theirs = seconds(ours, repeats), seconds(plain, repeats)
    table = Table(title=f"{rows:,} rows of Parquet to P_episodic(k), median of {repeats}")
    for name in ("", "seconds", "ratio to pandas"):
        table.add_column(name, justify="right")
    table.add_row(
        "cogfit: read, check, drop the warm-up, count, average, keep patterns", f"{mine:.2f}", f"{mine / theirs:.1f}"
    )
    table.add_row("pandas: read_parquet, groupby, mean", f"{theirs:.2f}", "1.0")
    Console().print(table)
    if mine > 1.0:
        raise SystemExit("slower than one second")


if __name__ == "__main__":
    raise SystemExit(run_script(main))
