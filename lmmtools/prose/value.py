"""A piece of Markdown, and the escaping that keeps data from being read as markup."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lmmtools.formats import visible
from lmmtools.prose.marks import written_out

__all__ = ["MARKED", "Prose", "alert", "literal", "told"]

# The MIME type of Markdown whose marks are still to be resolved.
MARKED = "text/vnd.lmmtools.markdown"

# Jupyter's Markdown looks for mathematics before it looks at escapes, so what starts it becomes an entity.
_ENTITIES = {"\\": "&#92;", "$": "&#36;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "{": "&#123;", "}": "&#125;"}
# Marks of emphasis, code, links, headings, citations, super- and subscripts, tables and smart punctuation.
_MARKS = re.compile(r"""[\\$<>&{}*_`\[\]#@^~|"']|(?<=-)-|(?<=\.\.)\.|^[-+=:.]|(?<=\d)[.)](?=\s)""")


@dataclass(frozen=True)
class Prose:
    """Markdown that shows itself: paragraphs, display mathematics and GitHub alerts.

    Attributes
    ----------
    markdown : str
        With marks: citations as ``[@bates2015]``, cross-references as ``@tbl-coef``.
    """

    markdown: str

    def __str__(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """The Markdown with its marks written out, for front ends; and with them, for reports that link them."""
        about = {"kind": "prose", "caption": "", "label": "", "alt": ""}
        plain = written_out(self.markdown)
        data = {"text/markdown": plain, MARKED: self.markdown, "text/plain": plain}
        return data, {"lmmtools": about}


def literal(text: object) -> str:
    """`text` for Markdown, every character of it to be read as itself."""
    return _MARKS.sub(lambda m: _ENTITIES.get(m[0], "\\" + m[0]), visible(str(text)))


def told(message: object) -> str:
    """A message of the package for Markdown: names, between backticks in it, as code; all else as itself."""
    parts = str(message).split("`")
    if len(parts) % 2 == 0 or "" in parts[1::2]:  # a name holds a backtick itself
        return literal(message)
    first, *rest = parts
    # what follows a name does not begin a line: behind a letter it is not taken for one that does
    said = [f"`{visible(part)}`" if place % 2 == 0 else literal(f"x{part}")[1:] for place, part in enumerate(rest)]
    return literal(first) + "".join(said)


def alert(kind: str, text: str) -> str:
    """A GitHub alert (``NOTE``, ``WARNING``, ``CAUTION``) around Markdown."""
    return f"> [!{kind}]\n" + "\n".join(f"> {line}".rstrip() for line in text.splitlines())
