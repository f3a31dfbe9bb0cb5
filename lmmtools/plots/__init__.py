"""Pictures of a fit: each function draws on `ax`, or on axes it makes, and returns what it drew on.

Every plot works in three steps. Its ``extract`` turns a fit into :class:`~lmmtools.plots.drawing.PlotData`, the
plot draws that, and its ``describe`` writes caption and alternative text from it, so words and picture show the
same numbers. :func:`lmmtools.figure` does the three at once.
"""

from __future__ import annotations

from lmmtools.plots.groups import data_by_group
from lmmtools.plots.modes import caterpillar, qq_ranef
from lmmtools.plots.residuals import qq_residuals, residuals_fitted

__all__ = ["caterpillar", "data_by_group", "qq_ranef", "qq_residuals", "residuals_fitted"]
