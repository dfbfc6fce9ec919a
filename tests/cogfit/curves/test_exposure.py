"""P_episodic(k) against brute force, its conventions, windows and warm-ups."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.curves import curve as curve_module
from cogfit.curves.exposure import exposure_counts, exposure_curve, overridden_rows
from cogfit.logs.model import Log, RoutingLog, Source
from cogfit.logs.splitting import split


def routing(frame: pd.DataFrame) -> RoutingLog:
    names = tuple(str(i) for i in range(int(frame["pattern"].max()) + 1))
    return RoutingLog(frame, names, Source("log", "test", len(frame)), True)


def random_log(seed: int, rows: int = 400, patterns: int = 5, novel: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    pattern = np.where(rng.random(rows) < novel, -1, rng.integers(0, patterns, rows)).astype(np.int32)
    frame = pd.DataFrame({"step": np.sort(rng.integers(0, rows // 4, rows)), "pattern": pattern})
    frame["exposure"] = np.where(pattern >= 0, frame.groupby("pattern").cumcount(), -1).astype(np.int64)
    frame["p_episodic"] = rng.random(rows)
    frame["attended"] = rng.random(rows) < frame["p_episodic"]
    return frame


def brute_force(frame: pd.DataFrame, convention: str, column: str) -> dict[int, tuple[float, int]]:
    """Mean and count by k, one row at a time; no window."""
    seen: dict[int, int] = defaultdict(int)
    steps: dict[int, list[int]] = defaultdict(list)
    sums: dict[int, float] = defaultdict(float)
    counts: dict[int, int] = defaultdict(int)
    for row in frame.itertuples():
        if row.pattern < 0:
            continue
        earlier = len({s for s in steps[row.pattern] if s < row.step})
        k = {"prior": seen[row.pattern], "inclusive": seen[row.pattern] + 1, "updates": earlier}[convention]
        seen[row.pattern] += 1
        steps[row.pattern].append(row.step)
        sums[k] += float(getattr(row, column))
        counts[k] += 1
    return {k: (sums[k] / counts[k], counts[k]) for k in counts}


def test_k_zero_is_left_out_under_prior_but_counted_from_one_when_inclusive() -> None:
    frame = random_log(0, novel=0.0)
    assert exposure_curve(routing(frame)).x[0] == 1.0
    inclusive = exposure_curve(routing(frame), convention="inclusive")
    assert inclusive.x[0] == 1.0
    assert inclusive.counts is not None
    assert inclusive.counts[0] == 5
    assert "including this one" in inclusive.convention


def test_novel_rows_do_not_count() -> None:
    frame = random_log(1, novel=0.5)
    only = frame[frame["pattern"] >= 0].reset_index(drop=True)
    np.testing.assert_allclose(exposure_curve(routing(frame)).y, exposure_curve(routing(only)).y)
    assert exposure_curve(routing(frame)).facts.novel_rows == int((frame["pattern"] < 0).sum())  # type: ignore[index]
    with pytest.raises(cogfit.InputError, match="no pattern recurs"):
        exposure_curve(routing(frame.assign(pattern=np.int32(-1))))


def warm_up_log(forced_steps: int, seed: int = 0, steps: int = 120, patterns: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    pattern = np.concatenate([rng.permutation(patterns) for _ in range(steps)]).astype(np.int32)
    step = np.repeat(np.arange(steps), patterns)
    p = np.full(step.size, 0.35)
    attended = (rng.random(step.size) < p) | (step < forced_steps)
    return pd.DataFrame({"step": step, "pattern": pattern, "exposure": step, "attended": attended, "p_episodic": p})


def test_a_forced_warm_up_is_found_left_out_and_reported() -> None:
    frame = warm_up_log(40)
    forced = overridden_rows(frame)
    assert set(frame["step"][forced]) >= set(range(39))
    assert not forced[frame["step"] >= 43].any()  # small steps are judged in blocks of 50 rows
    curve = exposure_curve(routing(frame))
    assert 40 <= curve.x[0] <= 44
    assert "overridden" in curve.warnings[0]
    assert exposure_curve(routing(frame), k_min=60).x[0] == 60


def test_a_warm_up_of_one_run_is_found_beside_other_runs() -> None:
    parts = [warm_up_log(40).assign(run="a"), warm_up_log(0, 1).assign(run="b"), warm_up_log(0, 2).assign(run="c")]
    frame = pd.concat(parts, ignore_index=True)
    frame["run"] = frame["run"].astype("category")
    forced = overridden_rows(frame)
    assert forced[(frame["run"] == "a") & (frame["step"] < 39)].all()
    assert not forced[frame["run"] != "a"].any()


def test_an_override_late_in_the_log_costs_only_its_own_rows() -> None:
    frame = warm_up_log(0)
    late = frame["step"].between(90, 99)
    frame.loc[late, "attended"] = True
    curve = exposure_curve(routing(frame))
    assert curve.x[0] == 1.0
    assert not set(range(93, 97)) & set(curve.x.astype(int))
    assert exposure_curve(routing(frame), k_max=50).x[-1] == 50.0


@pytest.mark.parametrize("seed", range(5))
def test_a_router_that_samples_or_takes_the_larger_half_is_not_overridden(seed: int) -> None:
    frame = warm_up_log(0, seed)
    assert not overridden_rows(frame).any()
    p = np.random.default_rng(seed).beta(0.3, 0.3, len(frame))
    assert not overridden_rows(frame.assign(p_episodic=p, attended=p > 0.5)).any()


def test_recorded_runs_have_their_warm_up_excluded() -> None:
    log = cogfit.read_log(cogfit.data_dir() / "runs" / "srcd-n256-gradual" / "routing.parquet")
    assert log.routing is not None
    curve = exposure_curve(log.routing)
    assert curve.facts is not None
    assert curve.facts.overridden_steps == (0, 399)
    assert curve.facts.patterns == curve.facts.risk_set == 100
    assert curve.counts is not None
    assert set(curve.counts) == {100.0}


def test_the_risk_set_is_the_same_at_every_point() -> None:
    lengths = [200, 180, 40, 10]
    parts = [pd.DataFrame({"pattern": np.int32(i), "exposure": np.arange(n)}) for i, n in enumerate(lengths)]
    frame = pd.concat(parts, ignore_index=True)
    frame["step"] = frame["exposure"]
    frame["attended"] = True
    curve = exposure_curve(routing(frame))
    assert curve.facts is not None
    assert (curve.facts.k_max, curve.facts.risk_set) == (109, 2)  # median of 199, 179, 39, 9
    assert curve.counts is not None
    assert set(curve.counts) == {2.0}
    assert any("2 of 4 patterns end before" in text for text in curve.warnings)
    assert set(exposure_curve(routing(frame), k_max=30).counts) == {3.0}  # type: ignore[arg-type]


def test_log_bins_keep_the_mean_and_lie_within_their_bins() -> None:
    frame = random_log(3, rows=3000, novel=0.0)
    fine, coarse = exposure_curve(routing(frame)), exposure_curve(routing(frame), bins=5)
    assert coarse.x.size < 20
    assert coarse.counts is not None
    assert fine.counts is not None
    assert coarse.counts.sum() == fine.counts.sum()
    assert (coarse.y * coarse.counts).sum() == pytest.approx((fine.y * fine.counts).sum())
    assert np.all(np.diff(coarse.x) > 0)


def test_layers_are_averaged_with_a_warning_and_can_be_split() -> None:
    parts = [random_log(5, novel=0.0).assign(layer=name, p_episodic=value) for name, value in (("0", 0.2), ("1", 0.8))]
    frame = pd.concat(parts, ignore_index=True)
    frame["layer"] = frame["layer"].astype("category")
    log = Log("log", routing=routing(frame))
    assert log.routing is not None
    curve = exposure_curve(log.routing)
    np.testing.assert_allclose(curve.y, 0.5)
    assert any("--by layer" in text for text in curve.warnings)
    assert curve.clusters is not None
    assert curve.clusters.size == 5
    means = {labels["layer"]: exposure_curve(part.routing).y.mean() for labels, part in split(log, ("layer",))}  # type: ignore[arg-type]
    assert means == pytest.approx({"0": 0.2, "1": 0.8})
    with pytest.raises(cogfit.InputError, match="no column 'head' to split by.*layer, pattern"):
        list(split(log, ("head",)))


def test_patterns_of_different_runs_are_different_clusters() -> None:
    frame = pd.concat([random_log(s, novel=0.0).assign(run=str(s)) for s in (1, 2)], ignore_index=True)
    frame["run"] = frame["run"].astype("category")
    curve = exposure_curve(routing(frame))
    assert curve.clusters is not None
    assert curve.clusters.size == 10


def test_sparse_tables_give_what_dense_ones_give(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = random_log(8, rows=2000, novel=0.1)
    dense = exposure_curve(routing(frame))
    monkeypatch.setattr(curve_module, "_DENSE_CELLS", 0)
    sparse = exposure_curve(routing(frame))
    np.testing.assert_allclose(sparse.y, dense.y)
    draws = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), size=7).astype(float)
    assert dense.clusters is not None
    assert sparse.clusters is not None
    for a, b in zip(dense.clusters.resampled(draws), sparse.clusters.resampled(draws), strict=True):
        np.testing.assert_allclose(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "zero"}, "choose from prior, inclusive, updates"),
        ({"outcome": "sift"}, "choose from auto, soft, hard"),
        ({"k_max": 10**6}, "no pattern reaches k"),
        ({"k_min": 50, "k_max": 20}, "window of k is empty"),
        ({"bins": 0}, "at least 1 per decade"),
    ],
)
def test_impossible_requests_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        exposure_curve(routing(random_log(0)), **options)  # type: ignore[arg-type]
    with pytest.raises(cogfit.InputError, match="no column 'p_episodic'"):
        exposure_curve(routing(random_log(0).drop(columns="p_episodic")), outcome="soft")


def test_every_shipped_run_is_there() -> None:
    assert len(list(Path(cogfit.data_dir(), "runs").glob("srcd-*/run.json"))) == 4


# --- steps whose decision was not the router's own --------------------------------------------------------------------


def one_step(rows: int, p: float, attended: int, step: int = 0) -> pd.DataFrame:
    """A step of which so many queries attend."""
    frame = pd.DataFrame({"step": step, "p_episodic": np.full(rows, p)})
    return frame.assign(attended=np.arange(rows) < attended)


@pytest.mark.parametrize("side", [-1, 1])
def test_eight_standard_deviations_are_what_sampling_may_give(side: int) -> None:
    limit = 8.0 * np.sqrt(400 * 0.25 + 0.25)  # binomial, 400 rows at 1/2
    few, many = int(limit), int(limit) + 1
    assert few < limit < many
    # p just off one half, so that rows which attend (or do not) disagree with its larger half
    assert not overridden_rows(one_step(400, 0.5 - side * 1e-9, 200 + side * few)).any()
    assert overridden_rows(one_step(400, 0.5 - side * 1e-9, 200 + side * many)).all()


def test_a_router_that_takes_the_larger_half_may_disagree_in_one_row_of_twenty() -> None:
    assert not overridden_rows(one_step(1000, 0.001, 50)).any()
    assert overridden_rows(one_step(1000, 0.001, 51)).all()


def test_steps_are_judged_together_until_they_have_fifty_rows() -> None:
    steps = [one_step(10, 0.35, 10 if step < 5 else 3, step) for step in range(20)]
    frame = pd.concat(steps, ignore_index=True)
    np.testing.assert_array_equal(overridden_rows(frame), frame["step"] < 5)
    # whatever a step is numbered by, and whatever the order of the rows
    far = frame.assign(step=frame["step"] * 10**9 + 7).sample(frac=1.0, random_state=0)
    np.testing.assert_array_equal(overridden_rows(far), frame["step"][far.index] < 5)


def test_rows_without_a_probability_say_nothing() -> None:
    frame = one_step(100, 0.35, 35)
    unknown = one_step(900, np.nan, 900)
    assert not overridden_rows(pd.concat([frame, unknown], ignore_index=True)).any()
    forced = pd.concat([one_step(100, 0.35, 100), one_step(9900, np.nan, 0)], ignore_index=True)
    assert overridden_rows(forced).all()
    assert not overridden_rows(unknown).any()


def test_without_both_columns_or_rows_nothing_is_overridden() -> None:
    frame = one_step(100, 0.1, 100)
    assert overridden_rows(frame).all()
    for other in (frame.drop(columns="attended"), frame.drop(columns="p_episodic"), frame.iloc[:0]):
        assert overridden_rows(other).tolist() == [False] * len(other)


def test_where_everything_was_forced_there_is_no_curve() -> None:
    with pytest.raises(cogfit.InputError, match="window of k is empty"):
        exposure_curve(routing(warm_up_log(1000)))


def test_what_was_overridden_is_counted_and_its_steps_named() -> None:
    frame = pd.concat([warm_up_log(0).assign(step=lambda f: f["step"] + 3)], ignore_index=True)
    frame.loc[frame["step"] < 8, "attended"] = True  # 100 rows: two blocks
    curve = exposure_curve(routing(frame))
    assert curve.facts is not None
    assert curve.facts.overridden_steps is not None
    first, last = curve.facts.overridden_steps
    assert first == 3
    assert curve.facts.overridden_rows == (last - first + 1) * 20
    start = f"{curve.facts.overridden_rows:,} rows (steps 3–{last}) were overridden"
    assert curve.warnings[0].startswith(start)
    assert curve.warnings[0].endswith(f", k starts at {curve.facts.k_min}")
    assert curve.facts.k_min == last - 3 + 1
    assert exposure_curve(routing(frame), k_min=20).warnings[0].endswith("left out")


# --- what k counts, from where to where -------------------------------------------------------------------------------


@pytest.mark.parametrize("novel", [0.0, 0.2])
def test_updates_are_counted_within_each_run_and_head(novel: float) -> None:
    parts = []
    for number, (run, head) in enumerate([("a", "0"), ("a", "1"), ("b", "0")]):
        parts.append(random_log(number, rows=60, patterns=3, novel=novel).assign(run=run, head=head))
    frame = pd.concat(parts, ignore_index=True).sample(frac=1.0, random_state=0).reset_index(drop=True)
    k = exposure_counts(frame.astype({"run": "category", "head": "category"}), "updates")
    for i, row in enumerate(frame.itertuples()):
        if row.pattern >= 0:
            same = (frame["run"] == row.run) & (frame["head"] == row.head) & (frame["pattern"] == row.pattern)
            assert k[i] == frame["step"][same & (frame["step"] < row.step)].nunique()
    np.testing.assert_array_equal(exposure_counts(frame, "prior"), frame["exposure"])
    np.testing.assert_array_equal(exposure_counts(frame, "inclusive"), frame["exposure"] + 1)


def of_lengths(*lengths: int) -> pd.DataFrame:
    """Patterns that are presented so often."""
    parts = [pd.DataFrame({"pattern": np.int32(i), "exposure": np.arange(n)}) for i, n in enumerate(lengths)]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(step=frame["exposure"], attended=frame["exposure"] % 2 == 0)


@pytest.mark.parametrize(
    ("lengths", "k_max", "risk_set"),
    [((11, 21), 10, 2), ((10, 21), 14, 1), ((21, 21), 20, 2), ((5, 21, 31), 20, 2)],
)
def test_patterns_of_similar_length_all_count_and_others_up_to_the_median(
    lengths: tuple[int, ...], k_max: int, risk_set: int
) -> None:
    facts = exposure_curve(routing(of_lengths(*lengths))).facts
    assert facts is not None
    assert (facts.k_max, facts.risk_set, facts.patterns) == (k_max, risk_set, len(lengths))


def test_a_window_holds_its_ends_and_begins_at_one() -> None:
    log = routing(of_lengths(20, 20))
    assert exposure_curve(log, k_min=4, k_max=9).x.tolist() == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    for k_min in (None, 0, 1, -3):
        assert exposure_curve(log, k_min=k_min).x[0] == 1.0
    assert exposure_curve(log, k_min=8, k_max=9).x.size == 2
    with pytest.raises(cogfit.InputError, match=r"window of k is empty \(from 9 to 9\); set --k-min or --k-max"):
        exposure_curve(log, k_min=9, k_max=9)
    with pytest.raises(cogfit.InputError, match="no pattern reaches k = 20; the longest has 19"):
        exposure_curve(log, k_max=20)


def test_patterns_that_do_not_recur_make_no_curve() -> None:
    with pytest.raises(cogfit.InputError, match="patterns must recur"):
        exposure_curve(routing(of_lengths(2, 2)))
    assert exposure_curve(routing(of_lengths(3, 3))).x.tolist() == [1.0, 2.0]


def test_unknown_outcomes_are_left_out_and_a_k_without_any_is_no_point() -> None:
    frame = of_lengths(8, 8).assign(p_episodic=0.5).drop(columns="attended")
    frame.loc[frame["exposure"] == 3, "p_episodic"] = np.nan
    frame.loc[(frame["exposure"] == 5) & (frame["pattern"] == 0), "p_episodic"] = np.nan
    curve = exposure_curve(routing(frame))
    assert curve.x.tolist() == [1.0, 2.0, 4.0, 5.0, 6.0, 7.0]
    assert curve.counts is not None
    assert curve.counts.tolist() == [2.0, 2.0, 2.0, 1.0, 2.0, 2.0]
    np.testing.assert_array_equal(curve.y, 0.5)
    np.testing.assert_allclose(curve.weights, curve.counts / curve.counts.mean())
    assert curve.clusters is not None
    assert curve.clusters.sums.shape == (2, 6)
    frame.loc[frame["exposure"] > 1, "p_episodic"] = np.nan
    with pytest.raises(cogfit.InputError, match="fewer than two values of k remain"):
        exposure_curve(routing(frame))
    frame.loc[frame["exposure"] == 2, "p_episodic"] = 0.1
    assert exposure_curve(routing(frame)).x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("per_decade", [1, 3, 10])
def test_bins_are_decades_divided_evenly(per_decade: int) -> None:
    frame = random_log(3, rows=1200, patterns=3, novel=0.0)
    fine = exposure_curve(routing(frame), k_max=150)
    coarse = exposure_curve(routing(frame), k_max=150, bins=per_decade)
    assert fine.counts is not None
    edges = 10.0 ** (np.arange(0, 3 * per_decade + 1) / per_decade) * (1.0 - 1e-12)
    x, y, n = [], [], []
    for low, high in itertools.pairwise(edges):
        here = (fine.x >= low) & (fine.x < high)
        if here.any():
            weight = fine.counts[here]
            x.append(np.exp(np.average(np.log(fine.x[here]), weights=weight)))
            y.append(np.average(fine.y[here], weights=weight))
            n.append(weight.sum())
    np.testing.assert_allclose(coarse.x, x)
    np.testing.assert_allclose(coarse.y, y)
    np.testing.assert_allclose(coarse.counts, n)  # type: ignore[arg-type]
    assert any("bins per decade are coarse" in text for text in coarse.warnings) is (per_decade < 10)


def test_a_curve_says_what_it_shows_and_what_it_was_made_from() -> None:
    frame = random_log(2)
    soft, hard = exposure_curve(routing(frame)), exposure_curve(routing(frame), outcome="hard", convention="updates")
    assert (soft.x_label, soft.y_label) == ("prior exposures k", "P_episodic(k): mean router probability")
    assert (hard.x_label, hard.y_label) == ("prior updates k", "P_episodic(k): fraction attended")
    assert (soft.axis, soft.measure) == ("exposure", "probability")
    assert soft.facts is not None
    assert hard.facts is not None
    assert (soft.facts.outcome, soft.facts.convention, soft.facts.scope) == ("soft", "prior", "this run")
    assert (hard.facts.outcome, hard.facts.convention) == ("hard", "updates")
    assert (soft.facts.overridden_rows, soft.facts.overridden_steps) == (0, None)
    assert exposure_curve(routing(frame.drop(columns="p_episodic"))).facts.outcome == "hard"  # type: ignore[union-attr]


def test_one_run_is_this_run_and_two_are_these() -> None:
    frame = pd.concat([random_log(s).assign(run=str(s)) for s in (1, 2)], ignore_index=True)
    frame["run"] = frame["run"].astype("category")
    both = exposure_curve(routing(frame))
    one = exposure_curve(routing(frame[frame["run"] == "1"]))
    assert both.facts is not None
    assert one.facts is not None
    assert (both.facts.scope, one.facts.scope) == ("these runs", "this run")
    assert (both.facts.patterns, one.facts.patterns) == (10, 5)
    assert any("--by run" in text for text in both.warnings)
    assert one.warnings == ()


@given(
    seed=st.integers(0, 10**6),
    convention=st.sampled_from(["prior", "inclusive", "updates"]),
    outcome=st.sampled_from(["soft", "hard"]),
)
def test_p_episodic_is_that_of_a_row_by_row_count(seed: int, convention: str, outcome: str) -> None:
    frame = random_log(seed)
    longest = frame.groupby("pattern")["exposure"].max().drop(-1, errors="ignore").min()
    k_max = max(3, int(longest) // 2 if convention == "updates" else int(longest))
    curve = exposure_curve(routing(frame), outcome=outcome, convention=convention, k_max=k_max)  # type: ignore[arg-type]
    truth = brute_force(frame, convention, "p_episodic" if outcome == "soft" else "attended")
    assert curve.counts is not None
    if curve.facts is not None and curve.facts.risk_set < curve.facts.patterns:
        return  # the risk set left patterns out: covered below
    for k, y, n in zip(curve.x, curve.y, curve.counts, strict=True):
        assert truth[int(k)][1] == n
        assert y == pytest.approx(truth[int(k)][0], abs=1e-12)


def test_novel_rows_are_no_pattern_where_codes_have_gaps() -> None:
    frame = random_log(4, patterns=3)
    frame["pattern"] = frame["pattern"].replace({1: 2})
    frame["exposure"] = np.where(frame["pattern"] >= 0, frame.groupby("pattern").cumcount(), -1)
    frame["run"] = pd.Series(["only"] * len(frame), dtype="category")
    facts = exposure_curve(routing(frame)).facts
    assert facts is not None
    assert (facts.patterns, facts.novel_rows) == (2, (frame["pattern"] < 0).sum())


def test_a_window_that_is_empty_by_choice_blames_the_choice() -> None:
    with pytest.raises(cogfit.InputError, match="set --k-min or --k-max"):
        exposure_curve(routing(of_lengths(3, 3)), k_min=2)
