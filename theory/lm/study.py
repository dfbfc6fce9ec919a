"""The study of one language model: units that are measured one by one and recorded.

A folder of a study holds ``run.json`` (which model, by digest, which texts, which sizes, how long each unit took) and a
table for each question. Units that are there are not measured again, so a study that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.lm.eviction import PLAYABLE, play_policies
from theory.lm.heads import HeadScores, by_layer, copy_score, encode_documents, induction_score, knock_out, sink_share
from theory.lm.in_context import CONDITIONS, curve_in_context, fit_in_context, read_contexts
from theory.lm.needles import make_needles
from theory.lm.records import COLUMNS, KIND, describe_columns, read_table
from theory.redundancy.models import LanguageModel
from theory.redundancy.probes import Plan, measure
from theory.redundancy.texts import Texts
from theory.training.reproducibility import hardware, revision, versions
from theory.training.runs import read_document, write_document

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured.

    Attributes
    ----------
    documents, fit_documents, tokens : int
        Documents that R is measured on, that probes are fitted on, and tokens of each.
    layers : tuple of int, optional
        Layers that R is measured of; by default all.
    sink_documents : int
    needles, test_needles : int
        Needles that heads are chosen on, and others that knock-outs and policies are judged on.
    needle_tokens : int
        Tokens of prose around a needle.
    knocked_out : tuple of int
        Numbers of heads.
    draws : int
        Sets of random heads for each number.
    contexts, lines : int
        Contexts of each condition, and their lines.
    copy_heads : int
        Heads that P_episodic is the attention of, and that the policy ``copy-heads`` leaves full.
    budget : int
        Tokens that policies may keep.
    policy_needles : int
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
    budget: int = 64
    policy_needles: int = 10
    seed: int = 0


QUICK = Sizes(
    documents=20,
    fit_documents=30,
    sink_documents=12,
    needles=16,
    test_needles=12,
    knocked_out=(10,),
    contexts=12,
    policy_needles=5,
)
"""Sizes of half an hour on two cores."""


@dataclass(frozen=True)
class Bench:
    """What every unit works on.

    Attributes
    ----------
    model : LanguageModel
    texts : Texts
        Halved: needles that heads are chosen on stand in one half, those that are judged in the other.
    sizes : Sizes
    folder : Path
        Where the tables of earlier units are.
    progress : callable or None
    """

    model: LanguageModel
    texts: Texts
    sizes: Sizes
    folder: Path
    progress: Progress | None

    def tokens(self, documents: Sequence[Any]) -> list[list[int]]:
        """Tokens of documents."""
        return encode_documents(self.model, [document.read() for document in documents])

    def copy_heads(self) -> dict[int, tuple[int, ...]]:
        """Heads of the highest copy scores, as recorded."""
        table = read_table(self.folder, "heads").sort_values("copy", ascending=False, kind="stable")
        chosen = table.head(self.sizes.copy_heads)
        return by_layer([(layer, head) for layer, head in chosen[["layer", "head"]].to_numpy(int).tolist()])


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
        "knock_out": pd.DataFrame([_flat(row) | {"needles": len(judged)} for row in rows]),
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


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose triples are columns of their own."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, tuple):
            out |= {name: value[0], f"{name}_low": value[1], f"{name}_high": value[2]}
        else:
            out[name] = value
    return out


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
    low, high = fit.interval if fit.interval is not None else (None, None)
    return row | {
        "verdict": fit.verdict.power_law,
        "form": fit.form,
        "forms": " ".join(fit.indistinguishable_forms) or "none",
        "gamma": fit.gamma,
        "gamma_low": low,
        "gamma_high": high,
    }


def measure_policies(bench: Bench) -> Tables:
    """Needles, prose and costs under policies."""
    import pandas as pd

    sizes = bench.sizes
    needles = make_needles(
        bench.model,
        bench.tokens(bench.texts.measured),
        sizes.policy_needles,
        tokens=sizes.needle_tokens,
        seed=sizes.seed + 2,
    )
    rows = play_policies(
        bench.model,
        needles,
        bench.copy_heads(),
        policies=tuple(PLAYABLE),
        budget=sizes.budget,
        progress=bench.progress,
    )
    return {"policies": pd.DataFrame([_flat(row) | {"needles": len(needles)} for row in rows])}


def measure_redundancy(bench: Bench) -> Tables:
    """R of layers and heads, and its learning curve."""
    import pandas as pd

    sizes = bench.sizes
    plan = Plan(
        documents=sizes.documents,
        fit_documents=sizes.fit_documents,
        tokens=sizes.tokens,
        layers=sizes.layers,
        halvings=3,
    )
    model = replace(bench.model, context=min(bench.model.context, sizes.tokens))
    measured = measure(model, bench.texts, plan=plan, progress=bench.progress)
    limit = measured.limit()
    curve = pd.DataFrame(measured.learning_curve())
    if limit is not None:
        end = {"documents": 0, "tokens": np.inf, "r": limit[0], "r_low": limit[1], "r_high": limit[2]}
        curve = pd.concat([curve, pd.DataFrame([end])], ignore_index=True)
    return {"redundancy": measured.table(), "learning_curve": curve}


UNITS: Mapping[str, Callable[[Bench], Tables]] = {
    "redundancy": measure_redundancy,
    "heads": measure_heads,
    "context": measure_in_context,
    "policies": measure_policies,
}
"""What a study consists of; ``context`` and ``policies`` use the copy heads of ``heads``."""


def run_study(
    model: LanguageModel,
    texts: Texts,
    folder: Path,
    *,
    digest: str,
    sizes: Sizes | None = None,
    units: Sequence[str] = tuple(UNITS),
    command: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the units that are not there yet.

    Parameters
    ----------
    model : LanguageModel
    texts : Texts
    folder : Path
        Is made if need be.
    digest : str
        Of the model's weights; a folder holds one model's study.
    sizes : Sizes, optional
    units : sequence of str
        Of :data:`UNITS`.
    command : str, optional
        How this was asked for, to be recorded.
    progress : callable, optional

    Returns
    -------
    dict
        ``run.json``.

    Raises
    ------
    InputError
        If the folder holds another study, or a unit is unknown or lacks one before it.
    """
    sizes, texts = sizes or Sizes(), texts.halved()
    for name in units:
        if name not in UNITS:
            raise InputError(f"no unit '{name}'", hint=nearest(name, UNITS))
    document = _open(folder, digest, sizes, texts, model.name, command)
    bench = Bench(model, texts, sizes, folder, progress)
    for name in (name for name in UNITS if name in units and name not in document["units"]):
        if name in ("context", "policies") and "heads" not in document["units"]:
            raise InputError(f"{name} needs the heads first", hint="leave --unit out, or add --unit heads")
        began, processor = time.perf_counter(), time.process_time()
        tables = UNITS[name](bench)
        spent = {"seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - processor, 1)}
        record_unit(folder, document, name, tables, spent)
    return document


def record_unit(folder: Path, document: dict[str, Any], name: str, tables: Tables, spent: Mapping[str, float]) -> None:
    """Write the tables of a unit, then note it."""
    for table, frame in tables.items():
        write_atomic(folder / f"{table}.csv", frame.to_csv(index=False, float_format="%.6g"))
    measured = document["units"] | {name: {"tables": list(tables), **spent}}
    document["units"] = {unit: measured[unit] for unit in UNITS if unit in measured}
    document["files"] = [
        _entry(folder / f"{table}.csv") for unit in document["units"].values() for table in unit["tables"]
    ]
    document["status"] = "finished" if set(document["units"]) == set(UNITS) else "running"
    write_document(folder, document)


def _open(folder: Path, digest: str, sizes: Sizes, texts: Texts, name: str, command: str | None) -> dict[str, Any]:
    """Begin the folder of a study, or go on with it."""
    from theory.redundancy.models import has_bfloat16

    config = {"model_sha256": digest, "texts": texts.describe(), "sizes": _plain(asdict(sizes))}
    document = read_document(folder)
    if document is not None:
        if document.get("kind") != KIND or _plain(document.get("config")) != config:
            hint = "name another folder with --out"
            raise InputError("holds a study of another model, other texts or sizes", path=folder, hint=hint)
        return document
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be used ({error.strerror})", path=folder) from None
    import torch

    return {
        "name": folder.name,
        "kind": KIND,
        "model": name,
        "config": config,
        "command": command,
        "status": "running",
        "description": f"Attention of the language model {name}: redundancy, heads, a curve in context, policies.",
        "licence": "MIT",
        "level": 0.95,
        "versions": versions() | {"transformers": version("transformers")},
        "hardware": hardware(torch.device("cpu")) | {"bfloat16": has_bfloat16()},
        "code_revision": revision(),
        "meaning_from": {"code": "from theory/lm/records.py"},
        "units": {},
        "files": [],
    }


def _plain(value: Any) -> Any:
    """The same as JSON gives it back."""
    import json

    return json.loads(json.dumps(value))


def _entry(path: Path) -> dict[str, Any]:
    """Describe a table: size, hash, rows, columns."""
    import pandas as pd

    content = path.read_bytes()
    frame = pd.read_csv(path)
    return {
        "path": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(frame),
        "columns": describe_columns(frame, COLUMNS),
    }
