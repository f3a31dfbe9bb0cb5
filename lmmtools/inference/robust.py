"""Cluster-robust covariance of the fixed effects, with degrees of freedom.

With M = (X'V⁻¹X)⁻¹ and, for each cluster, E = A'V⁻¹X and residuals e = y − Xβ̂::

    Var(β̂) = M (Σ E'ee'E) M       A = I (CR0),   √(m/(m − 1)) I (CR1),   D'(D(V − XMX')D')^{−1/2}D, D'D = V (CR2),
                                   (I − XMX'V⁻¹)⁻¹ (CR3)

for m clusters: CR2 is unbiased where the fitted V is the truth (bias-reduced linearisation: Bell & McCaffrey 2002;
Pustejovsky & Tipton 2018; ^−1/2 is the symmetric root of the Moore-Penrose inverse). For l'β̂ the estimated variance is
a quadratic form in y, of which V gives mean and variance; a multiple of χ² with the same two has (ibid.)::

    df = (tr P)²/tr(P²),   P_ij = δ_ij s_i − h_i'Mh_j,   s_i = l'M(E'VE)_i Ml,   h_i = (X'E)_i Ml
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.clusters import Clusters, Stack, clusters_of
from lmmtools.inference.contrasts import Functions, estimate_columns, estimates_frame

__all__ = ["RobustCovariance", "robust_functions", "robust_table", "robust_vcov"]

KINDS = {
    "CR0": "no correction for the number of clusters, and too small where these are few",
    "CR1": "corrected by m/(m − 1) for m clusters",
    "CR2": "unbiased if the fitted covariances are right (Bell & McCaffrey)",
    "CR3": "the sum of squares of what leaving out a cluster does to the estimates, and too large on average",
}
# Eigenvalues of a cluster's residual covariance, over the largest of V, below which the fixed effects leave nothing.
_NOTHING = 1e-10
# Expected robust variance, over that of the fit, below which the clusters say nothing of a function.
_SILENT = 1e-9
# How far from one that ratio may be before CR2 is not called unbiased.
_BIASED = 1e-6


class RobustCovariance(Frame):
    """Cluster-robust covariance of β̂, shape (p, p).

    Attributes
    ----------
    df : Series
        Satterthwaite's degrees of freedom of each coefficient's standard error.
    kind : str
    n_clusters : int
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "df", "kind", "n_clusters"]
    df: pd.Series | None = None
    kind: str = ""
    n_clusters: int = 0

    @property
    def _constructor(self) -> type[RobustCovariance]:
        return RobustCovariance


def robust_vcov(fit: Any, cluster: Any, kind: str = "CR2") -> RobustCovariance:
    """Covariance of the fixed effects from the spread of the clusters' own contributions to them.

    It stands where the fitted random effects and residual variances do not describe what goes on within clusters, as
    long as different clusters are independent. β̂ itself is not changed.

    Parameters
    ----------
    fit : LMMFit
    cluster : str or array
        What is independent: a grouping factor of the fit, of its random effects or of its residuals, or a value for
        each row used (a Series is matched by its labels). Every random effect and every residual group must belong to
        one cluster.
    kind : {"CR2", "CR1", "CR0", "CR3"}

    Returns
    -------
    RobustCovariance
        A row and a column a coefficient; ``.df`` has degrees of freedom, ``.n_clusters`` their number.

    Raises
    ------
    LMMError
        If `cluster` is no factor or does not fit the rows, or `kind` is unknown.
    ModelError
        If there is one cluster, a random effect or residual group reaches across clusters, a cluster is too large, or
        the estimates cannot be had without one of the clusters (CR3).

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28; Pustejovsky & Tipton (2018), J. Bus. Econ. Stat. 36.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> V = robust_vcov(fit, "Subject")
    >>> round(float(V.loc["Days", "Days"]), 4), round(float(V.df["Days"]), 4)
    (2.3895, 17.0)
    """
    names = list(fit.design.fixed_names) if hasattr(fit, "design") else []
    functions, found, expected = _estimated(fit, np.eye(len(names)), cluster, kind)
    made = frame(
        pd.DataFrame(functions.covariance, index=names, columns=names),
        caption=f"Cluster-robust covariance of the fixed effects ({kind}, {_clusters(found)})",
        label="tbl-robust-vcov",
        notes=_notes(kind, names, expected),
        cls=RobustCovariance,
    )
    made.df = pd.Series(functions.df, index=names, name="df")
    made.kind, made.n_clusters = kind, found.count
    return made


