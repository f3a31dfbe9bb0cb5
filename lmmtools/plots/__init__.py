"""Pictures of a fit: each function draws on `ax`, or on axes it makes, and returns what it drew on.

Every plot works in three steps. Its ``extract`` turns a fit into :class:`~lmmtools.plots.drawing.PlotData`, the
plot draws that, and its ``describe`` writes caption and alternative text from it, so words and picture show the
same numbers. :func:`lmmtools.figure` does the three at once.
"""

from __future__ import annotations

from lmmtools.plots.arrows import shrinkage
from lmmtools.plots.by_method import by_method
from lmmtools.plots.conspicuous import checks
from lmmtools.plots.convergence import iterations
from lmmtools.plots.covariances import covariance_match
from lmmtools.plots.criteria import criterion
from lmmtools.plots.curves import growth_curves
from lmmtools.plots.dependence import autocorrelation, semivariogram
from lmmtools.plots.ellipses import ranef_pairs
from lmmtools.plots.explore import group_sizes, missing
from lmmtools.plots.explore_columns import response, within_between
from lmmtools.plots.explore_crossing import crossing
from lmmtools.plots.explore_lines import group_lines, slopes
from lmmtools.plots.forests import forest
from lmmtools.plots.groups import data_by_group
from lmmtools.plots.influence import influence_bubble, influence_index
from lmmtools.plots.lattices import lattice
from lmmtools.plots.matrices import matrix
from lmmtools.plots.means import marginal_means
from lmmtools.plots.modes import caterpillar, qq_ranef
from lmmtools.plots.observed import observed_fitted
from lmmtools.plots.partial import partial_residuals
from lmmtools.plots.power import power_curve
from lmmtools.plots.predictions import prediction
from lmmtools.plots.profiles import profile_pairs, profile_zeta
from lmmtools.plots.quantiles import quantile_residuals
from lmmtools.plots.residual_groups import residuals_by_group
from lmmtools.plots.residual_panels import residual_panels
from lmmtools.plots.residuals import qq_residuals, residuals_fitted
from lmmtools.plots.spaghetti import spaghetti
from lmmtools.plots.structures import residual_structures, structure_effects
from lmmtools.plots.trellises import trellis
from lmmtools.plots.validation import cross_validation
from lmmtools.plots.within import group_intervals

__all__ = [
    "autocorrelation",
    "by_method",
    "caterpillar",
    "checks",
    "covariance_match",
    "criterion",
    "cross_validation",
    "crossing",
    "data_by_group",
    "forest",
    "group_intervals",
    "group_lines",
    "group_sizes",
    "growth_curves",
    "influence_bubble",
    "influence_index",
    "iterations",
    "lattice",
    "marginal_means",
    "matrix",
    "missing",
    "observed_fitted",
    "partial_residuals",
    "power_curve",
    "prediction",
    "profile_pairs",
    "profile_zeta",
    "qq_ranef",
    "qq_residuals",
    "quantile_residuals",
    "ranef_pairs",
    "residual_panels",
    "residual_structures",
    "residuals_by_group",
    "residuals_fitted",
    "response",
    "semivariogram",
    "shrinkage",
    "slopes",
    "spaghetti",
    "structure_effects",
    "trellis",
    "within_between",
]
