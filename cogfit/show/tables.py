"""Tables of a fit: the rows once, for every output.

Terminal, page, plain text, notebook and LaTeX show the same rows in their own way. A table is made in three steps. The
*fields* declare its columns: title, alignment, the outputs and widths that show it, and what a cell says. A *style*
says how an output writes numbers. Both give a :class:`Table` of finished cells, which a *writer* (``to_...``) lays out.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from cogfit.errors import shortened
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.form_tests import REFUTED
from cogfit.inference.interval import Interval, format_interval
from cogfit.inference.rates import VERDICTS, Audit, Rates, in_words
from cogfit.inference.standing import Standing
from cogfit.inference.windows import Window, exponent_name, held_in_words
from cogfit.records.printable import printable
from cogfit.result import FitResult, FormFit

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from cogfit.planning.records import Design

T = TypeVar("T")
Number = Callable[[float | None], str]
"""How a number is written."""

Kind = Literal["text", "number", "interval"]
"""What a column holds. Numbers are aligned to the right; of intervals every output decides."""

NONE = "–"
"""What stands for a value that there is not."""

MARK = "†"
"""What stands beside an interval that is not reliable."""

STATUS_WIDTH = 96
"""Characters of a terminal from which the status has a column; below, a star stands for one that is not ok."""

REASON_WIDTH = 120
"""Characters of a terminal from which the reason of the status has a column."""

# ------------------------------------------------------------------------------------------------------ records


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    title : str
    kind : {"text", "number", "interval"}
    wraps : bool
        Whether long cells may break into lines.
    min_width : int
        Characters of an output from which the column is shown.
    explains_flag : bool
        Whether the column says why a row is flagged; where it is hidden, the row gets a star.
    """

    title: str
    kind: Kind = "text"
    wraps: bool = False
    min_width: int = 0
    explains_flag: bool = False


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    cells : tuple of str
        Finished text, one for each column.
    is_chosen : bool
        Whether the row is the one that the result reports.
    is_flagged : bool
        Whether a caution belongs to the row.
    """

    cells: tuple[str, ...]
    is_chosen: bool = False
    is_flagged: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows whose cells are finished text.

    Attributes
    ----------
    columns : tuple of Column
    rows : tuple of Row
    caption : str
    is_indented : bool
        Whether plain layouts set the names of the rows in, with an arrow before the chosen one.
    footnote : str
        What a star means; at a width, empty where there is none.
    notes : tuple of str
        What other marks mean.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    is_indented: bool = False
    footnote: str = ""
    notes: tuple[str, ...] = ()

    def at_width(self, width: int) -> Table:
        """Return the table for an output of so many characters.

        Columns for which it is too narrow are left out.
        """
        is_shown = [width >= column.min_width for column in self.columns]
        columns = tuple(compress(self.columns, is_shown))
        rows = tuple(replace(row, cells=tuple(compress(row.cells, is_shown))) for row in self.rows)
        # a star stands for the column that says why a row is flagged, where that is hidden
        if any(column.explains_flag for column in columns):
            return replace(self, columns=columns, rows=rows, footnote="")
        footnote = self.footnote if any(row.is_flagged for row in rows) else ""
        return replace(self, columns=columns, rows=tuple(map(_starred, rows)), footnote=footnote)


def _starred(row: Row) -> Row:
    """Row with a star after its name if flagged."""
    return replace(row, cells=(row.cells[0] + " *", *row.cells[1:])) if row.is_flagged else row


def simple_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", *, numbers: Iterable[int] = ()
) -> Table:
    """Return a table whose cells are shown everywhere.

    Parameters
    ----------
    columns : sequence of str
        Titles.
    rows : iterable of sequence of str
    caption : str
    numbers : iterable of int
        Which columns hold numbers, counted from 0.
    """
    right = set(numbers)
    titled = (Column(title, "number" if i in right else "text") for i, title in enumerate(columns))
    return Table(tuple(titled), tuple(Row(tuple(cells)) for cells in rows), caption)


# ------------------------------------------------------------------------------------------------------ numbers


def fixed(value: float | None, digits: int) -> str:
    """Write a number with so many decimals.

    "–" stands for none and NaN.
    """
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def rounded(value: float | None, digits: int) -> str:
    """Write a number with so many digits.

    "–" stands for none and NaN.
    """
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}g}"


def readable(value: float | None, digits: int = 4) -> str:
    """Write a number with so many digits, large ones whole.

    "–" stands for none and NaN.
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def _one_decimal(value: float | None) -> str:
    return f"{value:,.1f}" if value is not None and math.isfinite(value) else NONE


