"""Causal language models and how they read text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogfit.errors import InputError, MissingDependencyError, nearest

try:
    import torch
    from torch import nn
except ImportError:
    raise MissingDependencyError("torch", "huggingface", "theory.redundancy.models") from None


@dataclass(frozen=True)
class LanguageModel:
    """A model and how it reads text.

    Attributes
    ----------
    name : str
    module : nn.Module
        A causal language model of `transformers`.
    encode : callable
        From bytes to numbers of tokens.
    pieces : tuple of str
        The text of each token.
    context : int
        The longest window.
    """

    name: str
    module: nn.Module
    encode: Callable[[bytes], Sequence[int]]
    pieces: tuple[str, ...]
    context: int

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """Numbers of the tokens of a text."""
        return tuple(self.encode(text.encode()))


BYTES = tuple(chr(i) if i < 128 else "\ufffd" for i in range(256))
"""Texts of the 256 bytes; above 127 one alone is no character."""


def byte_level(model: nn.Module, name: str = "model", context: int = 1024) -> LanguageModel:
    """A model whose tokens are bytes.

    Parameters
    ----------
    model, name, context
        See :func:`with_tokenizer`.

    Raises
    ------
    InputError
        If its vocabulary is smaller.
    """
    config: Any = model.config
    if config.vocab_size < 256:
        raise InputError(f"{name} has {config.vocab_size} tokens, not 256", hint="a byte-level model needs 256")
    return LanguageModel(name, model, list, BYTES, min(context, getattr(config, "max_position_embeddings", context)))


def with_tokenizer(model: nn.Module, tokenizer: Any, name: str = "model", context: int = 1024) -> LanguageModel:
    """A model with a tokenizer of `transformers`.

    Parameters
    ----------
    model, tokenizer : object
    name : str
    context : int
        The longest window; shorter if the model cannot read so far.
    """
    config: Any = model.config

    def encode(content: bytes) -> Sequence[int]:
        ids: Sequence[int] = tokenizer(content.decode(errors="replace"), add_special_tokens=False)["input_ids"]
        return ids

    pieces = tuple(tokenizer.batch_decode([[i] for i in range(len(tokenizer))]))
    return LanguageModel(name, model, encode, pieces, min(context, getattr(config, "max_position_embeddings", context)))


DTYPES = ("auto", "float32", "bfloat16")
"""Numbers that a model can compute with; ``auto`` is bfloat16 where the processor multiplies it, else float32."""


def load_language_model(folder: str | Path, *, context: int = 1024, dtype: str = "float32") -> LanguageModel:
    """Load a model from a local folder.

    As ``save_pretrained`` writes it; nothing is fetched, unpickled or executed.

    Parameters
    ----------
    folder : str or Path
        With ``config.json``, weights as safetensors, and a tokenizer; without one a model of 256 tokens reads bytes.
    context : int
        The longest window.
    dtype : str
        One of :data:`DTYPES`.

    Raises
    ------
    InputError
        If that is not what the folder holds.
    """
    folder = Path(folder)
    _check_folder(folder)
    numbers = choose_dtype(dtype)
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError:
        raise MissingDependencyError("transformers", "huggingface", "a language model") from None
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with without_bars():
            model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **local)
        set_dtype(model.eval(), numbers)
        named = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")
        if not any((folder / name).exists() for name in named):
            if getattr(model.config, "vocab_size", None) == 256:
                return byte_level(model, folder.name, context)
            raise InputError("holds no tokenizer", path=folder, hint="save the tokenizer into it, too")
        return with_tokenizer(model, AutoTokenizer.from_pretrained(folder, **local), folder.name, context)
    except InputError:
        raise
    except Exception as error:  # a library's many ways to say no, all of them about the folder
        raise InputError(f"cannot be loaded ({error})", path=folder) from error


def _check_folder(folder: Path) -> None:
    """Refuse what is no folder of a model, with a reason."""
    if not folder.is_dir():
        hint = "give a local checkpoint; nothing is downloaded"
        raise InputError("is no folder", path=folder, hint=hint)
    if not (folder / "config.json").is_file():
        raise InputError("holds no model (no config.json)", path=folder, hint="save one there with save_pretrained")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(pattern))
        what = f"holds pickled weights ({pickled[0]}), which could execute anything" if pickled else "holds no weights"
        hint = "save the model again with save_pretrained(..., safe_serialization=True)"
        raise InputError(what, path=folder, hint=hint)


def choose_dtype(name: str) -> torch.dtype:
    """Numbers to compute with, by name.

    Raises
    ------
    InputError
        If there are none of that name.

    Examples
    --------
    >>> choose_dtype("bfloat16")
    torch.bfloat16
    """
    if name not in DTYPES:
        raise InputError(f"no numbers '{name}'", hint=nearest(name, DTYPES))
    if name == "auto":
        return torch.bfloat16 if has_bfloat16() else torch.float32
    kind: torch.dtype = getattr(torch, name)
    return kind


def has_bfloat16() -> bool:
    """Whether a device here multiplies bfloat16 natively.

    Elsewhere it is emulated, and slower than single precision.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def set_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Give all weights of a model another precision.

    Buffers keep theirs: rotary frequencies in bfloat16 would misplace tokens.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


@contextmanager
def without_bars() -> Iterator[None]:
    """Within, transformers shows no progress bars."""
    from transformers.utils import logging

    messages: Any = logging
    had_bars = messages.is_progress_bar_enabled()
    messages.disable_progress_bar()
    try:
        yield
    finally:
        if had_bars:
            messages.enable_progress_bar()
