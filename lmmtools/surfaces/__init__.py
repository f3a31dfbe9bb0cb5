"""Predictions over a grid of covariates and factors: the lines and surfaces that a model draws."""

from __future__ import annotations

from lmmtools.surfaces.build import prediction_grid
from lmmtools.surfaces.value import PredictionGrid

__all__ = ["PredictionGrid", "prediction_grid"]