def interval_text(limits: Interval | Window | None) -> str:
    """Return an interval as text, "–" where there is none."""
    if limits is None or math.isnan(limits.low):
        return NONE
    return format_interval((limits.low, limits.high))


@dataclass(frozen=True)
class Style:
    """How an output writes the numbers of a fit.

    Attributes
    ----------
    name : str
    exponent, criterion, parameter : callable
        Write γ, differences of AICc and BIC, and values of parameters.
    shows_empty_columns : bool
        Whether a column stays of which no row has anything.
    """

    name: str
    exponent: Number
    criterion: Number
    parameter: Number
    shows_empty_columns: bool = False


_THREE_DECIMALS = partial(fixed, digits=3)
_FOUR_DIGITS = partial(rounded, digits=4)

TERMINAL = Style("terminal", _THREE_DECIMALS, _one_decimal, lambda value: f"{value:.5g}")
LATEX = replace(TERMINAL, name="latex")
PAGE = Style(
    "page",
    exponent=partial(readable, digits=3),
    criterion=readable,
    parameter=partial(readable, digits=5),
    shows_empty_columns=True,
)
PLAIN = Style("plain", _FOUR_DIGITS, _FOUR_DIGITS, _FOUR_DIGITS, shows_empty_columns=True)
NOTEBOOK = replace(PLAIN, name="notebook")

# -------------------------------------------------------------------------------------------------------- fields


@dataclass(frozen=True)
class _Field(Generic[T]):
    """A column, the outputs that have it, and its cells."""

    column: Column
    outputs: tuple[str, ...]
    cell: Callable[[T, Style], str]


_DATA = ("plain", "notebook")  # outputs that name forms, parameters and statuses as a program does
_READ = ("terminal", "page", "latex")  # outputs in words


def _fields_of(style: Style, fields: Sequence[_Field[T]]) -> list[_Field[T]]:
    return [field for field in fields if style.name in field.outputs]


def _columns(fields: Sequence[_Field[T]], result: FitResult) -> tuple[Column, ...]:
    """Columns whose titles name the level, what x is, and what windows show."""
    slope = exponent_name(result.law)
    words = {"level": f"{result.level:.0%}", "x": result.x_label, "slope": slope}
    return tuple(replace(field.column, title=field.column.title.format_map(words)) for field in fields)


def _cells(fields: Sequence[_Field[T]], item: T, style: Style) -> tuple[str, ...]:
    return tuple(field.cell(item, style) for field in fields)


def _gamma(item: FormFit) -> float | None:
    """γ, where it is a measurement."""
    return item.gamma if item.standing().is_measured else None


def _gamma_interval(item: FormFit, style: Style) -> str:
    """Interval of γ, or in words why there is none."""
    if item.gamma_name is None:
        return NONE
    return _measured_interval(item, item.gamma_name)


def _measured_interval(item: FormFit, name: str) -> str:
    """Interval of a parameter, marked where unreliable."""
    standing = item.standing(name)
    if not standing.is_measured:
        return standing.words
    return interval_text(item.intervals.get(name)) + (f" {MARK}" if standing.why else "")


def _limit(item: FormFit, side: str) -> float | None:
    limits = item.intervals.get(item.gamma_name or "")
    return None if limits is None or _gamma(item) is None else float(getattr(limits, side))


def _doubts(standings: Iterable[Standing]) -> tuple[str, ...]:
    """What the mark of unreliable intervals means, once each."""
    whys = dict.fromkeys(standing.why for standing in standings)
    return tuple(f"{MARK} unreliable: {why}" for why in whys if why)


def _gamma_in_words(item: FormFit) -> str:
    """What γ is worth, for readers of data."""
    return "" if item.gamma_name is None else item.standing().kind.replace("_", " ")


def _p_value(item: FormFit, style: Style) -> str:
    """p-value of the form, in brackets where it is refused."""
    if item.test is None:
        return NONE
    text = f"{item.test.p_value:.2g}"
    return text if item.test.p_value > REFUTED else f"({text})"


def _goodness_of_fit(item: FormFit, style: Style) -> str:
    return rounded(None if item.test is None else item.test.fit_p_value, 2)


def _all_parameters(item: FormFit, style: Style) -> str:
    known = [name for name, value in item.estimate.params.items() if not math.isnan(value)]
    return ", ".join(f"{name} = {_value(item, name, style)}" for name in known)


def _value(item: FormFit, name: str, style: Style) -> str:
    """Value of a parameter, with a word where it is no measurement."""
    standing, value = item.standing(name), style.parameter(item.estimate.params[name])
    return value if standing.is_measured or standing.kind == "failed" else f"{value} ({standing.words})"


