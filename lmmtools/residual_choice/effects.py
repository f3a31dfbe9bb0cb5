"""Fixed effects under several residual structures: how much inference depends on the structure, and on the method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError
from lmmtools.formats import effect_unit, listed
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import REFERENCE
from lmmtools.residual_choice.structures import ResidualStructures

__all__ = ["StructureEffects", "structure_effects"]

_METHODS = ("satterthwaite", "kenward-roger")
_NAMES = {
    "satterthwaite": "Satterthwaite",
    "kenward-roger": "Kenward–Roger",
    "kenward-roger-observed": "Kenward–Roger (observed information)",
    "residual": "Residual df",
    "normal": "Normal",
}
_INITIALS = {"satterthwaite": "S", "kenward-roger": "KR", "kenward-roger-observed": "KR obs.",
             "residual": "R", "normal": "N"}  # fmt: skip
_TAKEN = ["std_error", "df", "p_value", "ci_low", "ci_high"]
_SHOWN = ("std_error", "df", "p_value")


class StructureEffects(Frame):
    """Fixed effects by coefficient and residual structure, methods side by side.

    Attributes
    ----------
    intervals : DataFrame
        ``coefficient, structure, method, estimate, low, high``.
    preferred : str
        The structure with the lowest AIC.
    level : float
        Of the intervals.
    units : Mapping[str, str]
        Of coefficients, where the data know them.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "intervals", "preferred", "level", "units"]
    intervals: pd.DataFrame | None = None
    preferred: str = ""
    level: float = 0.95
    units: Mapping[str, str] | None = None

    @property
    def _constructor(self) -> type[StructureEffects]:
        return StructureEffects


def structure_effects(
    structures: ResidualStructures,
    coefficients: Any = None,
    *,
    ddf: tuple[str, ...] = _METHODS,
    level: float = 0.95,
) -> StructureEffects:
    """Fixed effects under each residual structure, their tests by several methods side by side.

    Parameters
    ----------
    structures : ResidualStructures
        What `residual_structures` returns.
    coefficients : str or sequence of str, optional
        Those shown; all but the intercept if left out.
    ddf : tuple of str
        Methods for degrees of freedom, as for `coef_table`.
    level : float
        Confidence level of `intervals`.

    Returns
    -------
    StructureEffects
        A row for each coefficient and structure: ``coefficient, structure, estimate``, and for each method
        ``std_error, df, p_value`` with its name behind a bar. What a method refuses is missing, and the notes say why.

    Raises
    ------
    LMMError
        If `structures` is something else, there is no such coefficient, or a method or level is unknown.

    Examples
    --------
    >>> import lmmtools as lt
    >>> found = lt.residual_structures(
    ...     "distance ~ Sex * age", lt.load_dataset("Orthodont"), ["cs(Subject)", "us(age | Subject)"]
    ... )
    >>> lt.structure_effects(found, "Sex[T.Female]:age")["p_value | kenward-roger"].round(4).tolist()
    [0.0141, 0.0179]
    """
    if not isinstance(structures, ResidualStructures):
        raise LMMError(f"structure_effects: takes what residual_structures returns; got {type(structures).__name__}.")
    level = check_level(level)
    ddf = (ddf,) if isinstance(ddf, str) else tuple(ddf)
    wrong = [name for name in ddf if name not in _NAMES]
    if wrong or not ddf:
        raise LMMError(f"structure_effects: ddf={wrong or ddf!r} is unknown; use {listed(map(repr, _NAMES))}.")
    names = _coefficients(structures, coefficients)
    parts, refused = [], {}
    for place, (structure, fit) in enumerate(structures.fits.items()):
        for method in ddf:
            table, why = _table(fit, method, level)
            if why:
                refused.setdefault((method, why), []).append(structure)
            part = table.loc[[name for name in names if name in table.index]].rename_axis("coefficient").reset_index()
            parts.append(part.assign(structure=structure, method=method, place=place))
    long = pd.concat(parts, ignore_index=True)
    long["order"] = long["coefficient"].map(names.index)
    long = long.sort_values(["order", "place"], kind="stable", ignore_index=True)
    return _shown(structures, long, ddf, level, refused)


def _coefficients(structures: ResidualStructures, asked: Any) -> list[str]:
    known = list(structures.best.design.fixed_names)
    if asked is None:
        return [name for name in known if name != "Intercept"] or known
    names = [asked] if isinstance(asked, str) else list(asked)
    lost = [name for name in names if name not in known]
    if lost:
        raise LMMError(
            f"structure_effects: there is no coefficient {listed(map(repr, lost))}; there are {listed(known)}."
        )
    return names


def _table(fit: Any, method: str, level: float) -> tuple[pd.DataFrame, str]:
    """Estimates with tests by one method; where it is refused, why, and estimates alone."""
    try:
        return pd.DataFrame(fit.coef_table(ddf=method, level=level))[["estimate", *_TAKEN]], ""
    except LMMError as error:
        estimates = fit.fixef.to_frame("estimate")
        return estimates.assign(**dict.fromkeys(_TAKEN, np.nan)), str(error)


def _shown(
    structures: ResidualStructures, long: pd.DataFrame, ddf: tuple[str, ...], level: float, refused: dict
) -> StructureEffects:
    first = long[long["method"] == ddf[0]].reset_index(drop=True)
    table = first[["coefficient", "structure", "estimate"]].copy()
    for method in ddf:
        mine = long[long["method"] == method]
        for column in _SHOWN:
            table[f"{column} | {method}"] = mine[column].to_numpy()
    words = {"std_error": "SE", "df": "df", "p_value": "p"}
    headings = {f"{c} | {m}": f"{words[c]} ({_INITIALS[m]})" for m in ddf for c in _SHOWN}
    formats = {f"{c} | {m}": form for m in ddf for c, form in zip(_SHOWN, ("sig4", "fixed1", "p"), strict=True)}
    best = structures.best
    made = frame(
        table,
        caption=f"Fixed effects under each residual structure ({best.method}). "
        + "; ".join(f"{_INITIALS[m]}: {REFERENCE[m][0]}" for m in ddf),
        label="tbl-structure-effects",
        notes=tuple(_missing(m, names, why, len(structures.fits)) for (m, why), names in refused.items()),
        headings={"coefficient": "Coefficient", "structure": "Residuals", "estimate": "Estimate", **headings},
        formats={"estimate": "sig4", **formats},
        index=False,
        cls=StructureEffects,
    )
    intervals = long.rename(columns={"ci_low": "low", "ci_high": "high"})
    made.intervals = intervals[["coefficient", "structure", "method", "estimate", "low", "high"]]
    made.preferred, made.level = structures.name, level
    units = {
        name: effect_unit(best.design.units, best.response, _slope(name))
        for name in dict.fromkeys(table["coefficient"])
    }
    made.units = {name: unit for name, unit in units.items() if unit}
    return made


def _missing(method: str, names: list[str], why: str, of: int) -> str:
    return f"{_NAMES[method]} is missing for {'all' if len(names) == of else listed(names)}: {why}"


def _slope(name: str) -> str:
    """Of an interaction of a covariate with indicators, the covariate: it has the units of its slope."""
    return ":".join(part for part in name.split(":") if "[" not in part) or name
