"""What a notebook shows of a growth curve model."""

from __future__ import annotations

from lmmtools.summary import Summary
from lmmtools.tables import Table

__all__ = ["GrowthSummary"]


class GrowthSummary(Summary):
    """The tables of a growth curve model, rendered one under the other in every medium."""

    def tables(self) -> tuple[Table, ...]:
        """Facts of the fit, B, Σ."""
        return self.fit.tables()
