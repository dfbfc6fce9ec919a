"""Write what the tables of speed and of agreement say into README.md, benchmarks/README.md and docs/scale.md.

    python benchmarks/speed_pages.py

Run it after `make benchmark`, `make benchmark-agreement` and `make benchmark-gpu`. The texts stand between marks, as in
`<!--NAME-->` and `<!--/NAME-->`; a test compares them with the tables (tests/data/test_benchmarks.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gpu
import pandas as pd
import speed_goals
from command_line import parser_of
from grid import wrapped

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "benchmarks"
CURVES = 10**5
"""In the whole study of agreement."""


def ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def speed() -> tuple[list[dict[str, Any]], dict[str, float], dict[str, Any]]:
    """The rows of the table, what was measured by the names of the goals, and what stands beside the table."""
    table = pd.read_csv(FOLDER / "batch_speed.csv", keep_default_na=False)
    rows: list[dict[str, Any]] = table.to_dict("records")
    for row in rows:
        row |= {name: float(row[name]) for name in ("measured", "least", "most") if row[name] != ""}
    about = json.loads((FOLDER / "batch_speed.json").read_text(encoding="utf-8"))
    return rows, {row["name"]: row["measured"] for row in rows if row["measured"] != ""}, about


def goals_met(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many goals are met, missed and not measured."""
    outcomes = [row["met"] for row in rows if row["goal"]]
    counts = {"met": outcomes.count("yes"), "missed": outcomes.count("no"), "not measured": outcomes.count("")}
    return f"Of {len(outcomes)} goals " + ", ".join(f"{count} are {name}" for name, count in counts.items() if count)


def readme() -> str:
    rows, times, _ = speed()
    if absent := {"four", "lmfit", "all", "bootstrap"} - times.keys():
        raise SystemExit(f"batch_speed.csv lacks {', '.join(sorted(absent))}: these pages quote a whole run")
    said = {name: f"{ratio(value)} ×" for name, value in times.items()}
    return f"""
**Speed** on two cores (`make benchmark`; [table, and what was tried](benchmarks/README.md)): power + floor at 200
points {said["four"]} as fast as `curve_fit` from four starts and {said["lmfit"]} as `lmfit` from one; all 14 forms with
selection {said["all"]}, bootstrap refits {said["bootstrap"]}. {goals_met(rows)}.
"""


def distance(limit: Mapping[str, Any]) -> str:
    """What the limit is made of."""
    if "reason" in limit:
        return f"**Distance to the limit**: not measured ({limit['reason']})."
    return f"""**Distance to the limit**: {limit["us_per_curve"]:.1f} µs of processor time a curve in least squares on
one core, {limit["times_the_exponentials"]:.1f} × what {limit["exponentials_per_curve"]} exponentials take, of which a
plain C loop makes one in {limit["ns_per_exponential"]:.2f} ns in that run."""


def table_of_speed() -> str:
    rows, times, about = speed()
    cost = pd.DataFrame(about["cost"])
    largest = cost[cost["points"] == 200].iloc[-1]
    lines = [speed_goals.HEADER, *map(speed_goals.line, rows)]
    lines.append(f"""
({about["machine"]}, load {about["load"]:.1f} at the end; versions in the JSON file.) Ours uses both cores, `curve_fit`
and `lmfit`, being loops, one; so does tbparse. "The limit" is what the exponentials that fits need would take alone.

{goals_met(rows)}. Reading a routing log with what comes after (order of the patterns, overridden rows, P(k) with its
clusters) takes {1 / times["plain"]:.1f} × as long as reading with pandas and a plain mean.

{distance(about["limit"])}

**Cost** is linear in curves and, beyond the fixed part, in points (processor µs a curve in `fit_many`, threads, table
and all):

| curves | points | µs a curve | memory beyond the data, MB |
|---|---|---|---|""")
    for _, row in cost.iterrows():
        each = f"{row['processor_us_per_curve']:.1f} | {row['memory_mb']:.0f}"
        lines.append(f"| {row['curves']:,.0f} | {row['points']:,.0f} | {each} |")
    lines.append(f"""
Curves are worked on in blocks of 4 million points; what grows with their number is the table of results
({1e3 * largest["memory_mb"] / largest["curves"]:.1f} kB a curve with all temporaries, at {largest["curves"]:,.0f}
curves).""")
    return "\n".join(lines)


