"""What many methods say of one parameter, and why they differ, as Markdown."""

from __future__ import annotations

from typing import Any

from lmmtools.errors import ModelError
from lmmtools.prose.value import Prose, told

__all__ = ["decision", "reasons"]


def decision(triangulation: Any) -> Prose:
    """Whether the methods agree about a parameter, or which decide how.

    Parameters
    ----------
    triangulation : Triangulation
        What `lmmtools.triangulate` returns.

    Returns
    -------
    Prose
        A sentence, which refers to the figure of `lmmtools.plots.by_method`.

    Raises
    ------
    ModelError
        If it is something else.
    """
    first = _sentences(triangulation, "decision")[0]
    text = told(first)
    return Prose(f"{text[:-2]}; @fig-by-method)." if text.endswith(").") else f"{text[:-1]} (@fig-by-method).")


def reasons(triangulation: Any) -> Prose:
    """Why methods decide otherwise than the one that the others are held against.

    Parameters
    ----------
    triangulation : Triangulation
        What `lmmtools.triangulate` returns.

    Returns
    -------
    Prose
        A list item for each kind of method that decides otherwise; nothing where there is none.

    Raises
    ------
    ModelError
        If it is something else.
    """
    _, *why = _sentences(triangulation, "reasons")
    if not why:
        return Prose("")
    return Prose(f"Held against {told(triangulation.reference)}:\n\n" + "\n".join(f"- {told(one)}" for one in why))


def _sentences(triangulation: Any, name: str) -> tuple[str, ...]:
    if not hasattr(triangulation, "sentences"):
        raise ModelError(f"prose.{name}: takes what triangulate returns; got {type(triangulation).__name__}.")
    return triangulation.sentences
