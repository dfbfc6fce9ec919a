"""What data/benchmarks/README.md says is what the tables beside it hold."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

FOLDER = Path(__file__).resolve().parents[2] / "data" / "benchmarks"
PAGE = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv")


def percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def span(shares: pd.Series) -> str:
    return f"{percent(shares.min())}–{percent(shares.max())} %"


def said_of_intervals() -> list[str]:
    table = read("interval_coverage")
    of = table["result"].value_counts()
    naive = table.query("noise == 'ar(1) 0.9'")["curve_fit"]
    assert set(of.index) == {"passes", "unreliable", "conditional"}
    spot = read("interval_coverage_spot")
    both = spot.merge(table, on=["noise", "n", "patterns", "gamma", "floor"], suffixes=("", "_before"))
    assert len(both) == len(spot)
    assert (spot["result"] != "fails").all()
    assert len(spot) == len(table)
    assert (both["result"] == both["result_before"]).all()
    passing = both[both["result"] == "passes"]
    least, curves = min(
        (kind[["coverage", "coverage_before"]].mean().to_list(), kind["repeats"].sum())
        for name, kind in passing.groupby("noise")
    )
    return [
        f"has all {len(spot)} cells, at {spot['repeats'].min()} repeats: again {of['passes']} pass, "
        f'{of["unreliable"]} are "unreliable", {of["conditional"]} "conditional", and none fails',
        f"{percent(passing['coverage'].mean())} % are covered on average "
        f"({percent(passing['coverage_before'].mean())} % in the same cells before), "
        f"{span(passing['coverage'])} in single cells",
        f"({percent(least[0])} % of {curves} curves, {percent(least[1])} % before)",
        f"({len(table)} cells, {table['repeats'].min():,} repeats each, 400 where bootstrapped:",
        f"{of['passes']} cells pass. In {of['unreliable']} the result calls itself",
        f"In {of['conditional']}, with shocks that all patterns share",
        f"`curve_fit` covers {100 * naive.min():.0f}–{100 * naive.max():.0f} % at AR(1) 0.9",
    ]


def said_of_selection() -> list[str]:
    table = read("form_selection")
    power = table["truth"] == "power"
    assert (table[~power]["supported"] == 0).all()
    return [
        f"({len(table)} cells, {table['repeats'].min()} repeats)",
        f"in the confidence set in {span(table['inclusion'])};",
        f"the set holds {table['set_size'].min():.0f} to {table['set_size'].max():.0f} of 14 forms",
        f'"supported" in none of {table[~power]["repeats"].sum():,} curves',
        f'is "supported" in {span(table[power]["supported"])} only',
    ]


def said_of_verdicts() -> list[str]:
    table = read("verdict_rates")
    table["count"] = (table["false"] * table["repeats"]).round().astype(int)
    others, laws = table.query("truth == 'no power law'"), table.query("truth == 'power law'")
    failing = laws[laws["result"] == "fails"]
    white = laws[laws["process"].str.contains("white · additive 0.02")]
    assert (others["result"] == "passes").all()

    def limits(rows: pd.DataFrame) -> str:
        low, high = (
            100.0 * v for v in binomtest(rows["count"].sum(), rows["repeats"].sum()).proportion_ci(0.98, "exact")
        )
        return f"({percent(low / 100)} to {percent(high / 100)} %)"

    return [
        f"({len(table)} processes, {table['repeats'].min()} curves each",
        f'"supported" is said of {others["count"].sum()} of {others["repeats"].sum():,} curves {limits(others)}',
        f"a true power law is refused in {laws['count'].sum()} of {laws['repeats'].sum():,} {limits(laws)}",
        f"{len(failing)} of {len(laws)} miss their 5 %",
        *(f"{name.split(' · ')[1]} {percent(share)} %" for name, share in failing[["process", "false"]].to_numpy()),
        f'{100 * others["not_supported"].mean():.0f} % are "not supported"',
        f"supported in {100 * white['supported'].min():.0f}–{100 * white['supported'].max():.0f} % at",
    ]


def said_of_precise_laws() -> list[str]:
    table = read("precise_laws")

    def share(column: str, rows: pd.DataFrame) -> str:
        return f"{percent(float((rows[column] * rows['repeats']).sum() / rows['repeats'].sum()))} %"

    fine, coarse = table.query("noise <= 0.003"), table.query("noise == 0.01")
    assert set(table["result"]) == {"passes"}
    return [
        f"({len(table)} cells of 300 to 100,000 points, {table['repeats'].min()} to {table['repeats'].max()} repeats",
        f"refused in {share('not_supported', table)} of {table['repeats'].sum():,} curves",
        f"supported in {share('supported', fine)} at noise up to 0.3 %",
        f"in {share('supported', coarse.query('n == 300'))} at 1 % and n = 300",
        f"in {share('supported', coarse.query('n >= 2000'))} at 1 % from 2,000 points on",
    ]


def said_of_real_curves() -> list[str]:
    table = read("field_study")
    total = table.sum(numeric_only=True).astype(int)
    assert total["raised"] == 0
    return [
        f"({len(table)} learners, {table['curves'].max()} curves of each",
        f"Of {total['curves']} curves, a power law is supported for {total['supported']}",
        f"not supported for {total['not_supported']}, not distinguishable from others for "
        f"{total['not_distinguishable']}, not identified for {total['not_identified']}",
        f"In {total['odd']} some form's interval ended at its estimate",
    ]


def said_of_populations() -> list[str]:
    table = read("population_coverage")
    assert set(table["result"]) == {"passes"}
    few, many = table.query("members <= 10"), table.query("members > 10")
    vague = table.query("reliability < 0.8")
    return [
        f"({len(table)} of 10 cells, {table['repeats'].min()} to {table['repeats'].max()} repeats",
        f"mean of γ is covered in {span(few['covers_mean'])} with ten members or fewer, "
        f"in {span(many['covers_mean'])} with",
        f"its SD in {span(table['covers_sd'])}, the share of members in a range in {span(table['covers_share'])}",
        f"where their reliability is {vague['reliability'].min():.2f}–{vague['reliability'].max():.2f}, "
        f"{span(vague['covers_single'])}",
    ]


def said_of_averaging() -> list[str]:
    table = read("averaging_artefact")
    assert (table[table["singles"] != "exponential"]["artefact"] == 0).all()
    exponential = table.query("singles == 'exponential' and seen == 'patterns' and shape == '0.43'")
    soft = exponential.query("outcome == 'soft' and k_max == 1000")
    assert (soft.query("patterns == 100")["artefact"] == 1).all()
    hard = exponential.query("outcome == 'hard'").set_index(["k_max", "patterns"])["artefact"]
    assert (hard[1000][[100, 300]] == 1).all()
    assert (table[(table["seen"] == "pooled curve") | (table["patterns"] == 4)]["undecidable"] == 1).all()
    return [
        f"({len(table)} cells, {table['repeats'].min():,} repeats)",
        f"with 10 patterns in {100 * soft.query('patterns == 10')['artefact'].item():.0f} %",
        f"k ≤ 1,000: {100 * hard[1000, 10]:.0f} % at 10 patterns, {100 * hard[1000, 30]:.0f} % at 30, all from 100 on",
        f"k ≤ 100: {100 * hard[100, 30]:.0f} % at 30, {100 * hard[100, 100]:.0f} % at 100",
    ]


def said_of_censoring() -> list[str]:
    table = read("censoring")
    table["points_below_truth"] = table["points_below_truth"].astype(float)
    mixture, late = table.query("driver == 'mixture'"), table.query("arrival == 'late'")
    single = table.query("driver != 'mixture' and arrival == 'start' and uneven == 0")
    plain, others = single.query("law == 'log-normal'"), single.query("law != 'log-normal'")
    uneven = table.query("uneven != 0")
    met = table.query("driver != 'mixture' and uneven == 0")
    assert (met["wrong_low"] <= 0.025).all()

    usual = "law != 'Weibull' or driver != 'clock'"

    def below(rows: pd.DataFrame) -> str:
        return f"{max(rows['points_below_truth'].max(), 0.0):.1f} points"

    return [
        f"({len(table)} cells, {table['repeats'].min():,} repeats)",
        f"the wrong one is named in {span(plain['wrong'])}, the right one in {span(plain['right'])}, at most "
        f"{below(plain)} less often than by maximum likelihood under the true model",
        f"(60 % censored) {span(others['wrong'])}, {span(others['right'])} and {below(others)}",
        f"(Weibull times under the clock; elsewhere at most {below(others.query(usual))})",
        f"first seen late, {span(late['wrong'])}, {span(late['right'])} and {below(late)}",
        f"the wrong one is named in {span(uneven['wrong'])}, the right one in {span(uneven['right'])}",
        f"one of both is named in {span(mixture['wrong'])}, in {span(mixture['wrong_without_doubt'])} without the "
        "remark that a mixture is not excluded",
    ]


def said_of_transitions() -> list[str]:
    table = read("transition_detection")
    nothing, sudden = table.query("drop == 0"), table.query("drop == 5 and width == 0")
    assert (nothing["found"] <= 0.06).all()
    slow = table.query("width == 0.2").set_index("errors")
    covered, gradual = slow["within_2_percent"], slow["found"]
    assert covered["ar 0.9"] < covered["ar 0.5"] < covered["ar 0"]
    white = nothing.query("errors == 'ar 0' and (n == 300 or n == 100000)").set_index("truth")
    never = white[white["found"] == 0]
    wandering = sudden[sudden["errors"].str.endswith("0.9")]
    return [
        f"({len(table)} cells, {table['repeats'].min()} to {table['repeats'].max()} repeats)",
        f"over {len(nothing)} cells without a transition, of {nothing['n'].min()} to {nothing['n'].max():,} points: "
        f"{span(nothing['found'])}",
        f"two exponentials at n = 300 {percent(white.loc['two_exponentials', 'found'])} %",
        f"a pure power law at n = 100,000 0 of {never.loc['pure_power', 'repeats']}",
        f"a sawtooth over five epochs 0 of {never.loc['sawtooth', 'repeats']}",
        f"ends {percent(white.loc['window_means', 'found'])} %",
        f"a warm-up of 20 points {percent(white.loc['warm_up', 'found'])} % (named in all)",
        f"a cosine schedule over the whole length {percent(white.loc['cosine_schedule', 'found'])} %",
        f"({len(sudden)} cells, ρ up to 0.9, heavy tails) is found in {span(sudden['found'])}, "
        f"with t50 covered in {span(sudden['covered'])} and called sharp in {span(sudden['sharp'])}",
        f"found in {percent(gradual['ar 0'])} % at ρ = 0, {percent(gradual['ar 0.5'])} % at ρ = 0.5",
        f"in {percent(gradual['ar 0.9'])} % only at ρ = 0.9",
        f"finds {gradual['known 0.9']:.0%}".replace("%", " %"),
        f"named beside the drop in {100 * wandering['named'].min():.0f}–{100 * wandering['named'].max():.0f} %",
    ]


def said_of_damaged_logs() -> list[str]:
    table = read("fuzz_logs")
    inputs = table.groupby("container")["inputs"].sum()
    refused = table.groupby("damage")[["refused", "inputs"]].sum()
    shares = (refused["refused"] / refused["inputs"]).to_dict()
    assert inputs.nunique() == 1
    assert (table["read"] + table["refused"] == table["inputs"]).all()
    return [
        f"({len(inputs)} containers, {inputs.min():,} inputs each)",
        f"{table['disagreements'].sum()} disagreements",
        f"refused are {percent(shares['none'])} % of what is undamaged",
        f"{100 * shares['rows']:.0f} % of what has damaged rows,",
        f"{100 * shares['bytes']:.0f} % of what has damaged bytes",
    ]


def said_of_forecasts() -> list[str]:
    table, field = read("forecast"), read("forecast_field").set_index("method")
    ahead = ("1.5", "3")
    covered, answered = (pd.concat([table[f"{name}_{times}"] for times in ahead]) for name in ("covered", "answered"))
    told, whole = field.loc["average, where answered"], field.loc["average, refusals ignored"]
    assert covered.between(0.93, 0.97).all()
    assert (answered >= 0.8).all()
    assert whole["median"] <= 0.0155
    assert whole["mean"] <= 0.0425
    assert 0.9 <= told["covered"] <= 0.97

    def errors(method: str) -> str:
        return f"{field.loc[method, 'median']:.4f} and {field.loc[method, 'mean']:.4f}"

    return [
        f"({len(table)} cells, {table['repeats'].min()} logs each)",
        f"a new observation lies in its 95 % interval in {span(covered)}",
        f"there is an answer in {span(answered)}",
        f"{whole['curves']:,.0f} curves",
        f"median and mean error are {errors('average, refusals ignored')}",
        f"power + floor alone has {errors('power + floor')}",
        f"AICc's choice {errors('form of the lowest AICc')}",
        f"the last value {errors('last value')}",
        f"{told['refused']:.0f} curves are refused; of the others, {errors('average, where answered')}",
        f"95 % intervals cover {percent(told['covered'])} % ({percent(whole['covered'])} % if nothing were refused)",
    ]


@pytest.mark.parametrize("page", ["docs/forecast.md", "data/benchmarks/README.md"])
def test_pages_say_what_the_tables_of_forecasts_hold(page: str) -> None:
    text = " ".join((FOLDER.parents[1] / page).read_text(encoding="utf-8").split())
    assert [sentence for sentence in said_of_forecasts() if sentence not in text] == []


@pytest.mark.parametrize(
    "said",
    [
        said_of_intervals,
        said_of_selection,
        said_of_verdicts,
        said_of_precise_laws,
        said_of_real_curves,
        said_of_populations,
        said_of_averaging,
        said_of_censoring,
        said_of_transitions,
        said_of_damaged_logs,
    ],
)
def test_the_page_says_what_the_tables_hold(said: object) -> None:
    assert callable(said)
    missing = [sentence for sentence in said() if sentence not in PAGE]
    assert not missing, missing


def test_pages_quote_the_tables_of_speed_and_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER.parents[1] / "benchmarks")
    pages = importlib.import_module("speed_pages")
    for page in pages.SECTIONS:
        text = (pages.ROOT / page).read_text(encoding="utf-8")
        assert pages.filled(page) == text, f"{page}: run python benchmarks/speed_pages.py"


def test_the_page_on_many_subjects_says_what_large_populations_cost() -> None:
    page = " ".join((FOLDER.parents[1] / "docs" / "many-subjects.md").read_text(encoding="utf-8").split())
    table = read("population_size").set_index(["members", "way"])
    cost, peak = table["ms_per_member"], table["peak_mb"]
    assert f"cost {cost[100_000, 'memory']:.2f} ms of processor time each in {peak[100_000, 'memory']:.0f} MB" in page
    assert f"{cost[100_000, 'dask']:.2f} ms from Dask" in page
    assert f"profiled, {cost[1_000, 'memory']:.1f} ms, where statsmodels' `MixedLM` takes" in page
    assert f"`MixedLM` takes {cost[1_000, 'statsmodels']:.1f} (`make benchmark-population-size`" in page
    means = table["mean"].groupby("members")  # what differs is the way, not the answer
    assert means.max().to_numpy() == pytest.approx(means.min().to_numpy(), rel=1e-4)
