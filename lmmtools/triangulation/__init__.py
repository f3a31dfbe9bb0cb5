"""One effect by every method: where they agree, where the decision turns on the method, and why.

`methods` asks each method for the same thing, `reasons` says in words what sets one apart, `value` puts them together.
"""

from __future__ import annotations

from lmmtools.triangulation.value import Triangulation, triangulate

__all__ = ["Triangulation", "triangulate"]
