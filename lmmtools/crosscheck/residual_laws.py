"""The covariance of the residuals as its definition has it, R = W^(-1/2) S C S W^(-1/2), with its derivatives.

C is the correlation (`correlation_laws`), W holds precision weights, and S = diag(s), s the product of

    varident       one sd ratio for each level but the first
    varpower       |v|^power           varexp     exp(expon v)
    varconstpower  const + |v|^power   varfixed   sqrt(|v|), nothing to estimate

each with parameters of its own for every stratum, if there are any. Rows of different residual groups are independent:
only pairs of rows of one group are held, each once.

References
----------
Pinheiro, J. C., Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS. Springer, section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lmmtools.crosscheck import correlation_laws
from lmmtools.crosscheck.jets import Jet, product
from lmmtools.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ResidualLaw", "multiplier"]

_QUARTER = 0.25  # of the way between two bounds: a step of a parameter that has both


@dataclass(frozen=True)
class ResidualLaw:
    """R as a function of phi.

    Parameters
    ----------
    given : Residual
        The structure as a design holds it; the fitted values of a variance function are those that it holds.
    n : int
        Rows.
    weights : ndarray (n,), optional

    Raises
    ------
    ModelError
        If the structure has not as many parameters as its definition, or fitted values are not known yet.
    """

    given: Any
    n: int
    weights: NDArray | None = None

    def __post_init__(self) -> None:
        counts = [_count(part) for part in self.parts]
        slices = [part.stop - part.start for part in self.given.slices]
        if counts != slices or sum(counts) != len(self.given.bounds):
            raise ModelError(
                f"The residual structure {self.given.text} has {counts} parameters in its parts by definition, and "
                f"the design names {slices}."
            )
        for variance in self.given.variances:
            if np.isnan(variance.values).any():
                raise ModelError(
                    f"{variance.label} multiplies by a function of the fitted values, and the design has none: take "
                    "the design of a fit."
                )

    @property
    def parts(self) -> tuple[Any, ...]:
        """The correlation, if there is one, then the variance functions."""
        first = () if self.given.correlation is None else (self.given.correlation,)
        return (*first, *self.given.variances)

    @property
    def m(self) -> int:
        """Number of parameters."""
        return len(self.given.bounds)

    @property
    def bounds(self) -> NDArray:
        """The (m, 2) ends of each parameter's range."""
        return np.asarray(self.given.bounds, dtype=float).reshape(self.m, 2)

    @property
    def open(self) -> NDArray:
        """Which of the bounds (m, 2) are not themselves values."""
        own = [np.ones((self.m, 2), dtype=bool)]
        if self.given.correlation is not None:
            start = correlation_laws.open_bounds(self.given.correlation)
            own = [start, own[0][len(start) :]]
        return np.vstack(own)

    @cached_property
    def pairs(self) -> tuple[NDArray, NDArray]:
        """Rows i <= j of each pair of one residual group (every row is paired with itself)."""
        if self.given.correlation is None:
            return np.arange(self.n), np.arange(self.n)
        codes = self.given.correlation.codes
        order = np.argsort(codes, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(codes))[:-1])
        places = [np.triu_indices(len(rows)) for rows in groups]
        i, j = (np.concatenate([rows[at[k]] for rows, at in zip(groups, places, strict=True)]) for k in (0, 1))
        return i, j

    def entries(self, phi: NDArray) -> Jet:
        """R at the pairs, arrays (N,), with its derivatives in phi."""
        i, j = self.pairs
        size = self._sizes(phi)
        both = size.map(lambda part: part[i]) * size.map(lambda part: part[j])
        return both if self.given.correlation is None else both * self._correlations(phi)

    def dense(self, part: NDArray) -> NDArray:
        """An array over the pairs as a symmetric matrix (n, n)."""
        out = np.zeros((self.n, self.n))
        i, j = self.pairs
        out[i, j] = out[j, i] = part
        return out

    def correlation(self, phi: NDArray) -> NDArray:
        """C (n, n)."""
        return np.eye(self.n) if self.given.correlation is None else self.dense(self._correlations(phi).value)

    def multipliers(self, phi: NDArray) -> NDArray:
        """s (n,), weights left aside."""
        return self._multipliers(phi).value

    def matrix(self, phi: NDArray) -> NDArray:
        """R (n, n), of whatever definiteness."""
        return self.dense(self.entries(phi).value)

    def R(self, phi: NDArray) -> NDArray:
        """
        R (n, n), of parameters of the structure.

        Raises
        ------
        numpy.linalg.LinAlgError
            If they are none: outside their bounds, or of an R that is not positive definite.
        """
        phi = np.asarray(phi, dtype=float)
        low, high = self.bounds.T
        outside = (phi < low) | (phi > high) | (self.open[:, 0] & (phi == low)) | (self.open[:, 1] & (phi == high))
        if outside.any():
            raise np.linalg.LinAlgError("a parameter of the residuals is out of its bounds")
        if self.given.correlation is not None:
            correlation_laws.check_inside(self.given.correlation, phi[self.given.slices[0]])
        R = self.matrix(phi)
        np.linalg.cholesky(R)
        return R

    def slopes(self, phi: NDArray) -> NDArray:
        """First derivatives of R, (m, n, n)."""
        jet = self.entries(phi)
        zero = np.zeros((self.n, self.n))
        return np.array([self.dense(jet.first[k]) if k in jet.first else zero for k in range(self.m)]).reshape(
            self.m, self.n, self.n
        )

    def bends(self, phi: NDArray) -> NDArray:
        """Second derivatives of R, (m, m, n, n)."""
        out = np.zeros((self.m, self.m, self.n, self.n))
        for (k, j), part in self.entries(phi).second.items():
            out[k, j] = out[j, k] = self.dense(part)
        return out

    def amplification(self, phi: NDArray) -> float:
        """How many roundings of its own size an entry of R carries from the parameters."""
        head = self.given.correlation
        return 1.0 if head is None else correlation_laws.amplification(head, np.asarray(phi)[self.given.slices[0]])

    def units(self, phi: NDArray) -> NDArray:
        """Steps (m,) in each phi of like effect on R: a share of its range, or what changes sds by their own size."""
        phi = np.asarray(phi, dtype=float)
        low, high = self.bounds.T
        size = self._sizes(phi)
        by_sd = np.array([np.std(size.first.get(k, 0.0) / size.value) for k in range(self.m)])
        free = 1.0 / np.where(by_sd > 0, by_sd, 1.0)
        return np.where(
            np.isfinite(high - low), _QUARTER * (high - low), np.where(np.isfinite(low), np.abs(phi - low), free)
        )

    def _correlations(self, phi: NDArray) -> Jet:
        own = np.asarray(phi, dtype=float)[self.given.slices[0]]
        return correlation_laws.correlation(self.given.correlation, own, *self.pairs)

    def _multipliers(self, phi: NDArray) -> Jet:
        phi = np.asarray(phi, dtype=float)
        slices = self.given.slices[len(self.given.slices) - len(self.given.variances) :]
        parts = [multiplier(v, phi[at]).numbered(at.start) for v, at in zip(self.given.variances, slices, strict=True)]
        return product([Jet(np.ones(self.n)), *parts])

    def _sizes(self, phi: NDArray) -> Jet:
        """s / sqrt(w) (n,)."""
        own = self._multipliers(phi)
        return own if self.weights is None else own.map(lambda part: part / np.sqrt(self.weights))


