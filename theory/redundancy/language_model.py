"""A small GPT-2 over bytes, trained from scratch.

Its attention redundancy is measured as training goes on.

A run is a folder: ``run.json``; ``redundancy.csv`` (:meth:`theory.redundancy.tables.Redundancy.table` by ``step``);
``loss.csv``; and the trained model as ``config.json`` and ``model.safetensors``, which `transformers` can load. Step 0
is the model with random weights. A run that was stopped goes on from ``checkpoint.safetensors`` and ends with the same
bytes as one that was not: the windows of a step depend on nothing but the seed and the step.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from cogfit.errors import InputError, MissingDependencyError
from cogfit.files import write_atomic
from theory.redundancy.models import LanguageModel, byte_level
from theory.redundancy.probes import measure
from theory.redundancy.tables import COLUMNS, KIND, LOSS, TABLE, ProbeInput, Redundancy, read_recorded
from theory.redundancy.texts import Document, Texts, standard_library
from theory.settings import Strict
from theory.training.divergence import check_parameters, check_update, naming_folder, noting_step
from theory.training.folder import usable
from theory.training.memory import naming_memory
from theory.training.reproducibility import (
    CHECKPOINT,
    WEIGHTS,
    check_tensors,
    choose_device,
    deterministic,
    hardware,
    moments,
    naming,
    noted_step,
    prefixed,
    read_tensors,
    restore_moments,
    revision,
    under,
    versions,
    write_tensors,
)
from theory.training.runs import read_document, write_document

if TYPE_CHECKING:
    import pandas as pd

Sinks = Callable[[LanguageModel, Sequence[Document]], "tuple[float, float, float, float] | None"]
"""Measures attention on first tokens (:func:`theory.lm.heads.mean_sinks`)."""

Watch = Callable[[int, int, "Redundancy | None"], None]


class Language(Strict):
    """Settings of the model, its training and measurements.

    Attributes
    ----------
    layers, heads, d_model : int
        Of a GPT-2 with 256 tokens, without dropout.
    context : int
        Bytes that it reads at once.
    steps, batch : int
        Updates, and windows in each.
    seed : int
        Draws initial weights and windows.
    rate : float
        Highest learning rate of AdamW (β₂ = 0.95): it grows over ``warm_up`` steps, then falls by a cosine to a tenth.
    warm_up : int
    weight_decay, clip : float
        Of AdamW; largest norm of the gradient.
    checkpoint_every : int
        Steps between checkpoints.
    documents, tokens, ridge, probe_input
        See :func:`theory.redundancy.probes.measure`.
    """

    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    d_model: int = Field(64, ge=1)
    context: int = Field(128, ge=2)
    steps: int = Field(2560, ge=1)
    batch: int = Field(16, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)
    rate: float = Field(2e-3, gt=0)
    warm_up: int = Field(100, ge=0)
    weight_decay: float = Field(0.1, ge=0)
    clip: float = Field(1.0, gt=0)
    checkpoint_every: int = Field(200, ge=1)
    documents: int = Field(60, ge=2)
    tokens: int = Field(1024, ge=2)
    ridge: float = Field(1e-6, gt=0)
    probe_input: ProbeInput = "layer"

    def measured(self) -> tuple[int, ...]:
        """Steps after which R is measured.

        0, powers of two times ten, the last.

        Examples
        --------
        >>> Language(steps=100).measured()
        (0, 10, 20, 40, 80, 100)
        """
        powers = [10 * 2**i for i in range(40)]
        return (0, *(step for step in powers if step < self.steps), self.steps)

    def rate_at(self, step: int) -> float:
        """Learning rate of an update."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        progress = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (0.55 + 0.45 * math.cos(math.pi * progress))


