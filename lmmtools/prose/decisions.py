"""What many methods say of one parameter, and why they differ, as Markdown."""

from __future__ import annotations

from typing import Any

from lmmtools.errors import ModelError
from lmmtools.prose.value import Prose, told

__all__ = ["decision"]


def decision(triangulation: Any) -> Prose:
    """Where the methods agree about a parameter, or where the decision turns on the method, and why.

    Parameters
    ----------
    triangulation : Triangulation
        What `lmmtools.triangulate` returns.

    Returns
    -------
    Prose
        A sentence, and a list item for each method that decides otherwise than the reference.

    Raises
    ------
    ModelError
        If it is something else.
    """
    if not hasattr(triangulation, "sentences"):
        raise ModelError(f"prose.decision: takes what triangulate returns; got {type(triangulation).__name__}.")
    first, *reasons = (told(sentence) for sentence in triangulation.sentences)
    return Prose("\n\n".join([first, "\n".join(f"- {reason}" for reason in reasons)]).strip())
