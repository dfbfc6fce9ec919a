"""Streams whose values change, as T9 assumes, and what policies pay on them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from cogfit.errors import InputError
from theory.bounds.t9_drift import queried_epochs
from theory.policies import find
from theory.policies.classify import Memory, Traits
from theory.policies.limits import compare, epoch_excess
from theory.policies.policy import Policy, play
from theory.policies.streams import LAWS, Array, Setting, Streams, first_queries, independent
from theory.policies.study import study
from theory.tasks.srcd import BINDING, QUERY

SMALL = Setting(length=96, patterns=24, interval=20)
BEFORE = {"mix": 2512768099, "independent": 1643172372, "recurrent": 1167888655}


def draw(law: str, rate: float, size: int = 8, seed: int = 0, setting: Setting = SMALL) -> Streams:
    return LAWS[law](replace(setting, redraw=rate), np.random.default_rng(seed), size)


# ----------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("law", LAWS)
def test_values_that_stay_are_drawn_as_before(law: str) -> None:
    """Streams that were recorded before values could change."""
    streams = LAWS[law](SMALL, np.random.default_rng(3), 5)
    parts = (streams.kind, streams.key, streams.value, streams.answer)
    assert zlib.crc32(b"".join(part.astype("<i8").tobytes() for part in parts)) == BEFORE[law]
    assert streams.drift is None


@pytest.mark.parametrize("law", LAWS)
def test_only_values_change(law: str) -> None:
    still, moving = draw(law, 0.0), draw(law, 0.2)
    for name in ("kind", "key", "local"):
        assert np.array_equal(getattr(still, name), getattr(moving, name))
    for name in ("value", "answer"):  # shown and asked for at the same places
        assert np.array_equal(getattr(still, name) > 0, getattr(moving, name) > 0)
    assert (still.answer != moving.answer).any()


@pytest.mark.parametrize("law", LAWS)
def test_what_is_shown_and_asked_for_is_the_value_of_the_moment(law: str) -> None:
    streams = draw(law, 0.1)
    assert streams.drift is not None
    assert not streams.drift.redrawn[:, 0].any()
    for b, t in np.argwhere(streams.key > 0).tolist():
        now = streams.drift.value[b, t, streams.key[b, t]]
        assert {int(x[b, t]) for x in (streams.value, streams.answer) if x[b, t]} == {now}
    stays = ~streams.drift.redrawn[:, 1:]
    assert np.array_equal(streams.drift.value[:, 1:][stays], streams.drift.value[:, :-1][stays])


@pytest.mark.parametrize("rate", [0.03, 0.3])
def test_redraws_are_what_the_theorem_assumes(rate: float) -> None:
    """Rate, new values, and independence of queries, of each other, in time, and of the values."""
    streams = draw("independent", rate, size=60, seed=2)
    assert streams.drift is not None
    drawn, value = streams.drift.redrawn[:, 1:, 1:], streams.drift.value[:, :, 1:]
    assert abs(drawn.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / drawn.size)
    old, new = value[:, :-1][drawn], value[:, 1:][drawn]
    counts = np.zeros((16, 16))
    np.add.at(counts, (old - 1, new - 1), 1)
    assert stats.chisquare(counts.sum(0)).pvalue > 1e-3
    assert (old == new).mean() == pytest.approx(1 / 16, abs=4 * np.sqrt(1 / 16 / old.size))
    asked = np.zeros_like(drawn)
    stream, token = np.nonzero(streams.kind[:, 1:] == QUERY)
    asked[stream, token, streams.key[:, 1:][stream, token] - 1] = True
    pairs = [(drawn[:, 1:], drawn[:, :-1]), (drawn[..., 1:], drawn[..., :-1]), (drawn[1:], drawn[:-1]), (drawn, asked)]
    for one, two in [*pairs, (drawn, value[:, :-1])]:
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def test_epochs_are_counted_one_by_one_and_as_often_as_the_theorem_says() -> None:
    rate, streams = 0.05, draw("independent", 0.05, size=400, seed=1, setting=replace(SMALL, values=4))
    assert streams.drift is not None
    assert streams.law is not None
    first, untold = first_queries(streams)
    for b in range(20):
        asked: set[int] = set()
        told: set[int] = set()
        for t in range(streams.length):
            gone = set(np.flatnonzero(streams.drift.redrawn[b, t]).tolist())
            asked, told, key = asked - gone, told - gone, int(streams.key[b, t])
            if streams.kind[b, t] == QUERY:
                assert first[b, t] == (key not in asked)
                assert untold[b, t] == (key not in asked and key not in told)
                asked.add(key)
            elif streams.kind[b, t] == BINDING:
                told.add(key)
    # queries come after the header, at twice the share of the setting
    q, steps = [0.25 * p for p in streams.law], streams.length - SMALL.patterns
    expected = sum(float(queried_epochs(one, rate, steps)) for one in q)
    per_stream = first.sum(1)
    assert abs(per_stream.mean() - expected) < 4 * per_stream.std() / 20


def test_a_label_is_what_was_right_when_it_was_shown() -> None:
    streams = draw("independent", 0.1).labelled()
    assert np.array_equal(streams.value[streams.kind == QUERY], streams.answer[streams.kind == QUERY])
    first, untold = first_queries(streams)
    assert (untold <= first).all()
    assert untold.any()


def test_interventions_ask_for_values_that_stay() -> None:
    streams = draw("mix", 0.1)
    assert streams.chosen(np.array([1, 3])).drift is not None
    for change in (
        lambda: streams.followed_by(streams, 20),
        lambda: streams.revalued(streams.key[:, 5], streams.key[:, 5]),
        lambda: Streams.together([streams, streams]),
    ):
        with pytest.raises(InputError, match="redraw=0"):
            change()
    with pytest.raises(InputError, match="use 0 to 1"):
        Setting(redraw=1.5)


# ---------------------------------------------------------------------------------------------------------- policies


@pytest.mark.parametrize("law", LAWS)
def test_attention_reads_what_is_bound_now(law: str) -> None:
    """Full attention is right at every query, whatever has changed; a state that keeps what it was shown is not."""
    streams, training = draw(law, 0.2, size=12), draw(law, 0.2, seed=1)
    full = play(find("full").policy(), streams, 24, training=training)
    assert not full.wrong.any()
    assert np.array_equal(full.read, full.query)
    state = play(find("sparsey").policy(), streams, 48, training=training)
    still = play(find("sparsey").policy(), draw(law, 0.0, size=12), 48, training=draw(law, 0.0, seed=1))
    assert still.per_query(still.wrong).mean() < 0.2 < state.per_query(state.wrong).mean()


def test_consolidation_without_a_sense_of_age_goes_on_paying() -> None:
    setting = replace(Setting(), redraw=0.03)
    streams, training = (independent(setting, np.random.default_rng(seed), 20) for seed in (0, 1))
    played = play(find("cram").policy(), streams, 64, training=training)
    early, late = played.query[:, :152], played.query[:, 152:]
    errors = [(played.wrong & ~played.read)[:, part][asked].mean()
              for part, asked in ((slice(0, 152), early), (slice(152, None), late))]  # fmt: skip
    assert 0.1 < errors[0] < errors[1]
    still = play(find("cram").policy(), draw("independent", 0.0, 20, setting=Setting()), 64, training=training)
    assert (still.wrong & ~still.read).sum() <= 0.01 * still.query.sum()


def of_memory(memory: Memory) -> Traits:
    """Traits of a policy whose state learns from this; nothing else matters to T9."""
    flags = dict.fromkeys(("by_position", "by_query", "by_history", "by_values", "by_head", "on_schedule"), False)
    return Traits(**flags, rows="always", memory=memory, declared=True, labels=True, drops=True)


@pytest.mark.parametrize(
    ("name", "memory"),
    [("streaming", "none"), ("cram", "attention"), ("lightning", "tokens"), ("dynamic-mask", "selection")],
)
def test_no_policy_is_below_what_changing_values_cost(name: str, memory: Memory) -> None:
    """One of each kind of memory; the study plays all of them."""
    for rate, labelled in ((0.01, False), (0.01, True), (0.3, False)):
        streams, training = draw("independent", rate, 40, 5), draw("independent", rate, 8, 6)
        if labelled:
            streams, training = streams.labelled(), training.labelled()
        played = play(find(name).policy(), streams, 24, training=training)
        found = compare(played, streams, of_memory(memory))
        assert found[-1].theorem == "T9"
        assert not any(one.beaten for one in found), (rate, labelled, found)
        assert epoch_excess(played, streams, of_memory(memory)).mean() == pytest.approx(found[-1].excess)


def test_a_policy_that_is_told_is_found_below() -> None:
    """The control: a memory that somebody brings up to date is below the bound, and the comparison says so."""
    streams = draw("independent", 0.1, 40, 5)

    @dataclass
    class Told(Policy):
        def recall(self, t: int) -> Array:
            return np.concatenate([np.zeros_like(self.seen.codes[:1]), self.seen.codes])[streams.answer[:, t]]

    played = play(Told(), streams, 24, training=streams)
    assert not played.wrong.any()
    (t9,) = [one for one in compare(played, streams, of_memory("attention")) if one.theorem == "T9"]
    assert t9.beaten


@pytest.mark.slow
def test_a_study_may_let_values_change() -> None:
    found = study(replace(SMALL, redraw=0.1), policies=["h2o"], laws=["mix", "independent"], budgets=[0.25], streams=8)
    assert [cell.comparisons[-1].theorem for cell in found.cells] == ["T9", "T9"]
    assert not found.beaten
