"""Statements that are tested in the recorded study of a language model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from theory.ledger.quantities import Quantity
from theory.ledger.recordings import NotHere, Recordings
from theory.lm.records import RECORDED, SINK_FROM
from theory.phenomena.measures.margins import NATS, SHARE, is_negligible, loss_between
from theory.phenomena.records import Finding, Measure, Verdict

if TYPE_CHECKING:
    import pandas as pd

RECORD = f"runs/{RECORDED}"

TRAINED = "runs/redundancy-gpt2-bytes"
"""The small model that is trained here, with its checkpoints."""

MODEL = "SmolLM2-135M"
_THRESHOLD = 0.1  # a head copies above this score (Wu et al. 2024)
_FEW = 0.05  # "less than 5 %"
_TOP = 10  # heads that are compared and knocked out


def quantity(row: pd.DataFrame, column: str, name: str, n: int = 0, unit: str = "") -> Quantity:
    """Read a value of one row, with its limits."""
    value, low, high = (float(row[f"{column}{end}"].to_numpy(float)[0]) for end in ("", "_low", "_high"))
    return Quantity(name, value, low, high, unit, n)


def is_below(first: Quantity, second: Quantity) -> bool:
    """Whether a whole interval lies below another.

    Examples
    --------
    >>> is_below(Quantity("a", 1.0, 0.5, 1.5), Quantity("b", 2.0, 1.6, 2.4))
    True
    """
    return first.high < second.low


def in_words(better: int, worse: int, of: int) -> Verdict:
    """Verdict on a comparison at several budgets.

    As on streams (:func:`theory.policies.phenomena.over_cases`): what holds in a part of the cases holds under
    conditions, whatever the others show.

    Examples
    --------
    >>> in_words(3, 0, 3), in_words(1, 0, 3), in_words(0, 0, 3), in_words(1, 1, 3), in_words(0, 2, 3)
    ('reproduced', 'reproduced under conditions', 'not reproduced', 'reproduced under conditions', 'reversed')
    """
    if better:
        return "reproduced" if better == of else "reproduced under conditions"
    return "reversed" if worse else "not reproduced"


def loses_less(policy: str, other: str, column: str, what: str, source: str = "policies") -> Measure:
    """Compare what two policies lose, budget by budget.

    Parameters
    ----------
    policy, other : str
        The first is said to lose less.
    column : str
        Of the table of policies; smaller is better.
    what : str
        The column in words.
    source : str
        Table of policies.
    """

    def measure(data: Recordings) -> Finding:
        table = data.table(f"{RECORD}/{source}.csv")
        both = (policy, other)
        budgets = sorted(table[table["policy"] == policy]["budget"])
        pairs = []
        for budget in budgets:
            rows = [table[(table["policy"] == name) & (table["budget"] == budget)] for name in both]
            n = int(rows[0]["needles"].iloc[0])
            pairs.append(
                [quantity(row, column, f"{name}, {budget} tokens", n) for row, name in zip(rows, both, strict=True)]
            )
        better = sum(is_below(own, than) for own, than in pairs)
        worse = sum(is_below(than, own) for own, than in pairs)
        return Finding(
            in_words(better, worse, len(pairs)),
            tuple(found for pair in pairs for found in pair),
            f"{what}, {policy} against {other} on {MODEL}, at budgets of {_listed(budgets)} tokens a head. "
            + "; ".join(_spent(table, name, budgets) for name in both),
            f"apart in its favour at {better} of {len(pairs)} budgets, against it at {worse}",
        )

    return measure


def _listed(numbers: Iterable[object]) -> str:
    """Numbers in words."""
    words = list(map(str, numbers))
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _spent(table: pd.DataFrame, policy: str, budgets: Sequence[int]) -> str:
    """What a policy attends to and keeps, in words.

    At each budget, which does not bound both for all policies.
    """
    own = table[table["policy"] == policy].set_index("budget").loc[list(budgets)]
    attended, kept = ([f"{100 * value:.1f}" for value in own[column]] for column in ("attended", "kept"))
    keeps = "all keys and values" if (own["kept"] == 1).all() else f"{_listed(kept)} % of the keys and values"
    if policy == "copy-heads":
        keeps += f", those of all {int(table['budget'].max())} tokens in its best copy heads"
    return f"{policy} attends to {_listed(attended)} % of the tokens of full attention and keeps {keeps}"


def loses_nothing(policy: str, column: str, what: str) -> Measure:
    """Ask whether a policy loses next to nothing.

    The whole interval has to lie below the margin: one that reaches zero may do so because it is wide.
    """

    def measure(data: Recordings) -> Finding:
        table = data.table(f"{RECORD}/policies.csv")
        own = table[table["policy"] == policy].sort_values("budget")
        found = [
            quantity(own.iloc[[place]], column, f"{own['budget'].iloc[place]} tokens", int(own["needles"].iloc[place]))
            for place in range(len(own))
        ]
        nothing = [each.name for each in found if is_negligible(each, NATS)]
        open_ = [each.name for each in found if each.low <= 0 and each.name not in nothing]
        undecided = f"; at {', '.join(open_)} it reaches zero, which shows neither a loss nor none" if open_ else ""
        return Finding(
            in_words(len(nothing), 0, len(found)),
            tuple(found),
            f"{what}, {policy} on {MODEL}; next to nothing is less than {NATS:g} nats, where an answer keeps nine "
            "tenths of its probability",
            f"the whole interval lies below {NATS:g} nats at {', '.join(nothing) or 'no budget'}{undecided}",
        )

    return measure


def measure_sinks(data: Recordings) -> Finding:
    """Compare attention on the first token with an even share."""
    scores, heads = (data.table(f"{RECORD}/{name}.csv") for name in ("scores", "heads"))
    row = scores[scores["score"] == "sink"]
    value, low, high = (float(row[name].iloc[0]) for name in ("estimate", "low", "high"))
    mean = Quantity("attention on the first token, mean over heads", value, low, high, n=int(row["units"].iloc[0]))
    even = 1 / (SINK_FROM + 1)
    share = Quantity("heads that give it more than 0.3", float((heads["sink"] > 0.3).mean()), unit="%")
    return Finding(
        "reproduced" if mean.low > even else "not reproduced",
        (mean, share, Quantity("an even share, at most", even)),
        f"attention of tokens {SINK_FROM} and later to the first token of a window, {MODEL} on prose; over documents",
    )


def measure_sinks_in_training(data: Recordings) -> Finding:
    """Follow sinks of a small model through its training."""
    table = data.table(f"{TRAINED}/loss.csv").sort_values("step")
    if "sink" not in table:
        raise NotHere(f"{TRAINED} was recorded without sinks; run first: cogfit theory redundancy --train --threads 1")
    even, n = 1 / (SINK_FROM + 1), 60
    losses = [quantity(table.iloc[[i]], "loss", "loss") for i in range(len(table))]
    last = int(table["step"].max())
    found = [quantity(table.iloc[[i]], "sink", f"sink share after {step:,} steps", n)
             for i, step in enumerate(table["step"].astype(int))]  # fmt: skip
    heavy = float(table["sink_heads"].iloc[-1])
    reason = "" if heavy else "at the end of this training no head has a sink"
    verdict: Verdict = "not reproduced"
    if is_below(found[0], found[-1]) and found[-1].low > even:
        verdict = "reproduced" if heavy > 0 else "reproduced under conditions"
    elif len(losses) > 1 and is_below(losses[-1], losses[-2]):
        # the work speaks of models that have seen enough, which cannot be said of one that still learns
        verdict = "not testable here"
        learns = f"the loss still falls at step {last:,}, so that it cannot be said that enough data were seen"
        reason = "; ".join(filter(None, (reason, learns)))
    highest = max(range(len(found)), key=lambda i: found[i].value)
    return Finding(
        verdict,
        (
            found[0],
            found[-1],
            found[highest],
            Quantity("heads that give the first byte more than 0.3, at the end", heavy, unit="%"),
            Quantity("an even share, at most", even),
        ),
        f"a GPT-2 of four layers over bytes, trained on programs for {last:,} steps, at {len(table)} checkpoints; over "
        "documents of one training",
        reason,
    )


def measure_sinks_by_depth(data: Recordings) -> Finding:
    """Compare sinks of the two lowest layers with all others."""
    heads = data.table(f"{RECORD}/heads.csv")
    layers = heads.groupby("layer")["sink"].mean()
    even = 1 / (SINK_FROM + 1)
    lowest, others = layers[layers.index <= 2], layers[layers.index > 2]
    # that the lowest have none takes their upper limits, that others have one their lower ones
    least, most = (heads.groupby("layer")[f"sink_{end}"].mean() for end in ("low", "high"))
    heavy = least[least.index > 2] > 10 * even
    without = ", ".join(str(layer) for layer in others.index[~heavy])
    half = len(layers) // 2
    is_so = bool((most[most.index <= 2] < even).all())
    verdict: Verdict = "not reproduced" if not is_so else "reproduced" if heavy.all() else "reproduced under conditions"
    return Finding(
        verdict,
        (
            Quantity("mean sink share of layers 1 and 2", float(lowest.mean())),
            Quantity(f"of layers 3 to {half}", float(layers[(layers.index > 2) & (layers.index <= half)].mean())),
            Quantity(f"of layers {half + 1} to {len(layers)}", float(layers[layers.index > half].mean())),
            Quantity("layers above the second with less than ten even shares", int((~heavy).sum())),
            Quantity("layers above the second", len(others)),
        ),
        f"mean over the heads of a layer, {MODEL} on prose; all {len(heads)} heads were measured",
        f"the two lowest layers have none, and the others have them but for layers {without}" if without else "",
    )


def measure_copy_heads_are_few(data: Recordings) -> Finding:
    """Count heads whose copy score is above 0.1."""
    heads = data.table(f"{RECORD}/heads.csv")
    share = float((heads["copy"] > _THRESHOLD).mean())
    least, most = (float((heads[f"copy_{end}"] > _THRESHOLD).mean()) for end in ("low", "high"))
    if least > _FEW:
        reason = "few, but more than 5 %; the work looks at larger models"
    else:
        reason = "" if most < _FEW else "whether they are less than 5 % depends on heads whose interval reaches 0.1"
    return Finding(
        "reproduced" if most < _FEW else "not reproduced",
        (Quantity("heads with a copy score above 0.1", share, least, most, "%"), Quantity("heads", len(heads))),
        f"copy scores on needles in {MODEL}; the limits count the heads whose own interval lies above 0.1, and those "
        "whose interval reaches it",
        reason,
    )


def measure_copy_heads_are_needed(data: Recordings) -> Finding:
    """Compare knocked-out copy heads with random heads."""
    table = data.table(f"{RECORD}/knock_out.csv")
    found = {}
    for kind, count in (("none", 0), ("top", _TOP), ("random", _TOP)):
        row = table[(table["heads"] == kind) & (table["count"] == count)]
        name = "all heads" if kind == "none" else f"without {kind} {count}"
        found[kind] = quantity(row, "needle_exact", f"needles exact, {name}", int(row["needles"].iloc[0]))
    fails = is_below(found["top"], found["random"])
    lost = loss_between("lost without random heads", found["none"], found["random"])
    spares = is_negligible(lost, SHARE)
    return Finding(
        "reproduced" if fails and spares else "reproduced under conditions" if fails else "not reproduced",
        (*found.values(), lost),
        f"heads of the highest copy score put out nothing, or as many others, in {MODEL}; scores come from other "
        "needles in other documents",
        ""
        if spares or not fails
        else f"without the best heads less is retrieved than without random ones; that random ones cost less than "
        f"{100 * SHARE:g} points is not shown with so few needles",
    )


def measure_copy_heads_are_late(data: Recordings) -> Finding:
    """Find the layers of the copy heads."""
    heads = data.table(f"{RECORD}/heads.csv")
    layers, half = int(heads["layer"].max()), int(heads["layer"].max()) // 2
    copying = heads[heads["copy"] > _THRESHOLD]["layer"]
    late = int((copying > half).sum())
    verdict: Verdict = "reproduced" if late == len(copying) else "reproduced under conditions"
    return Finding(
        verdict if late > 0.9 * len(copying) else "not reproduced",
        (
            Quantity("heads that copy from the context", len(copying)),
            Quantity(f"of them in layers {half + 1} to {layers}", late),
            Quantity("lowest layer", int(copying.min())),
        ),
        f"heads of {MODEL} with a copy score above 0.1; the work finds its heads by another score, and the half of it "
        "that concerns memory in the weights is not tested",
        "" if late == len(copying) else f"all but {len(copying) - late}",
    )


def measure_circuits_are_shared(data: Recordings) -> Finding:
    """Compare the best copy heads with the best induction heads."""
    heads = data.table(f"{RECORD}/heads.csv")
    best = [set(heads.nlargest(_TOP, score).index) for score in ("copy", "induction")]
    shared = len(best[0] & best[1])
    # chance of as many heads in common, were they drawn independently
    n = len(heads)
    chance = sum(
        math.comb(_TOP, k) * math.comb(n - _TOP, _TOP - k) / math.comb(n, _TOP) for k in range(shared, _TOP + 1)
    )
    return Finding(
        "reproduced" if chance < 0.025 else "not reproduced",
        (
            Quantity(f"heads in common among the {_TOP} best", shared),
            Quantity("expected of independent tasks", _TOP * _TOP / n),
            Quantity("chance of as many", chance),
        ),
        f"two tasks in {MODEL}: copying a needle out of prose, and repeating random tokens. Both are copying; the "
        "work's two tasks are less alike, and it compares whole circuits",
    )
