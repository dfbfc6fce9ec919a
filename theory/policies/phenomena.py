"""Check in numbers what sources say of their policies.

Where a retrieval stream can show it.

Each check plays the policy against the one it is said to improve on, on the same streams; differences are paired by
stream. ``shown`` is a 95 % interval above zero (or above minus a margin, where a policy is said to lose nothing).
``shown in part`` stands where several rivals or budgets are compared and not all show it. ``not shown`` may mean that
these streams cannot show it: neighbours are no more alike than other tokens, so what rests on locality is not tested
here. ``not testable`` stands where the part that is said to help has no way to change an answer on these streams.

Against a window or full attention, eviction is judged on keys that recur at intervals, what routes by content on SRCD,
associative recall where all bindings come first. What the sources say beyond these streams is in
:mod:`theory.phenomena`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from cogfit.records.codec import Document, wire
from theory.policies import find
from theory.policies.limits import Mean, mean_of, traffic
from theory.policies.policy import LEAST_SIGNAL, Played
from theory.policies.sample import Sample
from theory.policies.streams import HEADS, Array, Law, Setting, Streams, independent, mix, recurrent
from theory.tasks.srcd import BINDING

_STREAMS, _TRAINING = 24, 16

MARGIN = 0.02
"""Accuracies that are nearer than this count as the same."""

SEVERAL = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 1 / 2)
"""Budgets of a check whose outcome depends on the budget, as shares of the stream."""

BY_ATTENTION = ("h2o", "a2sf")
"""Policies that evict by attention in the past, but for LazyEviction itself."""

Ruled = Literal["shown", "shown in part", "not shown", "reversed", "not testable"]


@dataclass(frozen=True)
class Phenomenon(Document):
    """A qualitative claim and what the streams show.

    Attributes
    ----------
    policy : str
    claim : str
    verdict : {"shown", "shown in part", "not shown", "reversed", "not testable"}
    difference : Mean
        What is claimed to be positive; the mean over all cases, where there are several.
    numbers : Mapping
        What it is made of.
    cases : Mapping
        The difference in each of several comparisons that the verdict rests on; empty where it rests on one.
    reason : str
        Why the verdict is not a plain one; empty where the numbers say it.
    """

    policy: str
    claim: str
    verdict: Ruled
    difference: Mean
    numbers: Mapping[str, float]
    cases: Mapping[str, Mean] = field(default_factory=dict, metadata=wire(omit=True))
    reason: str = field(default="", metadata=wire(omit=True))


def phenomena(setting: Setting | None = None, seed: int = 0) -> tuple[Phenomenon, ...]:
    """All checks.

    Parameters
    ----------
    setting : Setting, optional
    seed : int
    """
    setting = Setting() if setting is None else setting
    return tuple(check(setting, seed) for check in CHECKS)


def forgetting_evens_out_ages(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare the ages that A2SF keeps, with and without forgetting.

    Without forgetting old tokens, which had longer to accumulate attention, crowd out the young ones. Measured on SRCD
    streams as the distance between the mean relative position of the tokens in the cache at the end and 1/2, at α = 1
    less that at the default α.
    """
    sample = _sample(setting, seed, mix)
    share = {alpha: _position(_play(sample, "a2sf", 1 / 4, alpha=alpha)) for alpha in (1.0, 0.97)}
    return _ruled(
        "a2sf",
        "a forgetting factor evens out the ages of the tokens in the cache",
        np.abs(share[1.0] - 0.5) - np.abs(share[0.97] - 0.5),
        {
            "mean relative position, α = 1": float(share[1.0].mean()),
            "mean relative position, α = 0.97": float(share[0.97].mean()),
        },
    )