def robust_table(fit: Any, cluster: Any, kind: str = "CR2", *, level: float = 0.95) -> Frame:
    """Estimates with cluster-robust standard errors, tests and intervals.

    Parameters
    ----------
    fit, cluster, kind
        As `robust_vcov`.
    level : float

    Returns
    -------
    Frame
        ``estimate, std_error, df, statistic, p_value, ci_low, ci_high``, a row a coefficient.

    Raises
    ------
    LMMError, ModelError
        As `robust_vcov`, or if `level` does not lie between 0 and 1.
    """
    level = check_level(level)
    names = list(fit.design.fixed_names) if hasattr(fit, "design") else []
    functions, found, expected = _estimated(fit, np.eye(len(names)), cluster, kind)
    return estimates_frame(
        pd.DataFrame(estimate_columns(functions, level), index=names),
        level,
        "satterthwaite",
        caption=f"Fixed effects by {fit.method} with cluster-robust standard errors ({kind}, {_clusters(found)}) and "
        f"{100 * level:g} % intervals; reference: t with Satterthwaite's degrees of freedom",
        label="tbl-robust",
        notes=_notes(kind, names, expected),
    )


def robust_functions(fit: Any, L: np.ndarray, cluster: Any, kind: str = "CR2") -> Functions:
    """Lβ̂ with cluster-robust standard errors and degrees of freedom, each row alone.

    Parameters
    ----------
    fit : LMMFit
    L : ndarray, shape (k, p)
    cluster, kind
        As `robust_vcov`.
    """
    return _estimated(fit, np.atleast_2d(np.asarray(L, dtype=float)), cluster, kind)[0]