def multiplier(given: Any, phi: NDArray) -> Jet:
    """
    The factor (n,) of each row's sd that a variance function is, with its derivatives in its own parameters.

    Parameters
    ----------
    given : Variance
    phi : ndarray (m,)
        Its parameters, stratum after stratum.
    """
    indicators = (np.asarray(given.codes)[None, :] == np.arange(len(given.levels))[:, None]).astype(float)
    if given.kind == "varident":
        first = dict(enumerate(indicators[1:]))
        return Jet(indicators[0] + np.asarray(phi) @ indicators[1:], first)
    values = np.asarray(given.values, dtype=float)
    if given.kind == "varfixed":
        return Jet(np.sqrt(np.abs(values)))
    m, out = _OF_ONE_STRATUM[given.kind], Jet(np.zeros(len(values)))
    for stratum, own in enumerate(indicators):
        jet = _of_covariate(given.kind, values, phi[stratum * m : (stratum + 1) * m])
        out = out + jet.map(lambda part, own=own: own * part).numbered(stratum * m)
    return out


_OF_ONE_STRATUM = {"varpower": 1, "varexp": 1, "varconstpower": 2}


def _of_covariate(kind: str, values: NDArray, phi: NDArray) -> Jet:
    rate = values if kind == "varexp" else np.log(np.abs(values))
    grown = np.exp(phi[-1] * rate)
    last = len(phi) - 1
    jet = Jet(grown, {last: rate * grown}, {(last, last): rate**2 * grown})
    return jet if kind != "varconstpower" else jet + Jet(np.full(len(values), phi[0]), {0: np.ones(len(values))})


def _count(part: Any) -> int:
    if hasattr(part, "order"):
        return correlation_laws.n_parameters(part) * len(part.by_levels)
    if part.kind in ("varident", "varfixed"):
        return len(part.levels) - 1 if part.kind == "varident" else 0
    return _OF_ONE_STRATUM[part.kind] * len(part.levels)
