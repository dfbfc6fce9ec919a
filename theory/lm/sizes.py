"""How much of everything a study measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured.

    Attributes
    ----------
    documents, fit_documents, tokens : int
        Documents that R is measured on, that probes are fitted on, and tokens of each; of prose and of code.
    layers : tuple of int, optional
        Layers that R is measured of; by default all.
    sink_documents : int
    needles, test_needles : int
        Needles that heads are chosen on, and others that knock-outs are judged on.
    needle_tokens : int
        Tokens of prose around a needle.
    knocked_out : tuple of int
        Numbers of heads.
    draws : int
        Sets of random heads for each number that is knocked out.
    contexts, lines : int
        Contexts of each condition, and their lines.
    copy_heads : int
        Heads that P_episodic is the attention of, and that the policy ``copy-heads`` leaves full.
    budgets : tuple of int
        Tokens that policies may keep.
    policy_needles, policy_facts : int
        Needles that policies are judged on, and facts asked for in each, one after the other.
    control_documents : int
        Documents that R of the controls is measured on, and as many that their probes are fitted on.
    control_widths : tuple of int
        Widths of models with random weights, and of linear teachers.
    control_layers : int
        Layers of models with random weights.
    tilt_needles, tilt_tokens : int
        Needles that scaled attention is chosen on, as many that it is judged on, and tokens of prose around each.
    pruned : tuple of int
        Numbers of heads that are cut off from a name, or pruned under a context that contradicts.
    pruned_draws : int
        Sets of random heads for each of these numbers.
    order_documents, order_pairs, order_words : int
        Documents whose order is asked for, pairs of segments of each, and words of the text.
    conversations : int
        Of each kind and distance.
    between : tuple of int
        Turns about other people between an instruction and the question.
    skill_seeds : int
        Times that each skill is trained away.
    seed : int
    """

    documents: int = 60
    fit_documents: int = 60
    tokens: int = 512
    layers: tuple[int, ...] | None = None
    sink_documents: int = 40
    needles: int = 32
    test_needles: int = 24
    needle_tokens: int = 400
    knocked_out: tuple[int, ...] = (10, 20)
    draws: int = 2
    contexts: int = 30
    lines: int = 72
    copy_heads: int = 10
    budgets: tuple[int, ...] = (32, 64, 128)
    policy_needles: int = 12
    policy_facts: int = 2
    control_documents: int = 30
    control_widths: tuple[int, ...] = (256, 576, 1024)
    control_layers: int = 6
    tilt_needles: int = 16
    tilt_tokens: int = 200
    pruned: tuple[int, ...] = (5, 10, 20)
    pruned_draws: int = 10
    order_documents: int = 32
    order_pairs: int = 4
    order_words: int = 128
    conversations: int = 40
    between: tuple[int, ...] = (0, 4, 8)
    skill_seeds: int = 2
    seed: int = 0


QUICK = Sizes(
    documents=20,
    sink_documents=12,
    test_needles=12,
    knocked_out=(10,),
    contexts=12,
    budgets=(64,),
    policy_needles=8,
    control_documents=15,
    control_widths=(256,),
    tilt_needles=8,
    pruned=(10,),
    order_documents=8,
    conversations=16,
    between=(0, 8),
    skill_seeds=1,
)
"""Smaller sizes of everything that can be smaller.

Probes are fitted on as much text as in a full study (those of the controls on half), and heads are chosen on as many
needles: R depends on the one, and what copy heads do on the other.
"""