_FORM_FIELDS: tuple[_Field[FormFit], ...] = (
    # which form
    _Field(Column("form"), _READ, lambda item, style: item.title),
    _Field(Column("form"), _DATA, lambda item, style: item.name),
    # its exponent
    _Field(Column("γ", "number"), _READ, lambda item, style: style.exponent(_gamma(item))),
    _Field(Column("{level} interval", "interval"), _READ, _gamma_interval),
    _Field(Column("gamma", "number"), _DATA, lambda item, style: style.exponent(_gamma(item))),
    _Field(Column("low", "number"), _DATA, lambda item, style: style.exponent(_limit(item, "low"))),
    _Field(Column("high", "number"), _DATA, lambda item, style: style.exponent(_limit(item, "high"))),
    # how it compares with the others
    _Field(Column("ΔAICc", "number"), _READ, lambda item, style: style.criterion(item.delta_aicc)),
    _Field(Column("delta_aicc", "number"), _DATA, lambda item, style: style.criterion(item.delta_aicc)),
    _Field(Column("p", "number"), _READ, _p_value),
    _Field(Column("extrapolation error", "number"), ("page",), lambda item, style: style.criterion(item.extrapolation)),
    # what it is made of
    _Field(Column("aicc", "number"), ("notebook",), lambda item, style: style.criterion(item.estimate.aicc)),
    _Field(Column("rss", "number"), ("notebook",), lambda item, style: style.criterion(item.estimate.rss)),
    _Field(Column("parameters"), _DATA, _all_parameters),
    # how far it is determined
    _Field(
        Column("status", min_width=STATUS_WIDTH, explains_flag=True),
        _READ,
        lambda item, style: item.estimate.status.replace("_", " "),
    ),
    _Field(Column("status"), _DATA, lambda item, style: item.estimate.status),
    _Field(Column("gamma is", wraps=True), _DATA, lambda item, style: _gamma_in_words(item)),
    _Field(
        Column("ΔBIC", "number", min_width=REASON_WIDTH),
        ("terminal",),
        lambda item, style: style.criterion(item.delta_bic),
    ),
    _Field(Column("fit p", "number", min_width=REASON_WIDTH), ("terminal",), _goodness_of_fit),
    _Field(
        Column("why", wraps=True, min_width=REASON_WIDTH),
        ("terminal", "page"),
        lambda item, style: item.estimate.reason,
    ),
)

_WINDOW_FIELDS: tuple[_Field[Window], ...] = (
    _Field(Column("from", "number"), ("terminal", "latex"), lambda window, style: f"{window.x_min:,.6g}"),
    _Field(Column("to", "number"), ("terminal", "latex"), lambda window, style: f"{window.x_max:,.6g}"),
    _Field(Column("{x}"), ("page",), lambda window, style: f"{window.x_min:,.6g}–{window.x_max:,.6g}"),
    _Field(Column("points", "number"), _READ, lambda window, style: f"{window.n:,}"),
    _Field(Column("{slope}", "number"), _READ, lambda window, style: style.exponent(window.gamma)),
    _Field(Column("{level} interval", "interval"), _READ, lambda window, style: interval_text(window)),
)


@dataclass(frozen=True)
class _Parameter:
    """One parameter of the form that is reported."""

    name: str
    form: FormFit

    @property
    def interval(self) -> str:
        """The interval, nothing where the value says why there is none."""
        return _measured_interval(self.form, self.name) if self.form.standing(self.name).is_measured else NONE

    @property
    def basis(self) -> str:
        """How the interval was made, and what it speaks of."""
        limits = self.form.intervals.get(self.name)
        return "" if limits is None else "; ".join(filter(None, (limits.method, limits.scope, limits.caveat)))


_PARAMETER_FIELDS: tuple[_Field[_Parameter], ...] = (
    _Field(Column("parameter"), _READ, lambda item, style: item.name),
    _Field(Column("value", "number"), _READ, lambda item, style: _value(item.form, item.name, style)),
    _Field(Column("{level} interval", "interval"), _READ, lambda item, style: item.interval),
    _Field(Column("unit"), ("page",), lambda item, style: item.form.units[item.name]),
    _Field(Column("meaning", wraps=True), _READ, lambda item, style: item.form.meanings[item.name]),
    _Field(Column("how, and for what, it holds", wraps=True), ("page",), lambda item, style: item.basis),
)

# -------------------------------------------------------------------------------------------------------- tables


