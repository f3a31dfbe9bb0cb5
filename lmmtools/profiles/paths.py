"""Which profile belongs to which parameter."""

from __future__ import annotations

from lmmtools.profiles.correlations import CorrelationPath
from lmmtools.profiles.deviations import DeviationPath
from lmmtools.profiles.parameters import Origin, Parameter
from lmmtools.profiles.path import Path
from lmmtools.profiles.plain import CoefficientPath, NoisePath
from lmmtools.profiles.residual import ResidualPath

__all__ = ["path_of"]

_PATHS = {
    "coefficient": CoefficientPath,
    "sigma": NoisePath,
    "sd": DeviationPath,
    "cor": CorrelationPath,
    "residual": ResidualPath,
}


def path_of(origin: Origin, parameter: Parameter) -> Path:
    """The profile of one parameter of a fit."""
    return _PATHS[parameter.kind](origin, parameter)
