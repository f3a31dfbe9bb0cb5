"""Intraclass correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.design.frame import Columns
from lmmtools.design.left_sides import left_columns, left_variables
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import listed, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.inference.variances import by_factor, check_weight, variances
from lmmtools.measures.intervals import fit_required, limits

__all__ = ["icc"]


def icc(
    fit: Any,
    *,
    at: Mapping[str, Any] | None = None,
    weight: float | None = None,
    n: int = 0,
    rng: np.random.Generator | int | None = None,
    level: float = 0.95,
    workers: int = 1,
) -> Frame:
    """Share of the variance that lies between the levels of each grouping factor.

    Parameters
    ----------
    fit : LMMFit
    at : mapping, optional
        Values of the variables that have random slopes, ``{"Days": [0, 5, 9]}``: the shares at each combination of
        them, in place of the mean over the rows.
    weight : float, optional
        For fits with weights: the weight of the residual that is meant; 1 by default.
    n : int
        Parametric bootstrap replicates for the intervals; none by default.
    rng : numpy.random.Generator or int, optional
        Needed when n > 0.
    level : float
    workers : int
        Processes for the bootstrap.

    Returns
    -------
    Frame
        ``group, icc, adjusted, low, high, icc_low, icc_high``, after a column for each variable of `at`: `adjusted`
        leaves the variance of the fixed part out of the denominator, `icc` has it in; ``low, high`` are limits of
        `adjusted`, those of `icc` come with replicates only. With random slopes the variance between levels depends on
        the covariates; its mean over the rows, tr(ZΣZ')/n, is used unless `at` says where.

    Raises
    ------
    ModelError
        If `at` lacks a variable that the random effects need, or residual variances depend on one of its variables; if
        there are no random effects.
    LMMError
        If `level` does not lie between 0 and 1, n is no whole number, n > 0 without `rng`, or `at` names a variable
        without random effects.

    References
    ----------
    Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14, eqs. 2-4; Johnson (2014), Methods Ecol.
    Evol. 5, eq. 10 (random slopes).

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> lt.icc(fit, at={"Days": [0, 9]})["adjusted"].round(3).tolist()
    [0.483, 0.847]
    """
    fit_required(fit, "icc")
    _refuse_none(fit)
    level, n = check_level(level), check_count(n, "icc: n, the number of bootstrap replicates,", at_least=0)
    places, matrices = _places(fit.design, at)
    weight, of_weight = check_weight(fit, weight, "icc")
    shares = _Shares(weight, matrices)
    values = shares(fit)
    low, high, notes = limits(fit, shares, len(values), what="icc", n=n, rng=rng, level=level, workers=workers)
    groups, k = list(fit.ngroups), len(values) // 2
    table = pd.DataFrame({"group": groups * max(len(places), 1)})
    for column in places:
        table[column] = np.repeat(places[column].to_numpy(), len(groups))
    numbers = {"icc": values[:k], "adjusted": values[k:], "low": low[k:], "high": high[k:],
               **({"icc_low": low[:k], "icc_high": high[:k]} if n else {})}  # fmt: skip
    percent = f"{100 * level:g} %"
    return frame(
        table.assign(**numbers)[[*places, "group", *numbers]],
        caption="Intraclass correlation: share of variance between groups" + (
            f", at values of {listed(places)}" if len(places.columns) else ""),
        label="tbl-icc",
        notes=(*of_weight, *notes),
        index=False,
        headings={"group": "Group", "icc": "ICC", "adjusted": "Adjusted", "low": f"{percent} low", "high": "high",
                  "icc_low": f"ICC {percent} low", "icc_high": "high"},
        formats=dict.fromkeys(numbers, "fixed3") | dict.fromkeys(places.select_dtypes("float"), "data"),
    )  # fmt: skip


@dataclass(frozen=True)
class _Shares:
    """ICC of every place and factor, then the adjusted ones.

    Attributes
    ----------
    weight : float
    matrices : tuple of (ndarray or None)
        Columns of each term at the places, shape (places, q); None for the mean over the rows.
    """

    weight: float
    matrices: tuple[np.ndarray | None, ...]

    def __call__(self, fit: Any) -> np.ndarray:
        """Both, one after the other, shape (2 · places · factors,)."""
        found = variances(fit, self.weight)
        places = next((len(matrix) for matrix in self.matrices if matrix is not None), 1)
        random = np.tile(found.random, (places, 1))
        for k, (matrix, term, factor) in enumerate(zip(self.matrices, fit.design.terms, fit.Lambda, strict=True)):
            if matrix is not None:
                level = 1.0 if term.known_root is None else np.mean(np.sum(term.known_root**2, axis=1)[term.codes])
                random[:, k] = fit.sigma**2 * level * np.sum((matrix @ factor) ** 2, axis=1)
        between = by_factor(fit.design, random)
        left = random.sum(axis=1, keepdims=True) + found.residual
        return np.concatenate([(between / (found.fixed + left)).ravel(), (between / left).ravel()])


def _refuse_none(fit: Any) -> None:
    """Refuse fits without random effects."""
    if not fit.design.terms:
        told = " The correlation of residuals within groups is in fit.residual_params."
        hint = "" if fit.design.correlation is None else told
        raise ModelError(f"icc: the fit has no random effects, so that no variance lies between groups.{hint}")


def _refuse_varying(design: Any, values: Mapping[str, Any]) -> None:
    """Refuse places at which the residual variance is another than its mean over the rows."""
    for part in () if design.residual is None else design.residual.variances:
        own = [name for name in values if name in part.variables]
        if own or part.fitted:
            what = quoted(own) if own else "the fitted values"
            raise ModelError(
                f"icc: the residual variance depends on {what} ({part.label}), and only its mean over the rows is "
                "used; leave `at` out for shares in the mean over the rows."
            )


def _places(design: Any, at: Mapping[str, Any] | None) -> tuple[pd.DataFrame, tuple[np.ndarray | None, ...]]:
    """Every combination of the values, and the columns of each term there; None where it does not depend on them."""
    if at is None:
        return pd.DataFrame(), (None,) * len(design.terms)
    read = left_variables(design.parsed)
    values = _values(at, [name for names in read.values() for name in names])
    _refuse_varying(design, values)
    places = pd.DataFrame(list(product(*values.values())), columns=list(values))
    asked = [term.label for term in design.terms if set(read[term.label]) & set(values)]
    needed = dict.fromkeys(name for label in asked for name in read[label])
    missing = [name for name in needed if name not in values]
    if missing:
        raise ModelError(
            f"icc: the random effects of {quoted(asked)} depend on {quoted(needed)}, and `at` has no value of "
            f"{quoted(missing)}; give one of each."
        )
    columns = Columns({name: places[name] for name in places}, places.index)
    made = left_columns(design, columns, asked)
    over_positions = [label for label in asked if label not in made]
    if over_positions:
        raise ModelError(
            f"icc: {quoted(over_positions)} stands over positions within groups, which have no values to choose; leave "
            "`at` out for the mean over the rows."
        )
    return places, tuple(made[t.label] if t.label in asked else None for t in design.terms)


def _values(at: Any, known: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each variable, as lists."""
    if not isinstance(at, Mapping) or not at:
        raise LMMError(f"icc: at={at!r} does not say of which variable: give a mapping such as {{'Days': [0, 5, 9]}}.")
    values = {}
    for name, given in at.items():
        if name not in known:
            has = f"; they have {quoted(dict.fromkeys(known))}" if len(known) else ""
            raise LMMError(f"icc: at: no random effect depends on `{name}`{nearest(str(name), known)}{has}.")
        values[name] = [given] if np.ndim(given) == 0 else list(given)
        if not values[name]:
            raise LMMError(f"icc: at has no values of `{name}`.")
    return values