def leading_forms(result: FitResult, most: int) -> tuple[FormFit, ...]:
    """Return the forms to look at first, best first.

    The form reported, the better power law, those that are not refused; where these are fewer than three, the best of
    the others.

    Parameters
    ----------
    result : FitResult
    most : int
        How many.
    """
    ordered = [item.name for item in result.forms]
    power = [name for name in ordered if name in POWER_LAWS][:1]
    names = list(dict.fromkeys((result.form, *power, *result.indistinguishable_forms)))
    names += [name for name in ordered if name not in names][: max(3 - len(names), 0)]
    return tuple(item for item in result.forms if item.name in names[:most])


def forms_table(result: FitResult, style: Style = TERMINAL, items: Sequence[FormFit] | None = None) -> Table:
    """Return the forms that were fitted, best first.

    Parameters
    ----------
    result : FitResult
    style : Style
        Of the output that will show it.
    items : sequence of FormFit, optional
        Those to show; all by default.
    """
    items = result.forms if items is None else items
    fields = _fields_of(style, _FORM_FIELDS)
    if not style.shows_empty_columns and all(item.test is None for item in items):
        fields = [field for field in fields if field.cell is not _p_value]
    rows = tuple(
        Row(
            _cells(fields, item, style),
            is_chosen=item.name == result.form,
            is_flagged=item.estimate.status != "ok",
        )
        for item in items
    )
    caption = (
        f"Forms, best first; marked: the form reported. p: bootstrap test of the form, refused up to {REFUTED:g} (in "
        "brackets). Extrapolation error: of predicting the last 30 % of the points from the others."
    )
    footnote = "* not fully determined, or at a bound; a wider terminal shows more"
    notes = _doubts(item.standing() for item in items if item.gamma_name is not None)
    return Table(_columns(fields, result), rows, caption, is_indented=True, footnote=footnote, notes=notes)


def windows_table(result: FitResult, style: Style = TERMINAL) -> Table:
    """Return γ, or the log–log slope, over windows of x."""
    name = "γ" if result.law is not None else "Log–log slope"
    held = held_in_words(result.law) if result.law is not None else ""
    fields = _fields_of(style, _WINDOW_FIELDS)
    rows = tuple(Row(_cells(fields, window, style)) for window in result.windows)
    return Table(_columns(fields, result), rows, f"{name} over parts of the curve{held}.")


def parameters_table(result: FitResult, style: Style = TERMINAL) -> Table:
    """Return the parameters of the form reported."""
    form = result.selected
    fields = _fields_of(style, _PARAMETER_FIELDS)
    rows = tuple(Row(_cells(fields, _Parameter(name, form), style)) for name in form.estimate.params)
    columns = _columns(fields, result)
    if style is not PAGE:  # there the caption names the form
        columns = (replace(columns[0], title=form.title), *columns[1:])
    caption = f"Parameters of the form reported, {form.title}."
    return Table(columns, rows, caption, is_indented=True, notes=_doubts(map(form.standing, form.estimate.params)))


def audit_table(audit: Audit) -> Table:
    """Verdicts on simulated curves, by the law behind them."""
    laws = [rates for rates in (audit.power_law, audit.rival) if rates is not None]
    rows = [(name.replace("_", " "), *(_count(rates, name) for rates in laws)) for name in VERDICTS]
    columns = ("verdict on simulated curves", *(f"{rates.title} true" for rates in laws))
    return simple_table(columns, rows, numbers=range(1, len(columns)))


def needs_table(design: Design) -> Table:
    """How much more would decide, and what was tried."""
    rows = []
    for need in design.needs:
        tried = ", ".join(f"{t['factor']:.2g} ×: {t['supported']:.0f} of {t['curves']:.0f}" for t in need.trials)
        most = max(trial["factor"] for trial in need.trials)
        times = f"{need.factor:.2g} ({need.low:.2g} to {need.high:.2g})" if need.is_reachable else f"> {most:.2g}"
        rows.append((need.lever, times, readable(need.amount, 2) if need.is_reachable else NONE, tried))
    columns = (
        Column(f"for {design.goal:.0%} supported"),
        Column("times as much", "number"),
        Column("that is", "number"),
        Column("supported at", wraps=True),
    )
    return Table(columns, tuple(map(Row, rows)))


def _count(rates: Rates, verdict: str) -> str:
    """Such as ``31 of 50 (48–74 %)``."""
    low, high = rates.limits(verdict)
    return f"{in_words(rates, verdict)} ({100 * low:.0f}–{100 * high:.0f} %)" if rates.curves else NONE


