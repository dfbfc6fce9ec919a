"""
A sharp drop has a slope, too
=============================

Every falling curve has a slope on log–log axes, and the slope has a small standard error. A curve that stays high,
drops once, and stays low is no power law; its "γ" depends on where the window begins and ends.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

x = np.arange(10.0, 2001.0, 10.0)
y = 0.03 + 0.9 / (1 + (x / 700) ** 12) + np.random.default_rng(0).normal(0, 0.01, x.size)

windows = ((10, 2000), (200, 1000), (500, 1000), (10, 500))
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(x, y, ".", color="0.6", ms=4)
for low, high in windows:
    result = cogfit.fit(x, y, form="power", noise="gaussian", x_min=low, x_max=high)
    grid = x[(x >= low) & (x <= high)]
    axes.plot(
        grid, cogfit.forms()["power"].evaluate(grid, result.params), lw=2, label=f"{low}–{high}: γ = {result.gamma:.1f}"
    )
    print(f"window {low}–{high}: γ = {result.gamma:.3f}")
axes.set(xscale="log", yscale="log", ylim=(0.02, 2), xlabel="step", ylabel="attention utilisation")
axes.legend(title="power law fitted to")

# %%
# A step in the registry of forms describes all of it, and tells where it is:

step = cogfit.fit(x, y, form="log_logistic_step", noise="gaussian")
power = cogfit.fit(x, y, form="power", noise="gaussian")
print({name: round(value, 3) for name, value in step.params.items()})
print(f"ΔAICc of the power law: {power.aicc - step.aicc:.0f}")

# %%
# What to do: ``cogfit fit`` compares the power law with steps and looks for abrupt changes (``cogfit.transition``);
# ``--windows`` shows γ over parts of the curve. If it is not the same everywhere, there is no exponent.
