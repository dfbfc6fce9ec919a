"""HTML that is safe by construction, and a page's frame.

Everything that comes from a log is escaped where the page is put together (:func:`tag`), and a content security policy
forbids the browser to load anything, or to run anything but the one script of ours whose hash it holds.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cogfit.records.printable import printable
from cogfit.show.plots import render
from cogfit.show.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_LONG = 24  # characters from which a cell needs room

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #4a4a4a; --paper: #fff; --line: #ccc; --chosen: #eaf2f8;
  --alert: #fff7ee; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --soft: #b4b4b4; --paper: #17191c; --line: #4a4d52; --chosen: #1d3344; --alert: #33261a; }
  figure svg { background: #fff; border-radius: 4px; }  /* pictures keep the paper they are drawn for */
  a { color: #7cc0ee; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 .6rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
.lead { font-size: 1.1rem; }
.log { color: var(--soft); margin: 0; }
ul { padding-left: 1.2rem; }
li { margin: .2rem 0; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figure.main svg { max-width: 38rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 0 1.5rem; }
figcaption, .caption { color: var(--soft); font-size: .9rem; }
.caption { margin: .8rem 0 .2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { border-bottom: 1px solid var(--soft); white-space: nowrap; }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
.long { min-width: 12rem; }
tr.chosen { background: var(--chosen); }
.warnings { border-left: 4px solid #b35900; padding: .1rem .8rem; background: var(--alert); }
.warnings h2 { margin-top: .5rem; border: 0; }
code { font-size: .9rem; }
.copied { user-select: all; -webkit-user-select: all; border: 1px solid var(--line); border-radius: 4px;
  padding: .6rem .8rem; }
@media (max-width: 30rem) {
  body { padding: .5rem; }
  figure { margin: .8rem -.3rem; }
}
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


def document(title: str, versions: Mapping[str, str], *body: str, style: str = "", script: str = "") -> str:
    """Return a page that needs no network.

    Nothing runs in it but the script that is given.

    Parameters
    ----------
    title : str
    versions : mapping of str
        Of the software behind it.
    *body : str
        Elements.
    style : str
        Rules beside those of every page.
    script : str
        Of ours, as it stands in a file; never anything that comes from a log.

    Examples
    --------
    >>> "<script" in document("a <b> c", {}, tag("p", "1 < 2"))
    False
    """
    code = tag("script", Markup(script)) if script else Markup()
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta name="generator" content="cogfit {escape(versions.get("cogfit", "?"))}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy(script)}">'),
        tag("title", title),
        tag("style", Markup(_STYLE + style)),
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{tag("body", *body, code)}\n</html>\n'


def policy(script: str = "") -> str:
    """Return a content security policy.

    It allows the page's own style and pictures, and one script by its hash.

    Examples
    --------
    >>> policy("run()").split("; ")[-1]
    "script-src 'sha256-AvyuiL0SD1mVY3NNxR+V2uo+lhk6RMFrytWmRt6CrJQ='"
    """
    if not script:
        return _POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"{_POLICY}; script-src 'sha256-{digest}'"


class Markup(str):
    """HTML that is safe as it is.

    Any other text is escaped.
    """


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """Return an element.

    Children are escaped unless they are :class:`Markup`, attributes always.
    """
    inner = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    given = "".join(f' {key.strip("_").replace("_", "-")}="{escape(v)}"' for key, v in attributes.items())
    return Markup(f"<{name}{given}>{inner}</{name}>\n")


def escape(text: str) -> str:
    """Write a text as HTML.

    Nothing in it turns it round or hides it.
    """
    return html.escape(printable(text, keeps_lines=True))


def section(title: str, *children: str) -> Markup:
    """A section with its heading, nothing if it is empty."""
    full = [child for child in children if child]
    return tag("section", tag("h2", title), *full) if full else Markup()


def warnings_section(warnings: Sequence[str]) -> Markup:
    """A section of warnings, nothing for none."""
    return tag("section", tag("h2", "Warnings"), bullets(warnings), class_="warnings") if warnings else Markup()


def bullets(sentences: Iterable[str]) -> Markup:
    """A list of sentences, nothing for none."""
    items = [tag("li", sentence) for sentence in sentences]
    return tag("ul", *items) if items else Markup()


def table_element(table: Table) -> Markup:
    """A table that scrolls where it is too wide.

    Nothing where it has no rows.
    """
    if not table.rows:
        return Markup()
    body = []
    for row in table.rows:
        name, *cells = row.cells
        values = [
            _cell(cell, is_number=column.kind != "text", has_neighbours=len(cells) > 1)
            for cell, column in zip(cells, table.columns[1:], strict=True)
        ]
        mark = {"class_": "chosen"} if row.is_chosen else {}
        body.append(tag("tr", tag("th", name, scope="row"), *values, **mark))
    heads = [
        tag("th", column.title, scope="col", **({} if column.kind == "text" else {"class_": "number"}))
        for column in table.columns
    ]
    name = "table-" + re.sub(r"\W+", "-", table.caption[:32]).lower()
    element = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), aria_labelledby=name)
    scroll = tag("div", element, class_="scroll", role="region", aria_labelledby=name, tabindex="0")
    # caption and notes stand beside the table, so that they never scroll
    notes = "".join(tag("p", note, class_="note") for note in table.notes)
    return Markup(tag("p", table.caption, class_="caption", id=name) + scroll + notes)


def _cell(text: str, *, is_number: bool, has_neighbours: bool) -> Markup:
    """A cell of a table.

    Long text beside other cells gets room, so that a narrow screen does not make it a tower.
    """
    kind = "number" if is_number else "long" if has_neighbours and len(text) > _LONG else ""
    return tag("td", text, **({"class_": kind} if kind else {}))


def passage(text: str) -> Markup:
    """A text that one click selects whole, to be copied."""
    return Markup(tag("p", "A click selects the whole text.", class_="note") + tag("p", text, class_="copied"))


def download(content: str, name: str, label: str) -> Markup:
    """A link that saves a table which the page holds."""
    data = base64.b64encode(content.encode("utf-8")).decode("ascii")
    return tag("p", tag("a", label, href=f"data:text/csv;base64,{data}", download=name))


def picture(figure: Figure, name: str, caption: str, **attributes: str) -> Markup:
    """A figure as inline SVG whose ids are its own.

    The caption is its text alternative.
    """
    text = render(figure, "svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    # in tags only: a label may look like an attribute
    text = re.sub(r"<[^>]*>", lambda found: re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{name}-", found.group()), text)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return tag("figure", Markup(text), tag("figcaption", caption), **attributes)