def groups_table(results: Sequence[tuple[Mapping[str, str], FitResult | str]], style: Style = TERMINAL) -> Table:
    """Return one row for each group that was fitted.

    Parameters
    ----------
    results : sequence of (labels, FitResult or str)
        A text says why a group was not fitted.
    style : Style
    """
    names = (*results[0][0], "power law", "form", "γ", "interval", "points")
    rows = []
    for labels, result in results:
        if isinstance(result, str):
            cells = (f"not fitted: {result}", "", "", "", "")
        else:
            item, verdict = result.selected, str(result.verdict)
            cells = (verdict, item.title, style.exponent(_gamma(item)), _gamma_interval(item, style), f"{result.n:,}")
        rows.append(Row((*map(shortened, labels.values()), *cells)))
    chosen = [result.selected for _, result in results if not isinstance(result, str)]
    notes = _doubts(item.standing() for item in chosen if item.gamma_name is not None)
    return Table(tuple(Column(name, wraps=True) for name in names), tuple(rows), notes=notes)


# ------------------------------------------------------------------------------------------------------- writers


def to_terminal(table: Table) -> RichTable:
    """Return the table for a terminal, with all its columns.

    :meth:`Table.at_width` leaves out those for which it is too narrow.
    """
    from rich.table import Table as RichTable
    from rich.text import Text

    rich_table = RichTable(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        justify: Literal["right", "left"] = "right" if column.kind == "number" else "left"
        rich_table.add_column(Text(column.title), justify=justify, no_wrap=not column.wraps)
    for row in table.rows:
        rich_table.add_row(*map(Text, _indented(table, row)))  # no cell is markup, whatever a log calls its runs
    return rich_table


def _indented(table: Table, row: Row) -> tuple[str, ...]:
    """Cells, the first set in where the table wants it.

    An arrow stands before the chosen row.
    """
    if not table.is_indented:
        return row.cells
    return (("→ " if row.is_chosen else "  ") + row.cells[0], *row.cells[1:])


def to_plain(table: Table) -> str:
    """Return the table as text, aligned to the right.

    A space sets the titles of numbers apart, as in a data frame.
    """
    titles = tuple(" " * (column.kind == "number") + column.title for column in table.columns)
    lines = [titles, *(row.cells for row in table.rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(" ".join(map(str.rjust, cells, widths)) for cells in lines)


def to_notebook(table: Table) -> str:
    """Return the table as HTML, like a data frame."""

    def row_of(tag: str, cells: Iterable[str]) -> list[str]:
        return [f"      <{tag}>{html.escape(printable(cell), quote=False)}</{tag}>" for cell in cells]

    lines = ['<table border="1" class="dataframe">', "  <thead>", '    <tr style="text-align: right;">']
    lines += [*row_of("th", (column.title for column in table.columns)), "    </tr>", "  </thead>", "  <tbody>"]
    for row in table.rows:
        lines += ["    <tr>", *row_of("td", row.cells), "    </tr>"]
    return "\n".join([*lines, "  </tbody>", "</table>"])


def to_markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] | None = None) -> str:
    """Return cells as a Markdown table.

    Columns of numbers, all by default, are aligned to the right.
    """
    right = set(range(len(header)) if numbers is None else numbers)
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    lines = ((printable(cell).replace("|", r"\|") for cell in cells) for cells in (header, rule, *rows))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{sign: "\\" + sign for sign in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "γ": r"$\gamma$",
        "Δ": r"$\Delta$",
        "∞": r"$\infty$",
        "−": "$-$",
        "–": "--",
        "<": r"$<$",
        ">": r"$>$",
    }
)
"""Signs that mean something else to LaTeX, or that its fonts lack."""


def to_latex(table: Table) -> str:
    r"""Return the table as a LaTeX ``tabular`` (package booktabs).

    The chosen row is bold.
    """

    def line(cells: Iterable[str], is_bold: bool = False) -> str:
        texts = [printable(cell).translate(_LATEX) for cell in cells]
        return " & ".join(rf"\textbf{{{text}}}" if is_bold and text else text for text in texts) + r" \\"

    alignment = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            line(column.title for column in table.columns),
            r"\midrule",
            *(line(row.cells, row.is_chosen) for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def rows_left_out(source: Mapping[str, Any]) -> str:
    """Rows of a log that were not used, by reason.

    Examples
    --------
    >>> rows_left_out({"rows_dropped": {"repeated": 2, "without a value": 1}}), rows_left_out({"rows_dropped": {}})
    ('2 repeated, 1 without a value', 'none')
    """
    return ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items()) or "none"
