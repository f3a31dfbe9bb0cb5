"""Formulas and messages as HTML: a random term is not cut at a line's end, a name between backticks is code."""

from __future__ import annotations

import html
import re

from jinja2.filters import do_mark_safe

from lmmtools.formats import visible

__all__ = ["formula_html", "message_html"]

_RANDOM = re.compile(r"(\([^()|]*\|{1,2}[^()|]*\))")


def formula_html(text: str) -> str:
    """Return a formula, escaped, with each of its random terms in a span that moves to the next line as a whole."""
    parts = [html.escape(part) for part in _RANDOM.split(visible(text))]
    return do_mark_safe(
        "".join(f'<span class="term">{part}</span>' if place % 2 else part for place, part in enumerate(parts))
    )


def message_html(text: str) -> str:
    """Return a message, escaped, with what stands between backticks in it as code."""
    parts = [html.escape(part) for part in visible(text).split("`")]
    if len(parts) % 2 == 0:  # a name holds a backtick itself
        return do_mark_safe("`".join(parts))
    return do_mark_safe("".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)))
