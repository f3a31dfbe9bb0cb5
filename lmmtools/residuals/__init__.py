"""Residuals of a fit: `kinds` defines them, `whitening` takes the correlation out of the marginal ones."""

from lmmtools.residuals.kinds import residuals

__all__ = ["residuals"]
