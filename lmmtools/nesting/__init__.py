"""Which model is a special case of which, decided from column spaces and sets of covariances, not from formulas.

`relation` puts the question and answers it, `members` knows what covariances a structure has, and `directions` how
those of different grouping factors stand to one another.
"""

from lmmtools.nesting.relation import Nesting, dimension, nesting, outside

__all__ = ["Nesting", "dimension", "nesting", "outside"]
