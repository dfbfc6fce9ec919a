"""Gains of columns: against NumPy, at every level of the compiled engine."""

from __future__ import annotations

import numpy as np
import pytest

from cogfit.native import library
from cogfit.native.changes import best_gains


def arrays(curves: int, columns: int, size: int) -> tuple:
    rng = np.random.default_rng(curves * 1000 + columns)
    n0, n1, n2 = rng.normal(size=(3, curves, columns))
    rho = np.tanh(np.linspace(-0.5, 3.0, 30))
    v, u = rng.normal(size=(30, size, columns)), rng.normal(size=(30, size, curves))
    inverse = rng.random((30, columns)) * (rng.random((30, columns)) > 0.1)  # 0 for a column that the mean contains
    return (n0, n1, n2), v, u, inverse, rho


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("columns", [0, 1, 7, 8, 9, 127, 128, 129, 300])
@pytest.mark.parametrize("curves", [1, 3, 4, 9])
def test_gains_are_the_largest_at_every_level(curves: int, columns: int, size: int) -> None:
    (n0, n1, n2), v, u, inverse, rho = arrays(curves, columns, size)
    product = (
        n0[:, None] - rho[:, None] * n1[:, None] + rho[:, None] ** 2 * n2[:, None] - np.einsum("kqj,kqi->ikj", v, u)
    )
    expected = (product**2 * inverse).max(axis=2, initial=0.0)
    before = library.level()
    for level in library.levels():
        library.use_level(level)
        found = best_gains((n0, n1, n2), v, u, inverse, rho)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        alone = best_gains((n0[:1], n1[:1], n2[:1]), v, u[:, :, :1], inverse, rho)
        np.testing.assert_array_equal(alone[0], found[0])  # whatever the other curves
    library.use_level(before)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    n, v, u, inverse, rho = arrays(2, 5, 3)
    with pytest.raises(ValueError, match="belong together"):
        best_gains(n, v[:, :2], u, inverse, rho)
