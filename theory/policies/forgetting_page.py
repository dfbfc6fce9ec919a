"""Write docs/forgetting.md and its picture: ``python -m theory.policies.forgetting_page > docs/forgetting.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from theory.pages import page_parser
from theory.policies import find
from theory.policies.forgetting import SURROUNDINGS, Curve, Forgetting, forgetting
from theory.policies.policy import Policy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = (1, 16, 64, 180)
"""Ages in the table."""

_FULL = 0.05
"""Recall above 1 by more than cross-talk adds."""

_GROUPS = {
    "retention gates of one memory": ("miras",),
    "memories of linear attention and regression": ("lightning", "titans", "moneta", "yaad", "memora"),
    "other states": ("based", "aaren", "sparsey", "cram"),
    "caches": ("streaming", "h2o", "a2sf", "lazy-eviction", "sirllm", "adaptive-retention"),
}
"""Panels of the picture, and whose curves they show."""

_HEAD = """# How a single write is forgotten

Written by `python -m theory.policies.forgetting_page > docs/forgetting.md`, with its picture.

The memories of [the policies](policies.md) hold less than everything. Which of them forgets how? In each stream one
association is shown once and asked for once. Between the two come plain tokens only (*alone*), or those of SRCD with
other associations and queries (*among others*). What is measured is the evidence for the right value: 1 where it is
recalled in full. {streams} streams for each of {count} ages, {length} tokens, a budget of {budget:.0%} of them, seed
{seed}. `cogfit.fit` names the form of the mean against age, from the greatest recall on, as a share of it to two
decimals: what is beyond them is rounding of 16-bit states.
{above}
![Recall of a single write against its age](images/forgetting.png)

## Which gate forgets how

The first three memories differ in their retention gate only (MIRAS, arXiv 2504.13173, as `miras`): a matrix that
learns by the L2 bias with a rate of 0.25 and keeps 98 % at every token.

{gates}

Theory says this for a write alone, at an age a with λ = 0.98 kept at every token:

- **L2 decay**: W ∝ λᵃ, an exponential.
- **Lq**: W is the gradient of ½‖A‖_q², which grows in proportion to A; so with A ∝ λᵃ again an exponential, whatever q.
- **KL**: W = c·softmax(A), so a write of size s that filled its share of c is recalled as tanh(s·λᵃ): first a plateau,
  then an exponential. It is the only one of the three whose form depends on how much was written.

No gate forgets by a power law. Among others, a regression also overwrites, in proportion to what it still holds; that
adds to the rate.

## All memories

