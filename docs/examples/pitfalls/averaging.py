"""
Averaging makes power laws
==========================

Sixty patterns are forgotten (or consolidated) exponentially, each at a rate of its own. None of them follows a power
law. Their mean does: a gamma distribution of rates with shape 0.43 gives exactly (1 + k/10)^−0.43
(Anderson & Tweney 1997, Mem. Cogn. 25:724).
"""

import matplotlib.pyplot as plt
import numpy as np

from cogfit import Curve, fit, forms
from cogfit.curves.curve import Clusters
from cogfit.inference import averaging

k = np.arange(1.0, 301.0)
rates = np.random.default_rng(1).gamma(0.43, 1 / 10, (60, 1))
single = np.exp(-rates * k)
mean = single.mean(axis=0)

# %%
# A curve drawn through the mean is excellent, and says nothing about any of the sixty patterns.

pooled = fit(k, mean, form="shifted_power")
print(f"γ = {pooled.gamma:.2f}, RMS error {np.sqrt(pooled.rss / k.size):.4f}")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(k, single.T, color="0.8", lw=0.6)
axes.plot(k, mean, "k", lw=3, label="mean of 60 exponentials")
axes.plot(k, forms()["shifted_power"].evaluate(k, pooled.params), "C1--", label=f"power law, γ = {pooled.gamma:.2f}")
axes.set(xscale="log", yscale="log", ylim=(0.01, 1.1), xlabel="exposures k", ylabel="P(slow route)")
axes.legend()

# %%
# What to do: keep the patterns apart. Routing logs do so by themselves, and ``cogfit fit`` reports what follows; for
# arrays give a curve with clusters.

curve = Curve(
    k, mean, np.ones(k.size), None, "exposure", "k", "probability",
    clusters=Clusters("patterns", single, np.ones(single.shape)),
)  # fmt: skip
found = averaging.analyse(curve)
print(found.status)
print(*found.statements(), sep="\n")
