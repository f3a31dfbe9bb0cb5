"""Measures of effect: shares of variance by group, by fixed and random part, and by term, with bootstrap intervals.

The numbers themselves are in `inference.variances`; here they become tables.
"""

from lmmtools.measures.explained import variance_explained
from lmmtools.measures.icc import icc
from lmmtools.measures.r2 import r2

__all__ = ["icc", "r2", "variance_explained"]
