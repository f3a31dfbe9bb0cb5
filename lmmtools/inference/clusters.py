"""The rows of a fit by cluster: residuals, columns and the fitted covariance, many clusters of like size at once.

The covariance of a cluster's rows over σ² is V = I + UU' with U = ZΛ, rows whitened by √w. All that is done with it
lies in the columns of U and X; with an orthonormal basis of these, a QR's, it has as many rows as they have columns.
With a residual structure V = R + UU' is written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.residuals import residuals

__all__ = ["Clusters", "Stack", "cluster_codes", "clusters_of", "levels_of"]

# Rows of one cluster, in the basis of what acts on it, whose square is still factorised: 72 MB, a few seconds.
_MOST = 3000
# Numbers in one stack of clusters.
_STACK = 4_000_000


@dataclass(frozen=True)
class Stack:
    """Clusters of like size.

    Attributes
    ----------
    X : ndarray, shape (c, k, p)
        In the working basis.
    e : ndarray, shape (c, k)
        y − Xβ̂.
    V : ndarray, shape (c, k, k)
        Fitted covariance over σ²; the identity for rows that only fill up.
    which : ndarray of int, shape (c,)
        The clusters' numbers.
    """

    X: np.ndarray
    e: np.ndarray
    V: np.ndarray
    which: np.ndarray


@dataclass(frozen=True)
class Clusters:
    """Rows sorted by cluster.

    Attributes
    ----------
    name : str
        What the clusters are called.
    count : int
    X, e : ndarray, shape (n, p), (n,)
    noise : _Noise or None
        Residual covariance over σ² where it is not I.
    parts : tuple of _Part
        Of each term.
    starts : ndarray of int, shape (count + 1,)
        Where each cluster's rows start.
    """

    name: str
    count: int
    X: np.ndarray
    e: np.ndarray
    noise: _Noise | None
    parts: tuple[_Part, ...]
    starts: np.ndarray

    def stacks(self) -> Iterator[Stack]:
        """All clusters, those of like size together.

        Raises
        ------
        ModelError
            If a cluster is too large.
        """
        sizes = np.diff(self.starts)
        shape = np.column_stack([sizes, *(part.levels for part in self.parts)])
        kinds, member = np.unique(_rounded(shape), axis=0, return_inverse=True)
        member = member.reshape(-1)
        for k, (rows, *levels) in enumerate(kinds):
            width = sum(m * part.rows.shape[1] for m, part in zip(levels, self.parts, strict=True)) + self.X.shape[1]
            mine = np.flatnonzero(member == k)
            if min(rows if self.noise is not None else width, sizes[mine].max()) > _MOST:
                self._refuse(int(mine[np.argmax(sizes[mine])]), sizes)
            step = max(int(_STACK // (rows * (width + 1 + (rows if self.noise is not None else 0)))), 1)
            for start in range(0, len(mine), step):
                yield self._stack(mine[start : start + step], int(min(rows, sizes[mine].max())), levels)

    def _refuse(self, cluster: int, sizes: np.ndarray) -> None:
        few, differ = "its random effects are nearly as many", "the residual variances differ from row to row"
        correlated = self.noise is not None and self.noise.root.shape[1] > 1
        why = "its residuals are correlated" if correlated else few if self.noise is None else differ
        raise ModelError(
            f"robust_vcov: a cluster of {self.name} has {counted(int(sizes[cluster]), 'row')}, and {why}, so that its "
            f'adjustment needs a square matrix of that order; the limit is {_MOST:,}. Use kind="CR1", or a cluster '
            "of fewer rows."
        )

    def _stack(self, mine: np.ndarray, rows: int, levels: list[int]) -> Stack:
        take = self.starts[mine][:, None] + np.arange(rows)
        inside = take < self.starts[mine + 1][:, None]
        take = np.where(inside, take, 0)
        X = np.where(inside[..., None], self.X[take], 0.0)
        e = np.where(inside, self.e[take], 0.0)
        none = np.zeros((*take.shape, 0))
        parts = [p.columns(mine, take, inside, m) for p, m in zip(self.parts, levels, strict=True)]
        U = np.concatenate([none, *parts], axis=2)
        if self.noise is not None:
            return Stack(X, e, U @ U.transpose(0, 2, 1) + self.noise.covariance(take, inside), mine)
        width = U.shape[2]
        k = width + X.shape[2]
        if rows > k:
            R = np.linalg.qr(np.concatenate([U, X, e[..., None]], axis=2), mode="r")[:, :k]
            U, X, e = R[..., :width], R[..., width:k], R[..., k]
        return Stack(X, e, np.eye(U.shape[1]) + U @ U.transpose(0, 2, 1), mine)


@dataclass(frozen=True)
class _Noise:
    """R of rows sorted by cluster: a root of each residual group's, shape (n, largest group), and the groups."""

    root: np.ndarray
    groups: np.ndarray

    def covariance(self, take: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """R of clusters, shape (c, k, k); the identity for rows that only fill up."""
        root, groups = self.root[take], self.groups[take]
        R = root @ root.transpose(0, 2, 1)
        together = (groups[:, :, None] == groups[:, None, :]) & inside[:, :, None] & inside[:, None, :]
        return np.where(together, R, (~inside)[:, :, None] * np.eye(take.shape[1]))


@dataclass(frozen=True)
class _Part:
    """What one term adds to U: ZΛ of each row, its level's number within its cluster, levels of each cluster."""

    rows: np.ndarray
    local: np.ndarray
    levels: np.ndarray
    at: np.ndarray
    starts: np.ndarray
    known: np.ndarray | None

    def columns(self, mine: np.ndarray, take: np.ndarray, inside: np.ndarray, levels: int) -> np.ndarray:
        """U of clusters `mine`, shape (c, rows, levels · s)."""
        c, n = take.shape
        s = self.rows.shape[1]
        U = np.zeros((c, n, levels, s))
        i, j = np.nonzero(inside)
        U[i, j, self.local[take[i, j]]] = self.rows[take[i, j]]
        if self.known is not None:
            U = np.einsum("cims,cmk->ciks", U, self._roots(mine, levels))
        return U.reshape(c, n, levels * s)

    def _roots(self, mine: np.ndarray, levels: int) -> np.ndarray:
        """Roots of the known covariance of the levels within each cluster, shape (c, levels, levels)."""
        place = self.starts[mine][:, None] + np.arange(levels)
        inside = np.arange(levels) < self.levels[mine][:, None]
        root = self.known[self.at[np.where(inside, place, 0)]]
        A = np.where(inside[:, :, None] & inside[:, None, :], root @ root.transpose(0, 2, 1), 0.0)
        values, vectors = np.linalg.eigh(A)
        return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


def _rounded(sizes: np.ndarray) -> np.ndarray:
    """Sizes rounded up, by at most an eighth, so that few differ."""
    unit = 2 ** np.maximum(np.floor(np.log2(np.maximum(sizes, 1))).astype(int) - 3, 0)
    return -(-sizes // unit) * unit


def clusters_of(fit: Any, cluster: Any, *, whiten: bool) -> Clusters:
    """Sort a fit's rows by cluster.

    Parameters
    ----------
    fit : LMMFit
    cluster : str or array
        As `cluster_codes` takes it.
    whiten : bool
        Whether to multiply rows by √w, so that the residual variances are equal.

    Raises
    ------
    LMMError
        As `cluster_codes`.
    ModelError
        If there is only one cluster, or random effects or residual groups reach across clusters.
    """
    codes, count, name = cluster_codes(fit, cluster)
    if count < 2:
        raise ModelError(
            f"robust_vcov: all rows are in one cluster of {name}, and a sandwich is made of differences between "
            "clusters; name one with many levels."
        )
    design, order = fit.design, np.argsort(codes, kind="stable")
    X = np.linalg.solve(fit.working.R.T, design.X.T).T if design.X.shape[1] else design.X
    e = residuals(fit, "marginal").to_numpy()
    root, noise = np.ones(len(e)), None
    if design.residual is not None:
        _refuse_split_groups(design, codes, name)
        noise = _noise_of(fit, order)
    elif design.weights is not None and whiten:
        root = np.sqrt(design.weights)
    elif design.weights is not None:
        noise = _Noise((1.0 / np.sqrt(design.weights))[order, None], np.arange(len(e)))
    starts = np.append(0, np.cumsum(np.bincount(codes, minlength=count)))
    parts = []
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        home = _home_of_levels(design, term, codes, name)
        active = Lambda[:, np.any(Lambda != 0.0, axis=0)]
        if active.shape[1]:
            rows = root[:, None] * (term.matrix @ active)
            parts.append(_part(term, rows[order], term.codes[order], home, count))
    return Clusters(name, count, (root[:, None] * X)[order], (root * e)[order], noise, tuple(parts), starts)


def _noise_of(fit: Any, order: np.ndarray) -> _Noise:
    """R of the rows in this order."""
    noise = fit.noise
    by_group = np.argsort(noise.groups, kind="stable")
    sizes = np.bincount(noise.groups)
    place = np.empty(len(order), dtype=np.intp)
    place[by_group] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    basis = np.zeros((len(order), sizes.max()))
    basis[np.arange(len(order)), place] = 1.0
    return _Noise(noise.colour(basis)[order], noise.groups[order])


def _refuse_split_groups(design: Any, codes: np.ndarray, name: str) -> None:
    """Refuse residual groups with rows in several clusters."""
    correlation = design.residual.correlation
    if correlation is None:
        return
    first = np.full(int(correlation.codes.max()) + 1, -1)
    first[correlation.codes[::-1]] = np.arange(len(codes))[::-1]
    astray = np.flatnonzero(codes[first[correlation.codes]] != codes)
    if len(astray):
        row = int(astray[0])
        group = correlation.codes[row]
        raise ModelError(
            f"robust_vcov: {correlation.label} correlates residuals across the clusters of {name}: "
            f"{counted(len(np.unique(correlation.codes[astray])), 'residual group')} of {len(first):,} (the first: "
            f"`{correlation.levels[group]}`, rows {design.index[first[group]]} and {design.index[row]}) have rows in "
            "several clusters, which are then not independent. Use clusters that contain the residual groups."
        )


def _part(term: Any, rows: np.ndarray, codes: np.ndarray, home: np.ndarray, count: int) -> _Part:
    """A term's part, its levels sorted by cluster; levels of a known matrix that no row has belong to none."""
    at = np.flatnonzero(home >= 0)
    at = at[np.argsort(home[at], kind="stable")]
    levels = np.bincount(home[at], minlength=count)
    starts = np.append(0, np.cumsum(levels))
    local = np.empty(len(home), dtype=np.intp)
    local[at] = np.arange(len(at)) - starts[home[at]]
    return _Part(rows, local[codes], levels, at, starts, term.known_root)


def _home_of_levels(design: Any, term: Any, codes: np.ndarray, name: str) -> np.ndarray:
    """Cluster of each level of a term; −1 for a level without rows.

    Raises
    ------
    ModelError
        If a level, or related levels, lie in several clusters.
    """
    n_levels = len(term.levels) if term.known_root is None else len(term.known_root)
    home, first = np.full(n_levels, -1), np.zeros(n_levels, dtype=np.intp)
    home[term.codes[::-1]], first[term.codes[::-1]] = codes[::-1], np.arange(len(codes))[::-1]
    astray = np.flatnonzero(home[term.codes] != codes)
    if len(astray):
        row = astray[0]
        other = first[term.codes[row]]
        split = len(np.unique(term.codes[astray]))
        raise ModelError(
            f"robust_vcov: the random effects of `{term.factor}` reach across the clusters of {name}: "
            f"{counted(split, 'level')} of {n_levels:,} (the first: `{term.levels[term.codes[row]]}`, rows "
            f"{design.index[other]} and {design.index[row]}) have rows in several clusters, which are then not "
            f"independent. Cluster by `{term.factor}`, or by something that contains it."
        )
    if term.known_root is not None:
        _refuse_related(term, home, name)
    return home


def _refuse_related(term: Any, home: np.ndarray, name: str) -> None:
    """Refuse a known covariance that relates levels of different clusters."""
    used = np.flatnonzero(home >= 0)
    A = term.known_root[used] @ term.known_root[used].T
    apart = (home[used][:, None] != home[used]) & (np.abs(A) > 1e-12 * np.abs(A).max())
    if apart.any():
        one, other = (term.levels[used[i]] for i in np.argwhere(apart)[0])
        raise ModelError(
            f"robust_vcov: the known covariance of `{term.factor}` relates levels of different clusters of {name} "
            f"(`{one}` and `{other}`), which are then not independent; use clusters that are unrelated."
        )


def cluster_codes(fit: Any, cluster: Any) -> tuple[np.ndarray, int, str]:
    """Number of each row's cluster, how many there are, and what they are called in a sentence; see `levels_of`."""
    codes, levels, name = levels_of(fit, cluster, what="robust_vcov", argument="cluster")
    return codes, len(levels), name


def levels_of(fit: Any, by: Any, *, what: str, argument: str) -> tuple[np.ndarray, pd.Index, str]:
    """Number of each row's level, the levels in the order in which they appear, and their name in a sentence.

    Parameters
    ----------
    fit : LMMFit
    by : str or array
        A grouping factor of the fit, of its random effects or its residuals, or a value for each row used: a Series is
        matched by its labels.
    what, argument : str
        The function that was called and the name of its argument, for the sentences that refuse.

    Raises
    ------
    LMMError
        If there is no such factor, values do not match the rows, or some are missing.
    """
    design = fit.design
    if isinstance(by, str):
        factors = design.groupings
        if by not in factors:
            has = f"{nearest(by, factors)}, which has {quoted(factors)}" if factors else ", which has none"
            raise LMMError(
                f"{what}: `{by}` is no grouping factor of the fit{has}; for another column pass its values, "
                f"{argument}=data[{by!r}]."
            )
        codes, found = pd.factorize(factors[by].codes)
        return codes, pd.Index(factors[by].levels)[found], f"`{by}`"
    codes, levels = pd.factorize(_for_rows(by, design, what, argument))
    if np.any(codes < 0):
        raise LMMError(
            f"{what}: {argument} has no value in {counted(int(np.sum(codes < 0)), 'row')} (the first: row "
            f"{design.index[int(np.argmax(codes < 0))]}); every row used needs one."
        )
    name = getattr(by, "name", None)
    return codes, pd.Index(levels), f"`{name}`" if isinstance(name, str) else "the array given"


def _for_rows(values: Any, design: Any, what: str, argument: str) -> Any:
    """The values of the rows used, in their order."""
    index = design.index
    if isinstance(values, pd.Series) and not values.index.equals(index):
        if values.index.is_unique and index.isin(values.index).all():
            return values.reindex(index)
        raise LMMError(
            f"{what}: {argument} is a Series whose labels are not those of the data fitted; take it from the same "
            "frame, or pass an array of a value for each row used."
        )
    values = values if isinstance(values, pd.Series | pd.Categorical) else np.asarray(values)
    if np.ndim(values) != 1 or len(values) != len(index):
        dropped = len(design.dropped_rows)
        hint = f" ({counted(dropped, 'row')} of the data were left out: pass a Series, which is matched by its labels)"
        raise LMMError(
            f"{what}: {argument} must hold one value for each of the {len(index):,} rows used; got shape "
            f"{np.shape(values)}{hint if dropped else ''}."
        )
    return values
