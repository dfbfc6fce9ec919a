"""
A million rows are not a million trials
=======================================

A routing log has one row per query. Forty patterns, asked for three hundred times each, give 12,000 rows; but a
pattern that has switched to the fast route stays there, so its rows say the same thing again and again. There are
forty witnesses, not 12,000.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

PATTERNS = 40
k = np.arange(1.0, 301.0)
switch = 5 * np.random.default_rng(3).pareto(0.8, PATTERNS)
attended = (k <= switch[:, None]).astype(float)  # (patterns, k): 1 until the switch, 0 after it
mean = attended.mean(axis=0)

# %%
# Wrong: every row a coin of its own (binomial). Right: patterns resampled as wholes, by ``groups``.

as_trials = cogfit.fit(k, mean, trials=np.full(k.size, PATTERNS), form="power", serial=False)
as_groups = cogfit.fit(
    np.tile(k, PATTERNS), attended.ravel(), groups=np.repeat(np.arange(PATTERNS), k.size), form="power"
)
print("rows as trials:   ", as_trials.headline())
print("patterns as wholes:", as_groups.headline())

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), width_ratios=(2, 1), layout="constrained")
left.pcolormesh(k, np.arange(PATTERNS), attended[np.argsort(switch)], cmap="Greys", shading="nearest")
left.set(xscale="log", xlabel="exposures k", ylabel="pattern (sorted by its switch)", title="attended")
for row, (result, name) in enumerate(((as_trials, "rows as trials"), (as_groups, "patterns as wholes"))):
    right.plot(result.interval, [row, row], lw=4, color=f"C{row}")
    right.plot(result.gamma, row, "k|", ms=14)
    right.annotate(name, (result.gamma, row), xytext=(0, 12), textcoords="offset points", ha="center")
right.set(xlabel="γ, 95 % interval", yticks=[], ylim=(-0.5, 1.7))

# %%
# What to do: give cogfit the routing log itself (``cogfit fit routing.parquet``), or ``groups``. With ten patterns or
# more they are resampled as wholes; the number of effective points is in the output.
