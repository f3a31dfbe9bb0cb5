"""Formula and data → one frozen `Design`.

`frame` takes the columns, `levels` orders categories, `matrices` has formulaic build the columns, `positions` makes
those of autoregressions, `known` reads known covariances of levels, `terms` puts random terms in order; `checks` says
what is wrong with the data, `crossing` how grouping factors stand to one another; `build` composes these, `newdata`
repeats them on new rows.
"""

from lmmtools.design.build import build_design
from lmmtools.design.newdata import NewRows, NewTerm
from lmmtools.design.value import Design, RandomTerm

__all__ = ["Design", "NewRows", "NewTerm", "RandomTerm", "build_design"]
