"""Each level of a grouping factor by itself, and what a model makes of it.

`columns` says which columns of Z belong to a factor and in what metric its rows are compared, `leastsquares` regresses
within all levels at once, and `reasons` says why a coefficient cannot be estimated in a level. On these stand the
regressions of a factor's levels (`fit_groups`), the conditional modes as a table (`conditional_modes`), and the way
from the one to the other (`shrinkage`); `own` and `shrunken` hold what the first and the last return.
"""

from lmmtools.groupwise.compromise import shrinkage
from lmmtools.groupwise.effects import conditional_modes
from lmmtools.groupwise.own import GroupFits
from lmmtools.groupwise.regressions import fit_groups
from lmmtools.groupwise.shrunken import Shrinkage

__all__ = ["GroupFits", "Shrinkage", "conditional_modes", "fit_groups", "shrinkage"]
