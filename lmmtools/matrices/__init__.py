"""The matrices of a fitted model, X, Z, Λ, L, V, R and T, written out: to look at, to print, to check by hand."""

from __future__ import annotations

from lmmtools.matrices.build import matrices_of_rows, model_matrices
from lmmtools.matrices.groups import Groups, groups_of, one_group_of, places_of
from lmmtools.matrices.value import NAMES, ModelMatrices

__all__ = [
    "NAMES",
    "Groups",
    "ModelMatrices",
    "groups_of",
    "matrices_of_rows",
    "model_matrices",
    "one_group_of",
    "places_of",
]
