"""Which variances a design can estimate, said in the model's own names, before any iteration.

A variance wholly confounded with the residual has no estimate and is refused, with the largest model that does
have one (`confounded`). A split that is not unique among the random effects themselves leaves the criterion, β̂ and
the marginal covariance well defined: it is fitted, and the directions are named (`flat`). What else a reader should
know of the design is noted (`notes`). Where a search ends at a covariance that leaves no digits, that is said (`lost`).
"""

from lmmtools.estimable.confounded import refuse_confounded
from lmmtools.estimable.flat import flat_directions
from lmmtools.estimable.lost import lost_in_rounding
from lmmtools.estimable.notes import design_notes
from lmmtools.estimable.residual import refuse_confounded_residual

__all__ = ["design_notes", "flat_directions", "lost_in_rounding", "refuse_confounded", "refuse_confounded_residual"]
