"""What kernels take: addresses of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def address(array: NDArray[Any], kind: type[np.generic] = np.float64) -> int:
    """Address of the first number of an array.

    Raises
    ------
    TypeError
        If these are not numbers of this kind, one after the other.
    """
    if array.dtype.type is not kind or not array.flags.c_contiguous:
        raise TypeError(
            f"a kernel takes contiguous arrays of {kind.__name__}, not of {array.dtype} with strides {array.strides}"
        )
    return int(array.ctypes.data)
