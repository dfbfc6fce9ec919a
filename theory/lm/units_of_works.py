"""Units that test what other works say: from a bench to tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.lm.bench import Bench, flat
from theory.lm.eviction import WINDOW, play_policies
from theory.lm.known import CAPITALS, ask_for, known, measure_conflicts, measure_recall
from theory.lm.needles import make_needles
from theory.lm.order import measure_order
from theory.lm.sinks import Question, measure_tilts, sinks_by_layer
from theory.lm.skills import measure_skills
from theory.lm.turns import measure_turns

if TYPE_CHECKING:
    import pandas as pd

    from theory.lm.bench import Tables


def measure_sinks(bench: Bench) -> Tables:
    """Later sinks, scaled attention, a window without sinks."""
    sizes, model = bench.sizes, bench.model
    apart, measured = bench.tokens(bench.texts.fitted), bench.tokens(bench.texts.measured)
    layers = sinks_by_layer(model, measured[: sizes.sink_documents], progress=bench.progress)
    # needles with one fact: the answer is all that follows the question
    needles = [
        [
            Question(needle.ids[: needle.facts[0].answer[-1] + 1], needle.facts[0].answer)
            for needle in make_needles(model, prose, sizes.tilt_needles, tokens=sizes.tilt_tokens, seed=seed)
        ]
        for prose, seed in ((apart, sizes.seed + 3), (measured, sizes.seed + 4))
    ]
    asked = [ask_for(model, country) for country in CAPITALS]
    capitals = [Question((*each.ids, each.answer), (len(each.ids),)) for each in asked]
    tilts = measure_tilts(
        model,
        {"capitals": (capitals[::2], capitals[1::2]), "needles": (needles[0], needles[1])},
        progress=bench.progress,
    )
    windows, _ = play_policies(
        model,
        bench.policy_needles(),
        bench.copy_heads(),
        policies=("full", "streaming", WINDOW),
        budgets=sizes.budgets,
        progress=bench.progress,
    )
    return {
        "later_sinks": _table(layers),
        "tilts": _table(tilts),
        "windows": _table([row | {"needles": sizes.policy_needles} for row in windows]),
    }


def measure_known(bench: Bench) -> Tables:
    """Heads that bring the known, or speak for contexts."""
    sizes = bench.sizes
    countries = known(bench.model)
    found = {
        name: _table(
            measure(
                bench.model, countries, sizes.pruned, draws=sizes.pruned_draws, seed=sizes.seed, progress=bench.progress
            )
        )
        for name, measure in (("known", measure_recall), ("conflicts", measure_conflicts))
    }
    return found


def measure_segments(bench: Bench) -> Tables:
    """Which of two segments came first."""
    sizes = bench.sizes
    documents = [document.read().decode(errors="replace") for document in bench.texts.measured]
    rows = measure_order(
        bench.model,
        documents,
        sizes.order_pairs,
        most=sizes.order_documents,
        words=sizes.order_words,
        seed=sizes.seed,
        progress=bench.progress,
    )
    return {"order": _table(rows)}


def measure_conversations(bench: Bench) -> Tables:
    """Answers after turns that interact."""
    sizes = bench.sizes
    rows = measure_turns(bench.model, sizes.conversations, sizes.between, seed=sizes.seed, progress=bench.progress)
    return {"turns": _table(rows)}


def measure_forgotten_skills(bench: Bench) -> Tables:
    """Skills that are trained away with random answers."""
    return {"skills": _table(measure_skills(bench.model, seeds=bench.sizes.skill_seeds, progress=bench.progress))}


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows whose triples are columns of their own."""
    import pandas as pd

    return pd.DataFrame([flat(row) for row in rows])
