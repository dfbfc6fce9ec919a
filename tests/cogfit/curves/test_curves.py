"""P_episodic(k) against brute force, its conventions, windows and warm-ups; utilisation curves."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.curves import curve as curve_module
from cogfit.curves.exposure import exposure_curve, overridden_rows
from cogfit.curves.utilization import utilization_curve
from cogfit.logs.model import Log, RoutingLog, Source, UtilizationLog
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


def test_a_warm_up_of_one_run_is_found_beside_another_run() -> None:
    frame = pd.concat([warm_up_log(40).assign(run="a"), warm_up_log(0, 1).assign(run="b")], ignore_index=True)
    frame["run"] = frame["run"].astype("category")
    forced = overridden_rows(frame)
    assert forced[(frame["run"] == "a") & (frame["step"] < 39)].all()
    assert not forced[frame["run"] == "b"].any()


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


def test_utilisation_is_averaged_over_runs() -> None:
    frame = pd.DataFrame(
        {
            "step": [1, 2, 3, 1, 2, 3],
            "attention_utilization": [0.9, 0.6, 0.3, 0.7, 0.4, 0.1],
            "run": ["a"] * 3 + ["b"] * 3,
        }
    )
    curve = utilization_curve(UtilizationLog(frame, Source("log", "test", 6)))
    np.testing.assert_allclose(curve.y, [0.8, 0.5, 0.2])
    assert curve.clusters is not None
    assert curve.clusters.kind == "runs"
    assert curve.axis == "step"
    assert curve.measure == "utilization"
    short = utilization_curve(UtilizationLog(frame.iloc[:5], Source("log", "test", 5)), x_min=2)
    assert list(short.x) == [2, 3]
    assert any("changes its composition" in text for text in short.warnings)


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
