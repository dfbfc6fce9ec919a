"""One self-contained web page of a fit.

The answer comes first, then figures, tables, methods and provenance. The page needs no network, and no scripts: the
one of an interactive page adds to it (:mod:`cogfit.show.interactive`).
It is put together by :mod:`cogfit.show.markup`, which escapes whatever comes from the log.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from cogfit.inference.interval import format_interval
from cogfit.result import FitResult
from cogfit.show import exports, interactive, tables
from cogfit.show.diagnostics import DIAGNOSTICS, plot_diagnostic
from cogfit.show.forecast import forms_table, plot_forecast
from cogfit.show.markup import (
    Markup,
    bullets,
    document,
    download,
    passage,
    picture,
    section,
    table_element,
    tag,
    warnings_section,
)
from cogfit.show.plots import plot_fit
from cogfit.show.tables import readable, rows_left_out, simple_table

ANSWERS: dict[str, str] = {
    "supported": "Yes: the data support a power law.",
    "not_supported": "No: the data speak against a power law.",
    "not_distinguishable": "Undecided: these data cannot tell a power law from other forms.",
    "not_identified": "Undecided: these data do not determine an exponent.",
    "not_compared": "Not asked: only one form was fitted.",
}
"""The verdict in plain words."""

MOST_POINTS = 20_000
"""Points that a page offers as a file."""

CAPTIONS: dict[str, str] = {
    "residuals": "Residuals of the form reported against normal quantiles: on the line, the errors are normal.",
    "autocorrelation": "Autocorrelation of these residuals: outside the grey band, errors are not independent.",
    "profile": "Deviance of the power law as γ is held at other values: flat curves do not determine γ.",
    "windows": "γ of the power law over parts of the curve: a power law has the same γ everywhere.",
    "switches": "When each pattern switched, in steps and in exposures.",
    "survival": "Share of patterns that have not switched yet.",
    "restarts": "Restarts of the training: the branch that was kept, and what was abandoned.",
}
"""What each panel of the diagnostics shows."""


def page(result: FitResult, *, command: str = "", is_interactive: bool = False) -> str:
    """Return the page of a fit as HTML.

    The same fit gives the same bytes.

    Parameters
    ----------
    result : FitResult
    command : str
        What was typed, for the provenance.
    is_interactive : bool
        Whether the figure tells values, and lets forms and axes be chosen.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> text = page(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power"))
    >>> text.startswith("<!DOCTYPE html>"), "<script" in text
    (True, False)
    """
    log = str(result.source["path"] or f"{result.n:,} points from {result.source['format']}")
    sections = (
        _figures(result, is_interactive),
        _forecast(result),
        _audit(result),
        _forms(result),
        _parameters(result),
        _windows(result),
        _trajectories(result),
        _averaging(result),
        _transition(result),
        section("Methods", passage(result.methods())),
        _provenance(result, command),
    )
    header = tag("header", tag("p", "Is it a power law? ", tag("code", log), class_="log"), *_answer(result))
    main = tag("main", warnings_section(result.warnings), *sections)
    extras = {"style": interactive.STYLE, "script": interactive.script()} if is_interactive else {}
    return document(f"Is it a power law? {log}", result.versions, header, main, **extras)


def _limits(low: float | None, high: float | None) -> str:
    """An interval as text.

    A limit that is None, as in JSON, is infinite.
    """
    return format_interval((-math.inf if low is None else low, math.inf if high is None else high))


# ---------------------------------------------------------------------------------------------------- sections


def _answer(result: FitResult) -> Iterator[Markup]:
    yield tag("h1", ANSWERS[result.verdict.power_law])
    yield tag("p", result.headline(), class_="lead")
    others = (part["statements"][:1] for part in (result.averaging, result.transition) if part is not None)
    yield bullets((*result.verdict.reasons, *result.window_statements, *chain(*others)))


def _figures(result: FitResult, is_interactive: bool) -> Markup:
    main = plot_fit(result, width=4.6, titled=False)
    caption = (
        f"{result.y_label} against {result.x_label}, with fitted forms and, below, the residuals of the form reported."
    )
    panels = []
    for name in DIAGNOSTICS:
        figure = plot_diagnostic(result, name)
        if figure is not None:
            panels.append(picture(figure, name, CAPTIONS[name]))
    chart = interactive.chart(result) if is_interactive else Markup()
    return section("Figures", chart, picture(main, "fit", caption, class_="main"), tag("div", *panels, class_="panels"))


def _forms(result: FitResult) -> Markup:
    return section("Forms", table_element(tables.forms_table(result, tables.PAGE)))


def _audit(result: FitResult) -> str:
    if result.audit is None:
        return ""
    text = (
        "The verdict was tried on curves with a known law, this log's points and errors like its own. In parentheses: "
        "95 % limits of the share that so many curves leave open."
    )
    return section("How far to trust the verdict", tag("p", text), table_element(tables.audit_table(result.audit)))


def _forecast(result: FitResult) -> Markup:
    if result.forecast is None:
        return Markup()
    caption = "Forecast: inside the dark band lies the curve, inside the light one a new observation."
    fan = picture(plot_forecast(result, width=4.6, titled=False), "forecast", caption, class_="main")
    answers = bullets(result.forecast.statements)
    return section("Forecast", answers, fan, table_element(forms_table(result.forecast)))


def _parameters(result: FitResult) -> Markup:
    return section("Parameters", table_element(tables.parameters_table(result, tables.PAGE)))


def _windows(result: FitResult) -> Markup:
    return section("Windows", table_element(tables.windows_table(result, tables.PAGE)))


def _transition(result: FitResult) -> Markup:
    transition = result.transition
    if transition is None:
        return Markup()
    changes = [change for change in (transition["main"], *transition["changes"]) if change is not None]
    columns = (
        "half done at",
        f"{transition['level']:.0%} interval",
        "10 % done",
        "90 % done",
        "before / after",
        "size in SD of a point",
        "p",
    )
    rows = [
        (
            readable(change["t50"], 6),
            _limits(change["low"], change["high"]),
            readable(change["t10"], 6),
            readable(change["t90"], 6),
            readable(change["ratio"], 3),
            readable(change["size_sd"], 3),
            f"{change['p_value']:.2g}",
        )
        for change in changes
    ]
    caption = f"Abrupt changes on the {transition['axis']} axis, the strongest first."
    table = table_element(simple_table(columns, rows, caption, numbers=range(1, 7)))
    return section("Transition", bullets(transition["statements"]), table)


def _averaging(result: FitResult) -> Markup:
    averaging = result.averaging
    if averaging is None:
        return Markup()
    labels = {
        "status": "finding",
        "per_pattern_form": "form of single curves",
        "share_better": "share better described by it",
        "gamma_pooled": "γ of the mean curve",
        "gamma_mean": "mean γ of single curves",
        "gamma_sd": "their standard deviation",
        "reproduced": "R² of averaged single fits",
        "reproduced_power": "R² of averaged power laws",
    }
    title = f"Averaging over {averaging['patterns']} {averaging['kind']}."
    return section("Averaging", bullets(averaging["statements"]), _facts(title, labels, averaging))


def _trajectories(result: FitResult) -> Markup:
    trajectories = result.trajectories
    if trajectories is None:
        return Markup()
    labels = {
        "patterns": "patterns",
        "risk_set": "of these behind every point",
        "overridden_rows": "overridden rows left out",
        "switched": "patterns that switch",
        "never": "that never do",
        "low_from_start": "low from the start",
        "near_binary": "share of near-binary patterns",
        "correlation_k_step": "correlation of k and step",
        "serial_dependence": "lag-1 correlation within patterns",
        "scope": "scope",
    }
    columns = ("axis", "10 % switched", "half", "95 % interval", "90 %")
    rows = [
        (
            axis,
            readable(times["t10"], 6),
            readable(times["t50"], 6),
            _limits(times["low"], times["high"]),
            readable(times["t90"], 6),
        )
        for axis, times in trajectories.get("switch_times", {}).items()
    ]
    times_table = simple_table(columns, rows, "When patterns switch (Kaplan–Meier).", numbers=range(1, 5))
    return section(
        "Patterns",
        bullets(trajectories.get("statements", ())),
        _facts("Patterns behind the curve.", labels, trajectories),
        table_element(times_table),
        *_time_ratios(trajectories),
    )


def _time_ratios(trajectories: Mapping[str, Any]) -> Iterator[Markup]:
    """A table of the survival regression of switch times."""
    covariates, slope = trajectories.get("switch_time_ratios", ()), trajectories.get("alignment_slope", {})
    if not covariates:
        return
    rows = [
        (
            "twice the frequency" if item["name"] == "frequency" else f"{item['name']} instead of the first",
            readable(item["ratio"], 3),
            _limits(item["low"], item["high"]),
        )
        for item in covariates
    ]
    caption = (
        f"What the time until the switch is multiplied by ({slope['law']} survival regression; patterns that never "
        f"switch are censored, {slope['censored']} of them)."
    )
    yield table_element(simple_table(("", "time ratio", "95 % interval"), rows, caption, numbers=range(1, 3)))


def _facts(caption: str, labels: Mapping[str, str], values: Mapping[str, Any]) -> Markup:
    """A table of labels and the values that are known."""
    known = ((label, values.get(key)) for key, label in labels.items())
    rows = [
        (label, value.replace("_", " ") if isinstance(value, str) else readable(value))
        for label, value in known
        if value is not None
    ]
    return table_element(simple_table(("", "value"), rows, caption))


def _provenance(result: FitResult, command: str) -> Markup:
    source = result.source
    rows = [
        ("source", str(source["path"] or "arrays")),
        ("format", str(source["format"])),
        ("rows read", f"{source['rows_read']:,}"),
        *([("rows used", f"{source['rows_used']:,}")] if "rows_used" in source else []),
        ("rows left out", rows_left_out(source)),
        *(("note", str(note)) for note in source["notes"]),
        ("points fitted", f"{result.n:,} ({result.n_effective:,.0f} effective)"),
        ("x", f"{result.x_label}: {result.convention}"),
        ("y", f"{result.y_label} ({result.measure})"),
        ("noise", result.noise),
        *((name, version) for name, version in result.versions.items()),
        *([("command", command)] if command else []),
    ]
    table = table_element(simple_table(("", "value"), rows, "Where the numbers come from."))
    return section("Provenance", table, _points(result))


def _points(result: FitResult) -> Markup:
    """The points as a file to save, where the page can hold them."""
    if result.n > MOST_POINTS:
        return tag("p", f"{result.n:,} points are too many for this page; cogfit fit --json writes all numbers.")
    text = exports.augment(result).to_csv(index=False, lineterminator="\n")
    return download(text, "points.csv", "Save the points, the fitted curve and the residuals (CSV)")
