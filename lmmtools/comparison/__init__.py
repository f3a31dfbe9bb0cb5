"""Comparison of fits: likelihood-ratio tests whose nesting is checked, and information criteria.

`together` says which fits may be compared, `ratio` tests nested ones and `reference` chooses the distribution: χ², or
at a boundary the mixture that `boundary`, `cones` and `mixture` work out. `exact` simulates the finite-sample null of
one variance, `resampled` that of any test, `dropped` tests each random term of a fit, and `criteria` has AIC and the
like.
"""

from lmmtools.comparison.criteria import compare
from lmmtools.comparison.dropped import ranova
from lmmtools.comparison.exact import exact_lrt
from lmmtools.comparison.ratio import likelihood_ratio, lrt
from lmmtools.comparison.reference import BOUNDARY, is_plain, reference_notes
from lmmtools.comparison.resampled import bootstrap_lrt
from lmmtools.comparison.simulated import SimulatedTest
from lmmtools.comparison.together import criteria_of, named_fits, own_fitted, why_not_comparable

__all__ = [
    "BOUNDARY",
    "SimulatedTest",
    "bootstrap_lrt",
    "compare",
    "criteria_of",
    "exact_lrt",
    "is_plain",
    "likelihood_ratio",
    "lrt",
    "named_fits",
    "own_fitted",
    "ranova",
    "reference_notes",
    "why_not_comparable",
]
