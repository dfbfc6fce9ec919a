"""A long curve with ARMA errors, condensed for forms that are smooth in log x.

What changes from one set of parameters to another is a smooth function of log x, and so its values at a few Chebyshev
points tell it everywhere (Trefethen 2013, Approximation Theory and Approximation Practice, ch. 8). The innovations' RSS
is then a quadratic form in these values, and generalised least squares over all points is an ordinary fit to a few
weighted means of the form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from cogfit.engine.arma import Arma
from cogfit.engine.bins import Axis
from cogfit.formulas.form import Array, Form

_NODES = 20  # Chebyshev points: in tests the limits of profiles are within 1e-4 of their width from 14 on
_CHECKED = 400  # points of the curve at which the form's tangents are compared with what the nodes tell of them
_SMOOTH = 1e-3  # relative error of a tangent there up to which a form counts as smooth
_SINGULAR = 1e-14  # share of the largest eigenvalue below which the curve tells nothing about a combination of nodes


@dataclass(frozen=True)
class Condensed:
    """Means that tell all that a curve tells about a form.

    Attributes
    ----------
    axis : Axis
        Weighted means of the form's values at the nodes; the weights may be negative.
    y, weights : ndarray, shape (n,)
        What the means should be, and their weights: errors are independent.
    rest : float
        RSS that no values of the form take away, to be added to that of a fit.
    """

    axis: Axis
    y: Array
    weights: Array
    rest: float


def condense(form: Form, x: Array, y: Array, w: Array, errors: Arma, params: Array) -> Condensed | None:
    """Condense a curve for fits near given parameters.

    Parameters
    ----------
    form : Form
        A separable form.
    x, y, w : ndarray, shape (n,)
        The curve, in the order of x, and its weights (variance σ²/w).
    errors : Arma
        Of the weighted values.
    params : ndarray
        Of a good fit.

    Returns
    -------
    Condensed or None
        None where x is not positive, or the form is not smooth in log x.

    Examples
    --------
    >>> from cogfit.engine.separable import solve
    >>> from cogfit.formulas.registry import get_form
    >>> x, errors, form = np.arange(1.0, 20_001.0), Arma((0.6,)), get_form("power_floor")
    >>> y = 0.9 * x**-0.4 + 0.1 + 0.01 * errors.simulate(1, x.size, np.random.default_rng(0))[0]
    >>> short = condense(form, x, y, np.ones_like(x), errors, np.array([0.9, 0.4, 0.1]))
    >>> start = np.array([[[0.4]]])
    >>> few = solve(form, short.axis, short.y[None], short.weights[None], starts=start)
    >>> all_points = solve(form, x, y[None], np.ones((1, x.size)), starts=start, errors=errors)
    >>> bool(np.abs(few.params / all_points.params - 1).max() < 1e-5)
    True
    >>> bool(abs((few.rss + short.rest) / all_points.rss - 1) < 1e-10)
    True
    """
    if any(q.interior for q in form.shape) or not 0.0 < x[0] < x[-1]:
        return None
    # the whole range of log x becomes −1 … 1, with a node at either end
    low, high = math.log(x[0]), math.log(x[-1])
    places = chebyshev.chebpts2(_NODES)
    nodes = np.clip(np.exp(low + (places + 1.0) * 0.5 * (high - low)), x[0], x[-1])
    u = (np.log(x) - low) * (2.0 / (high - low)) - 1.0
    # coefficients of the polynomial through given values at the nodes
    coefficients = np.asarray(np.linalg.inv(chebyshev.chebvander(places, _NODES - 1)), dtype=float)
    if not _is_smooth(form, x, u, nodes, coefficients, params):
        return None

    # products of the whitened polynomials and residuals
    root = np.sqrt(w)
    rows = np.empty((_NODES + 1, x.size))
    rows[0], rows[1] = 1.0, u
    for k in range(2, _NODES):
        np.multiply(rows[k - 1], u, out=rows[k])
        rows[k] *= 2.0
        rows[k] -= rows[k - 2]
    rows[-1] = y - form.evaluate(x, params)
    rows *= root
    errors.whiten_in_place(rows)
    products = rows @ rows.T
    return _as_means(form.evaluate(nodes, params), nodes, coefficients, products)


def _is_smooth(form: Form, x: Array, u: Array, nodes: Array, coefficients: Array, params: Array) -> bool:
    """Whether the nodes tell the tangents of a form everywhere.

    Points equally spaced in log x see the start of the curve, where they are few; points equally spaced by number see
    its bulk.
    """
    at_nodes = form.jacobian(nodes, params)
    by_log = np.searchsorted(u, np.linspace(-1.0, 1.0, _CHECKED)).clip(0, x.size - 1)
    by_number = np.linspace(0, x.size - 1, _CHECKED).astype(np.int64)
    for some in (by_log, by_number):
        told = chebyshev.chebvander(u[some], _NODES - 1) @ coefficients @ at_nodes
        exact = form.jacobian(x[some], params)
        if not np.all(np.linalg.norm(told - exact, axis=0) <= _SMOOTH * np.linalg.norm(exact, axis=0)):
            return False
    return True


def _as_means(fitted: Array, nodes: Array, coefficients: Array, products: Array) -> Condensed:
    """Write the quadratic form in values at the nodes as a sum of squares.

    `fitted` are the values about which the residuals were taken.
    """
    # a sum of squares of combinations of the nodes' values, less what they should be
    values, vectors = np.linalg.eigh(products[:-1, :-1])
    used = values > _SINGULAR * values[-1]
    scale, vectors = np.sqrt(values[used]), vectors[:, used]
    matrix = scale[:, None] * vectors.T @ coefficients
    explained = vectors.T @ products[:-1, -1] / scale
    target = matrix @ fitted + explained

    # a reflection gives every combination the same sum of weights, which then are those of a mean
    sums = matrix.sum(axis=1)
    length, count = float(np.linalg.norm(sums)), sums.size
    mirror = sums / length - 1.0 / math.sqrt(count)
    if np.any(mirror):
        mirror /= np.linalg.norm(mirror)
        matrix = matrix - 2.0 * np.outer(mirror, mirror @ matrix)
        target = target - 2.0 * mirror * float(mirror @ target)
    unit = length / math.sqrt(count)
    axis = Axis(
        x=np.geomspace(nodes[0], nodes[-1], count),
        nodes=np.ascontiguousarray(np.repeat(nodes[:, None], count, axis=1)),
        share=np.ascontiguousarray(matrix.T / unit),
    )
    rest = float(products[-1, -1] - explained @ explained)
    return Condensed(axis, target / unit, np.full(count, unit**2), rest)
