"""What a fit takes for granted, held against its data: one table of checks, and what single ones are made of.

`simulated` has residuals, fitted values and conditional modes beside those that the fitted model makes of responses
drawn from it, each row standing on what it is expected to be; `spread`, `shapes` and `order` ask of them whether
variances are constant, distributions normal, neighbours uncorrelated, and `scores` what estimating the covariance
parameters does to the answer. `added` enlarges the fixed part and tests what was added: a curve in a covariate
(`bends`), the groups' means of the covariates (`within`). `check` puts all of it into a table; `components` has the
partial residuals and `smooth` the curve through them.
"""

from lmmtools.assumptions.check import check_assumptions
from lmmtools.assumptions.components import PartialResiduals, partial_residuals
from lmmtools.assumptions.value import Assumptions
from lmmtools.assumptions.within import Mundlak, mundlak

__all__ = ["Assumptions", "Mundlak", "PartialResiduals", "check_assumptions", "mundlak", "partial_residuals"]
