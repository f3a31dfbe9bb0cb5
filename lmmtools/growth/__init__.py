"""Growth curves: Y = G B X' + E, subjects by rows and occasions by columns, the rows of E from N(0, Σ).

`responses` reads Y, wide or long, `sides` builds G and X from formulas or matrices, `problem` puts them in orthonormal
bases, `stated` does the three; `structures` says what Σ can be, `existence` before anything is estimated whether a
maximum exists, and `paths` shows where it does not; `estimators` finds it, with `components` for Σ = XΩX' + σ²I,
`hypotheses` tests C B D = 0, and `result` holds the fit; `fit` composes these, and `layouts` sets tables as papers do.

References
----------
Potthoff, R. F. and Roy, S. N. (1964). A generalized multivariate analysis of variance model useful especially for
growth curve problems. Biometrika 51, 313-326.
Khatri, C. G. (1966). A note on a MANOVA model applied to problems in growth curve. Annals of the Institute of
Statistical Mathematics 18, 75-86.
"""

from lmmtools.growth.fit import fit_gmanova
from lmmtools.growth.layouts import gmanova_table
from lmmtools.growth.paths import deviance_path
from lmmtools.growth.responses import Responses, long_responses
from lmmtools.growth.result import GmanovaFit

__all__ = [
    "GmanovaFit",
    "Responses",
    "deviance_path",
    "fit_gmanova",
    "gmanova_table",
    "long_responses",
]
