"""What the works say, and how each statement is tested.

A new one is a :class:`~theory.phenomena.records.Statement` in :data:`STATEMENTS`, with a function that measures it from
streams or from records (:mod:`theory.phenomena.measures`), or with what it would take. ``python -m theory.phenomena >
docs/phenomena.md`` writes the page.
"""

from __future__ import annotations

from collections.abc import Callable

from theory.phenomena.measures import asked, cost, facts, hybrids, second_task, trained
from theory.phenomena.measures import language_model as lm
from theory.phenomena.measures.ledger_rows import of_ledger
from theory.phenomena.measures.streams import measure_bytes_of_sparse_attention, on_streams
from theory.phenomena.records import Measure, Statement
from theory.policies import phenomena as streams
from theory.policies.phenomena import Phenomenon
from theory.policies.streams import Setting

_COMMAND = "python -m theory.phenomena"
_NATS, _PROSE = "nats_above_full", "prose_above_full"
_WHAT = {
    _NATS: "nats of an answer above those of full attention",
    _PROSE: "nats of a token of prose above full attention",
}


def _streams(
    work: str, says: str, check: Callable[[Setting, int], Phenomenon], place: str = "abstract", *, claimed: bool = True
) -> Statement:
    """A statement that is tested on retrieval streams."""
    name = check.__name__.replace("_", "-")
    command = f"{_COMMAND} {name}"
    return Statement(name, work, says, place, on_streams(check), command, page="policies.md", is_claimed=claimed)


def _heads(name: str, work: str, says: str, measure: Measure, place: str = "abstract") -> Statement:
    """A statement on heads of the language model."""
    command = "cogfit theory lm study smollm2 --unit heads"
    return Statement(name, work, says, place, measure, command, lm.RECORD, "language-model.md")


def _asks(name: str, work: str, says: str, measure: Measure, unit: str, place: str = "abstract") -> Statement:
    """A statement that is tested by asking the language model."""
    command = f"cogfit theory lm study smollm2 {unit}"
    return Statement(name, work, says, place, measure, command, lm.RECORD, "language-model.md")


def _loses(work: str, says: str, policy: str, other: str, column: str) -> Statement:
    """A policy is said to lose less than another, in the language model."""
    name = f"{policy}-against-{other}-{'answers' if column == _NATS else 'prose'}"
    measure = lm.loses_less(policy, other, column, _WHAT[column])
    command = "cogfit theory lm study smollm2 --unit heads --unit policies"
    return Statement(name, work, says, "abstract", measure, command, lm.RECORD, "language-model.md")


def _nothing(work: str, says: str, policy: str) -> Statement:
    """A policy is said to lose nothing, in the language model."""
    measure = lm.loses_nothing(policy, _NATS, _WHAT[_NATS])
    command = "cogfit theory lm study smollm2 --unit heads --unit policies"
    return Statement(
        f"{policy}-loses-nothing", work, says, "abstract", measure, command, lm.RECORD, "language-model.md"
    )


def _facts(name: str, work: str, says: str, measure: Measure) -> Statement:
    """A statement on facts that the language model practises."""
    command = "cogfit theory lm practice smollm2"
    return Statement(name, work, says, "abstract", measure, command, facts.RECORD, "practice-of-facts.md")


def _open(name: str, work: str, says: str, missing: str, command: str = "", place: str = "abstract") -> Statement:
    """A statement that was not tested yet."""
    return Statement(name, work, says, place, None, command, missing=missing)


