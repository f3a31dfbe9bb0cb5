"""Exceptions and the warning class: what was found, what it means, what to do."""

from __future__ import annotations

__all__ = [
    "DataError",
    "FormulaError",
    "LMMError",
    "LMMWarning",
    "ModelError",
    "NotYetSupported",
    "StudyError",
    "TooLarge",
    "UnboundedLikelihood",
]


class LMMError(ValueError):
    """Root of every error lmmtools raises on purpose; its text is meant to be read by the user."""


class FormulaError(LMMError):
    """The formula cannot be read, or asks for something that has no meaning."""


class DataError(LMMError):
    """The data do not hold what the formula needs: a column, rows, finite or varying values."""


class ModelError(LMMError):
    """The model cannot be estimated from these data, or two models cannot be compared."""


class UnboundedLikelihood(ModelError):
    """The likelihood grows without bound, so no estimate exists; found from dimensions and ranks, not by trying.

    Attributes
    ----------
    npar : int or None
        How many parameters the model has, where it was counted: a number that needs no estimate.
    """

    npar: int | None = None


class TooLarge(ModelError):
    """The computation needs more memory than there is; it says nothing of whether an estimate exists."""


class NotYetSupported(LMMError):
    """The formula is valid and understood, but this version cannot fit it."""


class StudyError(LMMError):
    """A study file or a report request is wrong; nothing was run."""


class LMMWarning(UserWarning):
    """Something the reader of a result must know; its text is kept in ``fit.messages`` too."""
