"""Whether a file may be written: foreign ones stay.

A log's folder is full of a person's own files, and a name is quickly mistyped. In a folder that is an input (of a
command without input: in the working folder), and beside the ``run.json`` of a run or study wherever it is, an existing
file is replaced only if its content says that cogfit wrote it:

- results of the same command, by their ``schema``;
- pages, by the ``generator`` in their head;
- pictures, by the software or creator in their metadata (:data:`cogfit.show.plots.SOFTWARE`).

Nothing else counts, neither name nor suffix. Pictures that cogfit wrote before it left this mark are taken for foreign,
since matplotlib's own mark is in everybody's pictures; so are certificates, which have no mark. Elsewhere a file is
replaced as by any other tool, but for two kinds, which no output replaces anywhere:

- an input of the command;
- a result or record of another kind, which may have taken hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

PICTURES = (".png", ".svg", ".pdf")
"""Suffixes of pictures that can be drawn."""

FITS = ("cogfit.fit", "cogfit.fits", "cogfit.population")
"""Schemas of what ``cogfit fit`` writes: a fit, one for each group, a population."""

_HEAD = 4096  # bytes at the beginning of a text that hold its mark
_TAIL = 65536  # bytes at the end of a PDF that hold its document information
_RESULT = re.compile(rb'\s*\{\s*"schema":\s*"((?:cogfit|theory)\.[\w.-]+)/')
_RECORD = "cogfit.run"  # what a run or study says of itself: data, and no result that is made again from them
_PAGE = re.compile(rb'<!DOCTYPE html>.{,200}<meta name="generator" content="cogfit ', re.DOTALL)
_SVG_CREATOR = rb"<metadata>.*?<dc:creator>\s*<cc:Agent>\s*<dc:title>%s</dc:title>.*?</metadata>"
_PDF_CREATOR = rb"/Creator \(%s\)\s*/Producer \(Matplotlib pdf backend"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_outputs(
    source: Path | Iterable[Path | None],
    json_file: str | None = None,
    *pictures: Path | None,
    schemas: Sequence[str],
    others: Iterable[Path] = (),
) -> None:
    """Refuse outputs that cannot be, or that would destroy something.

    Parameters
    ----------
    source : Path or iterable of Path
        All that the command reads, files or folders; the working folder for a command without input.
    json_file : str, optional
        Where the result goes; ``-`` is standard output.
    *pictures : Path, optional
    schemas : sequence of str
        Of the results that the command writes, without version.
    others : iterable of Path
        Further files.

    Raises
    ------
    InputError
        If a file cannot be written, is an input, is a result of another command or the record of a run, or is a foreign
        file in a folder that is an input or holds a run.
    """
    from cogfit.errors import InputError

    drawn = [picture for picture in pictures if picture is not None]
    for picture in drawn:
        if picture.suffix.lower() not in PICTURES:
            raise InputError(f"'{picture}' names no picture format", hint="use .png, .svg or .pdf")
    if json_file == "":
        raise InputError("--json names no file", hint="give a file, or - for standard output")
    results = [] if json_file is None or json_file == "-" else [Path(json_file)]
    sources = [source] if isinstance(source, Path) else [path for path in source if path is not None]
    for target in (*drawn, *others, *results):
        _check_place(target)
        _check_content(target, sources or [Path()], schemas)


def check_figure(source: Path, pictures: Iterable[Path], texts: Iterable[Path]) -> None:
    """Refuse to replace foreign files of a figure.

    Tables of numbers and captions have no room for a mark: they are ours if a picture beside them is.

    Parameters
    ----------
    source : Path
        As in :func:`check_outputs`.
    pictures, texts : iterable of Path
        The figure in several formats; its numbers and its caption.

    Raises
    ------
    InputError
        If one of them is a foreign file.
    """
    files = list(pictures)
    for picture in files:
        _check_content(picture, [source])
    if not any(picture.is_file() for picture in files):
        for text in texts:
            _check_content(text, [source])


def _check_place(target: Path) -> None:
    from cogfit.errors import InputError

    if not target.parent.is_dir():
        raise InputError("the folder does not exist", path=target.parent, hint="create it first")
    if target.is_dir():
        raise InputError("is a folder, not a file", path=target, hint="name a file in it")


def _check_content(target: Path, sources: Sequence[Path], schemas: Sequence[str] = ()) -> None:
    """Refuse inputs, records, results of other commands, and foreign files in folders of inputs."""
    from cogfit.errors import InputError

    hint = "name another file for the output"
    if target.exists() and any(source.exists() and target.samefile(source) for source in sources):
        raise InputError("is the log itself", path=target, hint=hint)
    if not target.is_file():
        return
    schema = result_schema(target)
    if schema is not None and schema not in schemas:
        raise InputError(f"is no earlier output of this command but {schema}", path=target, hint=hint)
    if is_ours(target):
        return
    if result_schema(target.resolve().parent / "run.json") == _RECORD:
        raise InputError("is a file of a run or study, and no output of a command", path=target, hint=hint)
    if any(source.is_dir() and target.resolve().is_relative_to(source.resolve()) for source in sources):
        raise InputError("is a file of the log's folder that cogfit did not write", path=target, hint=hint)


def result_schema(path: Path) -> str | None:
    """Schema of a document of ours, without version.

    None where the file is something else, or none.
    """
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        found = _RESULT.match(file.read(_HEAD))
    return None if found is None else found.group(1).decode()


def is_ours(path: Path) -> bool:
    """Return whether a file's content says that cogfit wrote it."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        if head.startswith(_PNG_SIGNATURE):
            return _png_software(file) == _software()
        if head.startswith(b"%PDF-"):
            file.seek(-min(path.stat().st_size, _TAIL), 2)
            return re.search(_PDF_CREATOR % re.escape(_software()), file.read()) is not None
    if head.startswith(b"<?xml"):
        return re.search(_SVG_CREATOR % re.escape(_software()), head, re.DOTALL) is not None
    return result_schema(path) not in (None, _RECORD) or _PAGE.match(head) is not None


def _software() -> bytes:
    from cogfit.show.plots import SOFTWARE

    return SOFTWARE.encode()


def _png_software(file: BinaryIO) -> bytes | None:
    """Return the entry ``Software`` of a PNG file.

    None where it has none or is damaged.
    """
    file.seek(len(_PNG_SIGNATURE))
    while len(header := file.read(8)) == 8:
        size, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind == b"tEXt":
            keyword, _, text = file.read(size).partition(b"\0")
            if keyword == b"Software":
                return text
            size = 0
        file.seek(size + 4, 1)  # the data, and four bytes of checksum
    return None
