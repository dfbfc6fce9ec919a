"""What a study of a language model consists of: one function per unit, from a bench to tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.lm.bench import Bench, flat
from theory.lm.controls import shuffling, teach, with_random_weights
from theory.lm.eviction import PLAYABLE, WINDOW, play_policies
from theory.lm.heads import HeadScores, copy_score, induction_score, knock_out, sink_share
from theory.lm.in_context import CONDITIONS, curve_in_context, fit_in_context, read_contexts
from theory.lm.needles import make_needles
from theory.lm.records import TEACHER, describe_fit
from theory.lm.units_of_works import (
    measure_conversations,
    measure_forgotten_skills,
    measure_known,
    measure_segments,
    measure_sinks,
)
from theory.redundancy.models import LanguageModel
from theory.redundancy.probes import Plan, measure
from theory.redundancy.tables import Redundancy
from theory.redundancy.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

    from theory.lm.bench import Tables


def measure_heads(bench: Bench) -> Tables:
    """Scores of heads, and knock-outs."""
    import pandas as pd

    sizes, model = bench.sizes, bench.model
    apart = bench.tokens(bench.texts.fitted)
    sinks = sink_share(model, apart[: sizes.sink_documents], progress=bench.progress)
    chosen_on = make_needles(model, apart, sizes.needles, tokens=sizes.needle_tokens, seed=sizes.seed)
    copying, recall = copy_score(model, chosen_on, progress=bench.progress)
    induction = induction_score(model, seed=sizes.seed)
    scores = {"sink": sinks, "copy": copying, "induction": induction}
    judged = make_needles(
        model, bench.tokens(bench.texts.measured), sizes.test_needles, tokens=sizes.needle_tokens, seed=sizes.seed + 1
    )
    rows = knock_out(
        model, copying, judged, sizes.knocked_out, draws=sizes.draws, seed=sizes.seed, progress=bench.progress
    )
    summary = [_score_row(name, score) for name, score in scores.items()]
    summary += [_row("needle", name, len(chosen_on), triple) for name, triple in recall.summary().items()]
    return {
        "heads": _heads_table(scores),
        "scores": pd.DataFrame(summary),
        "knock_out": pd.DataFrame([flat(row) | {"needles": len(judged)} for row in rows]),
    }


def _heads_table(scores: Mapping[str, HeadScores]) -> pd.DataFrame:
    """One row per head."""
    import pandas as pd

    shape = next(iter(scores.values())).part.shape[1:]
    columns: dict[str, Any] = {
        "layer": np.repeat(np.arange(1, shape[0] + 1), shape[1]),
        "head": np.tile(np.arange(1, shape[1] + 1), shape[0]),
    }
    for name, score in scores.items():
        for suffix, values in zip(("", "_low", "_high"), score.estimate(), strict=True):
            columns[name + suffix] = values.ravel()
    return pd.DataFrame(columns)


def _score_row(name: str, score: HeadScores) -> dict[str, Any]:
    return _row(name, "mean over heads", len(score.part), score.mean()) | {
        "above_0.1": score.share_above(0.1),
        "above_0.3": score.share_above(0.3),
        "above_0.5": score.share_above(0.5),
    }


def _row(name: str, quantity: str, units: int, triple: tuple[float, float, float]) -> dict[str, Any]:
    value, low, high = triple
    return {"score": name, "quantity": quantity, "units": units, "estimate": value, "low": low, "high": high}


def measure_in_context(bench: Bench) -> Tables:
    """P_episodic(k) on repeated lines, and its form."""
    import pandas as pd

    sizes = bench.sizes
    log = read_contexts(
        bench.model,
        bench.copy_heads(),
        contexts=sizes.contexts,
        lines=sizes.lines,
        seed=sizes.seed,
        progress=bench.progress,
    )
    curves, fits = [], []
    for window, late in (("all", False), ("late", True)):
        curve = curve_in_context(log, late=late)
        curves.append(curve.assign(window=window))
        fits += [{"window": window, **_fit_row(curve, condition)} for condition in CONDITIONS]
    return {"context": log, "in_context": pd.concat(curves, ignore_index=True), "fits": pd.DataFrame(fits)}


def _fit_row(curve: pd.DataFrame, condition: str) -> dict[str, Any]:
    """What `cogfit.fit` says of a curve, and its ends."""
    part = curve[(curve["condition"] == condition) & (curve["exposure"] >= 1)]
    row: dict[str, Any] = {"condition": condition, "points": len(part)}
    row |= {"first": part["p_episodic"].iloc[0], "last": part["p_episodic"].iloc[-1]}
    try:
        fit = fit_in_context(curve, condition)
    except InputError as error:  # too few exposures, say: the curve itself is an answer
        return row | {"verdict": f"not fitted: {error.what}", "form": "none", "forms": "none"}
    return row | describe_fit(fit)


def measure_policies(bench: Bench) -> Tables:
    """Needles, prose and costs under policies."""
    import pandas as pd

    sizes, needles = bench.sizes, bench.policy_needles()
    rows, places = play_policies(
        bench.model,
        needles,
        bench.copy_heads(),
        policies=tuple(name for name in PLAYABLE if name != WINDOW),
        budgets=sizes.budgets,
        progress=bench.progress,
    )
    return {
        "policies": pd.DataFrame([flat(row) | {"needles": len(needles)} for row in rows]),
        "policies_places": pd.DataFrame([flat(row) for row in places]),
    }


def measure_redundancy(bench: Bench) -> Tables:
    """R on prose, and its learning curve."""
    measured = _redundancy(bench, bench.texts)
    return {"redundancy": measured.table(), "learning_curve": _with_limit(measured)}


def measure_code(bench: Bench) -> Tables:
    """The same on programs."""
    measured = _redundancy(bench, bench.code)
    return {"redundancy_code": measured.table(), "learning_curve_code": _with_limit(measured)}


HALVINGS = 3
"""Points of learning curves beside the last."""


def _redundancy(bench: Bench, texts: Texts) -> Redundancy:
    """R of the model itself, at full size."""
    sizes = bench.sizes
    plan = Plan(documents=sizes.documents, fit_documents=sizes.fit_documents, layers=sizes.layers, tokens=sizes.tokens)
    return _measure(bench, bench.model, texts, plan)


def _measure(bench: Bench, model: LanguageModel, texts: Texts, plan: Plan) -> Redundancy:
    model = replace(model, context=min(model.context, plan.tokens))
    return measure(model, texts, plan=replace(plan, halvings=HALVINGS), progress=bench.progress)


def _with_limit(measured: Redundancy) -> pd.DataFrame:
    """The learning curve, and its end with endless text as documents 0."""
    import pandas as pd

    limit, curve = measured.limit(), pd.DataFrame(measured.learning_curve())
    if limit is not None:
        end = {"documents": 0, "tokens": np.inf, "r": limit[0], "r_low": limit[1], "r_high": limit[2]}
        curve = pd.concat([curve, pd.DataFrame([end])], ignore_index=True)
    return curve


TEACHERS = (0.5, 0.84)
"""R of the linear teachers: one in the middle, and that of GPT-2 in the paper."""


def measure_controls(bench: Bench) -> Tables:
    """R of shuffled text, random weights and linear teachers."""
    import pandas as pd

    sizes, model, count = bench.sizes, bench.model, bench.sizes.control_documents
    plan = Plan(documents=count, fit_documents=count, tokens=sizes.tokens)
    shuffled = shuffling(model, sizes.seed)
    rows = _control_rows("shuffled text", _width(model), _measure(bench, shuffled, bench.texts, plan))
    for width in sizes.control_widths:
        random = with_random_weights(model, width, sizes.control_layers, sizes.seed)
        rows += _control_rows("random weights", width, _measure(bench, random, bench.texts, plan))
    for r in TEACHERS:
        for width in sizes.control_widths:
            curve = teach(
                width,
                r,
                documents=count,
                fit_documents=count,
                tokens=sizes.tokens,
                halvings=HALVINGS,
                seed=sizes.seed,
            )
            rows += [{"control": f"{TEACHER}, R = {r}", "width": width, **point} for point in curve]
    table = pd.DataFrame(rows)
    table.insert(4, "per_input", table["tokens"] / table["width"])
    return {"controls": table}


def _width(model: LanguageModel) -> int:
    config: Any = model.module.config
    return int(config.hidden_size)


def _control_rows(name: str, width: int, measured: Redundancy) -> list[dict[str, Any]]:
    """Points of a learning curve; the last with the R of a constant."""
    table = measured.table()
    whole = table[(table["layer"] == 0) & (table["unit"] == "layer") & (table["tokens"] == "all")].iloc[0]
    names = ("documents", "tokens", "r", "r_low", "r_high", "r2")
    points = [{key: point[key] for key in names} for point in measured.learning_curve()]
    points[-1] |= {"r_constant": whole["r_constant"], "share": whole["share"]}
    return [{"control": name, "width": width, **point} for point in points]


@dataclass(frozen=True)
class Unit:
    """A part of a study.

    Attributes
    ----------
    measure : callable
        From a bench to tables by name.
    needs : tuple of str
        Units whose tables it reads.
    """

    measure: Callable[[Bench], Tables]
    needs: tuple[str, ...] = ()


UNITS: Mapping[str, Unit] = {
    "heads": Unit(measure_heads),
    "context": Unit(measure_in_context, needs=("heads",)),
    "redundancy": Unit(measure_redundancy),
    "policies": Unit(measure_policies, needs=("heads",)),
    "code": Unit(measure_code),
    "controls": Unit(measure_controls),
    "sinks": Unit(measure_sinks, needs=("heads",)),
    "known": Unit(measure_known),
    "order": Unit(measure_segments),
    "turns": Unit(measure_conversations),
    "skills": Unit(measure_forgotten_skills),
}
"""What a study consists of, in the order of measuring."""
