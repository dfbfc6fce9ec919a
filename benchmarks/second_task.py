"""What a second task makes models forget, by module and training.

Run ``python benchmarks/second_task.py`` (``--help`` for the options; some seconds a cell on one core), and
``--page`` writes its tables into docs/training.md. Small models
(N = 64, d = 32, 32 recurring keys with 8 values that are the same in all streams) learn a table of bindings into their
weights in 80 steps of 16 streams, kept in ``runs/second_task``, and go on from there with another table for 60 steps.
``keys``: the second table is of the ``same`` keys, so that it contradicts the first, or of ``other`` keys, so that both
can be held.

``question``:

- ``modules`` (Zhao et al. 2023, arXiv 2304.04158): how far modules move, and what of the forgetting comes back when
  some are put back as they were. ``few``: a quarter of them (rounded up), those that bring back most one by one, on
  other streams than they are judged on; ``moved``: the quarter that moved farthest; ``random``: mean of eight draws;
  ``rest``: all but the few. ``few_parameters``: their share of the parameters; ``moved_share``: share of the sum of
  relative changes that falls on the farthest quarter, beside ``quarter``, their share of the modules.
- ``refresh`` (Wang et al. 2024, arXiv 2403.13249): every batch is unlearned with rate ``unlearning`` and noise
  ``temperature``, then learned. An update takes two gradients then, so that a run without it and twice the ``steps``
  takes as many. ``replay``: streams of the first task that are shown again in every batch. Candidates (:data:`ARMS`)
  are compared on seeds from 100 on, each way to train down to a rate that is worse; those that are best there
  (:data:`CHOSEN`) are judged on others.

Columns of results: ``first``, accuracy on the first task before the second; ``old`` and ``new``, on both after it (256
fresh streams each); ``in_context``, of the first model where values are fresh in every stream, which is chance if what
it answers comes from the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, filled, main, markdown, missing, recorded, wrapped

from cogfit.files import data_dir
from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.phenomena.measures.second_task import compare_cases, measure_unlearn_then_relearn

if TYPE_CHECKING:
    from theory.models import Model
    from theory.tasks.srcd import SRCD, Batch

FOLDER = Path(__file__).resolve().parents[1] / "runs" / "second_task"
KEYS, STREAMS, DRAWS = 32, 256, 8
FIRST_STEPS, STEPS, RATE = 80, 60, 3e-3
_SETTINGS = {
    "data.length": 64, "data.patterns": KEYS, "data.novel_keys": KEYS, "data.values": 8, "data.query_fraction": 0.25,
    "data.recurring_fraction": 1.0, "model.d_model": 32, "model.heads": 4,
    "training.batch": 16, "training.attend_until": 0, "training.costs_from": 0, "training.routing_every": 0,
    "training.evaluate_every": 1000, "training.evaluation_streams": 16, "training.final_streams": 64,
}  # fmt: skip
KINDS = {"transformer": 2, "mamba": 1, "cram": 1}
"""Kinds of model with their layers."""


def _setup(kind: str, seed: int, table: int, **changes: Any) -> Any:
    """Settings of a run on the first or the second table of a seed."""
    from theory.training.setup import load_setup

    own = {"model.layers": KINDS[kind], "training.seed": seed, "data.table_seed": 2 * seed + table}
    return load_setup(f"{kind}-n256", _SETTINGS | own | changes)


def source(kind: str, seed: int) -> Path:
    """Train the first task of a kind and seed unless that was done; return its folder."""
    from theory.training.loop import train

    folder = FOLDER / kind / f"seed{seed}"
    train(_setup(kind, seed, 0, **{"training.steps": FIRST_STEPS}), folder, device="cpu")
    return folder


@lru_cache(maxsize=1)
def _first(kind: str, seed: int) -> Model:
    from theory.training.folder import load_model

    return load_model(source(kind, seed))


@lru_cache
def _of_first(kind: str, seed: int) -> dict[str, float]:
    """Accuracy of a model of the first task, on it and where values are fresh."""
    model, old = _first(kind, seed), _setup(kind, seed, 0).data
    fresh = old.model_copy(update={"table": "fresh"})
    return {"first": accuracy(model, old), "in_context": accuracy(model, fresh)}


def shifted(batch: Batch[Any], by: int) -> Batch[Any]:
    """Streams that speak of other keys."""
    key = batch.tokens.key
    return replace(batch, tokens=replace(batch.tokens, key=key + by * (key > 0)))


def joined(first: Batch[Any], second: Batch[Any]) -> Batch[Any]:
    """Two batches as one, along the axis of streams, which is the last but one."""
    import torch

    def join(one: Any, two: Any) -> dict[str, Any]:
        names = [field.name for field in fields(one) if field.name != "tokens"]
        return {name: torch.cat([getattr(one, name), getattr(two, name)], -2) for name in names}

    return type(first)(
        tokens=type(first.tokens)(**join(first.tokens, second.tokens)),
        **join(first, second),
    )


def accuracy(model: Any, task: SRCD, by: int = 0, seed: int = 2**31) -> float:
    """Share of right answers on fresh streams, with hard decisions."""
    import torch

    from theory.models import Sampler

    was = model.training
    model.eval()
    with torch.no_grad():
        batch = shifted(Sampler(task, seed).sample(STREAMS), by)
        right = model(batch.tokens).correct(batch)[batch.answer > 0]
    model.train(was)
    return float(right.float().mean())


def second(cell: Cell) -> Model:
    """Go on from the first task of a cell with its second one."""
    import torch

    from theory.models import Sampler
    from theory.training.loop import Streams, loop
    from theory.training.refresh import Refreshing, fisher_diagonal
    from theory.training.reproducibility import deterministic

    kind, seed, replay = str(cell["kind"]), int(cell["model_seed"]), int(cell["replay"])
    changes = {"training.steps": int(cell["steps"]), "training.rate": float(cell["rate"])}
    setup = _setup(kind, seed, 1, **changes, **{"transfer.source": str(source(kind, seed))})
    old, cpu, by = _setup(kind, seed, 0).data, torch.device("cpu"), _shift(cell)
    unlearning = float(cell["unlearning"])

    class Second(Streams):
        """The second task, and what is replayed of the first."""

        memory = Sampler(old, 2**30 + seed).sample(replay) if replay else None

        def sample(self) -> Any:
            batch = shifted(super().sample(), by)
            if self.memory is None:
                return batch
            return joined(batch, _folded(self.memory))

    with deterministic(seed, cpu):
        # the model of the first task is the start, and what matters to that task is measured on it
        importance = fisher_diagonal(_first(kind, seed), old, seed=2**29 + seed) if unlearning else None
        trainer = Refreshing(setup, cpu, rate=unlearning, temperature=float(cell["temperature"]), importance=importance)
        loop(trainer, Second([setup.data], setup.training.batch, 1000 + seed, cpu), [], [setup])
    return trainer.model.eval()


def _folded(batch: Batch[Any]) -> Batch[Any]:
    """A batch with the axis of members in front."""

    def fold(part: Any) -> dict[str, Any]:
        names = [field.name for field in fields(part) if field.name != "tokens"]
        return {name: getattr(part, name)[None] for name in names}

    return type(batch)(tokens=type(batch.tokens)(**fold(batch.tokens)), **fold(batch))


def _shift(cell: Cell) -> int:
    return KEYS if cell["keys"] == "other" else 0


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    kind, seed = str(cell["kind"]), int(cell["model_seed"])
    before, after = _first(kind, seed), second(cell)
    old, new = _setup(kind, seed, 0).data, _setup(kind, seed, 1).data
    results = {
        **_of_first(kind, seed),
        "old": accuracy(after, old),
        "new": accuracy(after, new, _shift(cell)),
    }
    return results | (_modules(before, after, old, rng) if cell["question"] == "modules" else {})


def _modules(before: Model, after: Model, old: SRCD, rng: np.random.Generator) -> dict[str, Any]:
    """What comes back of the first task with a quarter of the modules, chosen in several ways."""
    from theory.training.module_drift import module_drift, module_forgetting, module_of, modules_of, put_back

    state = before.state_dict()
    names = modules_of(state)
    count = -(-len(names) // 4)
    # chosen on some streams, judged on others
    single = module_forgetting(before, after, lambda model: 1 - accuracy(model, old, seed=2**32))[2]
    drift = module_drift(state, after.state_dict())
    few, moved = [item.module for item in single[:count]], [item.module for item in drift[:count]]
    low, high = accuracy(after, old), accuracy(before, old)

    def recovered(modules: Sequence[str]) -> float:
        return (accuracy(put_back(before, after, modules), old) - low) / (high - low)

    sizes = {name: sum(v.numel() for key, v in state.items() if module_of(key) == name) for name in names}
    changes = [item.change for item in drift]
    return {
        "modules": len(names),
        "quarter": count / len(names),
        "one": recovered(few[:1]),
        "few": recovered(few),
        "rest": recovered([name for name in names if name not in few]),
        "moved": recovered(moved),
        "random": fmean(recovered(rng.permutation(names)[:count].tolist()) for _ in range(DRAWS)),
        "few_parameters": sum(sizes[name] for name in few) / sum(sizes.values()),
        "moved_share": sum(changes[:count]) / sum(changes),
        "few_names": " ".join(few),
        "moved_names": " ".join(moved),
    }


# -------------------------------------------------------------------------------------------------------------- cells

TUNING, JUDGED = range(100, 103), range(8)
"""Seeds on which candidates are compared, and those that are judged."""

_RATES = (RATE, RATE / 2, RATE / 4, RATE / 8)


def _arm(steps: int, rate: float, unlearning: float = 0.0, temperature: float = 0.0) -> dict[str, Any]:
    """How a second task is learned, as it stands in a cell."""
    return {"steps": steps, "rate": rate, "unlearning": unlearning, "temperature": temperature}


ARMS: dict[str, list[dict[str, Any]]] = {
    "plain": [_arm(STEPS, rate) for rate in _RATES],
    "unlearned first": [
        _arm(STEPS, rate, unlearning, temperature)
        for rate, temperature, unlearnings in (
            (RATE, 0.0, (0.003, 0.01, 0.03)),
            (RATE, 1e-5, (0.003, 0.01, 0.03)),
            (RATE / 2, 0.0, (0.003, 0.01, 0.03)),
            # ten times the rate of learning and more undoes what is learned; below the least lies plain training
            (RATE / 4, 0.0, (0.003,)),
            (RATE / 8, 0.0, (0.001,)),
        )
        for unlearning in unlearnings
    ],
    "plain, twice the steps": [_arm(2 * STEPS, rate) for rate in (*_RATES, RATE / 16)],
}
"""Candidates: as it is, with unlearning, and without it in as many gradients (:func:`tried`)."""

CASES = [(kind, replay) for kind in KINDS for replay in (0, 1)]
CHOSEN: dict[tuple[str, int], tuple[int, ...]] = {
    ("transformer", 0): (2, 9, 3),
    ("transformer", 1): (1, 6, 3),
    ("mamba", 0): (1, 7, 3),
    ("mamba", 1): (1, 7, 3),
    ("cram", 0): (1, 6, 2),
    ("cram", 1): (1, 6, 2),
}
"""By kind and replay, the best of each of :data:`ARMS` on the seeds of tuning (:func:`best`)."""


def tried(kind: str, replay: int) -> list[list[dict[str, Any]]]:
    """Candidates of each way to train, down to half of the rate that is best.

    So each way is searched until a lower rate is worse.
    """
    ways = zip(CHOSEN[kind, replay], ARMS.values(), strict=True)
    return [[arm for arm in arms if arm["rate"] >= arms[i]["rate"] / 2] for i, arms in ways]


def judged_arms(kind: str, replay: int) -> dict[str, dict[str, Any]]:
    """The chosen arms, and plain training at the rate of the one with unlearning."""
    chosen = {name: arms[i] for i, (name, arms) in zip(CHOSEN[kind, replay], ARMS.items(), strict=True)}
    return {"plain, same rate": _arm(STEPS, chosen["unlearned first"]["rate"]), **chosen}


def _cells() -> list[dict[str, Any]]:
    """Cells in the order of the table: modules, candidates, what is judged."""
    modules = [
        {"question": "modules", "kind": kind, "keys": keys, "replay": 0, **ARMS["plain"][0], "model_seed": seed}
        for kind in KINDS
        for keys in ("same", "other")
        for seed in JUDGED
    ]
    tuning = [
        {"question": "refresh", "kind": kind, "keys": "other", "replay": replay, **arm, "model_seed": seed}
        for kind, replay in CASES
        for seed in TUNING
        for arms in tried(kind, replay)
        for arm in arms
    ]
    judged = [
        {"question": "refresh", "kind": kind, "keys": "other", "replay": replay, **arm, "model_seed": seed}
        for kind, replay in CHOSEN
        for seed in JUDGED
        for arm in {tuple(arm.values()): arm for arm in judged_arms(kind, replay).values()}.values()
    ]
    return [*modules, *tuning, *judged]


CELLS = _cells()
STUDY = Study("second_task", (__doc__ or "").split("\n")[0], CELLS, measure, 1)


def _rows_of(
    rows: Sequence[Mapping[str, str]], kind: str, replay: int, arm: Mapping[str, float], seeds: Sequence[int]
) -> list[Mapping[str, str]]:
    """Rows of one way to learn the second task."""
    return [
        row
        for row in rows
        if (row["question"], row["kind"], int(row["replay"])) == ("refresh", kind, replay)
        and int(row["model_seed"]) in seeds
        and all(float(row[name]) == value for name, value in arm.items())
    ]


def best(rows: Sequence[Mapping[str, str]], kind: str, replay: int) -> tuple[int, ...]:
    """Candidates with the greatest mean accuracy over both tasks.

    On the seeds of tuning; the first where they tie.
    """

    def score(arm: Mapping[str, float]) -> float:
        own = _rows_of(rows, kind, replay, arm, TUNING)
        return fmean((float(row["old"]) + float(row["new"])) / 2 for row in own)

    scores = [[score(arm) for arm in arms] for arms in tried(kind, replay)]
    return tuple(max(range(len(own)), key=own.__getitem__) for own in scores)


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Accuracies of what was judged, means over seeds with their intervals, for the page."""
    lines = []
    for kind, replay in CHOSEN:
        arms = judged_arms(kind, replay)
        for title, arm in arms.items():
            if title == "plain, same rate" and arm == arms["plain"]:
                continue
            own = _rows_of(rows, kind, replay, arm, JUDGED)
            old, new = ([float(row[name]) for row in own] for name in ("old", "new"))
            both = [fmean(pair) for pair in zip(old, new, strict=True)]
            how = f"γ {arm['unlearning']:g}, τ {arm['temperature']:g}" if arm["unlearning"] else "–"
            means = [_share(over_seeds("", values)) for values in (old, new, both)]
            lines.append((kind, str(replay), title, f"{arm['rate']:g}", how, str(len(own)), *means))
    header = ("model", "old streams a batch", "training", "rate", "unlearning", "seeds")
    return markdown((*header, "first task", "second task", "both"), lines)


