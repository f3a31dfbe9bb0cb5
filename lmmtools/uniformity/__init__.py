"""Quantile residuals by simulation, and tests of what they should be if the model were true.

`responses` draws from the fitted model and takes the residuals of what is drawn as those of the data are taken, `ranks`
puts the data's among them, `statistics` says what is looked at in ranks, `bands` what a picture shows of them, `levels`
what there is group by group; `value` is the result.
"""

from lmmtools.uniformity.compute import quantile_residuals
from lmmtools.uniformity.value import QuantileResiduals

__all__ = ["QuantileResiduals", "quantile_residuals"]
