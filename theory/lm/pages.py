"""Plain text of HTML pages, as documents."""

from __future__ import annotations

import re
from html.parser import HTMLParser

LEAST, MOST = 6_000, 12_000
"""Characters of the shortest and the longest document: a window of 1,024 tokens is about 4,500."""

_HIDDEN = {"script", "style", "head", "nav", "footer"}
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "li", "br", "tr", "dd", "dt", "blockquote", "pre"}


class _Reader(HTMLParser):
    """Collects text; blocks become lines."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in _HIDDEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in _HIDDEN and self.hidden > 0
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def read_page(html: str) -> str:
    r"""Text of a page, a line for each block.

    Examples
    --------
    >>> read_page("<head><title>no</title></head><h1>Ravens</h1><p>They &amp; others\n fly.</p>")
    'Ravens\nThey & others fly.'
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (line.strip() for line in "".join(reader.parts).splitlines())
    return "\n".join(line for line in lines if line)


def document_of(html: str) -> str | None:
    """The document of a page, unless it is short.

    One per page, so that documents are independent: neighbouring stretches of a page resemble each other, and one
    could land among those that probes are fitted on, another among those they are measured on.

    Returns
    -------
    str or None
        :data:`LEAST` to :data:`MOST` characters from the middle: pages begin with menus and end with notes.
    """
    text = read_page(html)
    if len(text) < LEAST:
        return None
    begin = max(0, (len(text) - MOST) // 2)
    if begin:
        begin = text.find(" ", begin) + 1  # not within a word
    return text[begin : begin + MOST]
