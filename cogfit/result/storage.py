"""Fits that were saved."""

from __future__ import annotations

import os
from pathlib import Path

from cogfit.errors import InputError
from cogfit.records.codec import read_json
from cogfit.records.given import check_path
from cogfit.result.fit_result import FitResult


def is_fit(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a saved fit."""
    file = Path(path)
    try:
        if not file.is_file():
            return False
        with open(file, "rb") as handle:
            return b'"schema": "cogfit.fit/' in handle.read(200)
    except OSError:  # what reads logs says why it cannot be read
        return False


def load(path: str | os.PathLike[str]) -> FitResult:
    """Read a fit that was saved with :meth:`FitResult.save`.

    Raises
    ------
    InputError
        If the file cannot be read or is no such document.
    """
    hint = "save one with fit.save(...) or cogfit fit --json"
    check_path("path", path, hint)
    path = Path(path)
    try:
        return FitResult.from_json(read_json(path))
    except InputError as error:
        raise InputError(error.what, path=path, hint=hint) from None
