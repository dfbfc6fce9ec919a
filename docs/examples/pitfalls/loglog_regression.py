"""
A straight line through logarithms
==================================

The old recipe takes logarithms of both axes and draws a straight line. With additive noise the logarithm makes the
small, late values the loudest, and values at or below zero have to be thrown away: what is left is biased.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

TRUTH, LOGS = 0.8, 200
x = np.arange(1.0, 201.0)
Y = 0.9 * x**-TRUTH + np.random.default_rng(0).normal(0, 0.02, (LOGS, x.size))


def line(y):
    """Slope of log y on log x where y is positive."""
    use = y > 0
    return -np.polyfit(np.log(x[use]), np.log(y[use]), 1)[0]


slopes = np.array([line(y) for y in Y])
likely = cogfit.fit_many(x, Y, form="power")["gamma"].to_numpy()
for name, values in (("log–log line", slopes), ("maximum likelihood", likely)):
    print(f"{name}: mean {values.mean():.3f}, SD {values.std():.3f}; the truth is {TRUTH}")
print(f"points thrown away: {np.mean(Y <= 0):.0%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
shown = Y[0] > 0
left.loglog(x[shown], Y[0][shown], ".", color="0.5", ms=3)
left.loglog(x, 0.9 * x**-TRUTH, "C0", label="truth")
left.loglog(x, 0.9 * x ** -slopes[0], "C3--", label="slope of the line")
left.set(xlabel="x", ylabel="y", title="one of 200 logs")
left.legend()
bins = np.linspace(0.4, 1.0, 60)
right.hist(slopes, bins, color="C3", alpha=0.6, label="log–log line")
right.hist(likely, bins, color="C0", alpha=0.6, label="maximum likelihood")
right.axvline(TRUTH, color="k")
right.set(xlabel="estimate of γ", yticks=[], title="all of them")
right.legend()

# %%
# What to do: fit the curve on the scale on which the noise was added. cogfit chooses between Gaussian and log-normal
# noise by AICc (``noise="auto"``), and takes binomial noise where counts are given.
