"""Sparsey: codes by familiarity, one-trial writes, and no more information than the state has bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.policies import find
from theory.policies.phenomena import information
from theory.policies.policy import play
from theory.policies.sparse_codes import choose_cells, familiarity
from theory.policies.streams import Setting, independent


@given(seed=st.integers(0, 999), units=st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_a_known_input_gets_its_code_again_and_an_unknown_one_a_random_code(seed: int, units: int) -> None:
    rng = np.random.default_rng(seed)
    code = rng.integers(0, units, 40)
    known = (np.arange(units) == code[:, None]).astype(float)  # all support is at the code
    assert familiarity(known) == 1
    again = choose_cells(np.broadcast_to(known, (50, 40, units)), rng.random((50, 40)))
    # η is 101 K at the code and 1 elsewhere
    assert (again == code).mean() > 0.98
    free = choose_cells(np.zeros((400, 40, units)), rng.random((400, 40)))
    share = np.bincount(free.ravel(), minlength=units) / free.size
    np.testing.assert_allclose(share, 1 / units, atol=5 * np.sqrt(1 / units / free.size))


def test_similar_inputs_get_codes_that_share_cells() -> None:
    """The phenomenon of the paper: similarity of inputs becomes intersection of codes, the more the more alike."""
    rng, units, modules = np.random.default_rng(0), 8, 60
    code = rng.integers(0, units, modules)
    shared = []
    for overlap in (0.2, 0.5, 0.7, 0.9, 1.0):
        support = overlap * (np.arange(units) == code[:, None])
        cells = choose_cells(np.broadcast_to(support, (200, modules, units)), rng.random((200, modules)))
        shared.append(float((cells == code).mean()))
    assert shared == sorted(shared)
    assert shared[0] == pytest.approx(1 / units, abs=0.02)
    assert shared[-1] > 0.98


def test_one_presentation_is_recalled_whatever_comes_later() -> None:
    """Ten bindings, shown once, in a large field: all are recalled at any age; weights never weaken."""
    setting = Setting(length=128, patterns=10, zipf=0.0)
    rng = np.random.default_rng(1)
    streams, training = independent(setting, rng, 8), independent(setting, rng, 8)
    found = play(find("sparsey").policy(), streams, 128, training=training)
    assert not found.wrong.any()
    assert found.memory_bits == 256 * 128 + 128 * 16


@pytest.mark.slow
@pytest.mark.parametrize("cells", [32, 96])
def test_no_more_is_recalled_than_the_state_has_bits(cells: int) -> None:
    """T2 at uniform queries, with a state that is made small."""
    setting = Setting(length=256, patterns=24, zipf=0.0)
    rng = np.random.default_rng(2)
    streams, training = independent(setting, rng, 24), independent(setting, rng, 8)
    for inputs in (48, 192):
        policy = find("sparsey").policy(inputs=inputs, active=6)
        found = play(policy, streams, cells, training=training)
        recalled = 24 * information(float(found.per_query(found.wrong).mean()), 16)
        assert recalled <= found.memory_bits == (inputs + 16) * cells
    assert recalled > 5


def test_values_steer_nothing_but_the_memory() -> None:
    """Random numbers are drawn alike whatever is shown: one value less leaves the codes of the others."""
    setting = Setting(length=96, patterns=24, interval=20)
    streams = independent(setting, np.random.default_rng(4), 6)
    silent = replace(streams, value=np.where(np.arange(96) == 3, 0, streams.value))
    one, other = (play(find("sparsey").policy(), x, 64, training=streams) for x in (streams, silent))
    asked = one.query & (streams.key != streams.key[:, 3][:, None])
    assert (one.answers == other.answers)[asked].mean() > 0.97


@pytest.mark.parametrize("parameters", [{"units": 1}, {"active": 0}, {"active": 300}])
def test_impossible_fields_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(InputError, match="use"):
        find("sparsey").policy(**parameters)
