"""HTML from other libraries, reduced to the structure and the words a page can vouch for."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

__all__ = ["plain_html"]

_KEPT = frozenset(
    "table thead tbody tfoot tr th td colgroup caption div p span pre code b strong i em u s small sub sup br hr "
    "ul ol li dl dt dd h4 h5 h6 blockquote".split()
)
_VOID = frozenset({"br", "hr"})
_SILENT = frozenset({"style", "script", "head", "title", "template", "iframe", "object", "noscript", "textarea"})
_ATTRIBUTES = frozenset({"colspan", "rowspan", "scope"})


class _Plain(HTMLParser):
    """Writes the kept elements again, each closed where it must be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self.open: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent += 1
        if self.silent or tag not in _KEPT:
            return
        kept = "".join(
            f' {name}="{html.escape(value or "")}"'
            for name, value in attrs
            if name in _ATTRIBUTES and (name == "scope" or (value or "").isdecimal())
        )
        if tag == "th" and "scope" not in dict(attrs):
            kept += ' scope="col"' if "thead" in self.open else ' scope="row"'
        self.written.append(f"<{tag}{kept}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
        if self.silent or tag not in self.open:
            return
        while self.open:
            last = self.open.pop()
            self.written.append(f"</{last}>")
            if last == tag:
                return

    def plain(self) -> str:
        """Return what was written; a head over nothing is an empty cell."""
        text = "".join([*self.written, *(f"</{tag}>" for tag in reversed(self.open))]).strip()
        return re.sub(r"<th[^>]*>\s*</th>", "<td></td>", text)

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.written.append(html.escape(data, quote=False))


def plain_html(text: str) -> str:
    """Return HTML without styles, scripts, links and pictures, each element closed.

    Parameters
    ----------
    text : str
        What a library gave as ``text/html``.
    """
    parser = _Plain()
    parser.feed(text)
    parser.close()
    return parser.plain()
