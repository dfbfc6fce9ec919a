"""Forecasts of ``cogfit fit``: asked for by options, printed below the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cogfit.result import FitResult


def fit_with_forecast(
    fit: Callable[..., FitResult], *, at: Sequence[float] | None, reach: Sequence[float] | None, has_fan: bool = False
) -> Callable[..., FitResult]:
    """Make a function fit and forecast what was asked for.

    Parameters
    ----------
    fit : callable
    at, reach : sequence of float or None
        x and y that were asked for.
    has_fan : bool
        Whether the forecast is to be drawn.
    """
    if not at and not reach and not has_fan:
        return fit
    return lambda *args, **options: fit(*args, **options).with_forecast(at or (), reach or ())


def show_forecast(out: Any, result: FitResult, *, with_forms: bool) -> None:
    """Print the answers, and the forms behind them.

    Nothing where no forecast was asked for.
    """
    from rich.text import Text

    from cogfit.commands.terminal import print_items, print_table
    from cogfit.show import forecast, tables

    if result.forecast is None:
        return
    out.print()
    print_items(out, result.forecast.statements)
    table = forecast.forms_table(result.forecast)
    if with_forms and table.rows:
        print_table(out, tables.to_terminal(table))
        out.print(Text(table.caption, style="dim"))


def show_forecasts(out: Any, groups: Sequence[tuple[dict[str, str], FitResult | str]]) -> None:
    """Print the answers of every group."""
    from rich.text import Text

    from cogfit.errors import shortened

    for labels, result in groups:
        if not isinstance(result, str) and result.forecast is not None:
            name = ", ".join(map(shortened, labels.values()))
            for statement in result.forecast.statements:
                out.print(Text(f"{name}: {statement}"))
