"""Cross-products of one grouping factor, and all that follows from them."""

from lmmtools.core.onefactor.products import OneFactor, one_factor

__all__ = ["OneFactor", "one_factor"]
