"""Correlations of residuals as their definitions have them, entry by entry, from where the two rows stand.

With d the distance of two rows of one residual group (the difference of times, the Euclidean one of coordinates):

    ar1    phi^d, d whole                         car1   phi^d, d real, phi > 0
    cs     rho                                    arma   gamma(d) / gamma(0) of the stationary process below
    toep   rho[d], 0 at distances without one     us     rho[a, b] of the two rows' occasions
    exp    exp(-d/r)                              gaus   exp(-(d/r)^2)
    spher  1 - 1.5 d/r + 0.5 (d/r)^3, 0 from r    ratio  1 / (1 + (d/r)^2)

and 1 on the diagonal. With a nugget c the last four are times 1 - c. `arma` is
e_t = phi_1 e_(t-1) + ... + phi_p e_(t-p) + a_t + theta_1 a_(t-1) + ... + theta_q a_(t-q), a_t white noise.

References
----------
Pinheiro, J. C., Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS. Springer, section 5.3.
Brockwell, P. J., Davis, R. A. (1991). Time Series: Theory and Methods, 2nd ed. Springer, section 3.3 (gamma).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmmtools.crosscheck.jets import Jet

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "amplification",
    "autocorrelation",
    "check_inside",
    "correlation",
    "n_parameters",
    "occasion_matrices",
    "open_bounds",
]

_SPATIAL = ("exp", "gaus", "spher", "ratio")
_SAME = 1e-9  # of the largest distance: two computed distances so near are one


def n_parameters(given: Any) -> int:
    """Parameters of one level of `by` (all, without)."""
    steps = len(given.occasions)
    if given.kind in _SPATIAL:
        return 1 + bool(given.nugget)
    return {"arma": sum(given.order), "toep": len(given.lags), "us": steps * (steps - 1) // 2}.get(given.kind, 1)


def open_bounds(given: Any) -> NDArray:
    """Which of the (m, 2) bounds are not themselves values: all but a nugget of zero."""
    own = np.ones((n_parameters(given), 2), dtype=bool)
    if given.kind in _SPATIAL and given.nugget:
        own[1, 0] = False
    return np.tile(own, (len(given.by_levels), 1))


def correlation(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    """
    Correlations of pairs of rows, each pair in one residual group.

    Parameters
    ----------
    given : Correlation
    phi : ndarray (m,)
        Its parameters, level of `by` after level.
    i, j : ndarray of int (N,)
        The rows of each pair.

    Returns
    -------
    Jet
        Of arrays (N,), in its own parameters from 0.
    """
    m, out = n_parameters(given), Jet((i == j).astype(float))
    for level in range(len(given.by_levels)):
        own = np.flatnonzero((i != j) & (given.by_codes[i] == level))
        jet = _FORMULAS[given.kind](given, phi[level * m : (level + 1) * m], i[own], j[own])
        out = out + jet.map(lambda part, own=own: _spread(part, own, len(i))).numbered(level * m)
    return out


def _spread(part: NDArray, places: NDArray, size: int) -> NDArray:
    out = np.zeros(size)
    out[places] = part
    return out


def check_inside(given: Any, phi: NDArray) -> None:
    """
    Refuse parameters that are no correlation's, though the rows at hand may not show it.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the autoregression of `arma` is not stationary, or the matrix of all occasions of `us` not definite.
    """
    m = n_parameters(given)
    for own in phi.reshape(len(given.by_levels), m):
        if given.kind == "arma" and given.order[0]:
            p = given.order[0]
            companion = np.vstack([own[:p], np.eye(p)[:-1]])
            if np.abs(np.linalg.eigvals(companion)).max() >= 1.0:
                raise np.linalg.LinAlgError("the autoregression is not stationary")
    for matrix in occasion_matrices(given, phi) if given.kind == "us" else ():
        np.linalg.cholesky(matrix)


def amplification(given: Any, phi: NDArray) -> float:
    """How many roundings of its own size a correlation carries: those of a solve near a unit root for `arma`."""
    if given.kind != "arma":
        return 1.0
    p, q = given.order
    mirror = _mirrors(p, max(p, q) + 1)
    systems = [np.eye(max(p, q) + 1) - np.tensordot(own[:p], mirror, axes=(0, 0)) for own in phi.reshape(-1, p + q)]
    return max(float(np.linalg.cond(system)) for system in systems)


def occasion_matrices(given: Any, phi: NDArray) -> NDArray:
    """The correlation matrices of all occasions of `us`, one for each level of `by`."""
    steps, m = len(given.occasions), n_parameters(given)
    out = np.tile(np.eye(steps), (len(given.by_levels), 1, 1))
    a, b = np.triu_indices(steps, 1)
    for matrix, own in zip(out, phi.reshape(-1, m), strict=True):
        matrix[a, b] = matrix[b, a] = own
    return out


def _distance(given: Any, i: NDArray, j: NDArray) -> NDArray:
    return np.sqrt(np.sum((given.positions[i] - given.positions[j]) ** 2, axis=1))


def _power(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    """phi^d with d phi^(d-1) and d (d-1) phi^(d-2), each zero where its own factor is."""
    d = _distance(given, i, j)
    if given.kind == "ar1":
        d = np.rint(d)  # a whole power, which has a value at a negative phi
    value, slope, bend = (
        np.where(factor == 0, 0.0, factor * np.power(float(phi[0]), np.where(factor == 0, 0.0, d - order)))
        for order, factor in enumerate((np.ones_like(d), d, d * (d - 1)))
    )
    return Jet(value, {0: slope}, {(0, 0): bend})


def _common(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    return Jet(np.full(len(i), float(phi[0])), {0: np.ones(len(i))})


def _banded(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    d = _distance(given, i, j)
    same = [np.abs(d - lag) <= _SAME * max(float(d.max(initial=0.0)), float(lag)) for lag in given.lags]
    return _chosen(phi, same, len(i))


def _unstructured(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    at = np.rint(given.positions[:, 0]).astype(int)
    pairs = zip(*np.triu_indices(len(given.occasions), 1), strict=True)
    same = [((at[i] == a) & (at[j] == b)) | ((at[i] == b) & (at[j] == a)) for a, b in pairs]
    return _chosen(phi, same, len(i))


def _chosen(phi: NDArray, same: list[NDArray], size: int) -> Jet:
    """Each parameter where it belongs."""
    first = {k: where.astype(float) for k, where in enumerate(same)}
    return Jet(sum((phi[k] * where for k, where in first.items()), np.zeros(size)), first)


def _spatial(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    u = _distance(given, i, j) / phi[0]
    ratio = Jet(u, {0: -u / phi[0]}, {(0, 0): 2 * u / phi[0] ** 2})
    jet = ratio.through(*_of_distance(given.kind, u))
    return jet * Jet(np.full(len(u), 1.0 - phi[1]), {1: -np.ones(len(u))}) if given.nugget else jet


def _of_distance(kind: str, u: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The correlation at u = d/r, with its first two derivatives in u."""
    if kind == "exp":
        f = np.exp(-u)
        return f, -f, f
    if kind == "gaus":
        f = np.exp(-(u**2))
        return f, -2 * u * f, (4 * u**2 - 2) * f
    if kind == "ratio":
        f = 1 / (1 + u**2)
        return f, -2 * u * f**2, (8 * u**2 * f - 2) * f**2
    near = u < 1
    return (
        np.where(near, 1 - 1.5 * u + 0.5 * u**3, 0.0),
        np.where(near, 1.5 * u**2 - 1.5, 0.0),
        np.where(near, 3 * u, 0.0),
    )


