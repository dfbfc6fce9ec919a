"""Needles under policies that kvpress has, too: the same model and prompts, answer by answer.

    python -m venv .venv-kvpress && .venv-kvpress/bin/pip install kvpress
    python benchmarks/kvpress_peer.py --kvpress .venv-kvpress/bin/python

kvpress compresses once, after the prompt was read with full attention, and decodes on what is left; the study of a
language model (docs/language-model.md) evicts token by token from the beginning. Here its two policies that are defined
by a mask are played our way of intervening, once after the prompt like kvpress: StreamingLLM, and the one "related to
H2O" that keeps the tokens of the highest mean attention. Beside them stands what eviction from the beginning gives.
kvpress asks for transformers < 5.3, so it has an environment of its own. ``cogfit theory lm fetch smollm2 --texts``
comes before.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from command_line import positive_whole, run_script

from cogfit.files import write_atomic
from theory.lm.attention import Attending, Intervention
from theory.lm.eviction import play_policies
from theory.lm.fetch import locate_model, locate_texts
from theory.lm.heads import ask, encode_documents
from theory.lm.needles import Needle, make_needles
from theory.redundancy.models import load_language_model
from theory.redundancy.tables import ratio
from theory.redundancy.texts import read_texts

POLICIES = ("full", "streaming", "observed-attention")
DECODING = {"streaming": "streaming", "observed-attention": "h2o"}
"""Our policies that evict from the beginning, beside those of kvpress."""

OUT = Path(__file__).resolve().parents[1] / "data" / "benchmarks" / "kvpress_peer.csv"


class AfterPrompt(Intervention):
    """Keeps part of a prompt once it was read; what follows sees that and itself.

    Parameters
    ----------
    policy : {"full", "streaming", "observed-attention"}
    context : int
        Tokens of the prompt.
    budget : int
        Of them that are kept.
    """

    def __init__(self, policy: str, context: int, budget: int) -> None:
        self.policy, self.context, self.budget = policy, context, budget

    def allow(self, seen: Attending) -> torch.Tensor | None:
        """All within the prompt, what is kept of it afterwards."""
        if self.policy == "full":
            return None
        heads, tokens = seen.scores.shape[1], seen.scores.shape[-1]
        mask = torch.ones(1, heads, tokens, tokens, dtype=torch.bool)
        mask[:, :, self.context :, : self.context] = self._kept(seen)[None, :, None]
        return mask

    def _kept(self, seen: Attending) -> torch.Tensor:
        """(heads, context)."""
        heads, at = seen.scores.shape[1], torch.arange(self.context)
        if self.policy == "streaming":  # four sinks, and the latest
            return ((at < 4) | (at >= self.context - self.budget + 4)).expand(heads, -1)
        # mean attention over the tokens that could attend, and over the heads of a group
        weights = seen.scores[0, :, : self.context, : self.context].softmax(-1)
        received = weights.sum(1) / torch.arange(self.context, 0, -1)
        by_group = received.view(heads // seen.group, seen.group, -1).mean(1)
        chosen = torch.zeros_like(by_group, dtype=torch.bool)
        chosen.scatter_(1, by_group.topk(self.budget, dim=1).indices, value=True)
        return chosen.repeat_interleave(seen.group, 0)


def measure_ours(
    folder: Path, needles: Sequence[Needle], contexts: Sequence[int], budget: int
) -> tuple[dict[str, list[float]], dict[str, float], dict[str, list[float]]]:
    """Nats of each needle, seconds of each policy, and nats where eviction begins with the first token."""
    model = load_language_model(folder, context=1024)
    nats: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for policy in POLICIES:
        begin = time.process_time()
        each = [
            ask(model, [needle], AfterPrompt(policy, context, budget)).nats[0, 0]
            for needle, context in zip(needles, contexts, strict=True)
        ]
        nats[policy], seconds[policy] = [float(value) for value in each], time.process_time() - begin
    rows, _ = play_policies(model, needles, {}, policies=tuple(DECODING.values()), budgets=(budget,))
    early = {row["policy"]: [float(value) for value in row["needle_nats"]] for row in rows}
    return nats, seconds, early


def measure_theirs(python: Path, job: dict[str, Any]) -> dict[str, Any]:
    """The same by kvpress, in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "job.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        side = Path(__file__).with_name("kvpress_side.py")
        subprocess.run([python, side, asked, answered], check=True)
        found: dict[str, Any] = json.loads(answered.read_text(encoding="utf-8"))
        return found


def main() -> None:
    """Measure both sides, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvpress", type=Path, required=True, help="Python of the environment with kvpress.")
    parser.add_argument("--needles", type=positive_whole, default=12)
    parser.add_argument("--budget", type=positive_whole, default=64)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = locate_model("smollm2")
    texts = read_texts(locate_texts(None)).halved()
    reader = load_language_model(folder, context=1024)
    prose = encode_documents(reader, [document.read() for document in texts.measured])
    needles = make_needles(reader, prose, arguments.needles, tokens=400, seed=3)
    del reader
    # the prompt ends where the question begins: a needle without its question and answers
    contexts = [max(needle.prose) + 1 for needle in needles]
    job = {
        "model": str(folder),
        "budget": arguments.budget,
        "threads": 1,
        "policies": POLICIES,
        "needles": [
            {"ids": needle.ids, "context": context, "answer": needle.facts[0].answer}
            for needle, context in zip(needles, contexts, strict=True)
        ],
    }
    theirs = measure_theirs(arguments.kvpress, job)
    ours, seconds, early = measure_ours(folder, needles, contexts, arguments.budget)
    rows = [_row(policy, ours, theirs, seconds, early, len(needles)) for policy in POLICIES]
    write_atomic(arguments.out, pd.DataFrame(rows).to_csv(index=False, float_format="%.6g"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    about = {
        "command": f"python benchmarks/kvpress_peer.py --kvpress PYTHON --needles {len(needles)}",
        "budget": arguments.budget,
        "peak_mb": {"here": round(peak), "kvpress": round(theirs["peak_mb"])},
        "versions": {"kvpress side": theirs["versions"], "here": {n: version(n) for n in ("torch", "transformers")}},
    }
    write_atomic(arguments.out.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
    print(pd.DataFrame(rows).round(4).to_string())


def _row(
    policy: str,
    ours: dict[str, list[float]],
    theirs: dict[str, Any],
    seconds: dict[str, float],
    early: dict[str, list[float]],
    count: int,
) -> dict[str, Any]:
    """Nats of the answers on both sides, and how far they differ, needle by needle."""
    here, there = np.array(ours[policy]), np.array(theirs["nats"][policy])
    row: dict[str, Any] = {"policy": policy, "needles": count}
    for name, values in {"nats": here, "kvpress_nats": there, "difference": here - there}.items():
        value, low, high = (float(x) for x in ratio(values, np.ones(count), 0.95))
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    row["largest_difference"] = float(np.abs(here - there).max())
    row |= {"cpu_seconds": seconds[policy], "kvpress_cpu_seconds": theirs["seconds"][policy]}
    from_beginning = early.get(DECODING.get(policy, ""), [np.nan] * 3)
    return row | dict(zip(("early_nats", "early_nats_low", "early_nats_high"), from_beginning, strict=True))


if __name__ == "__main__":
    raise SystemExit(run_script(main))
