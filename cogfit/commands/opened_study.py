"""What the studies of ``cogfit theory lm`` begin with: a model, texts and a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from theory.redundancy.texts import Texts

CONTEXT = 512
"""Tokens of the longest window of a study: half the square of attention that 724 would take."""

M = TypeVar("M")


@dataclass(frozen=True)
class OpenedStudy(Generic[M]):
    """A study that can begin.

    Attributes
    ----------
    model : object
    name : str
        Of the model, as its folder is called.
    documents : Texts
    place : Path
        Folder of the study.
    digest : str
        Of the model's files.
    """

    model: M
    name: str
    documents: Texts
    place: Path
    digest: str


def open_study(
    load: Callable[[Path], M],
    model: str,
    texts: Path | None,
    *,
    place: Path | None,
    prefix: str,
    quick: bool,
    threads: int | None,
) -> OpenedStudy[M]:
    """Find model and texts, and read them.

    Parameters
    ----------
    load : callable
        Reads a model from its folder.
    model : str
        Name of a fetched one, or a path.
    texts : Path or None
        Folder of documents; by default those fetched.
    place : Path or None
        Folder of the study; by default one in ``runs`` that begins with `prefix`.
    prefix : str
    quick : bool
        Whether sizes are smaller, which the name of the default folder says.
    threads : int or None
        Of torch; by default its own choice.
    """
    from theory.lm.fetch import locate_model, locate_texts, model_digest
    from theory.redundancy.texts import read_texts

    folder = locate_model(model)
    documents = read_texts(locate_texts(texts))
    if threads is not None:
        set_threads(threads)
    return OpenedStudy(
        load(folder),
        folder.name,
        documents,
        place or Path("runs") / f"{prefix}-{folder.name}{'-quick' if quick else ''}",
        model_digest(folder),
    )


def set_threads(threads: int) -> None:
    """Set the threads of torch."""
    import torch

    torch.set_num_threads(threads)
