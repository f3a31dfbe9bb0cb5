"""Residual structures, Var(ε) = σ²R(φ): correlations within groups, variance functions, and what V is made of them."""

from lmmtools.core.residual.clusters import Grouping
from lmmtools.core.residual.cross import cross_correlations
from lmmtools.core.residual.form import INDEPENDENT, ResidualForm, ResidualTerm
from lmmtools.core.residual.noise import Noise, NoiseAt, noise_of, time_order
from lmmtools.core.residual.products import structured_products

__all__ = [
    "INDEPENDENT",
    "Grouping",
    "Noise",
    "NoiseAt",
    "ResidualForm",
    "ResidualTerm",
    "cross_correlations",
    "noise_of",
    "structured_products",
    "time_order",
]
