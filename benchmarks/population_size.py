"""How many members a population may have: processor time and memory, beside statsmodels.

    python benchmarks/population_size.py [--members 1000 10000 100000]

Members follow A·k^−γ at 20 points; γ is normal with mean 0.45 and SD 0.1, log A has SD 0.2, errors are 5 % of the
value. They are fitted from a table in memory, from a Dask DataFrame of 16 parts, and (up to 1,000 members) by MixedLM
of statsmodels, for which this curve is linear in logarithms. Each fit runs in a process of its own, so that `peak_mb`
is its own. Writes ``data/benchmarks/population_size.csv``.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from command_line import positive_whole, run_script

OUT = Path(__file__).resolve().parents[1] / "data" / "benchmarks" / "population_size.csv"
POINTS, MEAN, SD, LOG_A_SD, ERROR = 20, 0.45, 0.1, 0.2, 0.05
MOST_PEER = 1_000  # members; MixedLM takes minutes for more


def members(count: int) -> pd.DataFrame:
    """A tidy table of simulated members."""
    rng = np.random.default_rng(count)
    k = np.arange(1.0, POINTS + 1.0)
    gamma, size = rng.normal(MEAN, SD, (count, 1)), np.exp(rng.normal(0.0, LOG_A_SD, (count, 1)))
    y = size * k**-gamma * np.exp(ERROR * rng.standard_normal((count, POINTS)))
    return pd.DataFrame({"member": np.repeat(np.arange(count), POINTS), "k": np.tile(k, count), "y": y.ravel()})


def of_cogfit(table: Any) -> tuple[float, float]:
    """Mean and SD of γ."""
    import cogfit

    population = cogfit.fit_population(table, "y", by="member", x="k", form="power", noise="lognormal")
    assert population.gamma is not None
    return population.gamma.mean, population.gamma.sd


def of_statsmodels(table: pd.DataFrame) -> tuple[float, float]:
    """The same by a linear mixed model of the logarithms."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    design = np.column_stack((np.ones(len(table)), -np.log(table["k"])))
    fitted = MixedLM(np.log(table["y"]), design, groups=table["member"], exog_re=design).fit(reml=True)
    return float(fitted.fe_params.iloc[1]), float(np.sqrt(np.asarray(fitted.cov_re)[1, 1]))


def measure(way: str, count: int) -> dict[str, Any]:
    """Fit once, in this process."""
    table: Any = members(count)
    if way == "dask":
        import dask.dataframe

        table = dask.dataframe.from_pandas(table, npartitions=16)
    (of_statsmodels if way == "statsmodels" else of_cogfit)(table.head(5 * POINTS) if way != "dask" else table)
    began = time.process_time()
    mean, sd = (of_statsmodels if way == "statsmodels" else of_cogfit)(table)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"members": count, "way": way, "ms_per_member": 1e3 * spent / count, "peak_mb": peak, "mean": mean, "sd": sd}


def main() -> None:
    """Measure each size and way in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--members", type=positive_whole, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "MEMBERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    rows = []
    for count in options.members:
        for way in ("memory", "dask", *(["statsmodels"] if count <= MOST_PEER else [])):
            command = [sys.executable, __file__, "--one", way, str(count)]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(options.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    raise SystemExit(run_script(main))
