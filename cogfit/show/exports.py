"""A fit in the shapes of other tools.

Text, HTML, LaTeX, Markdown and data frames: what the methods of :class:`~cogfit.result.FitResult` return.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from cogfit.errors import InputError, nearest
from cogfit.show import tables
from cogfit.show.tables import Style, Table, readable, simple_table

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.result import FitResult, FormFit

TableName = Literal["parameters", "forms", "windows"]
"""The tables of a fit."""

_TABLES: dict[TableName, Callable[[FitResult, Style], Table]] = {
    "parameters": tables.parameters_table,
    "forms": tables.forms_table,
    "windows": tables.windows_table,
}
assert tuple(_TABLES) == get_args(TableName)

_DOTS_PER_INCH = 110.0  # sharp enough on a screen, and some 40 kB in a saved notebook


# ---------------------------------------------------------------------------------------------------- text and HTML


@dataclass(frozen=True, repr=False)
class Summary:
    """A readable account of a fit.

    Attributes
    ----------
    text, html : str
        For a terminal, and for a notebook.
    """

    text: str
    html: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def summarise(result: FitResult) -> Summary:
    """Sum a fit up: answer, parameters, fit statistics, warnings.

    Parameters
    ----------
    result : FitResult

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> print(summarise(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power")).text.splitlines()[2])
    y against x: x as given
    """
    item = result.selected
    facts = (
        f"{result.y_label} against {result.x_label}: {result.convention}",
        f"{result.n:,} points ({result.n_effective:,.0f} effective), {result.noise} noise",
        f"log-likelihood {readable(item.estimate.loglik)}, AICc {readable(item.estimate.aicc)}, "
        f"RSS {readable(item.estimate.rss)}",
    )
    table = _coefficients(result)
    text = [result.headline(), "", *facts, "", tables.to_plain(table), *table.notes]
    text += [f"warning: {warning}" for warning in result.warnings]
    return Summary(
        "\n".join(text),
        _paragraph(result.headline(), "b")
        + _html_list(facts)
        + tables.to_notebook(table)
        + _html_list((*table.notes, *result.warnings)),
    )


def _coefficients(result: FitResult) -> Table:
    """Value, standard error and interval of each parameter."""
    item = result.selected
    rows = [
        (row.cells[0], row.cells[1], readable(item.stderr.get(name)), *row.cells[2:])
        for name, row in zip(item.estimate.params, tables.parameters_table(result).rows, strict=True)
    ]
    columns = (item.title, "value", "std. error", f"{result.level:.0%} interval", "meaning")
    notes = tables.parameters_table(result).notes
    plain = simple_table(columns, rows, numbers=(1, 2))
    return Table(plain.columns, plain.rows, notes=notes)


def to_text(result: FitResult) -> str:
    """Return a fit as plain text, with all forms.

    Parameters
    ----------
    result : FitResult
    """
    lines = [result.headline(), ""]
    lines += [f"  · {finding}" for finding in result.findings]
    lines += [
        "",
        f"{result.n:,} points, {result.n_effective:,.0f} effective · {result.noise} noise · {result.convention}",
        "",
    ]
    lines.append(tables.to_plain(tables.forms_table(result, tables.PLAIN)))
    lines += [f"warning: {text}" for text in result.warnings]
    return "\n".join(lines)


def to_html(result: FitResult, *, has_picture: bool = True) -> str:
    """Return what a notebook shows of a fit.

    Parameters
    ----------
    result : FitResult
    has_picture : bool
        Whether the curve is drawn above the table.
    """
    table = tables.to_notebook(tables.forms_table(result, tables.NOTEBOOK))
    picture = _picture(result) if has_picture else ""
    return f"{_paragraph(result.headline(), 'b')}{_html_list(result.findings)}{picture}{table}" + _html_list(
        result.warnings
    )


def _picture(result: FitResult) -> str:
    """The curve and its forms as an image.

    A sentence stands in for it where a form is not known here, as one of a user that was not registered again.
    """
    from cogfit.show.plots import plot_fit, render

    try:
        image = render(plot_fit(result, titled=False), "png", dpi=_DOTS_PER_INCH)
    except InputError as error:
        return _paragraph(f"no picture: {error}", "i")
    label = html.escape(f"{result.y_label} against {result.x_label}, with the fitted forms")
    return f'<img alt="{label}" src="data:image/png;base64,{base64.b64encode(image).decode()}">'


def _paragraph(text: str, tag: str) -> str:
    return f"<p><{tag}>{html.escape(text)}</{tag}></p>"


def _html_list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(text)}</li>' for text in texts)}</ul>"


def to_latex(result: FitResult, table: TableName) -> str:
    """Return a table of a fit as LaTeX.

    Parameters
    ----------
    result : FitResult
    table : {"parameters", "forms", "windows"}
    """
    return tables.to_latex(_named_table(result, table))


def to_markdown(result: FitResult, table: TableName) -> str:
    """Return a table of a fit as Markdown.

    Parameters
    ----------
    result : FitResult
    table : {"parameters", "forms", "windows"}
    """
    shown = _named_table(result, table)
    numbers = [i for i, column in enumerate(shown.columns) if column.kind == "number"]
    titles = [column.title for column in shown.columns]
    return tables.to_markdown(titles, (row.cells for row in shown.rows), numbers=numbers)


def _named_table(result: FitResult, name: TableName) -> Table:
    try:
        return _TABLES[name](result, tables.LATEX)
    except KeyError:
        raise InputError(f"a fit has no table '{name}'", hint=nearest(str(name), _TABLES)) from None


# ------------------------------------------------------------------------------------------------------ data frames


def to_frame(result: FitResult) -> pd.DataFrame:
    """Return one row per form, best first.

    Parameters
    ----------
    result : FitResult
    """
    import pandas as pd

    rows = []
    for item in result.forms:
        e = item.estimate
        low, high = item.interval or (math.nan, math.nan)
        rows.append(
            {
                "form": item.name,
                "gamma": math.nan if item.gamma is None else item.gamma,
                "low": low,
                "high": high,
                "standing": _standing_of_gamma(item),
                "delta_aicc": item.delta_aicc,
                "aicc": e.aicc,
                "rss": e.rss,
                "parameters": ", ".join(f"{k} = {v:.4g}" for k, v in e.params.items() if not math.isnan(v)),
                "status": e.status,
                "reason": e.reason,
            }
        )
    return pd.DataFrame(rows)


def _standing_of_gamma(item: FormFit) -> str:
    """What γ is worth, empty where the form has none."""
    return item.standing().kind if item.gamma_name else ""


def tidy(items: Iterable[FormFit]) -> pd.DataFrame:
    """Return one row per parameter of some forms.

    Parameters
    ----------
    items : iterable of FormFit
    """
    import pandas as pd

    rows = [_term(item, name) for item in items for name in item.estimate.params]
    return pd.DataFrame(rows)


def _term(item: FormFit, name: str) -> dict[str, Any]:
    limits = item.intervals.get(name)
    return {
        "form": item.name,
        "term": name,
        "estimate": item.estimate.params[name],
        "std_error": item.stderr.get(name, math.nan),
        "conf_low": math.nan if limits is None else limits.low,
        "conf_high": math.nan if limits is None else limits.high,
        "standing": item.standing(name).kind,
    }


def glance(result: FitResult) -> pd.DataFrame:
    """Return one row that sums a fit up.

    Parameters
    ----------
    result : FitResult
    """
    import pandas as pd

    item = result.selected
    low, high = result.interval or (math.nan, math.nan)
    row = {
        "power_law": result.verdict.power_law,
        "form": item.name,
        "gamma": math.nan if result.gamma is None else result.gamma,
        "conf_low": low,
        "conf_high": high,
        "standing": _standing_of_gamma(item),
        "level": result.level,
        "p_value": math.nan if item.test is None else item.test.p_value,
        "nobs": result.n,
        "nobs_effective": result.n_effective,
        "noise": result.noise,
        "loglik": item.estimate.loglik,
        "aicc": item.estimate.aicc,
        "bic": item.estimate.bic,
        "rss": item.estimate.rss,
        "status": item.estimate.status,
    }
    return pd.DataFrame([row])


def augment(result: FitResult) -> pd.DataFrame:
    """Return one row per point: data, fitted value, residual.

    Parameters
    ----------
    result : FitResult
    """
    import pandas as pd

    fitted = result.fitted
    columns = {"x": result.x, "y": result.y, "weight": result.weights, "fitted": fitted, "residual": result.y - fitted}
    return pd.DataFrame(columns)


def confidence_limits(item: FormFit) -> pd.DataFrame:
    """Return the limits of every parameter of a form.

    Parameters
    ----------
    item : FormFit
    """
    frame = tidy([item]).set_index("term")[["conf_low", "conf_high"]]
    return frame.rename(columns={"conf_low": "low", "conf_high": "high"})
