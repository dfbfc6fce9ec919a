"""Published routing and retention policies, played without training.

A policy is a dataclass in a file here (:class:`~theory.policies.policy.Policy`), whose fields are the parameters that
its source names, and one line in :data:`POLICIES`. ``python -m theory.policies > docs/policies.md`` writes the table.

Other packages add policies by the entry-point group ``theory.policies`` (:mod:`cogfit.plugins`): each names a
:class:`System` whose ``place`` is ``package.module:Class``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, nearest

if TYPE_CHECKING:
    from theory.policies.policy import Policy


@dataclass(frozen=True)
class System:
    """A system and its policy.

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
        ``module.Class`` in :mod:`theory.policies`, or ``package.module:Class`` anywhere.
    reads : str
        What it reads of these streams that no language model offers; empty where it needs queries, keys and weights.

    Examples
    --------
    >>> System("all", "attend to all", "", "everything", "fixed", "theory.policies.fixed:Full").policy()
    Full()
    """

    id: str
    title: str
    source: str
    rule: str
    kind: str
    place: str
    reads: str = ""

    def policy(self, **parameters: float | str) -> Policy:
        """Make a fresh policy.

        Raises
        ------
        InputError
            If it has no such parameter, or cannot be what it is set to: a word, a number, or one out of its range.
        """
        kind = self._class()
        defaults = {field.name: field.default for field in fields(kind)}
        unknown = set(parameters) - set(defaults)
        if unknown:
            hint = nearest(min(unknown), defaults)
            raise InputError(f"{self.id} has no parameter '{min(unknown)}'", hint=hint)
        for name, value in parameters.items():
            default = defaults[name]
            if isinstance(value, str) != isinstance(default, str):
                what = "a word" if isinstance(default, str) else "a number"
                raise InputError(f"'{name}' of {self.id} cannot be {value!r}", hint=f"use {what} such as {default}")
        policy: Policy = kind(**parameters)
        return policy

    def _class(self) -> Any:
        module, separator, name = self.place.partition(":")
        if not separator:
            module, name = self.place.split(".")
            module = f"theory.policies.{module}"
        return getattr(import_module(module), name)

    @property
    def parameters(self) -> dict[str, float | str]:
        """Parameters with their defaults."""
        policy: Any = self.policy()
        return {field.name: getattr(policy, field.name) for field in fields(policy)}


_LABEL = "a coordinate that marks bindings or queries"
_CALIBRATED = "the mark of queries, on the streams that it is calibrated on"
_SILENT = "values that are zero where nothing is shown"
_ROUTER = "query vectors made for its router"

POLICIES: tuple[System, ...] = (
    System(
        id="full",
        title="full attention",
        source="",
        rule="attend to all earlier tokens",
        kind="fixed",
        place="fixed.Full",
    ),
    System(
        id="streaming",
        title="StreamingLLM (sliding window + sinks)",
        source="2309.17453",
        rule="first s and last w positions",
        kind="fixed",
        place="fixed.Streaming",
    ),
    System(
        id="h2o",
        title="H2O",
        source="2306.14048",
        rule="keep the tokens with the largest accumulated attention",
        kind="state, no forgetting",
        place="eviction.H2O",
    ),
    System(
        id="a2sf",
        title="A2SF",
        source="2407.20485",
        rule="accumulated attention with a forgetting factor; evict the smallest",
        kind="state, exponential forgetting",
        place="eviction.A2SF",
    ),
    System(
        id="lazy-eviction",
        title="LazyEviction",
        source="2506.15969",
        rule="lagged eviction by time since last use against the maximal recurrence interval",
        kind="state, recurrence-aware",
        place="eviction.LazyEviction",
    ),
    System(
        id="sirllm",
        title="SirLLM",
        source="2405.12528",
        rule="keep tokens of high entropy; old entropies decay",
        kind="state, decay",
        place="eviction.SirLLM",
    ),
    System(
        id="duo",
        title="DuoAttention",
        source="2410.10819",
        rule="retrieval heads keep all, streaming heads sinks + recent",
        kind="static by head",
        place="heads.DuoAttention",
        reads=_CALIBRATED,
    ),
    System(
        id="razor",
        title="RazorAttention",
        source="2407.15891",
        rule="the same split, and one compensation token for what is dropped",
        kind="static by head + summary",
        place="heads.RazorAttention",
        reads=_CALIBRATED,
    ),
    System(
        id="recycled",
        title="Recycled Attention",
        source="2411.05787",
        rule="full attention every S-th step, otherwise the top K of the last full step",
        kind="open-loop schedule",
        place="fixed.Recycled",
    ),
    System(
        id="routing-transformer",
        title="Routing Transformer",
        source="2003.05997",
        rule="online k-means; attend within the query's cluster",
        kind="content-routed",
        place="content.RoutingTransformer",
    ),
    System(
        id="landmark",
        title="Landmark Attention",
        source="2305.16300",
        rule="one landmark per block selects blocks",
        kind="content-routed",
        place="content.Landmark",
        reads=_LABEL,
    ),
    System(
        id="hip",
        title="HiP",
        source="2406.09827",
        rule="hierarchical top-k pruning by tree search",
        kind="content-routed",
        place="content.HiP",
    ),
    System(
        id="dynamic-mask",
        title="Dynamic Mask Attention",
        source="2508.02124",
        rule="content mask from values and position, top entries",
        kind="content-routed, learned",
        place="content.DynamicMask",
        reads=_CALIBRATED,
    ),
    System(
        id="hcam",
        title="HCAM",
        source="2105.14039",
        rule="attend to chunk summaries, then inside the best chunks",
        kind="content-routed",
        place="content.HCAM",
    ),
    System(
        id="think-in-memory",
        title="Think-in-Memory (hash buckets)",
        source="2311.08719",
        rule="locality-sensitive hashing; attend within the query's bucket",
        kind="content-routed",
        place="content.HashBuckets",
    ),
    System(
        id="based",
        title="BASED",
        source="2402.18668",
        rule="linear attention + sliding window: state size dials recall",
        kind="bounded state",
        place="states.Based",
        reads=_LABEL,
    ),
    System(
        id="lightning",
        title="Lightning attention",
        source="2405.17381",
        rule="linear attention with decay only",
        kind="bounded state",
        place="memories.Lightning",
        reads=_SILENT,
    ),
    System(
        id="aaren",
        title="Aaren",
        source="2405.13956",
        rule="attention as a recurrence with learned queries",
        kind="bounded state",
        place="states.Aaren",
        reads=_LABEL,
    ),
    System(
        id="titans",
        title="Titans",
        source="2501.00663",
        rule="neural long-term memory written by surprise, with a forgetting gate",
        kind="memory that learns at test time",
        place="memories.Titans",
        reads=_SILENT,
    ),
    System(
        id="miras",
        title="MIRAS",
        source="2504.13173",
        rule="memory, attentional bias, retention gate and step chosen one by one",
        kind="memory that learns at test time",
        place="memories.Miras",
        reads=_SILENT,
    ),
    System(
        id="moneta",
        title="Moneta",
        source="2504.13173",
        rule="MIRAS with the Lp bias and the Lq gate",
        kind="memory that learns at test time",
        place="memories.Moneta",
        reads=_SILENT,
    ),
    System(
        id="yaad",
        title="Yaad",
        source="2504.13173",
        rule="MIRAS with Huber's bias and L2 decay",
        kind="memory that learns at test time",
        place="memories.Yaad",
        reads=_SILENT,
    ),
    System(
        id="memora",
        title="Memora",
        source="2504.13173",
        rule="MIRAS with the L2 bias and the KL gate",
        kind="memory that learns at test time",
        place="memories.Memora",
        reads=_SILENT,
    ),
    System(
        id="sparsey",
        title="Sparsey",
        source="1710.07829",
        rule="one-trial writing of sparse codes into binary weights",
        kind="bounded state",
        place="sparse_codes.Sparsey",
        reads=_SILENT,
    ),
    System(
        id="moh",
        title="Mixture-of-Head",
        source="2410.11842",
        rule="top-k heads per token",
        kind="static budget, content-routed heads",
        place="heads.MixtureOfHeads",
        reads=_ROUTER,
    ),
    System(
        id="adaptive-retention",
        title="Adaptive Retention",
        source="2510.08798",
        rule="learned gates, top M under a budget",
        kind="static budget, learned",
        place="eviction.AdaptiveRetention",
        reads=_CALIBRATED,
    ),
    System(
        id="cram",
        title="CRAM",
        source="2602.12204",
        rule="consolidation-aware router",
        kind="closed-loop with memory",
        place="states.CRAM",
        reads=_LABEL,
    ),
)
"""The built-in systems, in the order of the list of sources."""


def systems() -> tuple[System, ...]:
    """Return the built-in systems and those of installed packages.

    Returns
    -------
    tuple of System
        :data:`POLICIES`, then plug-ins by name. A plug-in that is broken, or takes a name that exists, is left out with
        a :class:`cogfit.plugins.PluginWarning`.

    Examples
    --------
    >>> systems()[: len(POLICIES)] == POLICIES
    True
    """
    from cogfit.plugins import plugins

    return POLICIES + plugins("theory.policies", System, "id", tuple(system.id for system in POLICIES))


def find(name: str) -> System:
    """Return a system by its identifier, case ignored.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> find("A2SF").policy(alpha=0.9).alpha
    0.9
    """
    # plug-ins are looked up only where no built-in system has the name
    system = _named(name, POLICIES) or _named(name, systems())
    if system is None:
        raise InputError(f"no policy '{name}'", hint=nearest(name, (system.id for system in systems())))
    return system


def _named(name: str, candidates: tuple[System, ...]) -> System | None:
    return next((system for system in candidates if system.id.casefold() == name.casefold()), None)
