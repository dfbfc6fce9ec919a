"""The fit of a routing log beside that of all its patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.result import FitResult


def beside_all_patterns(fit: Callable[..., FitResult]) -> Callable[..., FitResult]:
    """Make a fit tell whether patterns leave or enter."""

    def fit_both(log: Log, **options: Any) -> FitResult:
        from cogfit.people.survivorship import with_patterns_that_stay

        return with_patterns_that_stay(fit(log, **options), log, rng=options["rng"])

    return fit_both
