"""Put finished training runs into ``data/runs``: thinned, measured once more, with a list of their files.

    cogfit theory train cram-n256 --seeds 11-15
    python benchmarks/record_runs.py runs/cram-n256 --keep routing

Every run is copied with its evaluations and its description; ``--keep`` adds the routing log, the utilisation log and
the weights. What is measured here, on streams that no run was trained on: the model as it is, and with one of its
branches taken out of the computation (its output set to zero) or forced upon every token. That tells where the values
of recurring patterns are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from command_line import positive_whole, run_script

from cogfit.errors import InputError
from cogfit.files import write_atomic
from theory.models import BRANCHES, Model
from theory.models.cram import CramLayer
from theory.models.gates import Choice
from theory.training.convergence import convergence
from theory.training.evaluation import Measures, evaluate
from theory.training.folder import restore_weights
from theory.training.reproducibility import WEIGHTS, revision
from theory.training.runs import EVALUATION, RUN, load_record, read_document, write_document
from theory.training.setup import make_setup

TARGET = Path(__file__).resolve().parents[1] / "data" / "runs"
SEED = 2**32  # as the last evaluation of training
KEEP = {"routing": "routing.parquet", "utilization": "utilization.csv", "weights": WEIGHTS}

MEANING = {
    "step": "updates of the parameters before this row (in utilization and routing: number of the update, from 0)",
    "pattern": "number of the recurring pattern, from 1",
    "exposure": "earlier presentations of the pattern as a query, forced steps included",
    "attended": "the query executed a row of attention, as it was trained on",
    "correct": "the query was answered correctly, as it was trained on",
    "p_episodic": "probability that the router gives to attention, without the noise of sampling",
    "quality": "predicted quality of the semantic memory",
    "attention_utilization": "executed attention rows as a share of tokens times layers, as it was trained on",
    "attention_on_queries": "share of the queries that attend, as it was trained on",
    "retrieval_accuracy": "share of right answers, as it was trained on",
    "retrieval_loss": "mean cross-entropy of the answers, nats",
    "dynamics_mse": "mean squared error of the prediction of the signal",
    "predicted_quality": "mean predicted quality at queries",
    "accuracy": "share of right answers, hard decisions, streams that were not trained on",
    "accuracy_recurring": "the same for recurring keys",
    "accuracy_novel": "the same for novel keys",
    "attention": "executed attention rows as a share of tokens times layers, hard decisions",
    "attended_recurring": "share of the queries for recurring keys that attend",
    "attended_novel": "share of the queries for novel keys that attend",
    "attended_other": "share of the tokens that are no queries and attend",
    "semantic_recurring": "share of the queries for recurring keys that take the semantic branch",
    "quality_recurring": "mean predicted quality at queries for recurring keys",
    "quality_novel": "mean predicted quality at queries for novel keys",
}


@contextmanager
def without_semantic(model: Model) -> Iterator[None]:
    """Within, the semantic memory returns zero; routing stays as it was."""
    memories = [layer.semantic for layer in model.layers if isinstance(layer, CramLayer) and layer.semantic is not None]
    hooks = [memory.register_forward_hook(lambda _m, _x, y: torch.zeros_like(y)) for memory in memories]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def forced(model: Model, branch: str) -> Iterator[None]:
    """Within, every token takes one branch."""

    def change(_m: Any, _x: Any, choice: Choice) -> Choice:
        weights = torch.zeros_like(choice.weights)
        weights[..., BRANCHES.index(branch)] = 1.0
        return Choice(weights, choice.probabilities)

    hooks = [layer.router.register_forward_hook(change) for layer in model.layers if isinstance(layer, CramLayer)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def measure(model: Model, streams: int) -> dict[str, Any]:
    """The model as it is and, if it is a CRAM with a semantic memory, under interventions."""

    def now() -> dict[str, float]:
        return _finite(evaluate(model, model.task, streams=streams, seed=SEED))

    found: dict[str, Any] = {"streams": streams, "measures": now()}
    if any(isinstance(layer, CramLayer) and layer.semantic is not None for layer in model.layers):
        interventions = {}
        with without_semantic(model):
            interventions["semantic memory set to zero"] = now()
        for branch in ("working", "semantic"):
            with forced(model, branch):
                interventions[f"all tokens {branch}"] = now()
        found["interventions"] = interventions
    return found


def _finite(measures: Measures) -> dict[str, float]:
    return {name: round(value, 6) for name, value in asdict(measures).items() if not math.isnan(value)}


def entry(path: Path) -> dict[str, Any]:
    """Description of a file."""
    content = path.read_bytes()
    found: dict[str, Any] = {"path": path.name}
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        found["rows"] = len(table)
        found["columns"] = [{"name": name, "meaning": MEANING[name]} for name in table.columns]
    return found | {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def record(source: Path, target: Path, keep: list[str], streams: int) -> None:
    """Copy a run, measured and thinned.

    All of it, or nothing: it is made in a folder beside the target.

    Raises
    ------
    InputError
        If there is no finished run.
    """
    document = read_document(source)
    if document is None or document.get("status") != "finished":
        raise InputError("is no finished run", path=source)
    setup = make_setup(document["config"], path=source)
    model = restore_weights(source / WEIGHTS, setup, document.get("vocabulary", {}))
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".") as folder:
        made = Path(folder) / target.name
        made.mkdir()
        _make(source, made, document, model, keep, streams)
        target.mkdir(exist_ok=True)
        for path in sorted(made.iterdir(), key=lambda path: path.name == RUN):  # the description last
            os.replace(path, target / path.name)


def _make(source: Path, target: Path, document: dict[str, Any], model: Model, keep: list[str], streams: int) -> None:
    """Write the files of a run into an empty folder."""
    files = [EVALUATION]
    shutil.copyfile(source / EVALUATION, target / EVALUATION)
    for name in keep:
        path = target / KEEP[name]
        if name == "utilization":
            log = pd.read_json(source / "utilization.jsonl", lines=True)
            write_atomic(path, log.dropna(axis="columns", how="all").to_csv(index=False, float_format="%.5g"))
        elif (source / KEEP[name]).exists():
            shutil.copyfile(source / KEEP[name], path)
        else:
            continue
        files.append(path.name)
    document.pop("measures", None)
    document.pop("schema", None)
    document["licence"] = "MIT"
    document["final"] = {**measure(model, streams), "code_revision": revision()}  # later than that of training
    document["files"] = [entry(target / name) for name in files]
    write_document(target, document)
    document["final"]["convergence"] = convergence(load_record(target)).to_json()
    write_document(target, document)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", type=Path, help="a run, or a folder of runs seed0, seed1, ...")
    parser.add_argument("--keep", nargs="*", default=[], choices=list(KEEP), help="logs and weights to copy as well")
    parser.add_argument("--streams", type=positive_whole, default=2048, help="streams to measure on (default 2048)")
    parser.add_argument("--into", type=Path, default=TARGET)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in options.folder:
        runs = sorted(folder.glob("seed*/")) or [folder]
        for run in runs:
            place = options.into / folder.name / run.name if run != folder else options.into / folder.name
            record(run, place, options.keep, options.streams)
            print(place, json.dumps(read_document(place)["final"]["measures"]))  # type: ignore[index]
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
