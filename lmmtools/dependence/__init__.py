"""What the residuals of a fit say of its residual structure: by time, by distance, and by pairs of occasions.

`places` says where each row stands, `pairs` which rows are compared, `laws` what correlation the structure has at a
distance, `reestimated` what the same model makes of responses drawn from it: so a `semivariogram` and an
`autocorrelation` are held against what is expected of them (`common`: what these two take and say alike). `match` puts
empirical covariances of occasions beside the fitted ones.
"""

from lmmtools.dependence.autocorrelation import Autocorrelation, autocorrelation
from lmmtools.dependence.match import CovarianceMatch, covariance_match
from lmmtools.dependence.places import Occasions, column, occasions
from lmmtools.dependence.semivariogram import Semivariogram, semivariogram

__all__ = [
    "Autocorrelation",
    "CovarianceMatch",
    "Occasions",
    "Semivariogram",
    "autocorrelation",
    "column",
    "covariance_match",
    "occasions",
    "semivariogram",
]
