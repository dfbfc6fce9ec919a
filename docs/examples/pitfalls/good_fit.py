"""
A high R² is no evidence
========================

Smooth falling curves resemble each other. Here the truth is exponential, and a power law still explains nearly all of
the variance: R² says how much falls, not in which form.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

x = np.arange(1.0, 61.0)
y = 0.6 * np.exp(-x / 9) + 0.05 + np.random.default_rng(0).normal(0, 0.012, x.size)

figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, height_ratios=(2, 1), layout="constrained")
top.plot(x, y, ".", color="0.5")
for name in ("shifted_power", "power_floor", "exponential_floor"):
    result = cogfit.fit(x, y, form=name, noise="gaussian")
    values = cogfit.forms()[name].evaluate(x, result.params)
    r2 = 1 - result.rss / np.sum((y - y.mean()) ** 2)
    top.plot(x, values, lw=2, label=f"{name}: R² = {r2:.3f}")
    bottom.plot(x, y - values, lw=1)
    print(f"{name}: R² = {r2:.4f}, AICc = {result.aicc:.1f}")
top.legend()
top.set_ylabel("y")
bottom.axhline(0, color="k", lw=0.8)
bottom.set(xlabel="x", ylabel="residual", xscale="log")

# %%
# What to do: compare forms, and look at the residuals, which wave where the form is wrong. ``cogfit fit`` makes
# curves around every form, fits all forms to them, and keeps those that cannot be refused: "supported" is said only
# if no form without a power law is among them.
