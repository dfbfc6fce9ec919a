"""
The bound checker on your own router
====================================

A router saves attention by knowing values without looking. Whether the attention that was measured is possible at all
without memory, with S bits of it, or for any learner, can be read off a routing log. This page makes three routers,
logs them, and checks them. The tests are explained in "Checking a log", the theorems in "Theory".
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cogfit
import theory

PATTERNS, VALUES, QUERIES = 20, 8, 2000
rng = np.random.default_rng(0)
table = rng.integers(1, VALUES + 1, PATTERNS)  # what there is to know: one value per pattern
asked = rng.integers(0, PATTERNS, QUERIES)
folder = tempfile.TemporaryDirectory()

# %%
# A router is a function that decides, for each query, whether to attend, and answers. Attending shows the value.


def coin(pattern, seen):
    """No memory: attends to half of the queries and guesses at the others."""
    attend = rng.random() < 0.5
    return attend, table[pattern] if attend else rng.integers(1, VALUES + 1)


def learner(pattern, seen):
    """Attends to each pattern once, and knows it from then on."""
    return pattern not in seen, table[pattern]


def leak(pattern, seen):
    """Never attends, and is right all the same: the answer must be in its input."""
    return False, table[pattern]


def play(name, router):
    """Play a router and log one row per query."""
    seen = set()
    path = Path(folder.name, name)
    with cogfit.UtilizationLogger(path) as log:
        for step, pattern in enumerate(asked):
            attend, answer = router(pattern, seen)
            if attend:
                seen.add(pattern)
            log.log_routing(step, pattern=[pattern], attended=[attend], correct=[answer == table[pattern]])
    return path


# %%
# The log needs ``pattern`` (what was asked for), ``attended`` (the decision as executed, after any warm-up has ended)
# and ``correct``. How many values there are must be said.

reports = {
    router.__name__: theory.check_log(play(router.__name__, router), values=VALUES) for router in (coin, learner, leak)
}
for name, report in reports.items():
    verdicts = ", ".join(f"{finding.theorem}: {finding.verdict}" for finding in report.findings)
    print(f"{name:8} attends to {report.attention:.1%}; {verdicts}")

# %%
# T1 asks for routers without memory, T2 for S bits (give ``memory_bits`` to have it judged), T3 for any learner. The
# coin respects them all. The learner breaks T1, as it should: it has a memory. Only the leak breaks T3, which nothing
# that learns can do.

print(reports["learner"])
figure = reports["learner"].plot()

# %%
# Measured attention (points) against what each theorem asks for, in one picture:

fig, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for row, report in enumerate(reports.values()):
    axes.barh(row, report.attention, color="C0", alpha=0.6)
    for finding, marker in zip(report.findings, "|x+", strict=True):
        if finding.bound is not None:
            axes.plot(finding.bound, row, marker, color="k", ms=14, label=finding.theorem if row == 0 else None)
axes.set(yticks=range(len(reports)), yticklabels=reports, xlabel="share of queries attended to", xlim=(0, 1.05))
axes.legend(title="at least", loc="lower right")

# %%
# The same from the command line: ``cogfit theory bound LOG --values 8``, and with ``--follow`` while a run is going
# on: the verdicts hold however often one looks.

folder.cleanup()
