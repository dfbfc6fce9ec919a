"""
Where counting starts changes γ
===============================

Is the first presentation k = 0, 1 or 4? In paired associates γ is 0.22 or 0.31 by this choice alone. A shift of the
axis bends a log–log plot just where the early points, which carry most of the slope, lie.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

logged = np.arange(1.0, 41.0)
y = (logged + 5) ** -0.43  # five presentations came before the log began

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for missed, name in ((0, "as logged"), (1, "counted from 2"), (5, "all presentations")):
    result = cogfit.fit(logged + missed, y, form="power")
    axes.plot(logged + missed, y, "o-", ms=3, label=f"{name}, γ = {result.gamma:.2f}")
    print(f"{name}: γ = {result.gamma:.3f}")
axes.set(xscale="log", yscale="log", xlabel="count", ylabel="y")
axes.legend()

# %%
# What to do: cogfit counts *earlier* presentations and says so (``convention``); human data carry theirs, and
# ``Series.under("prior")`` changes it. Where the start is unknown fit ``shifted_power``. On these values without
# noise it finds the five missed presentations; with noise expect a wide interval.

free = cogfit.fit(logged, y, form="shifted_power")
print(free.status, {name: round(value, 3) for name, value in free.params.items()})
