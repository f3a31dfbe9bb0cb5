"""Formulas as HTML: a line may end between the terms of a formula, but not within ``(1 + x | group)``."""

from __future__ import annotations

import html
import re

from jinja2.filters import do_mark_safe

from lmmtools.formats import visible

__all__ = ["formula_html"]

_RANDOM = re.compile(r"(\([^()|]*\|{1,2}[^()|]*\))")


def formula_html(text: str) -> str:
    """Return a formula, escaped, with each of its random terms in a span that moves to the next line as a whole."""
    parts = [html.escape(part) for part in _RANDOM.split(visible(text))]
    return do_mark_safe(
        "".join(f'<span class="term">{part}</span>' if place % 2 else part for place, part in enumerate(parts))
    )