def _arma(given: Any, phi: NDArray, i: NDArray, j: NDArray) -> Jet:
    lag = np.rint(_distance(given, i, j)).astype(int)
    return autocorrelation(phi, *given.order, int(lag.max(initial=0))).map(lambda part: part[lag])


def autocorrelation(parameters: NDArray, p: int, q: int, longest: int) -> Jet:
    """
    Autocorrelations of a stationary ARMA(p, q) at lags 0 ... longest, with their derivatives.

    Parameters
    ----------
    parameters : ndarray (p + q,)
        phi, then theta.
    p, q, longest : int

    Returns
    -------
    Jet
        Of arrays (longest + 1,). The weights of e_t = sum_j psi_j a_(t-j) solve
        psi_j - sum_i phi_i psi_(j-i) = theta_j, and the autocovariances, theta_0 being 1,
        gamma_k - sum_i phi_i gamma_|k-i| = sum_(j>=k) theta_j psi_(j-k).
    """
    phi, size = parameters[:p], max(p, q) + 1
    theta = Jet(np.append(1.0, parameters[p:]), {p + k: np.eye(q + 1)[k + 1] for k in range(q)})
    shift = np.array([np.eye(q + 1, k=-1 - k) for k in range(p)]).reshape(p, q + 1, q + 1)
    psi = _solved(phi, shift, theta)
    # sum_(j>=k) theta_j psi_(j-k): the product of every theta with every psi, gathered by their distance
    one, other = np.divmod(np.arange((q + 1) ** 2), q + 1)
    cross = theta.map(lambda part: part[one]) * psi.map(lambda part: part[other])
    gather = (one - other == np.arange(size)[:, None]).astype(float)
    gamma = _continued(phi, _solved(phi, _mirrors(p, size), cross.map(lambda part: gather @ part)), longest)
    start = gamma.map(lambda part: np.full(len(part), part[0]))
    inverse = start.through(1 / start.value, -1 / start.value**2, 2 / start.value**3)
    return (gamma * inverse).map(lambda part: part[: longest + 1])


