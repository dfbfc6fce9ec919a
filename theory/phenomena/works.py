"""The works of the list that are in scope, and those that are compared with them.

Those that are not have their reasons in :data:`theory.policies.scope.OUT_OF_SCOPE`.
"""

from __future__ import annotations

from theory.phenomena.records import Work
from theory.policies.scope import OUT_OF_SCOPE

LISTED = 59
"""Works of the list of sources; surveys, which have no rule, are not counted there by name."""

WORKS: tuple[Work, ...] = (
    # the two whose claims have a ledger
    Work(
        "cram",
        "CRAM",
        "Shihab, Akter & Sharma 2026, Learning to Forget Attention",
        "2602.12204",
        policies=("cram",),
        models=("cram", "fast_weights"),
    ),
    Work(
        "adaptive-retention",
        "Adaptive Retention",
        "Rafiuddin & Khan 2025, Learning What to Remember",
        "2510.08798",
        policies=("adaptive-retention",),
        models=("retention",),
    ),
    # caches that evict
    Work(
        "h2o",
        "H2O",
        "Zhang et al. 2023, H2O: Heavy-Hitter Oracle for Efficient Generative Inference",
        "2306.14048",
        beside=True,
        policies=("h2o",),
    ),
    Work(
        "streaming-llm",
        "StreamingLLM",
        "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks",
        "2309.17453",
        beside=True,
        policies=("streaming",),
    ),
    Work(
        "a2sf",
        "A2SF",
        "Jo & Shin 2024, Accumulative Attention Scoring with Forgetting Factor",
        "2407.20485",
        policies=("a2sf",),
    ),
    Work(
        "lazy-eviction",
        "LazyEviction",
        "Zhang et al. 2025, Lagged KV Eviction with Attention Pattern Observation",
        "2506.15969",
        policies=("lazy-eviction",),
    ),
    Work(
        "sirllm", "SirLLM", "Yao, Li & Zhao 2024, Streaming Infinite Retentive LLM", "2405.12528", policies=("sirllm",)
    ),
    # by head
    Work(
        "duo",
        "DuoAttention",
        "Xiao et al. 2024, Efficient Long-Context LLM Inference with Retrieval and Streaming Heads",
        "2410.10819",
        policies=("duo",),
    ),
    Work(
        "razor",
        "RazorAttention",
        "Tang et al. 2024, Efficient KV Cache Compression Through Retrieval Heads",
        "2407.15891",
        policies=("razor",),
    ),
    Work(
        "moh",
        "Mixture-of-Head (MoH)",
        "Jin et al. 2024, Multi-Head Attention as Mixture-of-Head Attention",
        "2410.11842",
        policies=("moh",),
    ),
    Work(
        "retrieval-head",
        "Retrieval Head",
        "Wu et al. 2024, Retrieval Head Mechanistically Explains Long-Context Factuality",
        "2404.15574",
    ),
    Work(
        "cutting-off-the-head",
        "Cutting Off the Head",
        "Jin et al. 2024, Cutting Off the Head Ends the Conflict",
        "2402.18154",
    ),
    Work("factual-recall", "factual recall", "the list names the subject and no title", ""),
    Work(
        "circuit-reuse",
        "circuit reuse",
        "Merullo, Eickhoff & Pavlick 2023, Circuit Component Reuse Across Tasks in Transformer Language Models (the "
        "list names the subject)",
        "2310.08744",
    ),
    # sinks
    Work(
        "sink-emerges",
        "When Attention Sink Emerges",
        "Gu et al. 2024, When Attention Sink Emerges in Language Models: An Empirical View",
        "2410.10781",
    ),
    Work(
        "act",
        "hidden attention sinks (ACT)",
        "Yu et al. 2024, Unveiling and Harnessing Hidden Attention Sinks",
        "2406.15765",
    ),
    Work("zero-tuning", "ZeroTuning", "Han et al. 2025, Unlocking the Initial Token's Power", "2505.11739"),
    # what attends to a part and keeps all
    Work(
        "recycled",
        "Recycled Attention",
        "Xu, Goyal & Choi 2024, Efficient inference for long-context language models",
        "2411.05787",
        policies=("recycled",),
    ),
    Work(
        "routing-transformer",
        "Routing Transformer",
        "Roy et al. 2020, Efficient Content-Based Sparse Attention with Routing Transformers",
        "2003.05997",
        policies=("routing-transformer",),
    ),
    Work(
        "landmark",
        "Landmark Attention",
        "Mohtashami & Jaggi 2023, Random-Access Infinite Context Length for Transformers",
        "2305.16300",
        policies=("landmark",),
    ),
    Work("hip", "HiP", "Lee et al. 2024, Hierarchically Pruned Attention", "2406.09827", policies=("hip",)),
    Work(
        "dynamic-mask",
        "Dynamic Mask Attention",
        "Shi et al. 2025, Trainable Dynamic Mask Sparse Attention",
        "2508.02124",
        policies=("dynamic-mask",),
    ),
    Work(
        "hcam",
        "HCAM",
        "Lampinen et al. 2021, Towards mental time travel: a hierarchical memory",
        "2105.14039",
        policies=("hcam",),
    ),
    Work(
        "think-in-memory",
        "Think-in-Memory",
        "Liu et al. 2023, Recalling and Post-thinking Enable LLMs with Long-Term Memory",
        "2311.08719",
        policies=("think-in-memory",),
    ),
    # bounded states
    Work(
        "based",
        "BASED",
        "Arora et al. 2024, Simple linear attention language models balance the recall-throughput tradeoff",
        "2402.18668",
        policies=("based",),
    ),
    Work(
        "lightning",
        "Lightning attention",
        "Qin et al. 2024, Various Lengths, Constant Speed",
        "2405.17381",
        policies=("lightning",),
    ),
    Work("aaren", "Aaren", "Feng et al. 2024, Attention as an RNN", "2405.13956", policies=("aaren",)),
    Work(
        "titans",
        "Titans",
        "Behrouz, Zhong & Mirrokni 2025, Learning to Memorize at Test Time",
        "2501.00663",
        policies=("titans",),
    ),
    Work(
        "miras",
        "It's All Connected (MIRAS)",
        "Behrouz et al. 2025, A Journey Through Test-Time Memorization, Attentional Bias, Retention",
        "2504.13173",
        policies=("miras", "moneta", "yaad", "memora"),
    ),
    Work(
        "sparsey",
        "Sparsey",
        "Rinkus & Leveille 2017, Superposed Episodic and Semantic Memory",
        "1710.07829",
        policies=("sparsey",),
    ),
    Work(
        "hybrids",
        "Systematic Analysis of Hybrid Linear Attention",
        "Wang et al. 2025, A Systematic Analysis of Hybrid Linear Attention",
        "2507.06457",
        models=("gla", "hgrn2", "gated_deltanet"),
    ),
    # what training keeps
    Work(
        "few-shot-memories",
        "few-shot memories",
        "Orhan 2023, Recognition, recall, and retention of few-shot memories in large language models",
        "2303.17557",
    ),
    Work(
        "factual-knowledge",
        "How do LLMs acquire factual knowledge",
        "Chang et al. 2024, How Do Large Language Models Acquire Factual Knowledge During Pretraining?",
        "2406.11813",
    ),
    Work(
        "equally-forget",
        "Does continual learning equally forget all parameters",
        "Zhao et al. 2023, Does Continual Learning Equally Forget All Parameters?",
        "2304.04158",
    ),
    Work(
        "sort",
        "SORT",
        "Pink et al. 2024, Assessing Episodic Memory in LLMs with Sequence Order Recall Tasks",
        "2410.08133",
    ),
    Work(
        "refresh",
        "Unified CL framework (refresh)",
        "Wang et al. 2024, A Unified and General Framework for Continual Learning",
        "2403.13249",
    ),
    Work(
        "unforgettable",
        "Unforgettable Generalization",
        "Zhang, Choshen & Andreas 2024, Unforgettable Generalization in Language Models",
        "2409.02228",
    ),
    Work(
        "entangled-instructions",
        "Entangled Instructions",
        "Han et al. 2025, Can Language Models Follow Multiple Turns of Entangled Instructions?, Findings of EMNLP",
        "",
    ),
    # cost
    Work("kinetics", "Kinetics", "Sadhukhan et al. 2025, Kinetics: Rethinking Test-Time Scaling Laws", "2506.05333"),
    Work(
        "attention-offloading",
        "Attention Offloading",
        "Chen et al. 2024, Efficient Heterogeneous Large Language Model Decoding",
        "2405.01814",
    ),
    Work(
        "fusemax",
        "FuseMax",
        "Nayak et al. 2024, FuseMax: Leveraging Extended Einsums to Optimize Attention Accelerator Design",
        "2406.10491",
    ),
    # models that are trained beside them
    Work(
        "transformer",
        "Transformer",
        "Vaswani et al. 2017, Attention Is All You Need",
        "1706.03762",
        beside=True,
        policies=("full",),
        models=("transformer",),
    ),
    Work(
        "mamba",
        "Mamba",
        "Gu & Dao 2023, Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
        "2312.00752",
        beside=True,
        models=("mamba",),
    ),
    Work(
        "jamba",
        "Jamba",
        "Lieber et al. 2024, Jamba: A Hybrid Transformer-Mamba Language Model",
        "2403.19887",
        beside=True,
        models=("jamba",),
    ),
    Work(
        "seqboat",
        "SeqBoat",
        "Ren et al. 2023, Sparse Modular Activation for Efficient Sequence Modeling",
        "2306.11197",
        beside=True,
        models=("seqboat",),
    ),
    Work("transmamba", "TransMamba", "Li et al. 2025, TransMamba", "2503.24067", beside=True, models=("transmamba",)),
)
"""In the order of the page."""


def listed() -> list[str]:
    """Return the names of all works of the list."""
    return [work.name for work in WORKS if not work.beside] + [name for group in OUT_OF_SCOPE for name in group.works]
