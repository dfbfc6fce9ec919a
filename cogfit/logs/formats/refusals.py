"""Say what a file is that cannot be read."""

from __future__ import annotations

import codecs
from pathlib import Path

from cogfit.errors import InputError
from cogfit.logs.formats.contents import CONVERT, bare_suffix, is_text, wide_encoding
from cogfit.logs.formats.registry import text_suffixes, titles

_SEEN_BEFORE = (  # start of the file, what it is
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive (a PyTorch checkpoint, an .npz or a spreadsheet)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
)

_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz"})


def why_unreadable(path: Path, head: bytes) -> InputError:
    """Say what a file is that no reader recognises."""
    if not head.strip(b"\0\t\r\n "):
        return InputError("is empty", path=path, hint="give a log with a header and at least two rows")
    if (encoding := wide_encoding(head)) is not None:
        return InputError(f"is encoded in {encoding}", path=path, hint="save it as UTF-8")
    if is_pickle(head) or bare_suffix(path) in _PICKLE_SUFFIXES:
        return InputError("is or may be a pickle, which is never loaded", path=path, hint=CONVERT)
    for start, name in _SEEN_BEFORE:
        if head.startswith(start):
            return InputError(f"is {name}", path=path, hint=CONVERT)
    if bare_suffix(path) in text_suffixes() and not is_text(head) and b"\0" not in head:
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            return InputError("is not encoded in UTF-8", path=path, hint="save it as UTF-8")
        return InputError("holds control characters and is no text", path=path, hint=CONVERT)
    what = "is text, but no table" if is_text(head) else "is binary and of no known format"
    return InputError(what, path=path, hint=f"give one of: {titles()}")


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as a pickle.

    Pickles of protocol 2 and later can be told by their first bytes.
    """
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
