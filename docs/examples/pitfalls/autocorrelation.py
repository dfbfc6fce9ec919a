"""
Neighbouring steps are not independent
======================================

Along a training run the errors of neighbouring steps resemble each other. Least squares counts every step as new
evidence; its intervals are then several times too narrow, and the more often one logs, the worse it gets.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import curve_fit

import cogfit

TRUTH, SEEDS = 0.43, 20
x = np.arange(1.0, 301.0)


def naive(y):
    """Least squares as everybody does it: estimate ± 1.96 standard errors."""
    best, cov = curve_fit(lambda x, a, gamma: a * x**-gamma, x, y, p0=(0.9, 0.5))
    half = 1.96 * np.sqrt(cov[1, 1])
    return best[1] - half, best[1] + half


intervals = {"least squares": [], "cogfit": []}
for seed in range(SEEDS):
    log = cogfit.simulate("power", {"A": 0.8, "gamma": TRUTH}, n=300, sigma=0.02, rho=0.9, rng=seed)
    y = log["attention_utilization"].to_numpy()
    intervals["least squares"].append(naive(y))
    intervals["cogfit"].append(cogfit.fit(x, y, form="power", noise="gaussian").interval)

# %%
# Twenty logs of the same law, γ = 0.43, errors with a correlation of 0.9 from step to step. A 95 % interval should
# miss one in twenty; those that miss are red.

figure, panels = plt.subplots(1, 2, figsize=(7, 4), sharex=True, sharey=True, layout="constrained")
for axes, (name, pairs) in zip(panels, intervals.items(), strict=True):
    hits = [low <= TRUTH <= high for low, high in pairs]
    for row, ((low, high), hit) in enumerate(zip(pairs, hits, strict=True)):
        axes.plot([low, high], [row, row], color="0.3" if hit else "C3", lw=2)
    axes.axvline(TRUTH, color="C0", lw=1)
    axes.set(title=f"{name}: {sum(hits)} of {SEEDS} hold the truth", xlabel="γ", yticks=[])
    print(f"{name}: {sum(hits)} of {SEEDS}, median width {np.median(np.diff(pairs)):.3f}")

# %%
# What to do: nothing. Without patterns or several runs cogfit models the errors along the curve (ARMA, order chosen
# by BIC) and takes the interval from the profile likelihood. Its coverage is measured over thousands of such logs in
# ``data/benchmarks/interval_coverage.csv``. Better still, log several runs: they are resampled as wholes.
