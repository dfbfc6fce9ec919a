"""What every recorded study says of its files and of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from theory.lm.records import describe_columns
from theory.redundancy.texts import Texts
from theory.training.runs import read_document


def describe_file(path: Path, meanings: Mapping[str, str]) -> dict[str, Any]:
    """Describe a table: size, hash, rows, columns.

    Parameters
    ----------
    path : Path
        Of a CSV or Parquet file.
    meanings : mapping of str to str
        What each column means.
    """
    import pandas as pd

    content = path.read_bytes()
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return {
        "path": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(frame),
        "columns": describe_columns(frame, meanings),
    }


def agrees(recorded: object, config: object) -> bool:
    """Whether a study can go on with other settings.

    Those that it knew are the same; settings, and conditions at the end of a list, that came later concern units that
    it does not have.

    Examples
    --------
    >>> agrees({"sizes": {"lines": 72}}, {"sizes": {"lines": 72, "turns": 8}})
    True
    >>> agrees({"sizes": {"lines": 72}}, {"sizes": {"lines": 36, "turns": 8}})
    False
    >>> agrees({"cells": [{"batch": 8}]}, {"cells": [{"batch": 8, "wording": "same"}, {"batch": 2}]})
    True
    """
    if isinstance(recorded, dict) and isinstance(config, dict):
        return all(name in config and agrees(value, config[name]) for name, value in recorded.items())
    if not (isinstance(recorded, list) and isinstance(config, list)):
        return recorded == config
    # conditions may be added at the end; other lists are one setting
    if recorded and all(isinstance(each, dict) for each in recorded):
        return len(recorded) <= len(config) and all(map(agrees, recorded, config))
    return recorded == config


def open_study(
    folder: Path,
    *,
    kind: str,
    model: str,
    digest: str,
    texts: Texts,
    settings: Mapping[str, Any],
    about: str,
    command: str | None = None,
) -> dict[str, Any]:
    """Begin the folder of a study, or continue it.

    Parameters
    ----------
    folder : Path
        Is made if need be.
    kind : str
        Of study.
    model, digest : str
        Name, and SHA-256 of the weights.
    texts : Texts
    settings : mapping
        What else must agree for units to belong together.
    about : str
        What it is, in a sentence.
    command : str, optional
        How it was asked for.

    Returns
    -------
    dict
        ``run.json``.

    Raises
    ------
    InputError
        If the folder holds something else.
    """
    config = json.loads(json.dumps({"model_sha256": digest, "texts": texts.describe(), **settings}))
    document = read_document(folder)
    if document is not None:
        if document.get("kind") != kind or not agrees(document.get("config"), config):
            hint = "name another folder with --out"
            raise InputError("holds a study of another model, other texts or sizes", path=folder, hint=hint)
        document["config"] = config
        return document
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be used ({error.strerror})", path=folder) from None
    import torch

    from theory.redundancy.models import has_bfloat16
    from theory.training.reproducibility import hardware, revision, versions

    return {
        "name": folder.name,
        "kind": kind,
        "model": model,
        "config": config,
        "command": command,
        "status": "running",
        "description": about,
        "licence": "MIT",
        "level": 0.95,
        "versions": versions() | {"transformers": version("transformers")},
        "hardware": hardware(torch.device("cpu")) | {"bfloat16": has_bfloat16()},
        "code_revision": revision(),
        "meaning_from": {"code": "from the records of theory/lm"},
        "units": {},
        "files": [],
    }