def table_of_differences(data: Recordings) -> str:
    """What unlearning changes, paired over seeds, in points of accuracy, for the page."""
    lines = [(name, *(_interval(one, "+.1f") for one in case)) for name, case in compare_cases(data).items()]
    header = ("case", "first task, less the same without", "second task, less the same without")
    return markdown((*header, "both, less the best plain", "both, less the best with as many gradients"), lines)


def text_of(data: Recordings) -> str:
    """What unlearning does, in a sentence for the page."""
    reason = measure_unlearn_then_relearn(data).reason
    return wrapped(f"{reason[0].upper()}{reason[1:]}.")


def _share(one: Quantity) -> str:
    """A share in percent with its interval, cut at all."""
    return _interval(replace(one, high=min(one.high, 1.0)), ".1f")


def _interval(one: Quantity, digits: str) -> str:
    """A number in percent with its interval."""
    value, low, high = (format(100 * x, digits) for x in (one.value, one.low, one.high))
    return f"{value} [{low}, {high}]"


def table_of_modules(rows: Sequence[Mapping[str, str]]) -> str:
    """What comes back with a quarter of the modules, means over seeds, for the page."""
    lines = []
    for kind, keys in ((kind, keys) for kind in KINDS for keys in ("same", "other")):
        own = [row for row in rows if (row["question"], row["kind"], row["keys"]) == ("modules", kind, keys)]
        columns = ("old", "few", "few_parameters", "moved", "random", "rest")
        means = [f"{fmean(float(row[name]) for row in own):.1%}".replace("%", " %") if own else "–" for name in columns]
        lines.append((kind, keys, str(len(own)), *means))
    header = ("model", "keys", "seeds", "accuracy left", "with a quarter", "its parameters")
    return markdown((*header, "with those that moved farthest", "with random ones", "with the rest"), lines)


_HOW_TO_READ = """\
Accuracies in %, with 95 % intervals over seeds. What unlearning changes, paired over seeds, in points:
"""
PAGE = Path(__file__).resolve().parents[1] / "docs" / "training.md"


def page(text: str) -> str:
    """The page with both tables."""
    rows, data = recorded(STUDY.name), Recordings(data_dir())
    refresh = f"{table_of(rows)}\n{_HOW_TO_READ}\n{table_of_differences(data)}\n{text_of(data)}"
    return filled(filled(text, "MODULES", table_of_modules(rows)), "REFRESH", refresh)


if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        # first tasks before the rest, as workers would train them at the same time
        for kind, seed in sorted({(str(cell["kind"]), int(cell["model_seed"])) for cell in missing(STUDY)}):
            source(kind, seed)
        main(STUDY)