def _mirrors(p: int, size: int) -> NDArray:
    """For each k the matrix that takes gamma_0 ... to gamma_|0-k| ..., (p, size, size), k from 1."""
    mirrors = np.zeros((p, size, size))
    for k in range(p):
        for row in range(size):
            mirrors[k, row, abs(row - k - 1)] += 1.0
    return mirrors


def _continued(phi: NDArray, gamma: Jet, longest: int) -> Jet:
    """gamma_k = sum_i phi_i gamma_(k-i) up to the longest lag, from the first max(p, q) + 1 on."""
    value = list(gamma.value)
    first, second = ({at: list(part) for at, part in parts.items()} for parts in (gamma.first, gamma.second))
    p = len(phi)
    for k in range(len(value), longest + 1):
        value.append(sum(phi[i] * value[k - 1 - i] for i in range(p)))
        for a, own in first.items():
            own.append(sum(phi[i] * own[k - 1 - i] for i in range(p)) + (value[k - 1 - a] if a < p else 0.0))
        for (a, b), own in second.items():
            moved = (first[b][k - 1 - a] if a < p else 0.0) + (first[a][k - 1 - b] if b < p else 0.0)
            own.append(sum(phi[i] * own[k - 1 - i] for i in range(p)) + moved)
    arrays = ({at: np.array(part) for at, part in parts.items()} for parts in (first, second))
    return Jet(np.array(value), *arrays)


def _solved(phi: NDArray, moves: NDArray, right: Jet) -> Jet:
    """x with (I - sum_k phi_k moves_k) x = right, and its derivatives, phi being parameters 0 ... p - 1."""
    matrix = np.linalg.inv(np.eye(len(right.value)) - np.tensordot(phi, moves, axes=(0, 0)))
    value = matrix @ right.value
    names = sorted({*range(len(phi)), *right.first})
    zero = np.zeros_like(value)
    first = {k: right.first.get(k, zero) + (moves[k] @ value if k < len(phi) else zero) for k in names}
    first = {k: matrix @ part for k, part in first.items()}
    second = {}
    for k, j in [(k, j) for k in names for j in names if k <= j]:
        part = right.second.get((k, j), zero)
        part = part + (moves[k] @ first[j] if k < len(phi) else zero) + (moves[j] @ first[k] if j < len(phi) else zero)
        second[k, j] = matrix @ part
    return Jet(value, first, second)


_FORMULAS = {
    "ar1": _power,
    "car1": _power,
    "arma": _arma,
    "cs": _common,
    "toep": _banded,
    "us": _unstructured,
    **dict.fromkeys(_SPATIAL, _spatial),
}
