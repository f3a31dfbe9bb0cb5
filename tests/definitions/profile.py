"""Profile deviance from its definition: the least -2 log-likelihood over all parameters, one of them held.

    d(psi) = min { D(beta, theta, sigma) : psi(beta, theta, sigma) = psi },
    D = log|sigma^2 V| + n log(2 pi) + (y - X beta)'V^-1 (y - X beta) / sigma^2

with V(theta) n x n (`oracle`), theta with the parameters of the residuals if they have a structure. beta is generalised
least squares, the column of a coefficient that is held moved to the left; the rest is brute force: SLSQP (Kraft 1988)
on (theta, log sigma) from several starts, psi a constraint, slopes by differences.
zeta(psi) = sign(psi - psi_hat) sqrt(d(psi) - d(psi_hat)).
"""

import dataclasses

import numpy as np
from scipy.optimize import minimize

_INSIDE = 1e-7  # how near a bound that is itself no value of its parameter

__all__ = ["covariance", "deviance", "lowest", "profile_deviance", "value_of"]


def deviance(model, V, sigma, held=None):
    """D at V (n, n) over sigma^2, and beta its minimum given `held`, a pair (column, value) or None."""
    X, y = model.X, model.response
    if held is not None:
        y = y - X[:, held[0]] * held[1]
        X = np.delete(X, held[0], axis=1)
    L = np.linalg.cholesky(V)
    Xw, yw = np.linalg.solve(L, X), np.linalg.solve(L, y)
    e = yw - Xw @ np.linalg.lstsq(Xw, yw, rcond=None)[0] if X.shape[1] else yw
    n = len(y)
    return 2 * np.log(np.diag(L)).sum() + n * np.log(2 * np.pi * sigma**2) + e @ e / sigma**2


def covariance(model, factors, phi=()):
    """V from Lambda of each term, (q, q), whatever its structure, and the parameters of the residuals."""
    V = model.R(np.append(np.zeros(sum(term.n_theta for term in model.terms)), phi))
    for term, Lambda in zip(model.terms, factors, strict=True):
        Z = model.spread(term.matrix, term.codes, term) @ np.kron(term.levels_root(), Lambda)
        V = V + Z @ Z.T
    return V


def value_of(model, theta, sigma, kind, term, places):
    """psi of theta and sigma: an sd, a correlation, sigma, or a parameter of the residuals."""
    if kind == "sigma":
        return sigma
    if kind == "residual":
        return model.phi(theta)[places[0]]
    start = sum(t.n_theta for t in model.terms[:term])
    root = model.terms[term].factor_of(theta[start : start + model.terms[term].n_theta])
    T = root @ root.T
    if kind == "sd":
        return sigma * np.sqrt(T[places[0], places[0]])
    i, j = places
    return T[i, j] / np.sqrt(T[i, i] * T[j, j])


def profile_deviance(model, kind, term, places, value, starts):
    """d(value); `starts` are pairs (theta, sigma), the best end counts.

    Parameters
    ----------
    model : DenseModel
        By ML.
    kind : {"coefficient", "sd", "cor", "sigma", "residual"}
    term, places : int, tuple of int
        The term and its effects; for a coefficient its column, for a parameter of the residuals its place among them.
    value : float
    starts : list of (ndarray (m,), float)
    """
    held = (places[0], value) if kind == "coefficient" else None
    scale = max(abs(value), 1e-3) if kind in ("sd", "sigma") else 1.0
    bounds = [*(model.bounds + _INSIDE * model.open * [1, -1]), (None, None)]
    constraint = [] if held else [
        {"type": "eq", "fun": lambda z: (value_of(model, z[:-1], np.exp(z[-1]), kind, term, places) - value) / scale}
    ]  # fmt: skip

    def D(z):
        return deviance(model, model.V(z[:-1]), np.exp(z[-1]), held)

    found = []
    for theta, sigma in starts:
        try:
            with np.errstate(all="ignore"):
                end = minimize(D, np.append(theta, np.log(sigma)), method="SLSQP", bounds=bounds,
                               constraints=constraint, options={"maxiter": 300, "ftol": 1e-12})  # fmt: skip
                met = not constraint or abs(constraint[0]["fun"](end.x)) < 1e-7
                found += [float(end.fun)] if met and np.isfinite(end.fun) else []
        except np.linalg.LinAlgError:  # on the way to an infinite variance
            continue
    return min(found, default=np.nan)


def lowest(model, effect=None):
    """The least deviance over everything, or with one effect, a pair (term, place), left out: its sd held at zero."""
    if effect is not None:
        term, place = effect
        without = dataclasses.replace(model.terms[term], matrix=np.delete(model.terms[term].matrix, place, axis=1))
        kept = (without,) if without.matrix.shape[1] else ()
        model = dataclasses.replace(model, terms=(*model.terms[:term], *kept, *model.terms[term + 1 :]))
    if len(model.bounds):
        return model.lowest()[0]
    V = model.R(())
    r2 = deviance(model, V, 1.0) - deviance(model, V, 1e8) + 2 * len(model.y) * np.log(1e8)
    return deviance(model, V, np.sqrt(r2 / len(model.y)))
