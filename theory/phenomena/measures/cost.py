"""Statements on what attention costs a machine, as far as they can be tested without that machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theory.ledger.quantities import Quantity
from theory.ledger.recordings import Recordings
from theory.phenomena.records import Finding, Verdict

SHARING = "benchmarks/cost_of_sharing.csv"

Array = NDArray[np.float64]


def measure_bound_by_memory(data: Recordings) -> Finding:
    """Compare attention and a linear layer, decoded together."""
    table = data.table(SHARING)
    most = int(table["sequences"].max())
    shares, counted = {}, {}
    for part in ("attention", "linear"):
        row = table[(table["part"] == part) & (table["sequences"] == most)].iloc[0]
        shares[part], counted[part] = float(row["time_share"]), float(row["operations_per_byte"])
    apart = shares["attention"] > 2 * shares["linear"]
    return Finding(
        "reproduced under conditions" if apart else "not reproduced",
        (
            *(Quantity(f"operations per byte of {part}, {most} sequences", counted[part]) for part in counted),
            *(Quantity(f"time of a token of {part} beside one sequence alone", shares[part]) for part in shares),
        ),
        f"one step of decoding for 1 and {most} sequences on one processor, each with keys and values of its own, "
        "beside a linear layer of the same width; counted, and timed in the same run",
        "sequences that are decoded together share the reading of weights and not of caches; that cheap devices with "
        "much memory pay is a claim on machines side by side, and was not tested"
        if apart
        else "on this processor the time does not follow the counted bytes",
    )


def one_pass(query: Array, keys: Array, values: Array) -> tuple[Array, int]:
    """Attention token by token, each read once.

    Parameters
    ----------
    query : ndarray
        (width,).
    keys, values : ndarray
        (tokens, width).

    Returns
    -------
    ndarray, int
        What attention returns, and how many numbers were kept between two tokens.

    Examples
    --------
    >>> one_pass(np.zeros(2), np.eye(2), np.array([[1.0, 0.0], [3.0, 2.0]]))
    (array([2., 1.]), 4)
    """
    # all that goes from one token to the next: the highest score, the sum of the weights, the weighted sum of values
    state = np.concatenate([[-np.inf, 0.0], np.zeros(values.shape[1])])
    for key, value in zip(keys, values, strict=True):
        score = float(query @ key)
        above = max(state[0], score)
        # what was summed up is scaled to the new maximum
        state[1:] *= np.exp(state[0] - above)
        state[1:] += np.exp(score - above) * np.concatenate([[1.0], value])
        state[0] = above
    return state[2:] / state[1], state.size


def measure_one_pass(data: Recordings) -> Finding:
    """Compare attention in one pass with all scores at once."""
    rng, width = np.random.default_rng(0), 16
    errors, kept = [], {}
    lengths = (16, 128, 1024, 4096)
    for tokens in lengths:
        query, keys, values = 3 * rng.standard_normal(width), *rng.standard_normal((2, tokens, width))
        found, kept[tokens] = one_pass(query, keys, values)
        weights = np.exp(keys @ query - (keys @ query).max())
        errors.append(float(np.abs(found - weights @ values / weights.sum()).max() / np.abs(values).max()))
    same = max(errors) < 1e-12 and len(set(kept.values())) == 1
    verdict: Verdict = "reproduced under conditions" if same else "not reproduced"
    return Finding(
        verdict,
        (
            Quantity(f"numbers kept between two tokens, {lengths[0]} tokens", kept[lengths[0]]),
            Quantity(f"of {lengths[-1]:,} tokens", kept[lengths[-1]]),
            Quantity(f"scores that are kept where all are there at once, {lengths[-1]:,} tokens", lengths[-1]),
            Quantity("largest difference", max(errors)),
        ),
        "a head of width 16 that reads its tokens once, with a running maximum, against the softmax of all scores, in "
        "double precision",
        "the pass and its buffer; that an accelerator stays busy needs the simulated one of the work",
    )
