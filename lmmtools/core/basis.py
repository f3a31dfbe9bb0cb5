"""Columns in which cross-products lose no digits: distinct, centred, scaled and whitened."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Columns", "fixed_basis", "is_constant", "least_squares", "random_basis"]

# Smallest relative eigenvalue of X̃'X̃ at which the normal equations are trusted.
_WELL_CONDITIONED = 1e-4
# Cosine between a residual and the columns below which it is orthogonal to them.
_ORTHOGONAL = 1e-12


class Columns:
    """Distinct columns, raw and in the working basis, so that Z and X share what they have in common."""

    def __init__(self, n: int, root: np.ndarray | None) -> None:
        self.root = root
        self.n = n
        self.whitened: list[np.ndarray] = []
        self.ones: int | None = None
        self._raw: dict[tuple[str, bool], list[tuple[np.ndarray, int, float, float]]] = {}
        self._mean_weights = None if root is None else root**2 / (root @ root)

    def add(self, name: str, raw: np.ndarray, *, centre: bool) -> tuple[int, float, float]:
        """Index of (raw − mean)/scale among `whitened`, with that mean and scale; a constant is scale × 1."""
        if is_constant(raw):
            if self.ones is None:
                ones = np.broadcast_to(1.0, self.n)
                self.ones = self.append(ones if self.root is None else self.root)
            return self.ones, 0.0, float(raw[0])
        for known, index, mean, scale in self._raw.get((name, centre), []):
            if known is raw or np.array_equal(known, raw):
                return index, mean, scale
        mean = 0.0
        if centre:
            mean = float(raw.mean() if self._mean_weights is None else self._mean_weights @ raw)
        column = raw - mean
        scale = float(np.sqrt(column @ column / self.n))
        column /= scale
        index = self.append(column if self.root is None else column * self.root)
        self._raw.setdefault((name, centre), []).append((raw, index, mean, scale))
        return index, mean, scale

    def append(self, column: np.ndarray) -> int:
        """Index of a new whitened column."""
        self.whitened.append(column)
        return len(self.whitened) - 1


def is_constant(column: np.ndarray) -> bool:
    """Whether all values are the same."""
    return bool(column[0] == column[-1] and np.all(column == column[0]))


def fixed_basis(
    design: Any, columns: Columns
) -> tuple[np.ndarray, list[int], list[np.ndarray], np.ndarray]:
    """R with X = X̃R, the indices of X̃'s columns, the whitened columns themselves and their cross-products."""
    X, names = design.X, design.fixed_names
    p = X.shape[1]
    constant = next((j for j in range(p) if is_constant(X[:, j])), None)
    R, index = np.zeros((p, p)), []
    for j in range(p):
        i, mean, scale = columns.add(names[j], X[:, j], centre=constant is not None)
        index.append(i)
        R[j, j] = scale
        if mean:
            R[constant, j] = mean
    Xw = [columns.whitened[i] for i in index]
    G = np.array([[u @ v for v in Xw] for u in Xw])
    if not p or _well_conditioned(G):
        return R, index, Xw, G
    # Nearly collinear even when centred and scaled: an orthonormal basis, at the price of a QR of all rows.
    Q, R_qr = np.linalg.qr(np.column_stack(Xw))
    root_n = np.sqrt(len(Q))
    index = [columns.append(np.ascontiguousarray(q)) for q in (Q * root_n).T]
    return R_qr @ R / root_n, index, [columns.whitened[i] for i in index], len(Q) * np.eye(p)


def _well_conditioned(G: np.ndarray) -> bool:
    """Whether normal equations with these cross-products lose no digit that matters."""
    scale = np.sqrt(np.diagonal(G))
    if not np.all(scale > 0):
        return False
    values = np.linalg.eigvalsh(G / np.outer(scale, scale))
    return bool(values[0] > _WELL_CONDITIONED * values[-1])


def random_basis(terms: Any, columns: Columns) -> tuple[list[int], list[np.ndarray]]:
    """Indices of the Z̃'s columns of one factor's terms, and each term's K with Z_k = Z̃K_k.

    Columns are centred when the factor has a constant column in one of its terms, for then the means are
    absorbed there.
    """
    centre = any(is_constant(t.matrix[:, j]) for t in terms for j in range(t.matrix.shape[1]))
    entries = [
        [columns.add(t.names[j], t.matrix[:, j], centre=centre) for j in range(t.matrix.shape[1])] for t in terms
    ]
    order = list(dict.fromkeys(where for term in entries for where, _, _ in term))
    K = [np.zeros((len(order), len(term))) for term in entries]
    for k, term in zip(K, entries, strict=True):
        for j, (where, mean, scale) in enumerate(term):
            k[order.index(where), j] = scale
            if mean:
                k[order.index(columns.ones), j] = mean
    return order, K


def least_squares(
    y: np.ndarray, Xw: list[np.ndarray], G: np.ndarray, columns: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """β_OLS in the basis X̃ and the whitened residual, in two rounds so that a large mean of y costs nothing."""
    e = y.astype(float, copy=True)
    if columns.root is not None:
        e *= columns.root
    beta = np.zeros(len(Xw))
    if not Xw:
        return beta, e
    for _ in range(2):
        products = np.array([x @ e for x in Xw])
        if np.abs(products).max() <= _ORTHOGONAL * np.sqrt(G.trace() * (e @ e)):
            break
        step = np.linalg.solve(G, products)
        for b, x in zip(step, Xw, strict=True):
            e -= b * x
        beta += step
    return beta, e
