"""Sets of runs that this package records: what is trained, from what, on which seeds.

Three lists: those on record; those of equal training, in which every rival gets as many streams as CRAM had; and CRAM
at the size of the paper. A set of the second list is named after its configuration with :data:`EQUAL` behind; where
:data:`FEWEST` of its seeds are on record, it is compared in place of the other. Needs no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STREAMS = 38_400
"""Streams that CRAM was trained on: steps × batch of cram-n256."""

PAPER_STREAMS = 9_600
"""Streams at the paper's size: each has 102 queries in place of 12, so that a pattern is met twice as often in all."""

EQUAL = "-equal"

FEWEST = 3
"""Seeds of a set of equal training from which on it stands for its system."""


@dataclass(frozen=True)
class RunSet:
    """Runs that differ in their seed.

    Attributes
    ----------
    name : str
        Folder, in data/runs or runs.
    config : str
        Configuration that ships with the package.
    seeds : tuple of int
        First and last.
    changes : mapping of str to value
        Settings in place of those of the configuration.
    minutes : float
        CPU minutes that the steps of a seed take, by data/benchmarks/training_speed.csv and paper_size.csv (AMD EPYC);
        NaN where they were not timed.
    """

    name: str
    config: str
    seeds: tuple[int, int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    minutes: float = math.nan

    @property
    def seed_list(self) -> list[int]:
        """All seeds."""
        return list(range(self.seeds[0], self.seeds[1] + 1))

    @property
    def command(self) -> str:
        """The command that makes the set.

        Examples
        --------
        >>> find_set("mamba-n256").command
        'cogfit theory train mamba-n256 --seeds 11-13 --out runs/mamba-n256'
        """
        first, last = self.seeds
        changes = "".join(f" --set {key}={_toml(value)}" for key, value in self.changes.items())
        return f"cogfit theory train {self.config}{changes} --seeds {first}-{last} --out runs/{self.name}"


def _toml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_FREE = {"training.attend_until": 0, "training.costs_from": 0}

RECORDED = (
    RunSet("cram-n256", "cram-n256", (11, 15)),
    RunSet("cram-n256-no-consolidation", "cram-n256-no-consolidation", (11, 15)),
    RunSet("cram-n256-state-router", "cram-n256", (11, 13), {"model.router": "state"}),
    RunSet("cram-n256-costs-from-start", "cram-n256", (11, 12), {**_FREE, "training.steps": 1200}),
    RunSet("cram-n256-fast-consolidation", "cram-n256", (11, 12), {"training.slow_rate": 3e-3}),
    *(
        RunSet(f"{kind}-n256", f"{kind}-n256", (11, 13))
        for kind in ("transformer", "mamba", "jamba", "seqboat", "transmamba", "retention", "fast-weights")
    ),
)
"""Sets on record."""


def _equal(config: str, batch: int, seeds: tuple[int, int], minutes: float, **changes: Any) -> RunSet:
    """A set trained on :data:`STREAMS` streams, measured every 800 of them."""
    settings = {
        "training.steps": STREAMS // batch,
        "training.evaluate_every": 800 // batch,
        "training.evaluation_streams": 128,
        "training.log_every": 10,
        "training.routing_every": 10,
        "model.compute": "fast",
    }
    return RunSet(config + EQUAL, config, seeds, settings | changes, minutes)


def _variant(config: str, name: str, batch: int, minutes: float, changes: Mapping[str, Any]) -> RunSet:
    """A configuration with something changed, trained alike."""
    base = _equal(config, batch, (11, 13), minutes, **changes)
    return RunSet(f"{config}-{name}{EQUAL}", config, base.seeds, base.changes, minutes)


EQUAL_TRAINING = (
    _equal("mamba-n256", 8, (11, 15), 4.1),
    _equal("seqboat-n256", 8, (11, 15), 7.6),
    _equal("transmamba-n256", 8, (11, 15), 6.4),
    _equal("transformer-n256", 16, (11, 15), 3.0),
    _equal("retention-n256", 8, (11, 13), 4.6),
    _variant("cram-n256", "no-router", 16, math.nan, {"model.router": "none"}),
    _variant("cram-n256", "no-ode", 16, math.nan, {"model.euler_steps": 0}),
    _equal("cram-n256-no-consolidation", 16, (11, 13), math.nan),
    _variant("cram-n256", "fast-consolidation", 16, 1.9, {"training.slow_rate": 3e-3}),
    _equal("jamba-n256", 8, (11, 13), 17.7),
    _equal("fast-weights-n256", 8, (11, 13), math.nan),
    _variant("mamba-n256", "state-4", 8, math.nan, {"model.state": 4}),
    _variant("mamba-n256", "state-64", 8, math.nan, {"model.state": 64}),
    _variant("mamba-n256", "width-128", 8, math.nan, {"model.d_model": 128}),
)
"""Sets of equal training, the most wanted first: rivals, ablations of CRAM, and recall against state and width."""


def _printed(name: str, minutes: float, changes: Mapping[str, Any]) -> RunSet:
    """CRAM at the paper's size, on :data:`PAPER_STREAMS` streams, in as many updates as cram-n256 has."""
    settings = {
        "training.batch": 4,
        "training.steps": PAPER_STREAMS // 4,
        "training.evaluation_streams": 16,
        "training.final_streams": 256,
        "training.log_every": 10,
        "training.routing_every": 10,
        "model.compute": "fast",
    }
    return RunSet(f"cram-n2048{name}", "cram", (11, 11), settings | dict(changes), minutes)


PAPER_SIZE = (
    _printed("", 23.7, {}),
    _printed("-least-novel", 28.6, {"model.evict": "least_novel"}),
    _printed("-capacity-128", 24.5, {"model.capacity": 128}),
    _printed("-temperature-0.5", 23.7, {"model.temperature": 0.5}),
    _printed("-sigma-0.25", 23.7, {"model.sigma": 0.25}),
)
"""CRAM as printed: N = 2048, bounded buffer, novelty write, rank d/16; then one thing varied at a time."""


def find_set(name: str) -> RunSet:
    """A set by its name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {item.name: item for item in (*RECORDED, *EQUAL_TRAINING, *PAPER_SIZE)}[name]