STATEMENTS: tuple[Statement, ...] = (
    # ---------------------------------------------------------------- the two whose claims have a ledger
    of_ledger("cram", "redundancy-language-model"),
    of_ledger("cram", "accuracy-at-optimum"),
    of_ledger("cram", "without-consolidation"),
    of_ledger("cram", "gamma-in-context"),
    _streams("cram", "consolidation takes over what attention did", streams.consolidation_frees_attention),
    of_ledger("adaptive-retention", "retention-budget"),
    of_ledger("adaptive-retention", "retention-encoder"),
    of_ledger("adaptive-retention", "retention-layers"),
    # ---------------------------------------------------------------- caches that evict
    _streams(
        "h2o",
        "a small part of the tokens gets most of the attention, and to keep these beside the recent ones keeps quality",
        streams.heavy_hitters_outlive_a_window,
    ),
    _loses("h2o", "keeping heavy hitters loses less of an answer than a window does", "h2o", "streaming", _NATS),
    _loses("h2o", "keeping heavy hitters loses less of the text than a window does", "h2o", "streaming", _PROSE),
    _heads(
        "the-first-token-gets-much",
        "streaming-llm",
        "initial tokens get much attention though they mean little",
        lm.measure_sinks,
    ),
    _heads(
        "sinks-above-the-second-layer",
        "streaming-llm",
        "beyond the bottom two layers heads attend heavily to the initial token",
        lm.measure_sinks_by_depth,
        "figure on attention maps",
    ),
    _asks(
        "a-window-needs-its-sinks",
        "streaming-llm",
        "a window fails once the initial tokens are gone, and recovers when they are kept",
        lm.loses_less("streaming", "window", _PROSE, _WHAT[_PROSE], "windows"),
        "--unit heads --unit sinks",
    ),
    _streams(
        "a2sf",
        "tokens that came earlier have collected more attention, and a forgetting factor makes ages comparable",
        streams.forgetting_evens_out_ages,
    ),
    _loses("a2sf", "with a forgetting factor less of an answer is lost than without", "a2sf", "h2o", _NATS),
    _loses("a2sf", "with a forgetting factor less of the text is lost than without", "a2sf", "h2o", _PROSE),
    _streams(
        "lazy-eviction",
        "tokens become important again after many steps, and eviction that watches recurrence keeps them",
        streams.lagged_eviction_keeps_recurring_tokens,
    ),
    _streams(
        "lazy-eviction",
        "evicting late, after an observation window, is part of why it works",
        streams.the_lag_itself_helps,
    ),
    _streams(
        "lazy-eviction",
        "it is better than existing compression of the cache",
        streams.lagged_eviction_beats_accumulated_attention,
    ),
    _loses(
        "lazy-eviction", "it loses less of an answer than accumulated attention does", "lazy-eviction", "h2o", _NATS
    ),
    _streams(
        "sirllm",
        "keeping tokens of high entropy gives a longer memory than sinks and a window",
        streams.surprising_tokens_outlive_a_window,
    ),
    _loses("sirllm", "it remembers more than StreamingLLM, without training", "sirllm", "streaming", _NATS),
    # ---------------------------------------------------------------- by head
    _loses(
        "duo",
        "only some heads need the whole cache; for the others sinks and a window are enough",
        "copy-heads",
        "streaming",
        _NATS,
    ),
    _nothing("duo", "nothing is lost with the whole cache in retrieval heads only", "copy-heads"),
    _streams(
        "duo",
        "heads that are chosen once do not follow a demand that moves to others",
        streams.static_heads_fail_moving_demand,
        "follows from its rule",
        claimed=False,
    ),
    _streams(
        "razor",
        "a compensation token recovers information of the tokens that are dropped",
        streams.a_compensation_token_recovers_what_was_dropped,
    ),
    _streams(
        "moh",
        "with half of the heads or more, chosen by token, it is as good as with all",
        streams.a_quarter_of_the_heads_is_enough,
    ),
    _heads(
        "copy-heads-are-few", "retrieval-head", "less than 5 % of the heads retrieve", lm.measure_copy_heads_are_few
    ),
    _heads(
        "copy-heads-are-needed",
        "retrieval-head",
        "without retrieval heads nothing is retrieved; without random ones it is",
        lm.measure_copy_heads_are_needed,
    ),
    _heads(
        "copy-heads-are-late",
        "cutting-off-the-head",
        "heads that bring knowledge from the context lie in the later layers",
        lm.measure_copy_heads_are_late,
    ),
    _asks(
        "pruning-settles-conflicts",
        "cutting-off-the-head",
        "memory heads and context heads conflict, and pruning one kind makes a model use the other source",
        asked.measure_pruning_settles,
        "--unit known",
    ),
    _asks(
        "recall-of-facts-by-heads",
        "factual-recall",
        "some heads move the attribute of a subject to where it is asked for",
        asked.measure_recall_by_heads,
        "--unit known",
        "subject; Geva et al. 2023 (arXiv 2304.14767) say so",
    ),
    _heads(
        "circuits-are-shared",
        "circuit-reuse",
        "the heads of one task do another, too: 78 % of the heads of two circuits are the same",
        lm.measure_circuits_are_shared,
    ),
    # ---------------------------------------------------------------- sinks
    _heads("sinks-in-a-small-model", "sink-emerges", "sinks are found in small models, too", lm.measure_sinks),
    Statement(
        "sinks-emerge-in-training",
        "sink-emerges",
        "sinks emerge in training, once it is effective and has seen enough data",
        "abstract",
        lm.measure_sinks_in_training,
        "cogfit theory redundancy --train --threads 1",
        lm.TRAINED,
        "redundancy.md",
    ),
    _asks(
        "sinks-elsewhere",
        "act",
        "sinks are found at later tokens as well",
        asked.measure_later_sinks,
        "--unit heads --unit sinks",
    ),
    _asks(
        "not-all-sinks-help",
        "act",
        "not all of these help: with less attention to some of them answers are better, without training",
        asked.measure_less_to_later_sinks,
        "--unit heads --unit sinks",
    ),
    _asks(
        "scaling-the-first-token",
        "zero-tuning",
        "more or less attention to the first token, head by head, improves answers",
        asked.measure_scaled_first_token,
        "--unit heads --unit sinks",
    ),
    # ---------------------------------------------------------------- what attends to a part and keeps all
    _loses(
        "recycled",
        "attending to what a recent full step attended to is better than a window",
        "recycled",
        "streaming",
        _NATS,
    ),
    _loses(
        "recycled",
        "attending to what a recent full step attended to is better than tokens of high accumulated attention",
        "recycled",
        "h2o",
        _NATS,
    ),
    _streams(
        "routing-transformer",
        "attending within clusters of content is better than a local window",
        streams.clusters_beat_a_window,
    ),
    _streams("landmark", "landmarks find the blocks that attention needs", streams.landmarks_find_the_block),
    _streams(
        "hip", "a tree search prunes attention at little loss, without training", streams.tree_search_loses_little
    ),
    _loses("hip", "it loses less than a window of as many tokens", "hip", "streaming", _NATS),
    _nothing("hip", "without training it loses next to nothing", "hip"),
    _streams(
        "dynamic-mask",
        "on associative recall a mask by content is better than a sliding window",
        streams.a_content_mask_beats_a_window,
    ),
    _streams(
        "hcam",
        "attending to chunks by their summaries recalls what is far back better",
        streams.summaries_lead_to_distant_chunks,
    ),
    _loses(
        "hcam",
        "chunks by their summaries recall more than a window, in a model that was not trained for it",
        "hcam",
        "streaming",
        _NATS,
    ),
    _streams(
        "think-in-memory",
        "what was stored is found among what has the same bucket of a locality-sensitive hash",
        streams.hash_buckets_beat_a_window,
        "abstract; the hashing alone",
    ),
    _open(
        "thoughts-spare-reasoning",
        "think-in-memory",
        "thoughts that are stored in place of a conversation spare repeated reasoning",
        "an agent that answers in long conversations, stores what it concluded, and merges and drops it",
    ),
    # ---------------------------------------------------------------- bounded states
    _streams("based", "the size of the state dials recall", streams.state_size_dials_recall),
    _streams(
        "lightning",
        "cost per token does not grow with the length of the sequence",
        streams.a_linear_state_costs_the_same_at_any_length,
    ),
    _streams(
        "aaren",
        "attention as a recurrence does as well as a Transformer, with constant memory",
        streams.a_recurrence_answers_as_attention_does,
    ),
    _streams(
        "titans",
        "a memory written by surprise, with a gate that forgets, is better than linear recurrent ones",
        streams.surprise_beats_decay_among_novel_keys,
    ),
    _streams(
        "titans",
        "a memory written by surprise is better than linear recurrent ones, where nothing is there to be forgotten",
        streams.surprise_beats_decay_where_all_is_asked_for,
    ),
    _streams(
        "miras",
        "a bias that grows slower than the square is robust to outliers",
        streams.a_robust_bias_resists_outliers,
        "abstract; Huber's bias",
    ),
    _streams("sparsey", "one presentation stores a memory, in superposition with others", streams.one_trial_is_enough),
    Statement(
        "recall-against-ratio",
        "hybrids",
        "recall rises with the share of full attention, above all below 3:1; the loss of language modelling stays",
        "abstract",
        hybrids.measure_recall_against_ratio,
        "python benchmarks/hybrids.py",
        hybrids.RECORD,
        "training.md",
    ),
    # ---------------------------------------------------------------- what training keeps
    _facts(
        "recognition-after-one",
        "few-shot-memories",
        "one presentation is enough for nearly perfect recognition",
        facts.nearly_perfect_after("recognition", 1),
    ),
    _facts(
        "recall-after-three",
        "few-shot-memories",
        "three presentations are enough for nearly perfect recall",
        facts.nearly_perfect_after("recall", 3),
    ),
    _facts(
        "steep-then-gradual",
        "few-shot-memories",
        "recall falls steeply over the first 10 updates, then gradually",
        facts.measure_steep_then_gradual,
    ),
    _facts(
        "some-are-kept",
        "few-shot-memories",
        "even after 100,000 updates some examples are recalled nearly perfectly",
        facts.measure_some_are_kept,
    ),
    _facts(
        "recognition-is-robust",
        "few-shot-memories",
        "recognition withstands interference better than recall",
        facts.measure_recognition_is_robust,
    ),
    of_ledger("factual-knowledge", "forgetting-of-facts"),
    _facts(
        "larger-batches-keep-more",
        "factual-knowledge",
        "with larger batches less is forgotten",
        facts.measure_larger_batches_keep_more,
    ),
    _facts(
        "duplicates-are-forgotten-faster",
        "factual-knowledge",
        "what is learned from duplicated data is forgotten faster",
        facts.measure_duplicates_are_forgotten_faster,
    ),
    Statement(
        "few-modules-forget",
        "equally-forget",
        "a few modules change between tasks and carry most of the forgetting",
        "abstract",
        second_task.measure_few_modules_forget,
        "make benchmark-second-task",
        second_task.RECORD,
        "training.md",
    ),
    _asks(
        "order-of-segments",
        "sort",
        "the order of two segments is recalled when the text is in the context, and less when it was trained on",
        asked.measure_order_of_segments,
        "--unit order",
    ),
    Statement(
        "unlearn-then-relearn",
        "refresh",
        "unlearning the current data before relearning them keeps more of what came before",
        "abstract",
        second_task.measure_unlearn_then_relearn,
        "make benchmark-second-task",
        second_task.RECORD,
        "training.md",
    ),
    _asks(
        "forgetting-a-skill",
        "unforgettable",
        "a skill trained away with random labels is lost on some tasks, and on others for the trained examples only",
        asked.measure_forgotten_skills,
        "--unit skills",
    ),
    _asks(
        "earlier-turns",
        "entangled-instructions",
        "instructions of several turns that interact are followed worse than single ones",
        asked.measure_interacting_turns,
        "--unit turns",
    ),
    # ---------------------------------------------------------------- cost
    Statement(
        "sparse-attention-reads-less",
        "kinetics",
        "access to memory sets the cost of generation, and sparse attention lowers it",
        "abstract",
        measure_bytes_of_sparse_attention,
        f"{_COMMAND} sparse-attention-reads-less",
        page="policies.md",
    ),
    Statement(
        "attention-is-bound-by-memory",
        "attention-offloading",
        "attention over a cache is bound by memory, and pays on cheap devices with much of it",
        "abstract",
        cost.measure_bound_by_memory,
        "python benchmarks/cost_of_sharing.py",
        cost.SHARING,
    ),
    Statement(
        "one-pass-attention",
        "fusemax",
        "attention in one pass keeps an accelerator busy, with a buffer that does not grow with length",
        "abstract",
        cost.measure_one_pass,
        f"{_COMMAND} one-pass-attention",
    ),
    # ---------------------------------------------------------------- models that are trained beside them
    of_ledger("transformer", "table1-transformer", by="the CRAM paper"),
    of_ledger("mamba", "table1-mamba", by="the CRAM paper"),
    of_ledger("jamba", "table1-jamba", by="the CRAM paper"),
    of_ledger("seqboat", "table1-seqboat", by="the CRAM paper"),
    Statement(
        "a-prefix-of-attention",
        "transmamba",
        "attention for a first part of the tokens and a recurrence for the rest, with one set of weights, is as good",
        "abstract",
        trained.measure_prefix_of_attention,
        "make benchmark-equal",
        page="training.md#equal-training",
    ),
)
"""In the order of the page. What the CRAM paper says of other models, in its Table 1, stands with these."""
