"""Pictures of a fit: each function draws on `ax`, or on axes it makes, and returns what it drew on.

Every plot works in three steps. Its ``extract`` turns a fit into :class:`~lmmtools.plots.drawing.PlotData`, the
plot draws that, and its ``describe`` writes caption and alternative text from it, so words and picture show the
same numbers. :func:`lmmtools.figure` does the three at once.
"""

from __future__ import annotations

from lmmtools.plots.by_method import by_method
from lmmtools.plots.covariances import covariance_match
from lmmtools.plots.dependence import autocorrelation, semivariogram
from lmmtools.plots.explore import group_sizes, missing
from lmmtools.plots.explore_columns import response, within_between
from lmmtools.plots.explore_crossing import crossing
from lmmtools.plots.explore_lines import group_lines, slopes
from lmmtools.plots.forests import forest
from lmmtools.plots.groups import data_by_group
from lmmtools.plots.lattices import lattice
from lmmtools.plots.means import marginal_means
from lmmtools.plots.modes import caterpillar, qq_ranef
from lmmtools.plots.profiles import profile_pairs, profile_zeta
from lmmtools.plots.residuals import qq_residuals, residuals_fitted
from lmmtools.plots.structures import residual_structures, structure_effects

__all__ = [
    "autocorrelation",
    "by_method",
    "caterpillar",
    "covariance_match",
    "crossing",
    "data_by_group",
    "forest",
    "group_lines",
    "group_sizes",
    "lattice",
    "marginal_means",
    "missing",
    "profile_pairs",
    "profile_zeta",
    "qq_ranef",
    "qq_residuals",
    "residual_structures",
    "residuals_fitted",
    "response",
    "semivariogram",
    "slopes",
    "structure_effects",
    "within_between",
]
