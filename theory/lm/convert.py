"""Convert a GGUF file into a folder that loads in seconds.

The weights of a GGUF file are quantised; reading them takes a minute or two, every time. Here they are read once and
written as safetensors in single precision, beside configuration and tokenizer, as ``save_pretrained`` writes them.
Nothing is unpickled or executed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress

STEPS = ("read weights", "write weights", "read tokenizer", "write tokenizer")
"""What converting consists of, as reported."""


def convert_gguf(source: Path, folder: Path, *, progress: Progress | None = None) -> None:
    """Write the model of a GGUF file as a folder.

    Parameters
    ----------
    source : Path
    folder : Path
        An empty folder.
    progress : callable, optional
        Called as ``progress(done, total, step)``.

    Raises
    ------
    MissingDependencyError
        If a library is missing.
    InputError
        If the file is no GGUF file, or of an architecture that transformers does not know.
    """
    for library in ("torch", "transformers", "accelerate", "gguf"):
        if find_spec(library) is None:
            raise MissingDependencyError(library, "lm", "reading a GGUF file")
    if not has_gguf_magic(source):
        raise InputError("is no GGUF file", path=source, hint="name a .gguf file, or a folder of save_pretrained")

    def report(step: int) -> None:
        if progress is not None:
            progress(step, len(STEPS), STEPS[min(step, len(STEPS) - 1)])

    from transformers import AutoModelForCausalLM, AutoTokenizer

    from theory.redundancy.models import without_bars

    options: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    with without_bars():
        try:
            report(0)
            model = AutoModelForCausalLM.from_pretrained(source.parent, **options)
            report(1)
            without_quantization(model).save_pretrained(folder)
            report(2)
            tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
            report(3)
            tokenizer.save_pretrained(folder)
            report(4)
        except Exception as error:  # a library's many ways to say no, all of them about the file
            raise InputError(f"cannot be converted ({error})", path=source) from error


def without_quantization(model: Any) -> Any:
    """Return the same model without a note on quantisation.

    transformers refuses to save a model that was read from a quantised file, although its weights are plain by then.
    """
    fields = {name: value for name, value in model.config.to_dict().items() if name != "quantization_config"}
    plain = type(model)(type(model.config).from_dict(fields))
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain


def has_gguf_magic(path: Path) -> bool:
    """Whether a file begins as a GGUF file does."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from None
