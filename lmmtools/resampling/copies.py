"""The design of some rows of another, each as often as wanted: what draws, leaves out or adds levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.core.rank import column_rank
from lmmtools.formats import counted, quoted

__all__ = ["copied", "impossible", "unseen"]


def copied(design: Any, rows: np.ndarray, copies: np.ndarray, nested: Mapping[str, bool]) -> Any:
    """The design of some rows.

    Parameters
    ----------
    design : Design
    rows : ndarray of int, shape (n,)
        Which rows, in their new order; one may come several times.
    copies : ndarray of int, shape (n,)
        The number of the copy that each belongs to.
    nested : Mapping[str, bool]
        By grouping factor, whether each copy has levels of its own; else they stay what they are. Residual groups are
        each copy's own.

    Returns
    -------
    Design
        Its matrices are these rows of the other's: nothing is learnt from the data anew.
    """
    codes = {name: _codes(terms[0], rows, copies, nested[name]) for name, terms in design.factors.items()}
    return dataclasses.replace(
        design,
        y=design.y[rows],
        X=np.asfortranarray(design.X[rows]),
        weights=None if design.weights is None else design.weights[rows],
        offset=None if design.offset is None else design.offset[rows],
        terms=tuple(_term(t, rows, *codes[t.factor]) for t in design.terms),
        residual=None if design.residual is None else _residual(design.residual, rows, copies),
        index=design.index[rows],
        messages=(),
    )


def _codes(term: Any, rows: np.ndarray, copies: np.ndarray, nested: bool) -> tuple[np.ndarray, np.ndarray]:
    """Levels of a term's factor in these rows, numbered anew, and the old level of each."""
    old = term.codes[rows]
    key = copies * len(term.levels) + old if nested else old
    new, found = pd.factorize(key, sort=True)
    return new.astype(np.intp), np.asarray(found) % len(term.levels)


def impossible(design: Any) -> str:
    """Why no model can be fitted to these rows, if so."""
    for term in design.terms:
        if len(term.levels) < 2:
            return f"a single level of `{term.factor}` is left, so the variance between its levels has no estimate."
    dropped = column_rank(design.X).dropped if design.X.shape[1] else ()
    if dropped:
        names = [design.fixed_names[d.column] for d in dropped]
        verb = "have" if len(names) > 1 else "has"
        return f"{quoted(names)} {verb} no estimate in these rows: other columns determine it."
    if len(design.y) <= design.X.shape[1]:
        return f"{counted(len(design.y), 'row')} for {counted(design.X.shape[1], 'fixed effect')}."
    return ""


def unseen(design: Any) -> str:
    """Which random effects no row shows, so that their variances have no estimate, if any."""
    for term in design.terms:
        if empty := [name for name, column in zip(term.names, term.matrix.T, strict=True) if not column.any()]:
            return f"no row is left that shows {quoted(empty)} of {term.label}, whose variance is estimated."
    return ""


def _residual(residual: Any, rows: np.ndarray, copies: np.ndarray) -> Any:
    """The residual structure of some rows, each copy of a residual group one of its own."""
    own = residual.of_rows(rows)
    if (c := own.correlation) is None:
        return own
    old = int(residual.correlation.codes.max()) + 1
    new, found = pd.factorize(copies * old + c.codes, sort=True)
    c = dataclasses.replace(c, codes=new.astype(np.intp), levels=pd.RangeIndex(len(found)))
    return dataclasses.replace(own, correlation=c)


def _term(term: Any, rows: np.ndarray, codes: np.ndarray, old: np.ndarray) -> Any:
    """A random-effects term of some rows."""
    root = None if term.known_root is None else term.known_root[old]
    matrix = np.asfortranarray(term.matrix[rows])
    return dataclasses.replace(term, matrix=matrix, codes=codes, levels=pd.RangeIndex(len(old)), known_root=root)
