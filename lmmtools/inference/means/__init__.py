"""Marginal means, slopes by group and their contrasts, from linear functions of the fixed effects.

`grid` says where the fixed part is evaluated, `weights` how that is averaged, `slopes` how it is differentiated,
`estimable` which of it the data determine; `families` and `adjust` are contrasts and what is done about their number.
"""

from lmmtools.inference.means.build import marginal_means
from lmmtools.inference.means.contrasts import Contrasts
from lmmtools.inference.means.result import MarginalMeans

__all__ = ["Contrasts", "MarginalMeans", "marginal_means"]
