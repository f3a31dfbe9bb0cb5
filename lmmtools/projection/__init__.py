"""𝒫 = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹ row by row: what leverages, residuals and the deletion of rows are made of."""

from lmmtools.projection.rows import Projection, projection

__all__ = ["Projection", "projection"]
