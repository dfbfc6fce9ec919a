"""
Smoothed logs look certain
==========================

Dashboards show exponential moving averages, and people export what they see. Smoothing delays the curve and removes
the noise but adds no information: residuals become tiny, and so do the intervals.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

TRUTH, DECAY = 0.43, 0.95
x = np.arange(1.0, 401.0)
raw = 0.9 * x**-TRUTH + np.random.default_rng(2).normal(0, 0.03, x.size)
smooth = np.empty_like(raw)
smooth[0] = raw[0]
for t in range(1, raw.size):
    smooth[t] = DECAY * smooth[t - 1] + (1 - DECAY) * raw[t]

fits = {
    "raw log": cogfit.fit(x, raw, form="power", noise="gaussian"),
    "smoothed, errors taken as independent": cogfit.fit(x, smooth, form="power", noise="gaussian", serial=False),
    "smoothed, smoothing undone": cogfit.fit(x, smooth, form="power", noise="gaussian", smoothing=DECAY),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(x, raw, ".", color="0.7", ms=3, label="raw")
left.plot(x, smooth, "C1", label=f"moving average, decay {DECAY}")
left.plot(x, 0.9 * x**-TRUTH, "k", lw=1, label="truth")
left.set(xscale="log", yscale="log", xlabel="step", ylabel="utilisation", ylim=(0.02, 1))
left.legend()
for row, (name, result) in enumerate(fits.items()):
    print(f"{name}: γ = {result.gamma:.3f}, interval {result.interval[0]:.3f} to {result.interval[1]:.3f}")
    right.plot(result.interval, [row, row], lw=4, color=f"C{row}")
    right.annotate(name, (np.mean(result.interval), row), xytext=(0, 8), textcoords="offset points", ha="center")
right.axvline(TRUTH, color="k", lw=1)
right.set(xlabel="γ, 95 % interval", yticks=[], ylim=(-0.5, 2.6))
right.margins(x=0.7)

# %%
# What to do: log raw values. If only smoothed ones are left, say how (``--smoothing 0.95``, or ``smoothing=0.95``):
# the average is undone. With ``smoothing="unknown"`` the interval is called unreliable, which it is.
