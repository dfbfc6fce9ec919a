"""``cogfit.check_claim``: a claim, a log, an answer."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from cogfit import fitting
from cogfit.claims.digest import Digest, digest_of_files, digest_of_points
from cogfit.claims.judging import judge_claim
from cogfit.claims.records import ClaimCheck
from cogfit.claims.statement import Claim, PlusMinus, parse_claim
from cogfit.curves.curve import Curve
from cogfit.errors import InputError
from cogfit.logs.model import Log
from cogfit.records.given import refused
from cogfit.result import FitResult, is_fit, load

if TYPE_CHECKING:
    import pandas as pd


def check_claim(
    claim: str | Claim,
    data: FitResult | Log | Curve | str | os.PathLike[str] | pd.DataFrame | ArrayLike,
    y: ArrayLike | str | None = None,
    *,
    margin: float | None = None,
    plus_minus: PlusMinus = "se",
    form: str | None = None,
    **options: Any,
) -> ClaimCheck:
    """Hold a claim about γ against a log.

    Parameters
    ----------
    claim : str or Claim
        Such as ``gamma=0.43±0.04``, ``gamma=0.43`` (with `margin`) or ``gamma in 0.4-0.5``; other parameters of the
        form, too.
    data : FitResult, Log, path, DataFrame, Curve or array_like
        A log, as for :func:`cogfit.fit`, or a fit of every form to it (or the file of one).
    y : array_like or str, optional
        As for :func:`cogfit.fit`.
    margin : float, optional
        Deviations up to this count as none. By default the ± of the claim.
    plus_minus : {"se", "ci"}
        What stands behind the ± of the claim: a standard error, or half a 95 % interval. Read as a standard error a
        claim is contradicted less easily.
    form : str, optional
        The form whose parameter is meant; by default a power law.
    **options
        Of :func:`cogfit.fit`, all but its `form`.

    Returns
    -------
    ClaimCheck
        Its ``answer``: *contradicted*, the interval of the difference (with both errors) excludes 0, or the power law
        is refused; *supported*, the power law is supported and the interval of γ lies within the claim ± `margin`;
        *compatible*, neither; *untestable*, the log does not determine the parameter.

    Raises
    ------
    InputError
        For a text that is no claim, or a log that cannot be used.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 201.0)
    >>> y = k**-0.43 + np.random.default_rng(1).normal(0, 0.01, 200)
    >>> print(cogfit.check_claim("gamma=0.43±0.04", k, y).answer)
    supported
    """
    if not isinstance(claim, str | Claim):
        raise refused("claim", claim, "a claim", "write it: gamma=0.43±0.04, say")
    stated = claim if isinstance(claim, Claim) else parse_claim(claim, margin=margin, plus_minus=plus_minus, form=form)
    if isinstance(claim, Claim) and margin is not None:
        stated = replace(claim, margin=margin)
    saved = _saved(data)
    if saved is not None and options:
        raise InputError(f"{', '.join(options)} cannot change a fit that was made", hint="give the log")
    fit = saved if saved is not None else fitting.fit(data, y, **options)  # type: ignore[arg-type]
    return judge_claim(stated, fit, _digest(data, fit), form=form)


def _saved(data: Any) -> FitResult | None:
    """The fit, where one was given instead of a log."""
    if isinstance(data, FitResult):
        return data
    return load(data) if isinstance(data, str | os.PathLike) and is_fit(data) else None


def _digest(data: Any, fit: FitResult) -> Digest:
    """Digest of the file or folder that was read, or else of the points."""
    path = data if isinstance(data, str | os.PathLike) else data.path if isinstance(data, Log) else None
    found = digest_of_files(path) if path else None
    return digest_of_points(fit.x, fit.y) if found is None else found
