"""What kernels take: addresses of arrays of doubles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def address(array: Array) -> int:
    """Address of the first number of an array.

    Raises
    ------
    TypeError
        If these are not doubles, one after the other.
    """
    if array.dtype != np.float64 or not array.flags.c_contiguous:
        raise TypeError(f"a kernel takes contiguous doubles, not {array.dtype} with strides {array.strides}")
    return int(array.ctypes.data)
