"""From least squares within each level to what the model makes of it: shrinkage, and its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import block_diag

from lmmtools.formats import counted, listed
from lmmtools.groupwise.columns import Columns, columns_of, factor_of, refuse_without_effects, units_of, whitening
from lmmtools.groupwise.leastsquares import products, within
from lmmtools.groupwise.population import others_of, parts_elsewhere, population_of
from lmmtools.groupwise.shrunken import Shrinkage

__all__ = ["shrinkage"]


def shrinkage(fit: Any, factor: str | None = None) -> Shrinkage:
    """What the model makes of each level's own least-squares estimates.

    Parameters
    ----------
    fit : LMMFit
    factor : str, optional
        A grouping factor. By default the one of most effects a level, the first of these.

    Returns
    -------
    Shrinkage

    Raises
    ------
    ModelError
        If the fit has no random effects, or its residuals are correlated across levels.
    LMMError
        If it has no grouping factor of that name.

    Notes
    -----
    With Z_j the factor's columns in level j, R_j its rows' residual covariance over σ², and Z_j⁺ =
    (Z_j'R_j⁻¹Z_j)⁻¹Z_j'R_j⁻¹, three coefficients are compared: those of the response, Z_j⁺(y_j − o_j); those of the
    rest of the model, a_j = Z_j⁺(X_jβ̂ + what it has of other factors), the population; and those of the fitted values,
    a_j + b̂_j, the compromise. For levels with independent effects

        a_j + b̂_j = W_j Z_j⁺(y_j − o_j) + (I − W_j) a_j,    W_j = T(T + σ²(Z_j'R_j⁻¹Z_j)⁻¹)⁻¹,

    whatever else the model has (de Leeuw's identity, with Ω = T, where the columns are orthonormal). W_j is a matrix:
    the estimate of one effect has a say in the others. Reliability is that of one effect by itself, and is the weight
    where there is one effect.

    Where a level's rows do not determine a coefficient there is no estimate, and none is made up: W_j is then
    T(I + G_jT)⁻¹G_j with the singular G_j = Z_j'R_j⁻¹Z_j/σ², the limit of the above, and such a level starts from the
    population.

    References
    ----------
    Raudenbush & Bryk (2002), Hierarchical linear models, ch. 3, Sage, for weights and reliabilities; Laird & Ware
    (1982), Random-effects models for longitudinal data, Biometrics 38, sec. 3, for modes.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    >>> lt.shrinkage(fit).table[["least_squares", "population", "compromise", "weight"]].iloc[0].round(3).tolist()
    [1505.0, 1527.5, 1509.893, 0.783]
    """
    refuse_without_effects(fit, "shrinkage")
    design = fit.design
    columns = columns_of(design, factor_of(fit, factor, "shrinkage"))
    whiten = whitening(fit, columns, "shrinkage")
    parts = parts_elsewhere(fit, columns)
    y = design.y if design.offset is None else design.y - design.offset
    both = whiten(np.column_stack([columns.Z, y, parts.sum(axis=1)]))
    Q = len(columns.names)
    found = within(both[:, :Q], both[:, Q:], columns.codes, len(columns.levels))
    Lambda = block_diag(*(fit.Lambda[k] for k in columns.places))  # terms of one factor are independent of one another
    T = fit.sigma**2 * Lambda @ Lambda.T
    known = any(design.terms[k].known_root is not None for k in columns.places)
    population = population_of(columns, found, parts)
    others = tuple(dict.fromkeys(design.terms[k].factor for k in others_of(fit, columns)))
    return Shrinkage(
        response=fit.response, method=fit.method, columns=columns, units=units_of(design, columns.names),
        least_squares=found.coef[:, :, 0],
        std_error=fit.sigma * np.sqrt(np.diagonal(found.unscaled, axis1=1, axis2=2)),
        population=population, mode=fit.ranef[columns.factor].to_numpy(),
        weights=None if known else _weights(Lambda, both[:, :Q], columns), covariance=T,
        others=others, notes=_notes(fit, columns, others, found.determined, population, known),
    )  # fmt: skip


def _weights(Lambda: np.ndarray, Z: np.ndarray, columns: Columns) -> np.ndarray:
    """W_j = T(I + G_jT)⁻¹G_j as Λ(I + U_j'U_j)⁻¹U_j'Z_j, U = ZΛ: Z_j'Z_j itself would lose half of the digits."""
    U, J = Z @ Lambda, len(columns.levels)
    inner = np.eye(len(Lambda)) + products(U, U, columns.codes, J)
    return Lambda @ np.linalg.solve(inner, products(U, Z, columns.codes, J))


def _notes(
    fit: Any, columns: Columns, others: tuple[str, ...], determined: np.ndarray, population: np.ndarray, known: bool
) -> tuple[str, ...]:
    """What the columns mean in this model."""
    notes = []
    if others:
        notes.append(
            f"Population: the fixed effects and the conditional modes of {listed(f'`{name}`' for name in others)}, as "
            "coefficients of each level's rows."
        )
    else:
        notes.append("Population: the fixed effects, as coefficients of each level's rows.")
    if known:
        notes.append(
            "Levels are correlated by a known covariance and learn from one another, so the compromise is not one of "
            "the two columns before it, and there are no weights."
        )
    elif len(columns.names) > 1:
        notes.append(
            "Compromise = W least squares + (I − W) population, W a matrix for each level, of which the weight is the "
            "diagonal; reliability: of each effect by itself."
        )
    else:
        notes.append("Compromise = weight × least squares + (1 − weight) × population.")
    if not any(fit.Lambda[k].any() for k in columns.places):
        notes.append("All variances are estimated as zero: every level is at its population.")
    lost = int((~determined).any(axis=1).sum())
    if lost:
        one = lost == 1
        notes.append(
            f"{counted(lost, 'level')} {'has' if one else 'have'} no estimate of {'its' if one else 'their'} own for "
            f"some effect, and {'starts' if one else 'start'} from the population."
        )
    if np.isnan(population).any():
        notes.append(
            f"In {counted(int(np.isnan(population).any(axis=1).sum()), 'level')} of these the population is not "
            "determined either: other parts of the model vary within levels, and their few rows do not tell as what."
        )
    return tuple(notes)