*Half-life* is the age at which half of the greatest recall is left. *Form* is the one that `cogfit.fit` reports for
what follows the greatest recall, with that age where it is not the first; behind it stand those that these points
cannot tell from it. *None fits* ({unnamed}) where all of them miss the points
by more than the errors say: χ² at 5 %, with the mean squared error of the points and what rounding adds. The verdict on
a power law is that of `cogfit.fit`, too.
"""


def page(result: Forgetting) -> str:
    """The whole document."""
    head = _HEAD.format(
        streams=result.streams,
        count=len(result.curves[0].ages),
        length=result.setting.length,
        budget=result.budget,
        seed=result.seed,
        gates="\n".join(_gate_lines(result)),
        above=_above_one(result),
        unnamed=_unnamed(result),
    )
    return "\n".join([head, *_table(result), ""])


def _above_one(result: Forgetting) -> str:
    """Say why some recall is above 1."""
    above: dict[str, float] = {}
    for curve in result.curves:
        if max(curve.recall) > 1 + _FULL and _answers_twice(curve):
            above[curve.policy] = max(*curve.recall, above.get(curve.policy, 0.0))
    if not above:
        return ""
    greatest = ", ".join(f"`{policy}` up to {recall:.2f}" for policy, recall in above.items())
    return (
        f"\nMore than 1 is recalled where a write is read twice, by attention to its token and from the state, as\n"
        f"both answers are added: {greatest}.\n"
    )


def _answers_twice(curve: Curve) -> bool:
    """Whether a policy both attends to tokens and answers from a state."""
    kind = type(find(curve.policy).policy(**curve.parameters))
    return kind.attend is not Policy.attend and kind.recall is not Policy.recall


def _unnamed(result: Forgetting) -> str:
    """How many curves have no form."""
    changing = [curve for curve in result.curves if curve.since is not None]
    return f"{sum(curve.form is None for curve in changing)} of {len(changing)} curves that change"


def _gate_lines(result: Forgetting) -> list[str]:
    lines = []
    for curve in result.curves:
        if curve.policy == "miras":
            gate = {"l2": "L2 decay", "lq": "Lq", "kl": "KL"}[str(curve.parameters["retention"])]
            lines.append(f"- {gate}, {curve.surroundings}: {_title(curve)}, half-life {_half_life(curve)}.")
    return lines


def _table(result: Forgetting) -> list[str]:
    ages = [age for age in _SHOWN if age in result.curves[0].ages]
    header = ["memory", "", *(f"age {age}" for age in ages), "half-life", "form", "power law"]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    for curve in result.curves:
        at = [curve.ages.index(age) for age in ages]
        recall = [f"{curve.recall[i]:.2f} ± {curve.error[i]:.2f}" for i in at]
        verdict = (curve.power_law or "–").replace("_", " ")
        cells = [f"`{curve.name}`", curve.surroundings, *recall, _half_life(curve), _title(curve), verdict]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _title(curve: Curve) -> str:
    """Form, and the others that fit."""
    if curve.since is None:
        return "nothing is forgotten"
    since = f", from age {curve.since} on" if curve.since > curve.ages[0] else ""
    if curve.power_law is None:
        return f"not sought: too few ages after {curve.since}"
    if curve.form is None:
        return f"none fits{since}"
    others = [name.replace("_", " ") for name in curve.forms if name != curve.form]
    return curve.form.replace("_", " ") + (f" (or {', '.join(others)})" if others else "") + since


def _half_life(curve: Curve) -> str:
    return f"above {curve.ages[-1]}" if curve.half_life is None else f"{curve.half_life:.3g}"


_MARKERS, _DASHES = "osD^v<", ("-", "--", "-.", ":")


def plot_forgetting(result: Forgetting, *, width: float = 11.0) -> Figure:
    """Draw recall against age.

    Parameters
    ----------
    result : Forgetting
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        One column for each group of memories, one row for each of the surroundings, as shares of the greatest recall.
        An exponential is a straight line.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    groups = {
        title: members for title, members in _GROUPS.items() if {c.policy for c in result.curves}.intersection(members)
    }
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width * len(groups) / len(_GROUPS), 0.55 * width), layout="constrained")
        panels = figure.subplots(len(SURROUNDINGS), len(groups), squeeze=False, sharex=True, sharey=True)
    for column, (title, members) in enumerate(groups.items()):
        for row, surroundings in enumerate(SURROUNDINGS):
            axes = panels[row, column]
            curves = [c for c in result.curves if c.policy in members and c.surroundings == surroundings]
            colors = sns.color_palette("colorblind", len(curves))
            for curve, color, marker, dash in zip(curves, colors, _MARKERS, cycle(_DASHES), strict=False):
                best = max(curve.recall)
                label = (
                    str(curve.parameters.get("retention", curve.policy)) if curve.policy == "miras" else curve.policy
                )
                axes.errorbar(
                    curve.ages,
                    np.maximum(np.array(curve.recall) / best, 1e-9),
                    np.array(curve.error) / best,
                    marker=marker,
                    ls=dash,
                    ms=3,
                    lw=1,
                    elinewidth=0.7,
                    color=color,
                    label=label,
                )
            axes.set_yscale("log")
            axes.set_ylim(0.02, 1.3)
            axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["2", "5", "10", "20", "50", "100"])
            axes.minorticks_off()
            axes.set_title(f"{title}\n{surroundings}" if row == 0 else surroundings, fontsize="small", loc="left")
            sns.despine(ax=axes)
        # below the panels: caches fall anywhere
        panels[-1, column].set_xlabel("age, tokens")
        panels[-1, column].legend(
            frameon=False, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2
        )
    for axes in panels[:, 0]:
        axes.set_ylabel("recall, % of the greatest")
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure how policies forget, draw it and print the page."""
    parser = page_parser(
        "theory.policies.forgetting_page",
        "Measure how policies forget single writes (minutes), draw it and print the page.",
        [
            "python -m theory.policies.forgetting_page > docs/forgetting.md",
            "python -m theory.policies.forgetting_page --picture /tmp/f.png > /tmp/f.md",
        ],
    )
    images = Path(__file__).resolve().parents[2] / "docs" / "images"
    parser.add_argument("--picture", type=Path, default=images / "forgetting.png", help="default: in docs/images")
    options = parser.parse_args(arguments)
    found = forgetting(progress=lambda *parts: print(*parts, file=sys.stderr))
    plot_forgetting(found).savefig(options.picture, dpi=200)
    sys.stdout.write(page(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
