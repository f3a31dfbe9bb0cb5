"""Formula and data → one frozen `Design`.

`frame` takes the columns, `levels` orders categories, `matrices` has formulaic build the columns, `positions` makes
those of autoregressions, `known` reads known covariances of levels, `terms` puts random terms in order; `checks` says
what is wrong with the data, `crossing` how grouping factors stand to one another; `build` composes these, `newdata`
repeats them on new rows.

`residual` holds all of it for residual structures.
"""

from lmmtools.design.build import build_design
from lmmtools.design.newdata import NewRows, NewTerm
from lmmtools.design.residual import Correlation, Residual, Variance
from lmmtools.design.value import Design, RandomTerm

__all__ = ["Correlation", "Design", "NewRows", "NewTerm", "RandomTerm", "Residual", "Variance", "build_design"]
