"""Sets of runs that this package records: what is trained, from what, on which seeds.

Two lists: those on record, and those of equal training, in which every rival gets as many streams as CRAM had. A set of
the second list is named after its configuration with :data:`EQUAL` behind; where it is on record, it is compared in
place of the other. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STREAMS = 38_400
"""Streams that CRAM was trained on: steps × batch of cram-n256."""

EQUAL = "-equal"


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
        CPU minutes a seed, measured once (AMD EPYC, 2026-11-29); NaN where it was not.
    """

    name: str
    config: str
    seeds: tuple[int, int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    minutes: float = float("nan")

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


def _ablation(name: str, minutes: float, changes: Mapping[str, Any]) -> RunSet:
    """CRAM with a part taken away, trained alike."""
    base = _equal("cram-n256", 16, (11, 13), minutes, **changes)
    return RunSet(f"cram-n256-{name}{EQUAL}", "cram-n256", base.seeds, base.changes, minutes)


EQUAL_TRAINING = (
    _equal("mamba-n256", 8, (11, 15), 4.4),
    _equal("seqboat-n256", 8, (11, 15), 7.0),
    _equal("transmamba-n256", 8, (11, 15), 6.8),
    _equal("transformer-n256", 16, (11, 15), 3.1),
    _equal("retention-n256", 8, (11, 13), 4.0),
    _ablation("no-router", 2.5, {"model.router": "none"}),
    _ablation("no-ode", 1.8, {"model.euler_steps": 0}),
    _equal("cram-n256-no-consolidation", 16, (11, 13), 1.5),
    _ablation("fast-consolidation", 2.0, {"training.slow_rate": 3e-3}),
    _equal("jamba-n256", 8, (11, 13), 18.0),
    _equal("fast-weights-n256", 8, (11, 13), float("nan")),
)
"""Sets of equal training, the most wanted first."""


def find_set(name: str) -> RunSet:
    """A set by its name.

    Raises
    ------
    KeyError
        If there is none.
    """
    return {item.name: item for item in (*RECORDED, *EQUAL_TRAINING)}[name]
