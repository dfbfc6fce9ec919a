"""Rows in the file = rows behind the points + rows left out by reason, in every result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError
from cogfit.show.diagnostics import DIAGNOSTICS
from cogfit.show.page import CAPTIONS


@st.composite
def utilization_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Runs, splits and restarts, with gaps, infinite values and columns by layer."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    parts = []
    for run in range(draw(st.integers(1, 3))):
        for split in draw(st.sampled_from([["train"], ["train", "val"]])):
            n = int(rng.integers(12, 40))
            step = np.arange(int(rng.integers(0, 2)), n)
            if draw(st.booleans()):
                step = np.concatenate([step, np.arange(n // 2, n + 3)])  # a restart
            if draw(st.booleans()):
                step = np.concatenate([np.arange(9), step])  # another training before it
            parts.append(pd.DataFrame({"step": step, "run": f"seed{run}", "split": split}))
    table = pd.concat(parts, ignore_index=True)
    for layer in range(draw(st.integers(1, 3))):
        value = np.clip(0.9 * (table["step"] + 1.0) ** -0.4 * np.exp(rng.normal(0, 0.05, len(table))), 0, 1)
        value[rng.random(len(table)) < 0.1] = draw(st.sampled_from([np.nan, np.inf]))
        table[f"attn_util/layer{layer}"] = value
    return table


@settings(deadline=None, derandomize=True, max_examples=60)
@given(utilization_tables(), st.sampled_from([{}, {"x_min": 3.0}, {"x_max": 14.5}, {"x_min": 2.0, "x_max": 15.0}]))
def test_rows_of_a_utilisation_log_are_accounted_for(table: pd.DataFrame, window: dict[str, float]) -> None:
    try:
        fit = cogfit.fit(table, form="power", **window)  # type: ignore[arg-type]
    except InputError:
        return
    source = fit.source
    assert source["rows_read"] == len(table)
    assert source["rows_used"] == len(table) - sum(source["rows_dropped"].values())
    assert all(count > 0 for count in source["rows_dropped"].values())
    # independently: the rows of training whose run and step are behind a point
    values = table.filter(like="layer").replace(np.inf, np.nan)
    usable = table[values.notna().any(axis=1) & (table["split"] == "train") & table["step"].isin(fit.x)]
    assert source["rows_used"] <= len(usable)
    assert source["rows_used"] >= len(usable.drop_duplicates("step"))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.data())
def test_rows_of_a_routing_log_are_accounted_for(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n = data.draw(st.integers(80, 400))
    pattern = rng.choice(["a", "b", "c", "d", "rare", ""], n, p=[0.25, 0.25, 0.2, 0.15, 0.02, 0.13])
    table = pd.DataFrame({"step": np.arange(n) // 4, "pattern": pattern, "attended": rng.random(n) < 0.5})
    if data.draw(st.booleans()):
        table = pd.concat([table, table[table["step"] > n // 8]], ignore_index=True)  # a restart
    options: dict[str, Any] = data.draw(st.sampled_from([{}, {"x_min": 4}, {"x_max": 12}, {"bins": 10}]))
    try:
        fit = cogfit.fit(table, form="power", **options)
    except InputError:
        return
    source = fit.source
    assert source["rows_read"] == len(table) == source["rows_used"] + sum(source["rows_dropped"].values())
    assert source["rows_dropped"]["queries without a pattern"] > 0
    assert 0 < source["rows_used"] < len(table)


def test_points_of_arrays_are_accounted_for() -> None:
    x = np.arange(0.0, 40.0)
    fit = cogfit.fit(x, (x + 1) ** -0.5, form="power", x_max=30)
    assert fit.source["rows_read"] == 40
    assert fit.source["rows_used"] == 30
    assert fit.source["rows_dropped"] == {"outside the window of x": 9, "at x = 0, where a power law has no value": 1}


def test_the_account_survives_being_saved(tmp_path: Path) -> None:
    steps = [*range(1, 40), *range(20, 60)]
    table = pd.DataFrame({"step": steps, "attn_util": np.array(steps) ** -0.5})
    fit = cogfit.fit(table, form="power")
    (restart,) = fit.source["restarts"]
    assert (restart["step"], restart["reached"], restart["rows_void"]) == (20, 39, 20)
    assert restart["branch"]["x"] == list(range(20, 40))
    fit.save(tmp_path / "fit.json")
    assert cogfit.load(tmp_path / "fit.json").source == fit.source


@pytest.mark.parametrize("size", [399, 401, 5000])
def test_long_branches_are_drawn_as_means(size: int) -> None:
    steps = [*range(1, 2 * size), *range(size, 3 * size)]
    fit = cogfit.fit(pd.DataFrame({"step": steps, "attn_util": np.array(steps) ** -0.5}), form="power")
    branch = fit.source["restarts"][0]["branch"]
    assert len(branch["x"]) == min(size, 400)
    assert np.mean(branch["x"]) == pytest.approx(1.5 * size, rel=0.01)


def test_a_report_draws_the_branch_that_was_abandoned(tmp_path: Path) -> None:
    steps = [*range(1, 40), *range(20, 60)]
    fit = cogfit.fit(pd.DataFrame({"step": steps, "attn_util": np.array(steps) ** -0.5}), form="power")
    assert "restarts" in set(DIAGNOSTICS)
    fit.report(tmp_path / "fit.html")
    assert "what was abandoned" in (tmp_path / "fit.html").read_text(encoding="utf-8")
    # whatever panel there is has a caption
    assert set(CAPTIONS) == {*DIAGNOSTICS}
