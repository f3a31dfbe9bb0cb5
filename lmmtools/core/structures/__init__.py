"""Covariance structures whose T is not linear in θ: compound symmetry, autoregression, and a user's own.

The linear ones (`us`, `diag`, `homdiag`) stand in `covariance.py`, where Λ(θ) = Σ θ_k E_k needs no object.
"""

from __future__ import annotations

from typing import Any

from lmmtools.core.covariance import LINEAR
from lmmtools.core.structures.form import Form
from lmmtools.core.structures.pattern import LambdaPattern
from lmmtools.core.structures.smooth import SMOOTH, Correlated
from lmmtools.core.structures.user import Structure, UserForm
from lmmtools.errors import ModelError

__all__ = ["SMOOTH", "Correlated", "Form", "LambdaPattern", "Structure", "UserForm", "form_of", "structure_name"]


def form_of(structure: Any, names: tuple[str, ...], positions: Any = None, label: str = "") -> Form | None:
    """The form of a term's structure; None for a linear one.

    Parameters
    ----------
    structure : str or Structure
        A name, or a user's object.
    names : tuple of str, length q
        Names of the effects.
    positions : array_like, shape (q,), optional
        Whole numbers between which `ar1` and `hetar1` count their lags; 0, 1, …, q − 1 by default.
    label : str
        The term, for errors.

    Raises
    ------
    ModelError
        If the structure is unknown, its positions are not distinct whole numbers, or a user's object does not
        answer as `Structure` says.
    """
    if not isinstance(structure, str):
        return UserForm(structure, tuple(names), label)
    if structure in LINEAR:
        return None
    if structure not in SMOOTH:
        known = (*LINEAR, *SMOOTH)
        raise ModelError(f"{structure!r} is no covariance structure: known are {', '.join(known)}.")
    return Correlated(structure, len(names), positions)


def structure_name(structure: Any) -> str:
    """Name of a structure: its own, or a user's object's class."""
    return structure if isinstance(structure, str) else type(structure).__name__