def agreement() -> str:
    table = pd.read_csv(FOLDER / "batch_agreement.csv")
    total, worse = int(table["repeats"].sum()), int(table["worse_than_scipy"].sum())
    by_form = table.groupby("form")["worse_than_scipy"].sum().sort_values(ascending=False, kind="stable")
    forms = ", ".join(f"{name} {count}" for name, count in by_form.items() if count)
    says = {name: int(table[f"of_these_{name}"].sum()) for name in ("not_identified", "at_bound", "failed", "ok")}
    alone, ahead, nothing = (int(table[name].sum()) for name in ("worse_than_fit", "scipy_worse", "scipy_failed"))
    so_far = "" if total >= CURVES else " of 10⁵ so far (the command goes on where it stopped)"
    return f"""
{total:,} curves{so_far}, `make benchmark-agreement`: truths of every form, 20 to 2,000 points, noise from 10⁻⁴ of the
drop to all of it, against scipy's bounded least squares (what `curve_fit` calls) from five starts within the bounds of
the form, one of them the truth where there is one.

- `fit_many` ends above a single `fit` in {alone} curves.
- It ends above the best of scipy's by more than 10⁻⁸ in {worse:,}, so that {100 * (1 - worse / total):.2f} % agree or
  are better; the goal is 99.95 %. By form: {forms or "none"}. The fit says of {says["not_identified"]} of them that it
  is not identified, of {says["at_bound"]} that it is at a bound, of {says["failed"]} that it failed; the other
  {says["ok"]} have the status "ok", which does not tell.
- Scipy ends above `fit_many` in {ahead:,} ({100 * ahead / total:.1f} %), in {nothing:,} of them because it finds
  nothing.
"""


def on_device() -> str:
    """What a CUDA device gave; where there is no record, that there is none."""
    path = FOLDER / "gpu.json"
    if not path.is_file():
        rows = "\n".join(f"| {part} | not run |" for part in gpu.SECONDS)
        return f"""
Not run: no CUDA device was at hand. `{gpu.COMMAND}` runs all parts in at most five minutes on one card.

| part | |
|---|---|
{rows}"""
    about = json.loads(path.read_text(encoding="utf-8"))
    missing = [part for part in gpu.SECONDS if part not in about["parts"]]
    return f"""
`{gpu.COMMAND}` on {about["device"]} (driver {about["driver"]}, CUDA {about["cuda"]}, torch
{about["versions"]["torch"]}, commit {str(about["commit"])[:12]}; [gpu.json](../data/benchmarks/gpu.json)).
{f"Not run: {', '.join(missing)}." if missing else ""}

{gpu.table(about["parts"])}"""


def on_paper() -> str:
    """What 10⁹ curves would take."""
    *_, about = speed()
    one = about["streamed"]
    sorting, fitting = one["sorting_us_per_curve"], one["fitting_us_per_curve"]
    curves, rows_of_a_part = 1e9, 1e9 / 160
    parts = math.ceil(curves * 200 / rows_of_a_part)
    runs = math.ceil(parts / 900)
    hours, fits = curves * sorting / 3.6e9, curves * fitting / 3.6e9
    read, written = one["bytes_read_per_curve"], one["bytes_written_per_curve"]
    at_once, on_64 = 60 * hours / runs, 60 * fits / 64
    return f"""
Measured by `make benchmark` (`streamed` in [batch_speed.json](../data/benchmarks/batch_speed.json),
{one["curves"]:,} curves of 200 points as a run logs them, {one["parts"]:.0f} parts): {sorting:.0f} µs of processor time
a curve to sort rows into parts, {fitting:.0f} µs to read and fit them, {read:,.0f} bytes read and {written:.0f} written
a curve, and a peak of {one["peak_memory_mb"]:.0f} MB with `--memory 0.1` ({one["memory_before_mb"]:.0f} MB of it before
the run began). From these, power + floor at 200 points a curve:

| | 10⁹ curves |
|---|---|
| rows, input | 2·10¹¹ rows, {curves * read / 1e12:.1f} TB of Parquet |
| parts at 1 GB of memory each (160 bytes a row at the most) | {parts:,}, of {curves / parts:,.0f} curves each |
| runs | a run has 900 parts at the most: {runs}, each on a folder of {curves / runs / 1e6:,.0f} million curves |
| memory | 1 GB for each core that fits, besides 0.2 GB for the libraries |
| sorting rows into parts | {hours:,.0f} core hours, one core a run: {at_once:,.0f} minutes if all runs sort at once |
| reading parts and fitting | {fits:,.0f} core hours: {on_64:,.0f} minutes on 64 cores |
| spool on disk | about 24 bytes a row: 4.8 TB |
| results | {curves * written / 1e9:,.0f} GB of Parquet |

Sorting is the bottleneck, because one process of a run does it; so many curves have to come in folders that no curve
spans (by training run or by cohort, say), one run of the command per folder, all on one cluster. Its scheduler sees one
task per part, {parts:,} in all, of {1e-6 * fitting * curves / parts:,.0f} s each. These figures are computed, not run.
"""


SECTIONS = {
    "README.md": {"SPEED": readme},
    "benchmarks/README.md": {"SPEED": table_of_speed, "AGREEMENT": agreement, "GPU": on_device},
    "docs/scale.md": {"PAPER": on_paper},
}


def filled(page: str) -> str:
    """The text of a page with its sections as the tables say now."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, section in SECTIONS[page].items():
        head, begin, rest = text.partition(f"<!--{name}-->\n")
        _, end, tail = rest.partition(f"<!--/{name}-->")
        if not begin or not end:
            raise SystemExit(f"{page}: no section {name}")
        text = f"{head}{begin}{wrapped(section())}{end}{tail}"
    return text


if __name__ == "__main__":
    parser_of(__doc__).parse_args()
    for page in SECTIONS:
        (ROOT / page).write_text(filled(page), encoding="utf-8")
        print(page)
