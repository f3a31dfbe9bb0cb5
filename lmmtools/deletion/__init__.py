"""What a fit would be without a row, or without a level of a grouping factor."""

from lmmtools.deletion.influential import influence
from lmmtools.deletion.result import HEADINGS, Influence, ranked

__all__ = ["HEADINGS", "Influence", "influence", "ranked"]