def _estimated(fit: Any, L: np.ndarray, cluster: Any, kind: str) -> tuple[Functions, Clusters, np.ndarray]:
    """Lβ̂, the clusters, and the mean of each robust variance if the fit is right, over the fit's own variance.

    Where that mean is zero there is no standard error: a robust variance is then zero, or rounding, whatever the data.
    """
    if not hasattr(fit, "working"):
        raise LMMError(f"robust_vcov: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    if kind not in tuple(KINDS):
        raise LMMError(f"robust_vcov: kind={kind!r} is unknown{nearest(str(kind), KINDS)}; use one of {list(KINDS)}.")
    clusters = clusters_of(fit, cluster, whiten=kind != "CR2")
    w = fit.working
    M = fit.solution.S_inverse / w.noise_scale**2  # in the working basis, as X of the clusters
    basis = np.linalg.solve(w.R.T, L.T) if len(M) else L.T
    meat, trace, square = _sandwiched(clusters, M, M @ basis, kind)
    expected = trace / np.sum(basis * (M @ basis), axis=0)
    # P has no negative eigenvalue, so that (tr P)² is tr P² at least, but for rounding
    said = (expected > _SILENT) & (square > 0.0) & (trace**2 > (1.0 - _BIASED) * square)
    expected = np.where(said, expected, 0.0)
    df = np.where(said, trace**2 / np.where(said, square, 1.0), np.nan)
    if kind == "CR1":
        meat = meat * (clusters.count / (clusters.count - 1.0))
    half = basis.T @ M
    covariance = half @ meat @ half.T
    errors = np.where(said, np.sqrt(np.maximum(np.diagonal(covariance), 0.0)), np.nan)
    return Functions(L @ fit.beta, errors, df, covariance), clusters, expected


def _notes(kind: str, names: Sequence[str], expected: np.ndarray) -> tuple[str, ...]:
    notes = [f"{kind}: {KINDS[kind]}."]
    silent = [name for name, ratio in zip(names, expected, strict=True) if not ratio > _SILENT]
    biased = [name for name, ratio in zip(names, expected, strict=True) if _SILENT < ratio < 1.0 - _BIASED]
    if silent:
        notes.append(f"No robust standard error of {quoted(silent)}: the fixed effects fit exactly what each cluster "
                     "says of it, so that nothing is left to tell its spread by.")  # fmt: skip
    if biased and kind == "CR2":
        notes.append(f"Too small on average for {quoted(biased)}, even if the fitted covariances are right: the fixed "
                     "effects take up what some of the clusters say of it.")  # fmt: skip
    return tuple(notes)


def _sandwiched(
    clusters: Clusters, M: np.ndarray, v: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Σ E'ee'E, shape (p, p), and tr P and tr P² along each column of v = Ml, shape (k,)."""
    p, k = v.shape
    meat, pairs = np.zeros((p, p)), np.zeros((k, p, p))
    trace, square = np.zeros(k), np.zeros(k)
    for stack in clusters.stacks():
        E, own = _weighted(stack, M, kind)
        score = np.einsum("cip,ci->cp", E, stack.e)
        meat += score.T @ score
        s = np.sum((own @ v) ** 2, axis=1)  # (c, k)
        h = stack.X.transpose(0, 2, 1) @ (E @ v)  # (c, p, k)
        taken = np.einsum("cpk,pq,cqk->ck", h, M, h, optimize=True)
        trace += (s - taken).sum(axis=0)
        square += (s * s - 2.0 * s * taken).sum(axis=0)
        pairs += np.einsum("cpk,cqk->kpq", h, h, optimize=True)
    between = M @ pairs
    square += np.einsum("kpq,kqp->k", between, between)
    return meat, trace, square


def _weighted(stack: Stack, M: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """E = A'V⁻¹X and V^½E of every cluster; A = I but for CR2 and CR3."""
    values, vectors = np.linalg.eigh(stack.V)
    values = np.maximum(values, np.finfo(float).tiny)
    X = vectors.transpose(0, 2, 1) @ stack.X
    root = np.sqrt(values)[..., None]
    if kind != "CR2":
        X = X / root
        if kind == "CR3":  # (I − V⁻¹XMX')⁻¹V⁻¹X = V⁻¹X(I − MX'V⁻¹X)⁻¹
            X = X @ _without(X, M)
        return vectors @ (X / root), X
    # in the eigenvectors of V, with D = V^½: DVD' is diagonal
    B = -root * (X @ M @ X.transpose(0, 2, 1)) * root.transpose(0, 2, 1)
    k = np.arange(values.shape[1])
    B[:, k, k] += values**2
    spectrum, G = np.linalg.eigh(B)
    keep = spectrum > _NOTHING * values[:, -1:] ** 2
    inverse = np.where(keep, 1.0 / np.sqrt(np.where(keep, spectrum, 1.0)), 0.0)
    Y = G @ (inverse[..., None] * (G.transpose(0, 2, 1) @ (X / root)))
    return vectors @ (root * Y), values[..., None] * Y


def _without(X: np.ndarray, M: np.ndarray) -> np.ndarray:
    """(I − MX'X)⁻¹ of every cluster, X being V^{−½}X; shape (c, p, p).

    Raises
    ------
    ModelError
        If the other clusters do not determine the estimates.
    """
    root = np.linalg.cholesky(M)
    half = X @ root
    left = np.eye(len(M)) - half.transpose(0, 2, 1) @ half
    values, vectors = np.linalg.eigh(left)
    lost = int(np.sum(values[:, 0] <= _NOTHING)) if len(M) else 0
    if lost:
        raise ModelError(
            f'robust_vcov: kind="CR3" leaves out each cluster in turn, and without {counted(lost, "cluster")} the '
            'others do not determine all fixed effects. Use kind="CR2".'
        )
    inverse = (vectors / values[:, None, :]) @ vectors.transpose(0, 2, 1)
    return root @ inverse @ np.linalg.inv(root)


def _clusters(found: Clusters) -> str:
    return f"{counted(found.count, 'cluster')} of {found.name}" if found.name.startswith("`") else (
        f"{counted(found.count, 'cluster')}")  # fmt: skip
