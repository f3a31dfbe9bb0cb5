"""The dense oracle, under the names the tests use, with what only they ask of it."""

from dataclasses import fields

import numpy as np
from scipy.optimize import minimize

from lmmtools.crosscheck import dense
from lmmtools.crosscheck.dense import DenseFit, DenseTerm
from lmmtools.crosscheck.derivatives import derivatives, descend
from lmmtools.crosscheck.structures import numerical

_INSIDE = 1e-6  # how near a bound that is itself no value of its parameter
_CONDITIONED = 0.15  # smallest eigenvalue of a correlation that tests start from

__all__ = ["DenseFit", "DenseModel", "DenseTerm", "dense_model", "derivatives", "descend", "numerical", "units"]


class DenseModel(dense.DenseModel):
    """The oracle, with the density at any parameters."""

    def deviance(self, theta, beta, sigma):
        """-2 log of the normal density of y at any beta, theta, sigma; under REML restricted to (n - p)."""
        V, r = self.V(theta), self.response - self.X @ beta
        out = np.linalg.slogdet(V)[1] + self.dof * np.log(2 * np.pi * sigma**2) + r @ np.linalg.solve(V, r) / sigma**2
        if self.reml and self.X.shape[1]:
            out += np.linalg.slogdet(self.X.T @ np.linalg.solve(V, self.X))[1]
        return float(out)

    def start(self, rng):
        """Some theta inside its bounds: sds about one for each column's size, correlations anywhere."""
        terms = sum(term.n_theta for term in self.terms)
        low, high = self.bounds[:terms].T
        between = np.isfinite(high - low)
        theta = units(self)[:terms] * np.exp(rng.normal(0.0, 1.0, terms))
        theta[between] = low[between] + (high - low)[between] * rng.uniform(0.05, 0.95, between.sum())
        return theta if self.law is None else np.append(theta, start_of_residuals(self.law, rng))

    def lowest(self, starts=5, seed=0):
        """The lowest criterion from several random starts, and theta there: scipy's L-BFGS-B, then `descend`."""
        rng, found = np.random.default_rng(seed), []
        unit = units(self)
        bounds = (self.bounds + _INSIDE * self.open * [1, -1]) / unit[:, None]
        for _ in range(starts):
            start = self.start(rng)
            with np.errstate(all="ignore"):
                try:
                    end = minimize(lambda t: self.value_and_slope(t * unit, unit), start / unit, jac=True,
                                   method="L-BFGS-B", bounds=bounds, options={"maxiter": 200})  # fmt: skip
                    there = descend(self, end.x * unit, rounds=10)
                except np.linalg.LinAlgError:  # on the way to an infinite variance
                    if self.law is None:
                        continue
                    there = descend(self, start, rounds=100)  # or to residuals of no covariance
            found.append((there.lowest, there.theta))
        return min(found, key=lambda pair: pair[0])

    def value_and_slope(self, theta, unit):
        """Criterion and gradient, for an optimiser that moves in multiples of `unit`."""
        return self.criterion(theta), derivatives(self, theta)[0] * unit


def units(model):
    """The theta (m,) with which each column's part of V is about the residual variance."""
    out = []
    for term in model.terms:
        size = 1.0 / np.sqrt(np.maximum((term.matrix**2).mean(axis=0), 1e-30))
        q = len(size)
        if not isinstance(term.structure, str):
            out += [1.0] * term.n_theta
        elif term.structure == "us":
            out += [size[i] for j in range(q) for i in range(j, q)]
        else:
            out += [size.min()] if term.structure in ("homdiag", "homcs", "ar1") else list(size)
            out += [1.0] * (term.structure in ("cs", "homcs", "ar1", "hetar1") and q > 1)
    return np.array(out) if model.law is None else np.append(out, model.law.units(near_independence(model.law)))


def near_independence(law):
    """Parameters (m,) of residuals that hardly differ from independent ones of one variance."""
    low, high = law.bounds.T
    phi = np.where(np.isfinite(low) & ~np.isfinite(high), 1.0, 0.0)
    phi[(low == 0) & np.isfinite(high)] = 0.5
    given = law.given.correlation
    if given is not None and given.kind in ("exp", "gaus", "spher", "ratio"):
        i, j = law.pairs
        distance = np.linalg.norm(given.positions[i] - given.positions[j], axis=1)
        phi[: len(given.by_levels) * (1 + given.nugget) : 1 + given.nugget] = np.median(distance[distance > 0])
    return phi


def start_of_residuals(law, rng):
    """Some phi of which R is well conditioned: the drawn ones, or others on the way to independence."""
    low, high = law.bounds.T
    near = near_independence(law)
    drawn = near + np.where(np.isfinite(high), 0.0, law.units(near) * rng.normal(0.0, 0.3, law.m))
    between = np.isfinite(high - low)
    drawn[between] = low[between] + (high - low)[between] * rng.uniform(0.05, 0.95, between.sum())
    for share in 0.7 ** np.arange(30):
        phi = near + share * (drawn - near)
        try:
            law.R(phi)
            if np.linalg.eigvalsh(law.correlation(phi))[0] > _CONDITIONED:
                return phi
        except np.linalg.LinAlgError:
            pass
    return near


def dense_model(design, *, reml=True):
    """The oracle of a design."""
    model = dense.dense_model(design, reml=reml)
    return DenseModel(**{field.name: getattr(model, field.name) for field in fields(model)})
