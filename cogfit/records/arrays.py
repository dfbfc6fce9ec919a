"""Numbers of any library as those of NumPy, without importing it.

A caller has tensors with gradients, in half precision or on a graphics processor, columns that may be missing, Arrow's
arrays, decimals. All are numbers. Texts, dates and complex numbers are not, even where NumPy would make floats of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.records.given import refused, way_to_numbers

_CUT = "pass its .compressed() values, with x and y cut alike"


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return values of any library as an array of NumPy.

    Their type is kept where NumPy has it: labels stay labels.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    values : object
        An array, tensor, column, scalar, or sequence of these.

    Raises
    ------
    InputError
        If values are masked, or cannot be had.
    """
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise InputError(f"`{name}` has masked values", hint=_CUT)
    try:
        return np.asarray(_on_host(values))
    except InputError:
        raise
    except Exception as error:  # a library's many ways to say no
        if (lengths := _lengths(values)) is not None:
            hint = "give all rows one length; curves of any length go in a table with one row for each point"
            raise InputError(f"`{name}` has rows of {min(lengths)} to {max(lengths)} values", hint=hint) from error
        raise InputError(f"`{name}` is no array ({type(error).__name__}: {error})") from error


def as_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Return values of any library as floats.

    Parameters
    ----------
    name : str
        Of the argument, for messages.
    values : object
        As for :func:`as_array`; what is missing is NaN.

    Raises
    ------
    InputError
        If they are complex, dates, text, masked or no numbers at all.

    Examples
    --------
    >>> from decimal import Decimal
    >>> as_numbers("x", [Decimal("0.5"), True, None])
    array([0.5, 1. , nan])
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    plain = as_array(name, values)
    if plain.dtype.kind == "O" and plain.ndim == 0 and plain.item() is not None and not _is_scalar(plain.item()):
        raise _no_numbers(name, values)
    if plain.dtype.kind in "US":
        raise InputError(f"`{name}` must be numbers, not text")
    if plain.dtype.kind in "cmM":
        raise InputError(f"`{name}` must be real numbers, not {plain.dtype}")
    if plain.dtype.kind == "O":
        plain = _floats_of(name, plain)
    try:
        return np.asarray(plain, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"`{name}` must be numbers ({error})") from error


def _no_numbers(name: str, values: object) -> InputError:
    hint = None if isinstance(values, list | Mapping) else way_to_numbers(values, name)  # a table is no way here
    return refused(name, values, "numbers", hint or "pass a list or an array of numbers")


def _is_scalar(value: object) -> bool:
    """Whether something may be a number: it can be had as a float, or is one that is missing."""
    return hasattr(value, "__float__") or hasattr(value, "__index__") or is_missing(value)


def _lengths(values: Any) -> set[int] | None:
    """Lengths of the rows of a list of lists; None of anything else, or where they are the same."""
    if not isinstance(values, list | tuple) or not all(isinstance(row, Sized) for row in values):
        return None
    lengths = {len(row) for row in values}
    return lengths if len(lengths) > 1 else None


_PLAIN = frozenset((bool, int, float, str))


def _floats_of(name: str, objects: NDArray[Any]) -> NDArray[Any]:
    """Python's own objects: what is missing is NaN, text is refused."""
    out = np.array(objects, dtype=object)
    flat = out.reshape(-1)
    for i, value in enumerate(flat):
        if isinstance(value, str | bytes):
            raise InputError(f"`{name}` must be numbers, not text: {value!r:.40}")
        if isinstance(value, Mapping):
            raise _no_numbers(name, objects.tolist())
        if value is None or is_missing(value):
            flat[i] = np.nan
    return flat.reshape(out.shape)


def is_missing(value: Any) -> bool:
    """Return whether a value is the NA of pandas."""
    return type(value).__name__ == "NAType" and type(value).__module__.startswith("pandas.")


def _on_host(values: Any) -> Any:
    """Values where NumPy can read them: of torch, CuPy, and in sequences."""
    if hasattr(values, "detach") and hasattr(values, "cpu"):  # torch: NumPy refuses gradients, and has no bfloat16
        values = values.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    if hasattr(values, "__cuda_array_interface__") and hasattr(values, "get"):  # CuPy
        return values.get()
    if hasattr(values, "as_py"):  # a scalar of Arrow
        return values.as_py()
    if isinstance(values, list | tuple) and not all(type(value) in _PLAIN for value in values):
        return [_on_host(value) for value in values]
    return values
