"""Text as documents.

The unit of confidence intervals, and of what is held out.

A document belongs to one of three parts, by the hash of its name: what a model is trained on, what probes are fitted
on, and what they are measured on. No text is fetched: the sources of Python's standard library are at hand everywhere.
"""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from cogfit.errors import InputError

LEAST = 64
"""Bytes of the shortest document that is used."""

BLOCKS = 100
"""Documents that a single file is cut into, if that leaves each :data:`LEAST` bytes."""

_PARTS = 5  # one part is measured, one fits probes, the others are for training
_LEFT_OUT = {"test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True)
class Document:
    """A file, or a stretch of one.

    Attributes
    ----------
    name : str
        The same on every machine.
    path : Path
    start, stop : int
        Bytes.
    """

    name: str
    path: Path
    start: int
    stop: int

    def read(self) -> bytes:
        """Content.

        Raises
        ------
        InputError
            If the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                return file.read(self.stop - self.start)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=self.path) from None


@dataclass(frozen=True)
class Texts:
    """Documents in the order of the hashes of their names.

    Attributes
    ----------
    source : str
        What they are, in words.
    documents : tuple of Document
    parts : int
        One part is measured, one fits probes, the others are for training; two where nothing is trained.
    """

    source: str
    documents: tuple[Document, ...]
    parts: int = _PARTS

    @property
    def measured(self) -> tuple[Document, ...]:
        """Documents that probes are measured on."""
        return self.documents[:: self.parts]

    @property
    def fitted(self) -> tuple[Document, ...]:
        """Documents that probes are fitted on: as many."""
        return self.documents[1 :: self.parts]

    @property
    def training(self) -> tuple[Document, ...]:
        """The others."""
        return tuple(document for i, document in enumerate(self.documents) if i % self.parts > 1)

    def halved(self) -> Texts:
        """The same documents in two halves.

        One fits probes, one is measured: for a model that was trained on other texts.
        """
        return replace(self, parts=2)

    def describe(self) -> dict[str, object]:
        """JSON-ready description.

        ``sha256`` is that of all names and contents, so it reads every document.
        """
        digest = hashlib.sha256()
        for document in self.documents:
            content = hashlib.sha256(document.read()).hexdigest()
            digest.update(f"{content}  {document.name}\n".encode())
        return {
            "source": self.source,
            "documents": len(self.documents),
            "bytes": sum(document.stop - document.start for document in self.documents),
            "sha256": digest.hexdigest(),
        }


def _texts(source: str, documents: list[Document], path: Path) -> Texts:
    """Sort documents by the hashes of their names.

    Without order by subject, that is.
    """
    if len(documents) < 2 * _PARTS:
        hint = f"give at least {2 * _PARTS} files, or one file of at least {2 * _PARTS * LEAST} bytes"
        raise InputError(f"holds {len(documents)} documents of {LEAST} bytes or more", path=path, hint=hint)
    return Texts(source, tuple(sorted(documents, key=lambda d: hashlib.sha256(d.name.encode()).digest())))


def standard_library() -> Texts:
    """Sources of Python's standard library.

    Without its tests and without installed packages.

    Examples
    --------
    >>> texts = standard_library()
    >>> any(document.name == "json/decoder.py" for document in texts.documents)
    True
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    places = [path for path in sorted(folder.rglob("*.py")) if not _LEFT_OUT & set(path.relative_to(folder).parts)]
    source = f"standard library of {platform.python_implementation()} {platform.python_version()}"
    return _texts(source, _files(folder, places), folder)


def read_texts(path: str | Path) -> Texts:
    """Documents of a file or folder.

    Parameters
    ----------
    path : str or Path
        Of a folder every file is a document, but for hidden and binary ones (with a zero byte near the beginning).
        A file is cut into :data:`BLOCKS` stretches; as neighbours resemble each other, intervals over them are too
        narrow.

    Returns
    -------
    Texts

    Raises
    ------
    InputError
        If there is no such path, or too little text.
    """
    path = Path(path)
    if path.is_dir():
        places = [p for p in sorted(path.rglob("*")) if not any(n.startswith(".") for n in p.relative_to(path).parts)]
        return _texts(path.name, [d for d in _files(path, places) if b"\0" not in d.read()[:4096]], path)
    if not path.is_file():
        raise InputError("is neither file nor folder", path=path, hint="name a text, or leave --text out")
    size = path.stat().st_size
    count = min(BLOCKS, size // LEAST)
    edges = [size * i // max(count, 1) for i in range(count + 1)]
    blocks = [Document(f"{path.name}:{i}", path, *edge) for i, edge in enumerate(pairwise(edges))]
    return _texts(path.name, blocks, path)


def _files(folder: Path, places: list[Path]) -> list[Document]:
    sizes = [(path, path.stat().st_size) for path in places if path.is_file()]
    return [Document(p.relative_to(folder).as_posix(), p, 0, size) for p, size in sizes if size >= LEAST]
