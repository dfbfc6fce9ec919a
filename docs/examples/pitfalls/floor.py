"""
A floor that is left out bends γ
================================

Most curves do not fall to zero: people need time to press a key, a router keeps attending to what is new. A power law
without floor has to pay for that with its exponent.
"""

import matplotlib.pyplot as plt
import numpy as np

import cogfit

x = np.arange(1.0, 301.0)
y = 0.7 * x**-0.8 + 0.15 + np.random.default_rng(0).normal(0, 0.01, x.size)  # the truth: γ = 0.8 above a floor of 0.15

fits = {name: cogfit.fit(x, y, form=name, noise="gaussian") for name in ("power", "power_floor")}
for name, result in fits.items():
    low, high = result.interval
    print(f"{name:12} γ = {result.gamma:.3f} [{low:.3f}, {high:.3f}]  AICc = {result.aicc:.1f}")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(x, y, ".", color="0.6", ms=3)
for name, result in fits.items():
    axes.plot(x, cogfit.forms()[name].evaluate(x, result.params), lw=2, label=f"{name}: γ = {result.gamma:.2f}")
axes.set(xscale="log", yscale="log", xlabel="x", ylabel="y")
axes.legend()

# %%
# The misfit of the wrong form shows as correlated residuals, and so its interval is too wide to say anything. Taken
# for independent errors, as least squares does, the same residuals give a narrow interval around a wrong number:

result = cogfit.fit(x, y, form="power", noise="gaussian", serial=False)
print(f"γ = {result.gamma:.3f} [{result.interval[0]:.3f}, {result.interval[1]:.3f}]")

# %%
# What to do: let cogfit fit all forms (leave ``form`` out) and read γ together with its form. Two exponents of
# different forms mean different things; ``cogfit compare`` refuses to set one beside the other.
