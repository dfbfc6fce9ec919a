"""Where CRAM here departs from CRAM as printed (arXiv 2602.12204), and what stands for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Departure:
    """One part of the model.

    Attributes
    ----------
    part : str
        With its equation in the paper.
    printed : str
        What the paper says, or that it says nothing.
    recorded : str
        In the recorded runs of cram-n256.
    at_size : str
        In the configuration of the paper's size, ``cram``: the setting that makes it so, or what is missing.
    """

    part: str
    printed: str
    recorded: str
    at_size: str


DEPARTURES = (
    Departure(
        "length N",
        "2048, 102 queries",
        "256, 12 queries",
        "2048 (`data.length`)",
    ),
    Departure(
        "layers, width, heads",
        "not given in the parts that are published",
        "1 layer, d = 64, 1 head",
        "2 layers, d = 64, 1 head (`model.layers`, `d_model`, `heads`)",
    ),
    Departure(
        "working memory (Eq. 2)",
        "K Euler steps from h^(0), which is not given",
        "K = 2, Δt = 0.5, from 0: no state from token to token",
        "the same (`euler_steps`; 0: no ODE)",
    ),
    Departure(
        "episodic buffer (Eq. 3): size M",
        "bounded, M not given",
        "no bound",
        "512 (`capacity`)",
    ),
    Departure(
        "what is written",
        "events of high novelty; the measure is not given",
        "every token",
        'tokens farther from the moving average of states than novelty is on average (`write = "novel"`)',
    ),
    Departure(
        "what is evicted",
        "not given; c_i is stored with each entry and not explained",
        "nothing",
        "the oldest, or the least novel (`evict`); there is no c_i",
    ),
    Departure(
        "semantic memory (Eq. 4): rank",
        "d/16",
        "256, several units a pattern (d/16 is 4)",
        "d/16 (`semantic_rank` unset)",
    ),
    Departure(
        "quality (Eqs. 6, 7)",
        "from the retrieved row, which attention would have to compute first",
        "q̂, predicted from the cue",
        "the same",
    ),
    Departure(
        "norms in Eqs. 5 and 6",
        "‖·‖²",
        "divided by d; σ = 0.5",
        "the same (`sigma`)",
    ),
    Departure(
        "router (Eq. 7)",
        "every token, Gumbel-Softmax; temperature not given",
        "the same, temperature 1",
        'the same (`temperature`; `routes = "queries"` routes queries only, which the paper does not)',
    ),
    Departure(
        "loss (Eq. 8)",
        "λ_E, λ_S, γ_loss not given",
        "costs per query, λ = 0.35, from step 400, after a warm-up in which every token attends",
        "the same (`lambda_episodic`, `lambda_semantic`, `training.costs_from`, `attend_until`)",
    ),
    Departure(
        "what learns from what",
        "not said",
        "semantic memory and q̂ from Eq. 5 and its like alone, at a slower rate",
        "the same (`semantic_from_task`, `training.slow_rate`)",
    ),
    Departure(
        "training",
        "more than 10,000 steps, batch and rate not given; the drop is at step 3,100",
        "2,400 steps of 16 streams, AdamW",
        "2,400 steps of 4 streams, AdamW",
    ),
)
"""In the order of the paper."""
