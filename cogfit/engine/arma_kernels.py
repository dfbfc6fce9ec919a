"""Whitening of ARMA errors for the compiled solver; everything else about them is in ``cogfit.native.arma``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}


@njit(**_OPTIONS)
def whiten(row, phi, gain, inverse_root):  # type: ignore[no-untyped-def]
    """Turn a row into its standardised innovations, in place."""
    m = phi.size
    if m == 1:
        ahead = 0.0
        for t in range(row.size):
            v = row[t] - ahead
            row[t] = v * inverse_root[t]
            ahead = phi[0] * ahead + gain[t, 0] * v
        return
    state = np.zeros(m)
    for t in range(row.size):
        first = state[0]
        v = row[t] - first
        row[t] = v * inverse_root[t]
        for i in range(m - 1):
            state[i] = phi[i] * first + state[i + 1] + gain[t, i] * v
        state[m - 1] = phi[m - 1] * first + gain[t, m - 1] * v
