"""Formula and data → one frozen `Design`.

`frame` takes the columns, `levels` orders categories, `matrices` has formulaic build the columns,
`checks` says what is wrong with the data, `build` composes these, `newdata` repeats them on new rows.
"""

from lmmtools.design.build import build_design
from lmmtools.design.newdata import NewRows, NewTerm
from lmmtools.design.value import Design, RandomTerm

__all__ = ["Design", "NewRows", "NewTerm", "RandomTerm", "build_design"]
