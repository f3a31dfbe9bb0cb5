"""Residual structures from plain arrays, for what is tested without formulas and data frames.

Parameters stand in the order of `lmmtools.design.residual`; their names here are numbers.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from lmmtools.design.residual import Correlation, Residual, Variance

__all__ = ["by_definition", "correlation", "residual", "variance"]

_SPATIAL = ("exp", "gaus", "spher", "ratio")


def correlation(kind, codes, positions=None, *, by=None, order=(0, 0), nugget=False, lags=None):
    """A correlation; positions (n,) or (n, k), numbers of occasions for `us`, and `by` (n,) numbers of its levels."""
    codes = np.asarray(codes, dtype=np.intp)
    n = len(codes)
    at = np.zeros((n, 0)) if positions is None else np.asarray(positions, dtype=float).reshape(n, -1)
    by_codes = np.zeros(n, dtype=np.intp) if by is None else np.asarray(by, dtype=np.intp)
    if kind == "toep" and lags is None:
        pairs = codes[:, None] == codes
        lags = np.unique(np.round(np.abs(at[:, 0][:, None] - at[:, 0])[pairs], 9))[1:]
    lags = np.zeros(0) if lags is None else np.asarray(lags, dtype=float)
    steps = int(at.max()) + 1 if kind == "us" else len(lags)
    return Correlation(
        kind=kind,
        label=f"{kind}(t | g)",
        group="g",
        codes=codes,
        levels=pd.Index(range(codes.max() + 1)),
        positions=at,
        variables=(),
        occasions=tuple(str(k) for k in range(steps)),
        lags=lags,
        order=order,
        nugget=nugget,
        by="" if by is None else "f",
        by_codes=by_codes,
        by_levels=("",) if by is None else tuple(str(k) for k in range(by_codes.max() + 1)),
    )


def variance(kind, n, *, codes=None, values=None):
    """A variance function of n rows; `codes` are levels of `varident` and strata of the others."""
    codes = np.zeros(n, dtype=np.intp) if codes is None else np.asarray(codes, dtype=np.intp)
    levels = tuple(str(k) for k in range(codes.max() + 1)) if codes.any() else ("",)
    values = np.zeros(0) if kind == "varident" else np.asarray(values, dtype=float)
    return Variance(kind, f"{kind}(v)", ("v",), codes, levels, values, False)


def residual(*parts):
    """The structure of these parts, a correlation first if there is one."""
    limits = [_limits(part) for part in parts]
    cuts = np.cumsum([0, *map(len, limits)])
    names = tuple(f"{part.kind}[{k}]" for part, own in zip(parts, limits, strict=True) for k in range(len(own)))
    head = parts[0] if parts and isinstance(parts[0], Correlation) else None
    return Residual(
        text=" * ".join(part.label for part in parts),
        correlation=head,
        variances=tuple(parts[1:] if head else parts),
        names=names,
        bounds=np.array([pair for own in limits for pair in own], dtype=float).reshape(-1, 2),
        slices=tuple(slice(int(a), int(b)) for a, b in pairwise(cuts)),
    )


def _limits(part):
    """The range of every parameter of a part."""
    if isinstance(part, Variance):
        own = {
            "varident": [(0, np.inf)] * (len(part.levels) - 1),
            "varpower": [(-np.inf, np.inf)] * len(part.levels),
            "varexp": [(-np.inf, np.inf)] * len(part.levels),
            "varconstpower": [(0, np.inf), (-np.inf, np.inf)] * len(part.levels),
        }
        return own.get(part.kind, [])
    if part.kind in _SPATIAL:
        return ([(0, np.inf)] + [(0, 1)] * part.nugget) * len(part.by_levels)
    steps = len(part.occasions)
    count = {"arma": sum(part.order), "toep": len(part.lags), "us": steps * (steps - 1) // 2}.get(part.kind, 1)
    low, high = (0, 1) if part.kind == "car1" else (-2, 2) if part.kind == "arma" else (-1, 1)
    return [(low, high)] * count * len(part.by_levels)


def by_definition(given, phi, weights=None):
    """R (n, n) row by row and pair by pair, by loops: the slowest reading of the definition."""
    parts = (*([given.correlation] if given.correlation else ()), *given.variances)
    own = {id(part): np.asarray(phi)[at] for part, at in zip(parts, given.slices, strict=True)}
    head = given.correlation
    n = len(head.codes if head else given.variances[0].codes)
    sd = np.ones(n) if weights is None else 1 / np.sqrt(weights)
    for part in given.variances:
        sd = sd * [_sd(part, own[id(part)], row) for row in range(n)]
    C = np.eye(n)
    for i in range(n):
        for j in range(i):
            if head and head.codes[i] == head.codes[j]:
                C[i, j] = C[j, i] = _cor(head, np.split(own[id(head)], len(head.by_levels))[head.by_codes[i]], i, j)
    return sd[:, None] * C * sd


def _sd(part, phi, row):
    level = part.codes[row]
    if part.kind == "varident":
        return np.append(1.0, phi)[level]
    v = part.values[row]
    if part.kind == "varfixed":
        return abs(v) ** 0.5
    phi = np.split(phi, len(part.levels))[level]
    if part.kind == "varexp":
        return np.exp(phi[0] * v)
    return abs(v) ** phi[-1] + (phi[0] if part.kind == "varconstpower" else 0.0)


def _cor(part, phi, i, j):
    if part.kind == "cs":
        return phi[0]
    a, b = part.positions[i], part.positions[j]
    if part.kind == "us":
        low, high = sorted((int(a[0]), int(b[0])))
        pairs = [(k, m) for k in range(len(part.occasions)) for m in range(k + 1, len(part.occasions))]
        return phi[pairs.index((low, high))]
    d = float(np.linalg.norm(a - b))
    if part.kind in ("ar1", "car1"):
        return phi[0] ** round(d) if part.kind == "ar1" else phi[0] ** d
    if part.kind == "toep":
        near = [k for k, lag in enumerate(part.lags) if abs(lag - d) < 1e-9 * max(1.0, d)]
        return phi[near[0]] if near else 0.0
    if part.kind == "arma":
        return _moving_averages(phi[: part.order[0]], phi[part.order[0] :], round(d))
    u = d / phi[0]
    shape = {"exp": np.exp(-u), "gaus": np.exp(-u * u), "ratio": 1 / (1 + u * u)}.get(part.kind)
    shape = (1 - 1.5 * u + 0.5 * u**3 if u < 1 else 0.0) if shape is None else shape
    return shape * (1 - phi[1]) if part.nugget else shape


def _moving_averages(phi, theta, lag, terms=400):
    """The autocorrelation of the moving average of infinite order, cut off where nothing is left of it."""
    psi = np.zeros(terms)
    for k in range(terms):
        psi[k] = 1.0 if k == 0 else theta[k - 1] if k <= len(theta) else 0.0
        psi[k] += sum(phi[m] * psi[k - 1 - m] for m in range(min(k, len(phi))))
    return float(psi[lag:] @ psi[: terms - lag] / (psi @ psi))
