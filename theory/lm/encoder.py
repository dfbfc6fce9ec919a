"""Encoders of the BERT kind, and a pass through them with a gate on every token of every layer.

A gate z of a token in a layer weighs it twice: as a key its share of the attention is multiplied by z, and as a row it
becomes h + z·(layer(h) − h). So z = 0 leaves the token out of the layer: nobody attends to it there, and it goes on
unchanged; z = 1 is the encoder itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogfit.errors import InputError, MissingDependencyError
from theory.redundancy.models import without_bars

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

Gates = Callable[[int, Tensor], Tensor]
"""From the layer (from 0) and its states (texts, tokens, width) to gates (texts, tokens) in [0, 1]."""

_SMALLEST = 1e-9  # of a gate whose logarithm is taken: e^-20 of the attention, and a finite gradient


@dataclass(frozen=True)
class Encoder:
    """An encoder and how it reads text.

    Attributes
    ----------
    name : str
    module : nn.Module
        A model of `transformers` of the BERT kind; its weights are never changed.
    encode : callable
        From text to tokens, without those that begin and end it.
    ends : (int, int)
        Tokens that begin and end every text.
    """

    name: str
    module: nn.Module
    encode: Callable[[str], Sequence[int]]
    ends: tuple[int, int]

    @property
    def layers(self) -> Sequence[Any]:
        """Layers of the encoder."""
        module: Any = self.module
        return list(module.encoder.layer)

    @property
    def width(self) -> int:
        """Numbers of a state."""
        module: Any = self.module
        return int(module.config.hidden_size)

    def embed(self, ids: Tensor) -> Tensor:
        """What enters the first layer."""
        module: Any = self.module
        states: Tensor = module.embeddings(input_ids=ids)
        return states

    def run(self, states: Tensor, gates: Gates) -> tuple[Tensor, list[Tensor]]:
        """Pass through all layers.

        Parameters
        ----------
        states : Tensor
            Of :meth:`embed`.
        gates : callable

        Returns
        -------
        Tensor
            Mean over tokens of the last states, weighed by the gates of the last layer, (texts, width).
        list of Tensor
            Gates of each layer.
        """
        given = []
        for number, layer in enumerate(self.layers):
            gate = gates(number, states)
            weight = gate.clamp_min(_SMALLEST).log().masked_fill(gate == 0, torch.finfo(states.dtype).min)
            after = layer(states, attention_mask=weight[:, None, None, :])
            after = after[0] if isinstance(after, tuple) else after
            states = states + gate[..., None] * (after - states)
            given.append(gate)
        last = given[-1][..., None]
        pooled: Tensor = (states * last).sum(1) / last.sum(1).clamp_min(_SMALLEST)
        return pooled, given

    def attention_received(self, number: int, states: Tensor) -> Tensor:
        """Attention that each token gets in a layer.

        When all attend to all; shape (texts, tokens).
        """
        part = self.layers[number].attention.self
        heads, batch, tokens = part.num_attention_heads, *states.shape[:2]
        query, key = (
            project(states).view(batch, tokens, heads, -1).transpose(1, 2) for project in (part.query, part.key)
        )
        weights: Tensor = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        return weights.sum((1, 2))


def load_encoder(folder: Path) -> Encoder:
    """Load an encoder from a local folder.

    Nothing is fetched, unpickled or executed.

    Raises
    ------
    InputError
        If the folder holds none of the BERT kind.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise MissingDependencyError("transformers", "lm", "an encoder") from None
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise InputError("holds no encoder", path=folder, hint="run: cogfit theory lm fetch minilm")
    try:
        with without_bars():
            module: Any = AutoModel.from_pretrained(folder, use_safetensors=True, **local).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:  # a library's many ways to say no, all of them about the folder
        raise InputError(f"cannot be loaded ({error})", path=folder) from error
    check_encoder(module)
    ends = (int(tokenizer.cls_token_id), int(tokenizer.sep_token_id))

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    return Encoder(folder.name, module, encode, ends)


def check_encoder(module: Any) -> None:
    """Refuse what is no encoder of the BERT kind."""
    layers = getattr(getattr(module, "encoder", None), "layer", None)
    if layers is None or not hasattr(layers[0], "attention") or not hasattr(module, "embeddings"):
        what = f"{type(module).__name__} is no encoder of the BERT kind"
        raise InputError(what, hint="try MiniLM: cogfit theory lm fetch minilm")
    for parameter in module.parameters():
        parameter.requires_grad_(False)
