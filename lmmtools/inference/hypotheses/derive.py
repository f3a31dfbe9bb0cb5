"""The hypotheses of every term of a model, as matrices over its coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmmtools.design import Design
from lmmtools.errors import LMMError
from lmmtools.inference.hypotheses.balanced import averaged
from lmmtools.inference.hypotheses.containment import containing
from lmmtools.inference.hypotheses.overparameterised import Overparameterised, overparameterise
from lmmtools.inference.hypotheses.sequential import beyond, in_turn

__all__ = ["TYPES", "check_type", "hypotheses", "hypothesis_matrices"]

TYPES = (1, 2, 3)

_ZERO = 1e-11  # entries of order one that are rounding
_APART = 1e-6  # orthogonal part of a column that is independent, relative to it
_NOTHING = 1e-10  # a column of rounding, relative to the longest
_CLEAR = 0.03  # orthogonal parts of columns, relative to these, that cross-products do not blur


def hypotheses(model: Any, type: int = 3) -> dict[str, np.ndarray]:
    """What an analysis of variance tests of each fixed term: Lβ = 0.

    Parameters
    ----------
    model : LMMFit or Design
    type : {1, 2, 3}
        1: a term beyond those before it. 2: beyond all terms that do not contain it. 3: averaged over the other
        factors with equal weights, covariates that a term lacks at zero. A term contains another if it has all of its
        factors, and more, and the same covariates.

    Returns
    -------
    dict[str, ndarray]
        L, shape (k, p), over the columns of the design's X, by the term's name, in order; k is 0 where a term has no
        hypothesis that the data can tell of, as when others determine its columns, or cells are empty. Only the space
        that the rows span matters; they are those that treatment contrasts would give.

    Raises
    ------
    LMMError
        If `model` is neither, or `type` none of the three.
    ModelError
        If the contrasts of a factor leave some of its levels' differences out, or its categories are computed in the
        formula.

    References
    ----------
    Goodnight (1980), Tests of hypotheses in fixed effects linear models, Commun. Statist. A9, 167-180.
    Kuznetsova, Brockhoff & Christensen (2017), lmerTest package, J. Stat. Softw. 82(13), sec. 2.2.

    Examples
    --------
    >>> import lmmtools as lt
    >>> design = lt.build_design("distance ~ Sex * age + (age | Subject)", lt.load_dataset("Orthodont"))
    >>> design.fixed_names
    ('Intercept', 'Sex[T.Female]', 'age', 'Sex[T.Female]:age')
    >>> lt.hypotheses(design, 3)["age"]
    array([[0. , 0. , 1. , 0.5]])
    """
    design = model if isinstance(model, Design) else getattr(model, "design", None)
    if not isinstance(design, Design):
        raise LMMError(f"hypotheses: takes a fit or a design; got {model.__class__.__name__}.")
    return hypothesis_matrices(design, overparameterise(design), check_type(type))


def check_type(type: Any) -> int:
    """One of the three types of hypotheses.

    Raises
    ------
    LMMError
        If it is none.
    """
    if isinstance(type, bool) or type not in TYPES:
        raise LMMError(f"type={type!r} is unknown: use 1 (sequential), 2 (by containment) or 3 (equal weights).")
    return int(type)


def hypothesis_matrices(design: Design, cells: Overparameterised, type: int) -> dict[str, np.ndarray]:
    """L of each term but the intercept, from its over-parameterised form.

    Which rows span a hypothesis bears a little on the degrees of freedom of several rows together (Fai & Cornelius).
    These are lmerTest's for treatment contrasts, whatever contrasts the model has: each is one in a cell of the term
    and zero in the others that stand for a row, or in those after it where terms are taken in turn.
    """
    terms = cells.terms
    tested = [i for i, term in enumerate(terms) if term.factors or term.covariates]
    root = _root(design.X / cells.scale) if tested and (type != 3 or len(tested) == 1) else None
    found = {}
    for i in tested:
        above = containing(terms, i)
        others = list(range(i)) if type == 1 else [j for j in range(len(terms)) if j != i and j not in above]
        own, rest = cells.columns([i]), cells.columns(others)
        rows = averaged(own, cells.columns(above), rest) if type == 3 else beyond(root, own, rest)
        pivots = _independent(rows @ own, cells.firsts[i], len(rows))
        if type == 1 or len(tested) == 1 or (type == 2 and above):
            rows = in_turn(root, own[:, pivots], rest) if len(rows) else rows
        else:
            rows = np.linalg.solve(rows @ own[:, pivots], rows)
        rows = np.where(np.abs(rows) < _ZERO, 0.0, rows)
        found[terms[i].name] = rows * cells.scale / cells.units[cells.places[i]][pivots][:, None]
    return found


def _root(X: np.ndarray) -> np.ndarray:
    """Upper triangle with X'X = root'root: by Cholesky where columns are far from dependent, else by QR."""
    gram = X.T @ X
    length = np.sqrt(np.diagonal(gram))
    try:
        root = np.linalg.cholesky(gram).T
    except np.linalg.LinAlgError:
        return np.linalg.qr(X, mode="r")
    return root if np.all(np.diagonal(root) > _CLEAR * length) else np.linalg.qr(X, mode="r")


def _independent(columns: np.ndarray, firsts: np.ndarray, k: int) -> np.ndarray:
    """Places of k independent columns, those without first levels preferred, in their order."""
    basis, found = np.zeros((len(columns), 0)), []
    length = np.linalg.norm(columns, axis=0)
    something = length > _NOTHING * length.max(initial=0.0)
    for j in np.argsort(firsts, kind="stable"):
        if len(found) == k:
            break
        if not something[j]:
            continue
        left = columns[:, j] - basis @ (basis.T @ columns[:, j])
        left -= basis @ (basis.T @ left)
        rest = np.linalg.norm(left)
        if rest > _APART * length[j]:
            basis, found = np.column_stack([basis, left / rest]), [*found, j]
    return np.sort(np.array(found, dtype=np.intp))
