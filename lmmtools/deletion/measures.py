"""Measures of influence, from what is left without each set of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmtools.deletion.covariance import Covariance
from lmmtools.deletion.sets import Sets
from lmmtools.deletion.values import Deleted
from lmmtools.formats import counted
from lmmtools.projection import Projection

__all__ = ["MEASURES", "measures", "told"]

# Names of the measures, without those of each coefficient.
MEASURES = (
    "leverage", "studentized", "cooks_distance", "cooks_distance_joint", "cooks_distance_varcomp", "dffits", "mdffits",
    "covratio", "likelihood_displacement",
)  # fmt: skip

# Distance of the covariance parameters, in standard errors, from which a step is a first guess.
_FAR = 1.0
# A displacement below zero by more than rounding, which an optimum of all rows does not have.
_LOWER = 1e-4


def measures(fit: Any, sets: Sets, deleted: Deleted, at: Projection, covariance: Covariance) -> pd.DataFrame:
    """The measures of every set, and those of each coefficient; NaN where a set cannot be deleted."""
    p, dfbeta = len(fit.beta), deleted.beta - fit.beta
    table = {"rows": sets.sizes} if not sets.single else {}
    gone = np.isnan(deleted.sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["leverage"] = sets.sums(at.leverage)
        table["studentized"] = _studentized(fit, sets, deleted, at)
        table["cooks_distance"] = _squares(at.root, dfbeta) / (fit.sigma**2 * p)
        if sets.single and fit.design.correlation is None:
            table["cooks_distance_joint"] = np.where(gone, np.nan, _joint(fit, at))
        table["cooks_distance_varcomp"] = covariance.distance(deleted.moved, deleted.sigma)
        table["dffits"] = _dffits(fit, sets, deleted, at)
        table["mdffits"] = deleted.shift / (deleted.sigma**2 * p)
        table["covratio"] = np.exp(deleted.spread) * (deleted.sigma / fit.sigma) ** (2 * p)
        table["likelihood_displacement"] = deleted.displacement
        size = np.sqrt(np.sum(at.root**2, axis=1)) * deleted.sigma[:, None]
        names = list(fit.design.fixed_names)
        table |= {f"dfbeta_{name}": dfbeta[:, j] for j, name in enumerate(names)}
        table |= {f"dfbetas_{name}": dfbeta[:, j] / size[:, j] for j, name in enumerate(names)}
    found = pd.DataFrame(table, index=sets.labels)
    if not p:
        found[["cooks_distance", "dffits", "mdffits", "covratio"]] = np.nan
    return found


def told(table: pd.DataFrame, sets: Sets, method: str, covariance: Covariance) -> tuple[str, ...]:
    """Where one step leads too far to be trusted; under refits, that the fit itself is not at its lowest."""
    noun = "row" if sets.single else "level"
    if method == "one-step" and len(covariance.H):  # with σ alone nothing is left of a step
        distance = np.sqrt(covariance.count * table["cooks_distance_varcomp"].to_numpy())
        if not (n := int(np.sum(distance > _FAR))):
            return ()
        return (
            f"Without {counted(n, noun)} (most of all {sets.labels[int(np.nanargmax(distance))]}) the covariance "
            "parameters move by more than a standard error, where one step is a first guess and displacement, MDFFITS "
            'and COVRATIO may be several times what they are: method="refit" gives them.',
        )
    lowest = table["likelihood_displacement"].min()
    if method != "refit" or not lowest < -_LOWER:
        return ()
    where = sets.labels[int(table["likelihood_displacement"].argmin())]
    return (
        f"The fit of all rows is not the lowest there is: at the estimates without the {noun} {where} its own "
        f"criterion is lower by {-lowest:.3g}. It ended in a local optimum, so that the measures compare what does not "
        "belong together; a simpler covariance may have a single optimum.",
    )


def _squares(root: np.ndarray, dfbeta: np.ndarray) -> np.ndarray:
    """dfbeta'X'V⁻¹X dfbeta of each set."""
    return np.sum(np.linalg.solve(root, dfbeta.T) ** 2, axis=0) if len(root) else np.zeros(len(dfbeta))


def _studentized(fit: Any, sets: Sets, deleted: Deleted, at: Projection) -> np.ndarray:
    """Root of the F that tests a mean of its own for each of a set's rows, θ̂ held; with a sign for single rows."""
    nu, size = fit.solution.nu, sets.sizes
    root = np.sqrt((at.r2 - deleted.held) / size / (deleted.held / (nu - size)))
    return np.sign(at.response) * root if sets.single else root


def _joint(fit: Any, at: Projection) -> np.ndarray:
    """e²h/(pσ̂²(1 − h)²) of the conditional residuals e = R𝒫y over their standard deviations, h the leverages."""
    pearson = at.response * fit.noise.sd / fit.sigma
    return pearson**2 * at.leverage / (1.0 - at.leverage) ** 2 / len(fit.beta)


def _dffits(fit: Any, sets: Sets, deleted: Deleted, at: Projection) -> np.ndarray:
    """x'(β̂ − β̂_(I)) over its standard error with σ̂_(I): of one row, or the root mean square over a set's rows."""
    change = np.einsum("ij,ij->i", fit.design.X, (fit.beta - deleted.beta)[sets.codes])
    ratio = change / np.sqrt(np.sum((fit.design.X @ at.root) ** 2, axis=1))
    if sets.single:
        return ratio / deleted.sigma
    return np.sqrt(sets.sums(np.nan_to_num(ratio) ** 2) / sets.sizes) / deleted.sigma
