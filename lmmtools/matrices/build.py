"""The matrices of all rows of a fit, or of those of some groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import block_diag, csc_array, eye_array, kron

from lmmtools.errors import LMMError
from lmmtools.formats import quoted
from lmmtools.matrices.groups import groups_of, one_group_of, places_of
from lmmtools.matrices.residual import residual_matrix
from lmmtools.matrices.room import check_room
from lmmtools.matrices.value import ModelMatrices

__all__ = ["matrices_of_rows", "model_matrices"]


def model_matrices(fit: Any, groups: Any = None, by: str | None = None) -> ModelMatrices:
    """The matrices of a fitted model, X, Z, Λ, T, R, V and L, with labelled rows and columns.

    Parameters
    ----------
    fit : LMMFit
        Of any kind: crossed and nested factors, residual structures, weights, known covariances, no random effects.
    groups : mapping of factor to levels, or levels, optional
        Rows to take: those of the levels named, of every factor named; levels alone are of the first factor.
    by : str, optional
        A grouping factor by whose levels the rows are put in order, which shows V as blocks; as in the data when
        left out.

    Returns
    -------
    ModelMatrices

    Raises
    ------
    LMMError
        If `fit` is no fit, a factor or level is not one of the model's, the groups named have no row in common, or
        a matrix would be too large.

    Notes
    -----
    The matrices are those of the model for the rows taken, and of the random effects these rows have. X, Z, R and V
    are then parts of those of all rows. So is L where the rows taken are independent of the others; with crossed
    factors L is the factor of the equations of these rows alone.

    References
    ----------
    Bates, Mächler, Bolker & Walker (2015), Fitting linear mixed-effects models using lme4, J. Stat. Softw. 67(1),
    eq. 2-4 and 18.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> m = lt.model_matrices(fit, groups={"Subject": ["308", "309"]})
    >>> m
    <ModelMatrices Reaction ~ Days + (Days | Subject): 20 rows, 2 fixed effects, 4 random effects>
    >>> bool(abs(m.V - (m.Z @ m.T @ m.Z.T + m.R)).max() < 1e-12)
    True
    """
    if not (hasattr(fit, "design") and hasattr(fit, "Lambda")):
        raise LMMError(f"model_matrices: takes a fit made by fit_lmm or fit_gls; got {type(fit).__name__}.")
    rows = _rows(fit, groups)
    if by is not None:
        rows = rows[np.argsort(one_group_of(fit, by, "model_matrices").codes[rows], kind="stable")]
    return matrices_of_rows(fit, rows)


def _rows(fit: Any, groups: Any) -> np.ndarray:
    """Rows in every one of the groups named, in the data's order."""
    taken = np.ones(fit.nobs, dtype=bool)
    if groups is None:
        return np.flatnonzero(taken)
    named = groups if isinstance(groups, Mapping) else {None: groups}
    for factor, levels in named.items():
        of = one_group_of(fit, factor, "model_matrices")
        taken &= np.isin(of.codes, places_of(of, levels, "model_matrices"))
    if not taken.any():
        raise LMMError(f"model_matrices: no row is in the groups named of all of {quoted(named)}; name fewer factors.")
    return np.flatnonzero(taken)


def matrices_of_rows(fit: Any, rows: np.ndarray) -> ModelMatrices:
    """The matrices of some rows, in the order given.

    Parameters
    ----------
    fit : LMMFit
    rows : ndarray of int, shape (n,)

    Returns
    -------
    ModelMatrices
    """
    design = fit.design
    columns, factors, effects, spherical, start = [], [], [], [], 0
    for term, L in zip(design.terms, fit.Lambda, strict=True):
        q, seen = len(term.names), np.unique(term.codes[rows])
        columns.append((start + seen[:, None] * q + np.arange(q)).ravel())
        start += q * len(term.levels)
        if term.known_root is None:
            across, of = eye_array(len(seen)), [str(level) for level in term.levels[seen]]
        else:
            across = csc_array(term.known_root[seen])
            of = [str(k + 1) for k in range(across.shape[1])]
            check_room("Λ", float(across.nnz) * q * q, across.shape[0] * q)
        factors.append(kron(across, csc_array(L)))
        effects += [(term.group, str(level), name) for level in term.levels[seen] for name in term.names]
        spherical += [(term.group, level, name) for level in of for name in term.names]
    kept = np.concatenate(columns) if columns else np.zeros(0, dtype=np.intp)
    Lambda = block_diag(factors, format="csc") if factors else csc_array((0, 0))
    Lambda.eliminate_zeros()
    return ModelMatrices(
        formula=fit.formula,
        X=design.X[rows],
        Z=design.Z.tocsr()[rows].tocsc()[:, kept],
        Lambda=csc_array(Lambda),
        R=residual_matrix(fit, rows),
        sigma=fit.sigma,
        vcov=fit.vcov.to_numpy(),
        rows=_row_labels(fit, rows),
        effects=_labels(effects),
        spherical=_labels(spherical),
        fixed_names=tuple(design.fixed_names),
        residual_groups=fit.noise.groups[rows],
        known=any(term.known_root is not None for term in design.terms),
    )


def _labels(effects: list[tuple[str, str, str]]) -> pd.MultiIndex:
    """Term, level and effect; of no effects too, from which pandas' `from_tuples` makes no index."""
    parts = list(zip(*effects, strict=True)) or [[], [], []]
    return pd.MultiIndex.from_arrays(parts, names=["term", "level", "effect"])


def _row_labels(fit: Any, rows: np.ndarray) -> pd.DataFrame:
    """The level of each row of every grouping factor, under the data's labels."""
    levels = {name: of.levels[of.codes[rows]].astype(str) for name, of in groups_of(fit).items()}
    return pd.DataFrame(levels, index=fit.design.index[rows])