def build_model(settings: Language) -> nn.Module:
    """A GPT-2 with random weights, drawn from torch's generator.

    Raises
    ------
    InputError
        If the heads do not divide the width.
    """
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        raise MissingDependencyError("transformers", "huggingface", "training a language model") from None
    if settings.d_model % settings.heads:
        raise InputError(f"{settings.heads} heads do not divide a width of {settings.d_model}")
    config = GPT2Config(
        vocab_size=256,
        n_positions=settings.context,
        n_embd=settings.d_model,
        n_layer=settings.layers,
        n_head=settings.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model: nn.Module = GPT2LMHeadModel(config)
    return model


def train_language(
    settings: Language,
    folder: str | Path,
    *,
    texts: Texts | None = None,
    device: str = "auto",
    command: str | None = None,
    watch: Watch | None = None,
    sinks: Sinks | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train a model and measure its redundancy.

    Or go on with that, or return what is complete.

    Parameters
    ----------
    settings : Language
    folder : str or Path
        Is made if need be.
    texts : Texts, optional
        By default the standard library of this Python. The model sees :attr:`Texts.training` only.
    device : {"auto", "cpu", "cuda"}
    command : str, optional
        How this was asked for, to be recorded.
    watch : callable, optional
        Called as ``watch(done, total, found or None)`` after every step that is taken or measured.
    sinks : callable, optional
        Measures sinks at every checkpoint; they stand beside the loss.

    Returns
    -------
    DataFrame, DataFrame
        R and loss by step (:func:`theory.redundancy.tables.read_recorded`).

    Raises
    ------
    InputError
        If the folder holds something else, or the device is missing.
    """
    folder, where = Path(folder), choose_device(device)
    texts = texts or standard_library()
    about: dict[str, Any] = {"name": folder.name, "kind": KIND, "config": _config(settings, texts)}
    if _open(folder, about):
        return read_recorded(folder)
    started = time.perf_counter()
    data = np.frombuffer(b"\n".join(document.read() for document in texts.training), np.uint8)
    if len(data) <= settings.context:
        raise InputError(f"there are {len(data)} bytes to train on", hint="give more text, or a shorter context")
    _claim(folder, about)
    with naming_folder([folder]), naming_memory(), deterministic(settings.seed, where):
        model = build_model(settings).to(where)
        _loop(model, settings, data, texts, folder, json.dumps(about["config"]), watch, sinks)
    _close(folder, {**about, "command": command}, model, settings, where, time.perf_counter() - started)
    return read_recorded(folder)


def _config(settings: Language, texts: Texts) -> dict[str, Any]:
    parts = {
        "training": len(texts.training),
        "fitted": len(texts.fitted[: settings.documents]),
        "measured": len(texts.measured[: settings.documents]),
    }
    return {"language": settings.to_json(), "texts": {**texts.describe(), "parts": parts}}


def _open(folder: Path, about: Mapping[str, Any]) -> bool:
    """Check the folder of a run, writing nothing.

    One that is there must belong to the run; returns whether it is complete.
    """
    with usable(folder):
        document = read_document(folder)
        strangers = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if document is None:
        if strangers:
            what = f"is not empty and no run ({strangers[0]} is there)"
            raise InputError(what, path=folder, hint="name another folder with --out")
        return False
    if document.get("config") != json.loads(json.dumps(about["config"])):
        raise InputError("holds a run with other settings or texts", path=folder, hint="name another folder with --out")
    return document.get("status") == "finished"


def _claim(folder: Path, about: Mapping[str, Any]) -> None:
    """Make the folder of a run, unless it is there."""
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if read_document(folder) is None:
            write_document(folder, {**about, "status": "running"})


def _loop(
    model: nn.Module,
    settings: Language,
    data: NDArray[np.uint8],
    texts: Texts,
    folder: Path,
    key: str,
    watch: Watch | None,
    sinks: Sinks | None,
) -> None:
    optimizer = torch.optim.AdamW(_groups(model, settings.weight_decay), lr=settings.rate, betas=(0.9, 0.95))
    begin = _restore(folder / CHECKPOINT, model, optimizer, key, settings.steps)
    tables = _kept(folder, begin, settings.measured())
    device = next(model.parameters()).device
    measured = settings.measured()
    for step in range(max(begin, 0), settings.steps + 1):
        if step > begin:
            measurement = None
            if step in measured:
                reader = byte_level(model, folder.name, settings.context)
                measurement = measure(
                    reader,
                    texts,
                    documents=settings.documents,
                    tokens=settings.tokens,
                    ridge=settings.ridge,
                    probe_input=settings.probe_input,
                )
                shares = sinks(reader, texts.measured[: settings.documents]) if sinks is not None else None
                _note(folder, tables, step, measurement, shares)
            if measurement is not None or step % settings.checkpoint_every == 0:
                _save_checkpoint(folder / CHECKPOINT, model, optimizer, step, key)
            if watch is not None:
                watch(step, settings.steps, measurement)
        if step == settings.steps:
            return
        model.train()
        ids = torch.as_tensor(_windows(data, settings, step), device=device)
        logits = model(input_ids=ids, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate_at(step)
        optimizer.step()
        with noting_step(step, rate="rate"):
            check_update(loss.detach()[None], {})


def _save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, key: str) -> None:
    with noting_step(step, rate="rate"):
        check_parameters(_weights(model), 1)
    state = prefixed("model", _weights(model)) | prefixed("optimizer", dict(moments(optimizer)))
    write_tensors(path, state, {"step": str(step), "settings": key})


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of parameters, decayed and not.

    Matrices are decayed; biases and the scales of norms are not.
    """
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _windows(data: NDArray[np.uint8], settings: Language, step: int) -> NDArray[np.int64]:
    """The windows of an update: (batch, context)."""
    begin = np.random.default_rng([settings.seed, step]).integers(0, len(data) - settings.context, settings.batch)
    windows: NDArray[np.int64] = data[begin[:, None] + np.arange(settings.context)].astype(np.int64)
    return windows


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights by name, the shared ones once.

    Without the output layer that is the embedding once more.
    """
    return {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}


def _restore(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, key: str, last: int) -> int:
    """Go back to a checkpoint.

    Returns its step, or −1 where there is none.
    """
    if not path.exists():
        return -1
    state, notes = read_tensors(path)
    if notes.get("settings") != key:
        raise InputError("belongs to other settings", path=path, hint="name another folder with --out")
    with naming(path):
        check_tensors(under("model", state), _weights(model), "is damaged")
        model.load_state_dict(under("model", state), strict=False)
        restore_moments(optimizer, under("optimizer", state))
        return noted_step(notes, last)


def _kept(folder: Path, step: int, measured: Sequence[int]) -> dict[str, pd.DataFrame]:
    """What was noted up to a step.

    Raises
    ------
    InputError
        If a measurement before the checkpoint is missing.
    """
    import pandas as pd

    if step < 0:
        return {name: pd.DataFrame() for name in (TABLE, LOSS)}
    tables = {}
    for name in (TABLE, LOSS):
        try:
            frame = pd.read_csv(folder / name)
            tables[name] = frame[frame["step"] <= step]
            steps = tables[name]["step"].unique().tolist()
        except (OSError, ValueError, KeyError, TypeError):
            steps = []
        if steps != [done for done in measured if done <= step]:
            what = f"is damaged: measurements before the checkpoint at step {step} are missing"
            raise InputError(what, path=folder / name, hint="delete the run to begin anew")
    return tables


def _note(
    folder: Path,
    tables: dict[str, pd.DataFrame],
    step: int,
    measurement: Redundancy,
    sinks: tuple[float, float, float, float] | None,
) -> None:
    """Add a measurement to the tables.

    Six digits, so that reading and writing again changes nothing.
    """
    import pandas as pd

    row = dict(zip(("loss", "loss_low", "loss_high"), measurement.loss, strict=True))
    row |= dict(zip(("sink", "sink_low", "sink_high", "sink_heads"), sinks or (math.nan,) * 4, strict=True))
    new = {TABLE: measurement.table(), LOSS: pd.DataFrame([row])}
    for name, frame in new.items():
        frame.insert(0, "step", step)
        tables[name] = pd.concat([tables[name], frame], ignore_index=True)
        write_atomic(folder / name, tables[name].to_csv(index=False, float_format="%.6g"))


_LOSS_COLUMNS = {
    "loss": ("number", "mean cross-entropy of the next byte on the measured documents, in nats", (0, np.inf)),
    "loss_low": ("number", "lower limit of loss", (-np.inf, np.inf)),
    "loss_high": ("number", "upper limit of loss", (0, np.inf)),
    "sink": ("number", "share of attention on the first byte, of bytes 64 and later, mean over heads", (0, 1)),
    "sink_low": ("number", "lower limit of sink", (-np.inf, np.inf)),
    "sink_high": ("number", "upper limit of sink", (0, np.inf)),
    "sink_heads": ("number", "share of the heads that give the first byte more than 0.3", (0, 1)),
}


def _close(
    folder: Path, about: Mapping[str, Any], model: nn.Module, settings: Language, device: torch.device, seconds: float
) -> None:
    """Save the model and complete ``run.json``.

    The checkpoint is dropped.
    """
    write_tensors(folder / WEIGHTS, _weights(model), {"format": "pt"})
    config: Any = model.config
    write_atomic(folder / "config.json", config.to_json_string())
    from importlib.metadata import version

    files = [
        _entry(folder / TABLE, COLUMNS),
        _entry(folder / LOSS, _LOSS_COLUMNS),
        _entry(folder / WEIGHTS),
        _entry(folder / "config.json"),
    ]
    document = {
        **about,
        "status": "finished",
        "description": "A GPT-2 over bytes trained from scratch; its attention redundancy (CRAM, Eq. 1).",
        "licence": "MIT",
        "seed": settings.seed,
        "threshold": 0.8,
        "level": 0.95,
        "parameters": sum(p.numel() for p in model.parameters()),
        "versions": versions() | {"transformers": version("transformers")},
        "hardware": hardware(device),
        "code_revision": revision(),
        "seconds": round(seconds, 1),
        "meaning_from": {"code": "from theory/redundancy/tables.py and theory/redundancy/language_model.py"},
        "files": files,
    }
    write_document(folder, document)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _entry(
    path: Path, columns: Mapping[str, tuple[str, str, tuple[float, float] | None]] | None = None
) -> dict[str, Any]:
    """Describe a file.

    Size, hash and, of a table, what its columns mean.
    """
    content = path.read_bytes()
    entry: dict[str, Any] = {"path": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if columns is None:
        return entry
    step = {"step": ("integer", "updates of the weights; 0: random weights", (0, np.inf))}
    described = []
    for name, (kind, meaning, limits) in {**step, **columns}.items():
        column: dict[str, Any] = {"name": name, "type": kind, "meaning": meaning, "meaning_from": "code"}
        if limits is not None and all(map(math.isfinite, limits)):
            column["range"] = list(limits)
        described.append(column)
    return entry | {"rows": content.count(b"\n") - 1, "columns": described}
