"""Data before a model: structure, balance, missing values, variation, lines by group, what the design can tell.

`variables` reads the columns of a formula, `structure`, `missing`, `crossing`, `variation`, `lines`, `candidates`
and `response` each answer one question about them, `build` composes these into the frozen `Exploration`.
No mixed model is fitted.
"""

from lmmtools.explore.build import explore_data
from lmmtools.explore.value import Exploration

__all__ = ["Exploration", "explore_data"]
