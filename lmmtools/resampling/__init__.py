"""Fits to data drawn anew: the bootstrap, its intervals, and refits for whoever needs many."""

from lmmtools.resampling.blocks import replicate
from lmmtools.resampling.bootstrap import bootstrap, bootstrap_confint
from lmmtools.resampling.parameters import Quick
from lmmtools.resampling.refits import Refit, Refits, refits
from lmmtools.resampling.result import Bootstrap

__all__ = ["Bootstrap", "Quick", "Refit", "Refits", "bootstrap", "bootstrap_confint", "refits", "replicate"]
