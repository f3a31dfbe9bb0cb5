"""The parameters of a fit's residual structure: what each means in words, and tables of them.

`residual_table` has a row for each parameter, `residual_correlations` the correlations of occasions as a matrix.
"""

from __future__ import annotations

from lmmtools.residual_parameters.implied import OccasionMatrix, by_lag, deviations, neighbours, occasions
from lmmtools.residual_parameters.tables import residual_correlations, residual_table
from lmmtools.residual_parameters.words import far_apart, meanings, sigma_is

__all__ = [
    "OccasionMatrix",
    "by_lag",
    "deviations",
    "far_apart",
    "meanings",
    "neighbours",
    "occasions",
    "residual_correlations",
    "residual_table",
    "sigma_is",
]
