"""Routing and retention policies of the sources, without training of a model: one registry, one interface.

A policy is a dataclass in a file here (:class:`~theory.policies.policy.Policy`), whose fields are the parameters that
its source names, and one line in :data:`POLICIES`. ``python -m theory.policies > docs/policies.md`` writes the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cogfit.errors import InputError, nearest

if TYPE_CHECKING:
    from theory.policies.policy import Policy


@dataclass(frozen=True)
class System:
    """A published system, and its policy.

    Attributes
    ----------
    id : str
    title : str
    source : str
        arXiv number; empty where there is none.
    rule : str
        As published, in a few words.
    kind : str
        What the list of sources takes it for; the checker finds out for itself (:mod:`theory.policies.classify`).
    place : str
        ``module.Class`` in :mod:`theory.policies`.
    """

    id: str
    title: str
    source: str
    rule: str
    kind: str
    place: str

    def policy(self, **parameters: float) -> Policy:
        """A fresh policy.

        Raises
        ------
        InputError
            If it has no such parameter.
        """
        module, name = self.place.split(".")
        made = getattr(import_module(f"theory.policies.{module}"), name)
        unknown = set(parameters) - set(made.__dataclass_fields__)
        if unknown:
            hint = nearest(min(unknown), made.__dataclass_fields__)
            raise InputError(f"{self.id} has no parameter '{min(unknown)}'", hint=hint)
        policy: Policy = made(**parameters)
        return policy

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters with their defaults."""
        return {name: getattr(self.policy(), name) for name in self.policy().__dataclass_fields__}  # type: ignore[attr-defined]


POLICIES: tuple[System, ...] = (
    System("full", "full attention", "", "attend to all earlier tokens", "fixed", "fixed.Full"),
    System("streaming", "StreamingLLM (sliding window + sinks)", "2309.17453", "first s and last w positions", "fixed",
           "fixed.Streaming"),
    System("h2o", "H2O", "2306.14048", "keep the tokens with the largest accumulated attention",
           "state, no forgetting", "eviction.H2O"),
    System("a2sf", "A2SF", "2407.20485", "accumulated attention with a forgetting factor; evict the smallest",
           "state, exponential forgetting", "eviction.A2SF"),
    System("lazy-eviction", "LazyEviction", "2506.15969",
           "lagged eviction by time since last use against the maximal recurrence interval",
           "state, recurrence-aware", "eviction.LazyEviction"),
    System("sirllm", "SirLLM", "2405.12528", "keep tokens of high entropy; old entropies decay", "state, decay",
           "eviction.SirLLM"),
    System("duo", "DuoAttention", "2410.10819", "retrieval heads keep all, streaming heads sinks + recent",
           "static by head", "heads.DuoAttention"),
    System("razor", "RazorAttention", "2407.15891", "the same split, and one compensation token for what is dropped",
           "static by head + summary", "heads.RazorAttention"),
    System("recycled", "Recycled Attention", "2411.05787",
           "full attention every S-th step, otherwise the top K of the last full step", "open-loop schedule",
           "fixed.Recycled"),
    System("routing-transformer", "Routing Transformer", "2003.05997",
           "online k-means; attend within the query's cluster", "content-routed", "content.RoutingTransformer"),
    System("landmark", "Landmark Attention", "2305.16300", "one landmark per block selects blocks", "content-routed",
           "content.Landmark"),
    System("hip", "HiP", "2406.09827", "hierarchical top-k pruning by tree search", "content-routed", "content.HiP"),
    System("dynamic-mask", "Dynamic Mask Attention", "2508.02124",
           "content mask from values and position, top entries", "content-routed, learned", "content.DynamicMask"),
    System("hcam", "HCAM", "2105.14039", "attend to chunk summaries, then inside the best chunks", "content-routed",
           "content.HCAM"),
    System("based", "BASED", "2402.18668", "linear attention + sliding window: state size dials recall",
           "bounded state", "states.Based"),
    System("lightning", "Lightning attention", "2405.17381", "linear attention with decay only", "bounded state",
           "states.Lightning"),
    System("aaren", "Aaren", "2405.13956", "attention as a recurrence with learned queries", "bounded state",
           "states.Aaren"),
    System("titans", "Titans", "2501.00663", "neural long-term memory written by surprise, with a forgetting gate",
           "memory that learns at test time", "states.Titans"),
    System("moh", "Mixture-of-Head", "2410.11842", "top-k heads per token", "static budget, content-routed heads",
           "heads.MixtureOfHeads"),
    System("adaptive-retention", "Adaptive Retention", "2510.08798", "learned gates, top M under a budget",
           "static budget, learned", "eviction.AdaptiveRetention"),
    System("cram", "CRAM", "2602.12204", "consolidation-aware router", "closed-loop with memory", "states.CRAM"),
)  # fmt: skip
"""All systems, in the order of the list of sources."""


def find(name: str) -> System:
    """A system by its identifier; case does not matter.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> find("A2SF").policy(alpha=0.9).alpha
    0.9
    """
    found = {system.id: system for system in POLICIES}.get(name.casefold())
    if found is None:
        raise InputError(f"no policy '{name}'", hint=nearest(name, (system.id for system in POLICIES)))
    return found
