"""What of the sources is not played here, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OutOfScope:
    """Works of the list of sources that have no policy here.

    Attributes
    ----------
    what : str
        What they are about.
    works : tuple of str
        Their short names, as in the list.
    reason : str
        Why they are left out.
    """

    what: str
    works: tuple[str, ...]
    reason: str


OUT_OF_SCOPE: tuple[OutOfScope, ...] = (
    OutOfScope(
        "vision and multimodal models",
        (
            "Wings",
            "TVC",
            "SEFE",
            "CODA-Prompt",
            "exemplar-free vision transformers",
            "prototype relation",
            "StreamingT2V",
            "OAT",
            "visual attention sinks",
            "person re-identification",
            "RCMHA",
        ),
        "their rules act on images, frames or between modalities, and their claims are measured on these; a stream of "
        "keys and values has neither",
    ),
    OutOfScope(
        "deliberate unlearning",
        ("selective synaptic dampening (SSD)", "influence approximation", "practical continual forgetting"),
        "they remove chosen knowledge from trained weights; no token is routed or kept by them",
    ),
    OutOfScope(
        "prompting",
        ("Sorry, Come Again",),
        "it changes the wording of a prompt, not what a model attends to or keeps",
    ),
    OutOfScope(
        "selection of training data",
        ("AttentionInfluence",),
        "it ranks documents before training; its rule has no stream of tokens",
    ),
    OutOfScope("surveys", (), "they report on systems of others and have no rule of their own"),
    OutOfScope(
        "proposals without a rule that can be run",
        ("The Consciousness Prior", "PMI", "Contextual Memory Reweaving", "Synaptic Resonance"),
        "what is published leaves open the rule, its parameters or both, so that whatever is played would be ours",
    ),
)
"""Groups of works, each with its reason."""


def scope_table() -> list[list[str]]:
    """Table of what is left out.

    The first row is the header.

    Examples
    --------
    >>> [row[0] for row in scope_table()][:3]
    ['about', 'vision and multimodal models', 'deliberate unlearning']
    """
    rows = [["about", "works", "why there is no policy"]]
    return rows + [[group.what, ", ".join(group.works) or "–", group.reason] for group in OUT_OF_SCOPE]
