"""
A warm-up that fakes a curve
============================

Many recipes let every token attend for some hundred steps before the router decides. Pooled over training, the forced
stretch becomes the high beginning of a "learning curve", although the router itself learns nothing here at all.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

step = np.arange(1.0, 2001.0, 5.0)
learned = np.full(step.size, 0.3) + np.random.default_rng(0).normal(0, 0.02, step.size)
settling = np.exp(-np.clip(step - 400, 0, None) / 60)  # optimiser and router find together after the release
logged = np.where(step < 400, 1.0, learned + 0.7 * settling)

window = 800
with_it = cogfit.fit(step, logged, form="power")
without = cogfit.fit(step, logged, form="power", x_min=window)
print("from the first step:", with_it.headline())
print(f"from step {window}:     ", without.headline())

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(step, logged, ".", color="0.6", ms=3)
axes.axvspan(0, 400, color="C1", alpha=0.15, label="attention forced")
for result, name, low in ((with_it, "all steps", 1), (without, f"from step {window}", window)):
    grid = step[step >= low]
    axes.plot(
        grid, cogfit.forms()["power"].evaluate(grid, result.params), lw=2, label=f"{name}: γ = {result.gamma:.2f}"
    )
axes.set(xlabel="step", ylabel="attention utilisation", ylim=(0, 1.6))
axes.legend()

# %%
# What to do: leave the forced steps and the settling after them out (``--x-min``), choosing the window *before*
# looking at γ. In a routing log with ``p_episodic`` and ``attended`` cogfit finds overruled rows by itself, leaves
# them out and says how many there were. Without them ``cogfit.transition`` (or ``cogfit fit`` with the column of the
# schedule) shows that the only change is the one that the schedule made.
