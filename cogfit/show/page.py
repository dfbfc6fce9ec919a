"""One self-contained web page of a fit.

The answer comes first, then figures, tables, methods and provenance. The page needs no network and no scripts.
Everything that comes from the log is escaped where the page is put together (:func:`_tag`), and a content security
policy forbids the browser to run or load anything.
"""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from cogfit.files import write_atomic
from cogfit.inference.interval import format_interval
from cogfit.records.printable import printable
from cogfit.result import FitResult
from cogfit.show import tables
from cogfit.show.forecast import forms_table, plot_forecast
from cogfit.show.plots import DIAGNOSTICS, plot_diagnostic, plot_fit, render
from cogfit.show.tables import Table, readable, simple_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANSWERS: dict[str, str] = {
    "supported": "Yes: the data support a power law.",
    "not_supported": "No: the data speak against a power law.",
    "not_distinguishable": "Undecided: these data cannot tell a power law from other forms.",
    "not_identified": "Undecided: these data do not determine an exponent.",
    "not_compared": "Not asked: only one form was fitted.",
}
"""The verdict in plain words."""

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

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_LONG = 24  # characters from which a cell needs room

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: #1a1a1a; background: #fff;
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ccc; }
.lead { font-size: 1.1rem; }
.log { color: #555; margin: 0; }
ul { padding-left: 1.2rem; }
li { margin: .2rem 0; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figure.main svg { max-width: 38rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 0 1.5rem; }
figcaption, .caption { color: #444; font-size: .9rem; }
.caption { margin: .8rem 0 .2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
thead th { border-bottom: 1px solid #666; white-space: nowrap; }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
.long { min-width: 12rem; }
tr.chosen { background: #eaf2f8; }
.warnings { border-left: 4px solid #b35900; padding: .1rem .8rem; background: #fff7ee; }
.warnings h2 { margin-top: .5rem; border: 0; }
code { font-size: .9rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; }
  figure.main svg { max-width: 12cm; }
  table { font-size: 8pt; }
  th, td { padding: 1pt 4pt; }
  figure, tr, .warnings { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def save_report(result: FitResult, path: str | os.PathLike[str], *, command: str = "") -> None:
    """Write the page of a fit whole, or not.

    The same fit gives the same bytes.

    Parameters
    ----------
    result : FitResult
    path : path
        The file, ``.html``.
    command : str
        What was typed, for the provenance.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_atomic(path, page(result, command=command))


def page(result: FitResult, *, command: str = "") -> str:
    """Return the page of a fit as HTML.

    Parameters
    ----------
    result : FitResult
    command : str
        What was typed, for the provenance.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> text = page(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power"))
    >>> text.startswith("<!DOCTYPE html>"), "<script" in text
    (True, False)
    """
    log = str(result.source["path"] or f"{result.n:,} points from {result.source['format']}")
    head = _tag(
        "head",
        _Markup('<meta charset="utf-8">'),
        _Markup(f'<meta name="generator" content="cogfit {_escape(result.versions.get("cogfit", "?"))}">'),
        _Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        _Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        _tag("title", f"Is it a power law? {log}"),
        _tag("style", _Markup(_STYLE)),
    )
    sections = (
        _figures(result),
        _forecast(result),
        _audit(result),
        _forms(result),
        _parameters(result),
        _windows(result),
        _trajectories(result),
        _averaging(result),
        _transition(result),
        _section("Methods", _tag("p", result.methods())),
        _provenance(result, command),
    )
    header = _tag("header", _tag("p", "Is it a power law? ", _tag("code", log), class_="log"), *_answer(result))
    body = _tag("body", header, _tag("main", _warnings(result), *sections))
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


# ------------------------------------------------------------------------------------------------------ markup


class _Markup(str):
    """HTML that is safe as it is.

    Any other text is escaped.
    """


def _tag(name: str, *children: str, **attributes: str) -> _Markup:
    """Return an element.

    Children are escaped unless they are :class:`_Markup`, attributes always.
    """
    inner = "".join(child if isinstance(child, _Markup) else _escape(child) for child in children)
    given = "".join(f' {key.strip("_").replace("_", "-")}="{_escape(v)}"' for key, v in attributes.items())
    return _Markup(f"<{name}{given}>{inner}</{name}>\n")


def _escape(text: str) -> str:
    """A text as HTML, without what turns it round or hides it."""
    return html.escape(printable(text, keeps_lines=True))


def _section(title: str, *children: str) -> _Markup:
    """A section with its heading, nothing if it is empty."""
    full = [child for child in children if child]
    return _tag("section", _tag("h2", title), *full) if full else _Markup()


def _list(sentences: Iterable[str]) -> _Markup:
    items = [_tag("li", sentence) for sentence in sentences]
    return _tag("ul", *items) if items else _Markup()


def _table(table: Table) -> _Markup:
    """A table that scrolls where it is too wide.

    Nothing where it has no rows.
    """
    if not table.rows:
        return _Markup()
    body = []
    for row in table.rows:
        name, *cells = row.cells
        values = [
            _cell(cell, is_number=column.kind != "text", has_neighbours=len(cells) > 1)
            for cell, column in zip(cells, table.columns[1:], strict=True)
        ]
        mark = {"class_": "chosen"} if row.is_chosen else {}
        body.append(_tag("tr", _tag("th", name, scope="row"), *values, **mark))
    heads = [
        _tag("th", column.title, scope="col", **({} if column.kind == "text" else {"class_": "number"}))
        for column in table.columns
    ]
    name = "table-" + re.sub(r"\W+", "-", table.caption[:32]).lower()
    element = _tag("table", _tag("thead", _tag("tr", *heads)), _tag("tbody", *body), aria_labelledby=name)
    scroll = _tag("div", element, class_="scroll", role="region", aria_labelledby=name, tabindex="0")
    # caption and notes stand beside the table, so that they never scroll
    notes = "".join(_tag("p", note, class_="note") for note in table.notes)
    return _Markup(_tag("p", table.caption, class_="caption", id=name) + scroll + notes)


def _cell(text: str, *, is_number: bool, has_neighbours: bool) -> _Markup:
    """A cell of a table.

    Long text beside other cells gets room, so that a narrow screen does not make it a tower.
    """
    kind = "number" if is_number else "long" if has_neighbours and len(text) > _LONG else ""
    return _tag("td", text, **({"class_": kind} if kind else {}))


def _picture(figure: Figure, name: str, caption: str, **attributes: str) -> _Markup:
    """A figure as inline SVG whose ids are its own.

    The caption is its text alternative.
    """
    text = render(figure, "svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    # in tags only: a label may look like an attribute
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", tag.group()), text)
    text = text.replace("<svg", f'<svg role="img" aria-label="{_escape(caption)}"', 1)
    return _tag("figure", _Markup(text), _tag("figcaption", caption), **attributes)


def _limits(low: float | None, high: float | None) -> str:
    """An interval as text.

    A limit that is None, as in JSON, is infinite.
    """
    return format_interval((-math.inf if low is None else low, math.inf if high is None else high))


# ---------------------------------------------------------------------------------------------------- sections


def _answer(result: FitResult) -> Iterator[_Markup]:
    yield _tag("h1", ANSWERS[result.verdict.power_law])
    yield _tag("p", result.headline(), class_="lead")
    others = (part["statements"][:1] for part in (result.averaging, result.transition) if part is not None)
    yield _list((*result.verdict.reasons, *result.window_statements, *chain(*others)))


def _warnings(result: FitResult) -> _Markup:
    if not result.warnings:
        return _Markup()
    return _tag("section", _tag("h2", "Warnings"), _list(result.warnings), class_="warnings")


def _figures(result: FitResult) -> _Markup:
    main = plot_fit(result, width=4.6, titled=False)
    caption = (
        f"{result.y_label} against {result.x_label}, with fitted forms and, below, the residuals of the form reported."
    )
    panels = []
    for name in DIAGNOSTICS:
        figure = plot_diagnostic(result, name)
        if figure is not None:
            panels.append(_picture(figure, name, CAPTIONS[name]))
    return _section("Figures", _picture(main, "fit", caption, class_="main"), _tag("div", *panels, class_="panels"))


def _forms(result: FitResult) -> _Markup:
    return _section("Forms", _table(tables.forms_table(result, tables.PAGE)))


def _audit(result: FitResult) -> str:
    if result.audit is None:
        return ""
    text = (
        "The verdict was tried on curves with a known law, this log's points and errors like its own. In parentheses: "
        "95 % limits of the share that so many curves leave open."
    )
    return _section("How far to trust the verdict", _tag("p", text), _table(tables.audit_table(result.audit)))


def _forecast(result: FitResult) -> _Markup:
    if result.forecast is None:
        return _Markup()
    caption = "Forecast: inside the dark band lies the curve, inside the light one a new observation."
    picture = _picture(plot_forecast(result, width=4.6, titled=False), "forecast", caption, class_="main")
    return _section("Forecast", _list(result.forecast.statements), picture, _table(forms_table(result.forecast)))


def _parameters(result: FitResult) -> _Markup:
    return _section("Parameters", _table(tables.parameters_table(result, tables.PAGE)))


def _windows(result: FitResult) -> _Markup:
    return _section("Windows", _table(tables.windows_table(result, tables.PAGE)))


def _transition(result: FitResult) -> _Markup:
    transition = result.transition
    if transition is None:
        return _Markup()
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
    table = _table(simple_table(columns, rows, caption, numbers=range(1, 7)))
    return _section("Transition", _list(transition["statements"]), table)


def _averaging(result: FitResult) -> _Markup:
    averaging = result.averaging
    if averaging is None:
        return _Markup()
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
    return _section("Averaging", _list(averaging["statements"]), _facts(title, labels, averaging))


def _trajectories(result: FitResult) -> _Markup:
    trajectories = result.trajectories
    if trajectories is None:
        return _Markup()
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
    return _section(
        "Patterns",
        _list(trajectories.get("statements", ())),
        _facts("Patterns behind the curve.", labels, trajectories),
        _table(times_table),
        *_time_ratios(trajectories),
    )


def _time_ratios(trajectories: Mapping[str, Any]) -> Iterator[_Markup]:
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
    yield _table(simple_table(("", "time ratio", "95 % interval"), rows, caption, numbers=range(1, 3)))


def _facts(caption: str, labels: Mapping[str, str], values: Mapping[str, Any]) -> _Markup:
    """A table of labels and the values that are known."""
    known = ((label, values.get(key)) for key, label in labels.items())
    rows = [
        (label, value.replace("_", " ") if isinstance(value, str) else readable(value))
        for label, value in known
        if value is not None
    ]
    return _table(simple_table(("", "value"), rows, caption))


def _provenance(result: FitResult, command: str) -> _Markup:
    source = result.source
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items())
    rows = [
        ("source", str(source["path"] or "arrays")),
        ("format", str(source["format"])),
        ("rows read", f"{source['rows_read']:,}"),
        *([("rows used", f"{source['rows_used']:,}")] if "rows_used" in source else []),
        ("rows left out", dropped or "none"),
        *(("note", str(note)) for note in source["notes"]),
        ("points fitted", f"{result.n:,} ({result.n_effective:,.0f} effective)"),
        ("x", f"{result.x_label}: {result.convention}"),
        ("y", f"{result.y_label} ({result.measure})"),
        ("noise", result.noise),
        *((name, version) for name, version in result.versions.items()),
        *([("command", command)] if command else []),
    ]
    return _section("Provenance", _table(simple_table(("", "value"), rows, "Where the numbers come from.")))
