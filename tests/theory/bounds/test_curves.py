"""Curves for the figures: nothing achieved or exact lies below its bound, and where it should it attains it."""

from __future__ import annotations

from types import ModuleType

import pytest

from theory.bounds import t0_chow, t1_memoryless, t2_memory_bits, t3_compulsory


@pytest.mark.parametrize(
    "module", [t0_chow, t1_memoryless, t2_memory_bits, t3_compulsory], ids=lambda m: m.__name__[-14:]
)
def test_nothing_lies_below_its_bound(module: ModuleType) -> None:
    table = module.curves()
    bounds = table[table["kind"] == "bound"]
    assert set(table["kind"]) >= {"bound", "achieved"}
    for label, part in table[table["kind"] != "bound"].groupby("curve"):
        base = bounds[bounds["curve"] == str(label).split(", 3 exposures")[0]].sort_values("x")
        for row in part.itertuples():
            near = base.iloc[(base["x"] - row.x).abs().argsort().iloc[:2]]
            slack = near["value"].max() - near["value"].min() + 1e-9  # between two points of the grid
            reach = 0.0 if row.low != row.low else row.value - row.low
            assert row.value >= near["value"].min() - slack - reach, (label, row.x)


def test_exact_optima_attain_the_bounds_of_t0_t1_and_t3() -> None:
    for module in (t0_chow, t1_memoryless, t3_compulsory):
        table = module.curves().pivot_table(index=["curve", "x"], columns="kind", values="value")
        both = table[["bound", "exact"]].dropna()
        assert len(both) >= 3
        assert (both["bound"] - both["exact"]).abs().max() < 1e-8
