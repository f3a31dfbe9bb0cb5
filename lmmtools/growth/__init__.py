"""Growth curves: Y = G B X' + E, subjects by rows and occasions by columns, the rows of E from N(0, Σ).

`responses` reads Y, wide or long, `sides` builds G and X from formulas or matrices, `problem` puts them in orthonormal
bases, `existence` says before anything is estimated whether a maximum exists, `estimators` finds it, `hypotheses` tests
C B D = 0, and `result` holds the fit; `fit` composes these.

References
----------
Potthoff, R. F. and Roy, S. N. (1964). A generalized multivariate analysis of variance model useful especially for
growth curve problems. Biometrika 51, 313-326.
Khatri, C. G. (1966). A note on a MANOVA model applied to problems in growth curve. Annals of the Institute of
Statistical Mathematics 18, 75-86.
"""

from lmmtools.growth.fit import fit_gmanova
from lmmtools.growth.responses import Responses, long_responses
from lmmtools.growth.result import GmanovaFit

__all__ = ["GmanovaFit", "Responses", "fit_gmanova", "long_responses"]
