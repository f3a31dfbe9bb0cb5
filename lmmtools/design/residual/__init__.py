"""Residual structures on the rows of a design: which rows are correlated, and what their sds depend on.

`value` holds them as frozen values, which `parts` makes of a parsed structure: `correlations`, of `positions` and
`pairs`, and `variances`; all read the data through `variables`. `checks` looks at a structure beside the rest of the
model, `rows` repeats it on new rows.
"""

from lmmtools.design.residual.value import ROUNDING, SPATIAL, Correlation, Residual, Variance, lag_codes

__all__ = ["ROUNDING", "SPATIAL", "Correlation", "Residual", "Variance", "lag_codes"]