def lagged_eviction_keeps_recurring_tokens(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare LazyEviction with a window on recurring keys.

    Recurring tokens survive that eviction at every step by recency loses. Measured on keys that recur at intervals, as
    the share of their queries that are read, against a window of the same size, a quarter of the stream.
    """
    sample = _sample(setting, seed, recurrent)
    read = {name: _read(_play(sample, name, 1 / 4)) for name in ("lazy-eviction", "streaming", "h2o", "a2sf")}
    return _ruled(
        "lazy-eviction",
        "lagged eviction by recurrence intervals keeps recurring tokens (against a window)",
        read["lazy-eviction"] - read["streaming"],
        {f"queries read, {name}": float(x.mean()) for name, x in read.items()},
    )


def the_lag_itself_helps(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare LazyEviction with and without its observation window.

    The same rule in the same cache; without the window something is evicted at every token. The window has a price: the
    cache is filled only in part after an eviction. Measured as the share of the queries that are read, in caches of a
    sixteenth, an eighth, three sixteenths, a quarter and a half of the stream.
    """
    sample = _sample(setting, seed, recurrent)
    read = {
        (name, share): _read(_play(sample, "lazy-eviction", share, window=window))
        for share in SEVERAL
        for name, window in (("window 1/4 of the cache", 0.25), ("no window", 0.0))
    }
    return over_cases(
        "lazy-eviction",
        "the lag itself helps, not only the recurrence intervals",
        {
            ("the same without a window", share): read["window 1/4 of the cache", share] - read["no window", share]
            for share in SEVERAL
        },
        {f"queries read, {name}, {_budget(share)}": float(x.mean()) for (name, share), x in read.items()},
    )


def lagged_eviction_beats_accumulated_attention(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare LazyEviction with the others that evict by attention.

    H2O accumulates attention and A2SF does so with forgetting, on the same streams of recurring keys and in the same
    caches: a sixteenth, an eighth, three sixteenths, a quarter and a half of the stream. Measured as the share of the
    queries that are read.
    """
    sample = _sample(setting, seed, recurrent)
    names = ("lazy-eviction", *BY_ATTENTION)
    read = {(name, share): _read(_play(sample, name, share)) for name in names for share in SEVERAL}
    return over_cases(
        "lazy-eviction",
        "lagged eviction keeps more recurring tokens than accumulated attention",
        {
            (rival, share): read["lazy-eviction", share] - read[rival, share]
            for rival in BY_ATTENTION
            for share in SEVERAL
        },
        {f"queries read, {name}, {_budget(share)}": float(x.mean()) for (name, share), x in read.items()},
    )


def static_heads_fail_moving_demand(setting: Setting, seed: int = 0) -> Phenomenon:
    """Move the demand from head to head under DuoAttention.

    Heads chosen once serve a demand that stays; routing by token (MoH) serves one that moves, too. In each stream all
    recurring keys belong to one head. Demand stays: the same head in all streams; it moves: another one in each.
    Measured as accuracy of DuoAttention, on demand that stays less demand that moves.
    """
    stays = _sample(setting, seed, lambda *a: _one_head(*a, moving=False))
    moves = _sample(setting, seed, lambda *a: _one_head(*a, moving=True))
    accuracy = {
        "DuoAttention, demand stays": _right(_play(stays, "duo", 1 / 4)),
        "DuoAttention, demand moves": _right(_play(moves, "duo", 1 / 4)),
        "Mixture-of-Head, demand moves": _right(_play(moves, "moh", 1 / 8)),
    }
    first, second, _ = accuracy.values()
    size = min(len(first), len(second))
    return _ruled(
        "duo",
        "heads that are chosen once do not follow a demand that moves",
        first[:size] - second[:size],
        {f"accuracy, {name}": float(x.mean()) for name, x in accuracy.items()},
    )


def state_size_dials_recall(setting: Setting, seed: int = 0) -> Phenomenon:
    """Vary the size of the state of BASED.

    Measured without its window, at 32 features less 4.
    """
    sample = _sample(setting, seed, independent)
    right = {width: _right(_play(sample, "based", width / setting.length, window=0.0)) for width in (4, 8, 16, 32)}
    return _ruled(
        "based",
        "the size of the state dials recall",
        right[32] - right[4],
        {f"accuracy, {width} features": float(x.mean()) for width, x in right.items()},
    )


def consolidation_frees_attention(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare the attention of CRAM early and late in streams.

    Measured on keys that recur at intervals: the share of the queries at which attention runs.
    """
    sample = _sample(setting, seed, recurrent)
    played = _play(sample, "cram", 1 / 4)
    half = setting.length // 2
    parts = []
    for part in (slice(0, half), slice(half, None)):
        asked = played.query[:, part]
        parts.append(((played.rows[:, part] > 0) & asked).sum(1) / np.maximum(asked.sum(1), 1))
    return _ruled(
        "cram",
        "consolidation frees attention: fewer queries are attended later in a stream",
        parts[0] - parts[1],
        {
            "queries attended, first half": float(parts[0].mean()),
            "queries attended, second half": float(parts[1].mean()),
            "accuracy": float(_right(played).mean()),
        },
    )


def a_robust_bias_resists_outliers(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare two biases of MIRAS where values are outliers.

    A bias that grows slower than the square protects a memory from them. On SRCD streams the values of a quarter of the
    novel bindings are shown ten times too large. Measured as the accuracy that is lost to them, over the queries for
    recurring keys: with L2 less with Huber's bias, both with L2 decay.
    """
    sample = _sample(setting, seed, mix)
    streams = sample.streams
    is_novel = (streams.kind == BINDING) & (streams.key > setting.patterns)
    size = np.where(is_novel & (streams.key % 4 == 0), 10, 1)[:, :, None]
    shaken = replace(sample, seen=replace(sample.seen, value=(sample.seen.value * size).astype(np.float32)))
    lost: dict[str, Array] = {}
    accuracy: dict[str, Array] = {}
    for bias in ("l2", "huber"):
        parts = []
        for place in (sample, shaken):
            played = _play(place, "miras", 1 / 4, bias=bias)
            asked = played.query & (streams.key <= setting.patterns)
            parts.append(((asked & ~played.wrong).sum(1) / np.maximum(asked.sum(1), 1))[asked.any(1)])
        lost[bias] = parts[0] - parts[1]
        accuracy |= {f"{bias}, as shown": parts[0], f"{bias}, with outliers": parts[1]}
    return _ruled(
        "miras",
        "Huber's bias loses less to outliers than L2",
        lost["l2"] - lost["huber"],
        {f"accuracy, {name}": float(x.mean()) for name, x in accuracy.items()},
    )


def one_trial_is_enough(setting: Setting, seed: int = 0) -> Phenomenon:
    """Count what Sparsey recalls after one presentation.

    A single presentation is stored, and the more of them, the more bits the memory has. All bindings are shown once,
    then asked for uniformly. Measured as accuracy at 64 cells less 16. What is recalled holds K·(log₂V − h(ε) −
    ε·log₂(V − 1)) bits at an error rate ε; T2 says that this is at most the bits of the state.
    """
    sample = _sample(replace(setting, zipf=0.0), seed, independent)
    right: dict[int, Array] = {}
    numbers: dict[str, float] = {}
    for cells in (16, 32, 64):
        played = _play(sample, "sparsey", cells / setting.length)
        right[cells] = _right(played)
        recalled = setting.patterns * information(1 - float(right[cells].mean()), setting.values)
        numbers |= {
            f"accuracy, {cells} cells": float(right[cells].mean()),
            f"bits recalled, {cells} cells": recalled,
            f"bits of the state, {cells} cells": played.memory_bits,
        }
    return _ruled("sparsey", "one presentation is stored, more of them in more bits", right[64] - right[16], numbers)


def heavy_hitters_outlive_a_window(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare H2O with a window on recurring keys.

    Few tokens get most of the attention, and to keep them keeps what is asked for. Measured as accuracy, in a cache of
    a quarter of the stream.
    """
    return _against_window("h2o", "keeping heavy hitters answers more than a window", setting, seed, recurrent, 1 / 4)


def surprising_tokens_outlive_a_window(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare SirLLM with a window on recurring keys.

    Tokens of high entropy are kept. Measured as accuracy, in a cache of a quarter of the stream.
    """
    return _against_window(
        "sirllm", "keeping what surprised answers more than a window", setting, seed, recurrent, 1 / 4
    )


def a_compensation_token_recovers_what_was_dropped(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare RazorAttention with the same split without compensation.

    DuoAttention has the same heads and no token for what is dropped. Measured as accuracy on SRCD streams, at a quarter
    of the stream. The token contributes what it adds to the evidence for a value at a query, at most.
    """
    sample = _sample(setting, seed, mix)
    razor, duo = (sample.play(find(name).policy(), 1 / 4, record=True) for name in ("razor", "duo"))
    # both attend to the same tokens, so that their evidence differs by what the compensation tokens give
    given = np.abs(_evidence(razor) - _evidence(duo))
    most = float(given[razor.query.T].max(initial=0.0))
    ruled = _ruled(
        "razor",
        "a compensation token recovers what the other heads drop",
        _right(razor) - _right(duo),
        {
            "largest contribution of the token": most,
            "least evidence that counts": LEAST_SIGNAL,
            "accuracy, with the token": float(_right(razor).mean()),
            "accuracy, without (duo)": float(_right(duo).mean()),
        },
    )
    if most > LEAST_SIGNAL:
        return ruled
    return replace(
        ruled,
        verdict="not testable",
        reason="a mean of many keys does not match a query of these streams, whose keys are drawn independently: below "
        f"the threshold of a match its token contributes {most:.2g} at most, where evidence up to {LEAST_SIGNAL:g} "
        "counts as none, so that the difference cannot be other than zero",
    )


def clusters_beat_a_window(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare the Routing Transformer with a window.

    Both attend to a quarter of the stream at most. Measured as accuracy on SRCD streams; the vectors were not trained
    to cluster.
    """
    claim = "attending within a query's cluster answers more than a window"
    return _against_window("routing-transformer", claim, setting, seed, mix, 1 / 4)


def hash_buckets_beat_a_window(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare hash buckets with a window of their budget.

    Both attend to a quarter of the stream at most. Measured as accuracy on SRCD streams, where queries repeat keys. Of
    Think-in-Memory the hashing alone is tested: what it stores are thoughts that a language model makes of its answers,
    and neither these nor their merging and dropping are here.
    """
    claim = "attending within a query's hash bucket answers more than a window"
    return _against_window("think-in-memory", claim, setting, seed, mix, 1 / 4)


def landmarks_find_the_block(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Landmark Attention with attention to all.

    Measured as accuracy on SRCD streams, at an eighth of the stream. The policy reads a coordinate that marks bindings.
    """
    return _comparable("landmark", "blocks chosen by landmarks lose nothing", setting, seed, 1 / 8)


def tree_search_loses_little(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare HiP with attention to all.

    Measured as accuracy on SRCD streams, at a quarter of the stream. Its search rests on the likeness of neighbours,
    which these streams do not have.
    """
    return _comparable("hip", "hierarchical pruning loses nothing", setting, seed, 1 / 4)


def a_content_mask_beats_a_window(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Dynamic Mask Attention with a window on associative recall.

    All bindings come first and many queries follow, as in the paper's task. Measured as accuracy, at an eighth of the
    stream. The mask is calibrated on streams whose queries are marked.
    """
    claim = "a mask by content answers more than a window"
    return _against_window("dynamic-mask", claim, setting, seed, independent, 1 / 8)


def summaries_lead_to_distant_chunks(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare HCAM with a window of its budget.

    Measured as accuracy on SRCD streams, at a quarter of the stream.
    """
    claim = "attending to chunks by their summaries answers more than a window"
    return _against_window("hcam", claim, setting, seed, mix, 1 / 4)


def a_linear_state_costs_the_same_at_any_length(setting: Setting, seed: int = 0) -> Phenomenon:
    """Double the streams under linear and full attention.

    Counted in bytes read per token, at a state of the same size: by how much more full attention grows than Lightning
    attention, as factors. The interval is none: bytes follow from lengths and widths. Where Lightning attention grows
    by the margin or more, nothing is shown.
    """
    growth, numbers = {}, {}
    for name in ("full", "lightning"):
        read = []
        for factor in (1, 2):
            sample = _sample(replace(setting, length=factor * setting.length), seed, mix)
            played = _play(sample, name, 1 / 4 / factor)
            _, heads, _ = sample.seen.shape
            read.append(traffic(played, heads, sample.seen.key.shape[3], sample.seen.value.shape[2]).total)
            numbers[f"bytes read per token, {name}, {factor * setting.length} tokens"] = read[-1]
        growth[name] = read[1] / read[0]
    difference = np.full(_STREAMS, growth["full"] - growth["lightning"])
    ruled = _ruled("lightning", "cost per token does not grow with length", difference, numbers)
    return ruled if growth["lightning"] < 1 + MARGIN else replace(ruled, verdict="not shown")


def a_recurrence_answers_as_attention_does(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Aaren with attention to all.

    Measured as accuracy on SRCD streams, with a state of a quarter of the stream. Its queries are learned once, not
    given by each token, and these streams ask for one token among all.
    """
    return _comparable("aaren", "attention as a recurrence does as well as attention", setting, seed, 1 / 4)


def surprise_beats_decay_among_novel_keys(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Titans with a linear memory on SRCD.

    Lightning attention writes everything and decays; its state has half the bits. Measured as accuracy, at a width of a
    quarter of the stream.
    """
    return _surprise(setting, seed, mix, "SRCD")


def surprise_beats_decay_where_all_is_asked_for(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Titans with a linear memory on independent queries.

    As on SRCD, but all bindings come first and are asked for independently, so that nothing is there to be forgotten.
    """
    return _surprise(setting, seed, independent, "independent queries")


def a_quarter_of_the_heads_is_enough(setting: Setting, seed: int = 0) -> Phenomenon:
    """Compare Mixture-of-Head with all heads.

    One head in four runs at each token. Measured as accuracy on SRCD streams, where each key belongs to one head and
    query vectors were made for the router.
    """
    return _comparable("moh", "the heads that a router chooses do as well as all", setting, seed, 1 / 8)


def information(error: float, values: int) -> float:
    """Bits per answer at an error rate.

    Of a value that is uniform; 0 at chance and worse.

    Examples
    --------
    >>> information(0.0, 16), information(15 / 16, 16), round(information(0.5, 2), 3)
    (4.0, 0.0, 0.0)
    """
    if error >= 1 - 1 / values:
        return 0.0
    wrong = error * math.log2(error / (values - 1)) if error > 0 else 0.0
    return math.log2(values) + wrong + (1 - error) * math.log2(1 - error)


CHECKS: tuple[Callable[[Setting, int], Phenomenon], ...] = (
    forgetting_evens_out_ages,
    lagged_eviction_keeps_recurring_tokens,
    the_lag_itself_helps,
    lagged_eviction_beats_accumulated_attention,
    static_heads_fail_moving_demand,
    state_size_dials_recall,
    consolidation_frees_attention,
    a_robust_bias_resists_outliers,
    one_trial_is_enough,
    heavy_hitters_outlive_a_window,
    surprising_tokens_outlive_a_window,
    a_compensation_token_recovers_what_was_dropped,
    clusters_beat_a_window,
    hash_buckets_beat_a_window,
    landmarks_find_the_block,
    tree_search_loses_little,
    a_content_mask_beats_a_window,
    summaries_lead_to_distant_chunks,
    a_linear_state_costs_the_same_at_any_length,
    a_recurrence_answers_as_attention_does,
    surprise_beats_decay_among_novel_keys,
    surprise_beats_decay_where_all_is_asked_for,
    a_quarter_of_the_heads_is_enough,
)
"""One function per claim."""


def _sample(setting: Setting, seed: int, law: Law) -> Sample:
    """Streams for all policies of a check."""
    return Sample.drawn(law, setting, (_STREAMS, _TRAINING), [seed, 5])


def _play(sample: Sample, name: str, share: float, **parameters: float | str) -> Played:
    return sample.play(find(name).policy(**parameters), share)


def _against_window(policy: str, claim: str, setting: Setting, seed: int, law: Law, share: float) -> Phenomenon:
    """Accuracy of a policy less that of a window of its budget."""
    sample = _sample(setting, seed, law)
    own, window = (_right(_play(sample, name, share)) for name in (policy, "streaming"))
    numbers = {f"accuracy, {policy}": float(own.mean()), "accuracy, streaming": float(window.mean())}
    return _ruled(policy, claim, own - window, numbers)


def _comparable(policy: str, claim: str, setting: Setting, seed: int, share: float) -> Phenomenon:
    """Accuracy of a policy less that of attention to all.

    It is shown where the whole interval is above minus the margin, and never reversed: nobody claims the opposite.
    """
    sample = _sample(setting, seed, mix)
    own, full = (_right(_play(sample, name, share)) for name in (policy, "full"))
    difference = mean_of(own - full)
    return Phenomenon(
        policy,
        f"{claim}, within {100 * MARGIN:g} points of attention to all",
        "shown" if difference.low > -MARGIN else "not shown",
        difference,
        {f"accuracy, {policy}": float(own.mean()), "accuracy, full": float(full.mean())},
    )


def _surprise(setting: Setting, seed: int, law: Law, where: str) -> Phenomenon:
    """Accuracy of Titans less that of Lightning attention."""
    sample = _sample(setting, seed, law)
    own, other = (_right(_play(sample, name, 1 / 4)) for name in ("titans", "lightning"))
    numbers = {"accuracy, titans": float(own.mean()), "accuracy, lightning": float(other.mean())}
    return _ruled("titans", f"writing by surprise beats decay alone, on {where}", own - other, numbers)


def _one_head(setting: Setting, rng: np.random.Generator, size: int, *, moving: bool) -> Streams:
    """Recurrent streams whose recurring keys share one head."""
    head = rng.integers(0, HEADS, size) if moving else np.zeros(size, np.int64)
    own = np.arange(setting.patterns // HEADS)
    chosen = rng.random((size, len(own))).argsort(1)[:, : max(1, setting.patterns // 8)]
    return recurrent(setting, rng, size, HEADS * (chosen + 1) + head[:, None] - HEADS * (head[:, None] > 0))


def _position(played: Played) -> Array:
    at = (np.arange(played.held.shape[1]) + 0.5) / played.held.shape[1]
    return np.asarray(played.held @ at / played.held.sum(1))


def _read(played: Played) -> Array:
    return played.per_query(played.read)


def _right(played: Played) -> Array:
    return 1 - played.per_query(played.wrong)


def _evidence(played: Played) -> Array:
    """Evidence for each value at each token."""
    assert played.signal is not None
    return played.signal


def _ruled(policy: str, claim: str, difference: Array, numbers: dict[str, float]) -> Phenomenon:
    mean = mean_of(difference)
    verdict: Ruled = "shown" if mean.low > 0 else "reversed" if mean.high < 0 else "not shown"
    return Phenomenon(policy, claim, verdict, mean, numbers)


def over_cases(
    policy: str, claim: str, differences: Mapping[tuple[str, float], Array], numbers: Mapping[str, float]
) -> Phenomenon:
    """Rule on a claim by several rivals and budgets.

    It is shown where all comparisons show it, and in part where some do, whatever the others show; reversed where some
    show the opposite and none shows it.

    Parameters
    ----------
    policy, claim : str
    differences : Mapping
        Rival and budget -> what is claimed to be positive, by stream; the same streams everywhere.
    numbers : Mapping

    Examples
    --------
    >>> gain = np.array([0.1, 0.2, 0.3])
    >>> found = over_cases("h2o", "it is better", {("a window", 1 / 8): gain, ("a window", 1 / 4): -gain}, {})
    >>> found.verdict, found.reason
    ('not shown', 'not apart from a window at 1/8 and 1/4 of the stream')
    """
    means = {case: mean_of(x) for case, x in differences.items()}
    better = [case for case, mean in means.items() if mean.low > 0]
    worse = [case for case, mean in means.items() if mean.high < 0]
    verdict: Ruled = "reversed" if worse else "not shown"
    if better:
        verdict = "shown" if len(better) == len(means) else "shown in part"
    rest = [case for case in means if case not in (*better, *worse)]
    groups = {"better than": better, "worse than": worse, "not apart from": rest}
    # both ends first: a table shows the beginning of what was found
    ends = [max(means, key=lambda case: means[case].value), min(means, key=lambda case: means[case].value)]
    return Phenomenon(
        policy,
        claim,
        verdict,
        mean_of(np.mean(list(differences.values()), axis=0)),
        numbers,
        {f"{policy} less {case[0]}, {_budget(case[1])}": means[case] for case in dict.fromkeys((*ends, *means))},
        "; ".join(f"{words} {_joined(cases)}" for words, cases in groups.items() if cases),
    )


def _budget(share: float) -> str:
    return f"budget {Fraction(share)}"


def _joined(cases: list[tuple[str, float]]) -> str:
    """Rivals with their budgets, in words."""
    budgets: dict[str, list[str]] = {}
    for rival, share in cases:
        budgets.setdefault(rival, []).append(str(Fraction(share)))
    return ", ".join(f"{rival} at {_and(shares)} of the stream" for rival, shares in budgets.items())


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
