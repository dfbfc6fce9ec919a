"""The side of kvpress, in an environment of its own: needles after a compressed prefill.

    python benchmarks/kvpress_side.py JOB.json ANSWER.json

Run by ``benchmarks/kvpress_peer.py``; needs kvpress, torch and transformers, nothing of cogfit.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from kvpress import ObservedAttentionPress, StreamingLLMPress
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

PRESSES = {"streaming": StreamingLLMPress, "observed-attention": ObservedAttentionPress}


def answer_nats(model: Any, ids: list[int], context: int, answer: list[int], press: Any) -> float:
    """Mean surprise of the answer's tokens after the context was compressed."""
    cache = DynamicCache()
    tokens = torch.tensor([ids])
    with torch.no_grad():
        if press is None:
            model(tokens[:, :context], past_key_values=cache)
        else:
            with press(model):
                model(tokens[:, :context], past_key_values=cache)
        places = torch.arange(context, len(ids))[None]  # tokens keep their places, whatever the cache holds
        logits = model(tokens[:, context:], past_key_values=cache, position_ids=places).logits[0].float()
    surprise = torch.nn.functional.cross_entropy(logits[:-1], tokens[0, context + 1 :], reduction="none")
    return float(surprise[torch.tensor(answer) - context - 1].mean())


def main() -> None:
    """Read a job, write its answers."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        job["model"], local_files_only=True, use_safetensors=True, attn_implementation="eager", dtype=torch.float32
    ).eval()
    out: dict[str, Any] = {"nats": {}, "seconds": {}}
    for policy in job["policies"]:
        begin = time.process_time()
        nats = []
        for needle in job["needles"]:
            # kvpress keeps int(n (1 − ratio)); half a token more guards against rounding below the budget
            ratio = 1 - (job["budget"] + 0.5) / needle["context"]
            press = PRESSES[policy](compression_ratio=ratio) if policy in PRESSES else None
            nats.append(answer_nats(model, needle["ids"], needle["context"], needle["answer"], press))
        out["nats"][policy] = nats
        out["seconds"][policy] = time.process_time() - begin
    out["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out["versions"] = {name: version(name) for name in ("kvpress", "torch", "transformers")}
    Path(sys.argv[2]).write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main()
