"""Hypotheses of an analysis of variance, from a row of D for every observation.

D has, for each term, an indicator of every cell of its factors times its covariates: more columns than rank. A set of
linear functions of the expected response E(y) = Db is told by the projections of its coefficient vectors on the columns
of D, so that it does not matter by which parameters it is written.

Reductions (types I and II): R(E | o) = RSS(o) - RSS(o, E) of least squares, and its rank.

Type III (Goodnight 1980; SAS/STAT User's Guide, The Four Types of Estimable Functions): the functions l'b with l in the
row space of D, l zero but for the parameters of E and of the terms that contain E, and l orthogonal to those functions
whose l is zero but for the parameters of the terms that contain E.

References
----------
Goodnight, J. H. (1980). Tests of hypotheses in fixed effects linear models. Communications in Statistics A9, 167-180.
"""

from itertools import product

import numpy as np

__all__ = ["Dummies", "projector"]

_ZERO = 1e-8


class Dummies:
    """D of some terms, each a tuple of columns; those that hold strings are factors."""

    def __init__(self, data, terms):
        self.terms = [tuple(term) for term in terms]
        self.data = data
        self.D = [self._columns(term) for term in self.terms]

    def _columns(self, term):
        n = len(self.data)
        factors = [name for name in term if self._is_factor(name)]
        size = np.prod([self.data[name] for name in term if name not in factors] or [np.ones(n)], axis=0)
        levels = [sorted(self.data[name].unique()) for name in factors]
        return np.column_stack(
            [
                size * np.all([self.data[name] == level for name, level in zip(factors, cell, strict=True)], axis=0)
                if factors
                else size
                for cell in product(*levels)
            ]
        )

    def _is_factor(self, name):
        return self.data[name].dtype == object

    def contains(self, larger, smaller):
        parts = [({v for v in t if self._is_factor(v)}, {v for v in t if not self._is_factor(v)})
                 for t in (larger, smaller)]  # fmt: skip
        return parts[0][0] > parts[1][0] and parts[0][1] == parts[1][1]

    def columns(self, terms):
        return np.hstack([self.D[self.terms.index(t)] for t in terms] or [np.empty((len(self.data), 0))])

    def others(self, term, type):
        if type == 1:
            return self.terms[: self.terms.index(term)]
        return [t for t in self.terms if t != term and not self.contains(t, term)]

    def reduction(self, term, type, y):
        """Sum of squares and its degrees of freedom."""
        small = self.columns(self.others(term, type))
        large = np.hstack([small, self.columns([term])])
        P, Q = projector(small), projector(large)
        return y @ (Q - P) @ y, round(np.trace(Q) - np.trace(P))

    def type3(self, term):
        """Functions of E(y), shape (n, k)."""
        full = self.columns(self.terms)
        widths = [D.shape[1] for D in self.D]
        owner = np.repeat(np.arange(len(self.terms)), widths)
        i = self.terms.index(term)
        above = [j for j, t in enumerate(self.terms) if self.contains(t, term)]
        rows = _basis(full.T)  # of the row space of D, as columns
        own = rows @ _null(rows[~np.isin(owner, [i, *above])])
        higher = rows @ _null(rows[~np.isin(owner, above)])
        kept = own @ _null(higher.T @ own)
        return np.linalg.pinv(full, rcond=1e-10).T @ kept


def projector(A):
    """On the columns of A."""
    basis = _basis(A)
    return basis @ basis.T


def _basis(A):
    if not A.size:
        return np.empty((len(A), 0))
    U, values, _ = np.linalg.svd(A, full_matrices=False)
    return U[:, values > _ZERO * max(values[0], 1e-300)]


def _null(A):
    if not A.size:
        return np.eye(A.shape[1])
    _, values, Vt = np.linalg.svd(A)
    return Vt[np.sum(values > _ZERO) :].T
