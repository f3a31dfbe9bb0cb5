"""Planning a study: a model with stated parameters, and the power of tests in it by simulation."""

from lmmtools.planning.model import Planned
from lmmtools.planning.result import Power
from lmmtools.planning.simulation import power
from lmmtools.planning.statement import planned

__all__ = ["Planned", "Power", "planned", "power"]
