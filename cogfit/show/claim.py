"""A claim held against a log: picture, table and page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cogfit.claims.records import ANSWERS, ClaimCheck
from cogfit.inference.interval import format_interval
from cogfit.show.markup import bullets, document, picture, section, table_element, tag, warnings_section
from cogfit.show.plots import draw_fit, plain_text
from cogfit.show.stacked import Look, draw_interval
from cogfit.show.tables import NONE, Table, readable, rows_left_out, simple_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLAIM = Look("D", "#D55E00", "--", width=1.6, arrow=5.0)  # told apart in grey by markers and lines
_LOG = Look("s", "#0072B2", width=1.6, arrow=5.0)

_STYLE = """
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 0 2rem; }
@media print {
  @page { size: A4; margin: 14mm; }
  h1 { font-size: 14pt; }
  h2 { margin: 8pt 0 2pt; font-size: 11pt; }
  .beside { display: flex; gap: 8mm; align-items: flex-start; }
  .beside > figure { flex: 0 0 9.5cm; margin: 0; }
  p, li { font-size: 8.5pt; line-height: 1.3; margin: 1pt 0; }
  figcaption, .caption { font-size: 8pt; margin: 2pt 0; }
  table { font-size: 7.5pt; }
}
"""
"""What makes the page one sheet of paper."""


# ------------------------------------------------------------------------------------------------------------ picture


@plain_text
def plot_claim(check: ClaimCheck, *, width: float = 5.0) -> Figure:
    """Draw the curve, and the claim beside the log.

    The grey band is the claim and its margin; an arrow shows a limit beyond the picture.

    Parameters
    ----------
    check : ClaimCheck
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 41.0)
    >>> check = cogfit.check_claim("gamma in 0.4-0.5", k, k**-0.43 + 0.001 * np.sin(k))
    >>> [label.get_text() for label in plot_claim(check).axes[1].get_yticklabels()]
    ['claim', 'log']
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.85 * width), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=[3.4, 1])
    draw_fit(check.fit, upper)
    _draw_claim(lower, check)
    sns.despine(ax=upper)
    sns.despine(ax=lower, left=True)
    return figure


def _draw_claim(axes: Axes, check: ClaimCheck) -> None:
    """Draw a line for the claim and a line for the log."""
    claim = check.claim
    stated = claim.low if claim.is_value else math.nan
    lines = [((stated, claim.low - claim.below, claim.high + claim.above), _CLAIM)]
    if check.estimate is not None and check.interval is not None:
        lines.append(((check.estimate, check.interval.low, check.interval.high), _LOG))
    low, high = _range_of([value for values, _ in lines for value in values] + list(claim.zone))
    bottom, top = claim.zone
    axes.axvspan(max(bottom, low), min(top, high), facecolor="0.88", lw=0, zorder=0)
    for number, (values, look) in enumerate(lines):
        draw_interval(axes, float(number), values, (low, high), look)
    if len(lines) == 1:
        axes.text(0.5 * (low + high), 1.0, "no measurement", size="small", ha="center", va="center", color="0.35")
    axes.set_yticks([0.0, 1.0], ["claim", "log"])
    axes.set_ylim(1.6, -0.6)
    axes.set_xlim(low, high)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{claim.symbol}, {check.level:.0%} interval; grey: the claim and its margin")


def _range_of(values: list[float]) -> tuple[float, float]:
    """Limits of the axis: all that is finite, and some room."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    pad = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return low - pad, high + pad


# -------------------------------------------------------------------------------------------------------------- table


def claim_table(check: ClaimCheck) -> Table:
    """Claim, log and difference, a row each.

    Parameters
    ----------
    check : ClaimCheck
    """
    rows = []
    for name, (value, low, high) in check.rows().items():
        limits = format_interval((low, high)) if low < high else NONE  # not for NaN, nor for a claim without an error
        rows.append((name, readable(value, 3), limits))
    shown = simple_table(("", check.claim.symbol, f"{check.level:.0%} interval"), rows, "Claim and log.", numbers=(1,))
    margin = f"{check.claim.margin:g}" if check.claim.margin else "none"
    return Table(shown.columns, shown.rows, shown.caption, notes=(f"margin of the claim: {margin}",))


# --------------------------------------------------------------------------------------------------------------- page


def claim_page(check: ClaimCheck, *, command: str = "") -> str:
    """Return the page of a claim as HTML.

    Parameters
    ----------
    check : ClaimCheck
    command : str
        What was typed, for the provenance.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 41.0)
    >>> check = cogfit.check_claim("gamma in 0.4-0.5", k, k**-0.43 + 0.001 * np.sin(k))
    >>> "Methods" in claim_page(check), "<script" in claim_page(check)
    (True, False)
    """
    claim, answer = check.claim.text, ANSWERS[check.answer]
    log = str(check.fit.source["path"] or f"{check.fit.n:,} points")
    header = tag(
        "header",
        tag("p", "A claim held against ", tag("code", log), class_="log"),
        tag("h1", f"{claim}: {answer}"),
        bullets(check.reasons),
        tag("p", check.scope),
    )
    caption = (
        f"{check.fit.y_label} against {check.fit.x_label} with fitted forms. Below: the claim (diamond, with its own "
        "error) and the log (square); the grey band is the claim and its margin."
    )
    figure = picture(plot_claim(check), "claim", caption, class_="main")
    sections = (
        section("What would decide", bullets(check.advice)),
        section("Claim and log", tag("div", figure, tag("div", table_element(claim_table(check))), class_="beside")),
        section("Methods", tag("p", check.methods())),
        warnings_section(check.fit.warnings),
        section("Provenance", table_element(_provenance(check, command))),
    )
    return document(f"{claim}: {answer}", check.fit.versions, header, tag("main", *sections), style=_STYLE)


def _provenance(check: ClaimCheck, command: str) -> Table:
    """Where the numbers come from, in few rows."""
    fit = check.fit
    rows = [
        ("log", f"{fit.source['path'] or 'no file'} ({fit.source['format']})"),
        (f"SHA-256 of {check.digest.of}", check.digest.sha256),
        ("rows", f"{fit.source['rows_read']:,} read; left out: {rows_left_out(fit.source)}"),
        ("points fitted", f"{fit.n:,} ({fit.n_effective:,.0f} effective), {fit.noise} noise"),
        ("versions", ", ".join(f"{name} {version}" for name, version in fit.versions.items())),
        *([("command", command)] if command else []),
    ]
    return simple_table(("", "value"), rows, "Where the numbers come from.")
