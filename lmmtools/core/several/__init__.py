"""Cross-products of several grouping factors, and all that follows from them."""

from lmmtools.core.several.columns import FactorColumns
from lmmtools.core.several.layout import several_products
from lmmtools.core.several.products import Several

__all__ = ["FactorColumns", "Several", "several_products"]
