"""
What more points, range or runs would show
==========================================

How clearly a log tells a power law from its nearest rival is a number, λ: the square of what the rival misses the law
by, in units of the errors. From about 12 on, a true power law is supported in four of five logs.
"""

import matplotlib.pyplot as plt
import numpy as np

from cogfit.designing import LogPlan
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.planning.advice import DECISIVE, separation
from cogfit.planning.laws import nearest_rival
from cogfit.planning.situation import Law

law = Law(get_form("power_floor"), {"A": 1.0, "gamma": 0.43, "c": 0.1})
factors = np.geomspace(1.0, 10.0, 9)
words = {"points": "points in the same range", "range": "range of x", "repetitions": "runs"}

figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for axes, rho in zip(panels, (0.0, 0.8), strict=True):
    log = LogPlan(n=100, sd=0.02, rho=rho).situation(law)
    rival = nearest_rival(law, log, candidate_forms("x", "other"), "lognormal")
    for lever, label in words.items():
        axes.plot(factors, [separation(log.grown(lever, f), law, rival) for f in factors], label=label)
    axes.axhline(DECISIVE, color="0.5", ls=":")
    axes.set(xscale="log", yscale="log", xlabel="times as much", title=f"correlation of errors {rho:g}")
panels[0].set_ylabel(f"λ from the nearest rival ({rival.form.title})")
panels[0].legend()

# %%
# With independent errors all three help alike. With correlated errors, points between the others add next to nothing:
# log longer, or average more runs.
#
# ``cogfit design`` simulates logs and judges each, so that its answer holds for the verdict itself, and says how often
# a false power law would be supported.
