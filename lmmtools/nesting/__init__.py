"""Which model is a special case of which, decided from column spaces and sets of covariances, not from formulas.

`relation` puts the question and answers it, `members` knows what covariances a structure has, `directions` how
those of different grouping factors stand to one another, and `embedding` where the smaller's lies among the larger's.
`residual` answers it for residual structures, from the `pairs` of rows that they correlate.
"""

from lmmtools.nesting.embedding import Embedding, embedding, nothing
from lmmtools.nesting.relation import Nesting, dimension, nesting, outside

__all__ = ["Embedding", "Nesting", "dimension", "embedding", "nesting", "nothing", "outside"]
