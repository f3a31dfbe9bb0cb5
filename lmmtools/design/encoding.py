"""Categories → columns: contrasts, with R's matrices and formulaic's names.

Every categorical variable of a formula, named plainly or through ``C(…)``, is handed to formulaic as a
value that carries its own encoder, so that one place decides about levels, contrasts and unseen levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from formulaic.materializers.types import FactorValues
from formulaic.transforms import ContrastsRegistry
from formulaic.transforms.contrasts import Contrasts, CustomContrasts

from lmmtools.errors import DataError, FormulaError, ModelError, TooLarge
from lmmtools.formats import counted, nearest, quoted
from lmmtools.formula.translate import CONTRASTS

__all__ = ["as_factor", "coded", "contrast_of"]

# Copies of a factor's columns that are held on the way to the model's matrices, and bytes that any machine has.
_COPIES, _LITTLE = 4, 1e8


def contrast_of(name: str, asked: object) -> Contrasts:
    """The contrasts asked for one column.

    Parameters
    ----------
    name : str
        The column, for errors.
    asked : str or array_like, shape (levels, levels - 1)
        ``"poly"``, ``"sum"``, ``"helmert"``, ``"treatment"``, ``"SAS"``, ``"diff"``, with or without R's
        ``contr.`` before it; or the coding matrix itself.

    Returns
    -------
    Contrasts

    Raises
    ------
    ModelError
        If they are unknown.
    """
    if isinstance(asked, str):
        plain = asked.removeprefix("contr.")
        if plain not in CONTRASTS:
            raise ModelError(
                f"contrasts: `{asked}` for `{name}` is unknown{nearest(plain, CONTRASTS)}: choose one of "
                f"{', '.join(CONTRASTS)}, or give a matrix of levels × (levels − 1)."
            )
        return getattr(ContrastsRegistry, plain)()
    if isinstance(asked, Contrasts):
        return asked
    try:
        matrix = np.asarray(asked, dtype=np.float64)
    except (TypeError, ValueError):  # no numbers
        matrix = np.empty(0)
    if matrix.ndim != 2:
        raise ModelError(f"contrasts: for `{name}` a matrix of levels × (levels − 1) is needed, not {asked!r}.")
    return CustomContrasts(matrix)


def coded(name: str, values: pd.Categorical, contrasts: object = None, levels: object = None) -> FactorValues:
    """A categorical column, marked for formulaic.

    Parameters
    ----------
    name : str
        Its name, for errors.
    values : pd.Categorical, shape (n,)
    contrasts : str or array_like, optional
        As in `contrast_of`; treatment contrasts by default.
    levels : sequence, optional
        The order of levels.

    Returns
    -------
    FactorValues
    """
    contrasts = contrasts() if isinstance(contrasts, type) else contrasts
    contrasts = contrast_of(name, "treatment" if contrasts is None else contrasts)
    encoder = partial(_encode, name=name, contrasts=contrasts, levels=levels)
    return FactorValues(values, kind="categorical", spans_intercept=True, encoder=encoder)


def as_factor(values: object, contrasts: object = None, *, levels: object = None) -> FactorValues:
    """``C(x, contrasts, levels=…)`` as formulas see it."""
    name = "C(…)"
    if isinstance(values, FactorValues):
        if values.__formulaic_metadata__.encoder is not None:  # a column that `coded` made
            made = values.__formulaic_metadata__.encoder.keywords
            name, contrasts = made["name"], made["contrasts"] if contrasts is None else contrasts
        values = values.__wrapped__
    if not isinstance(values, pd.Categorical):
        values = pd.Categorical(np.asarray(values))
    return coded(name, values, contrasts, levels)


def _encode(
    values: object, reduced_rank: bool, drop_rows: list, encoder_state: dict, model_spec: object,
    *, name: str, contrasts: Contrasts, levels: object,
) -> FactorValues:  # fmt: skip
    """Columns of one factor; formulaic calls this, with the state of the training data in `encoder_state`."""
    values = values.__wrapped__ if isinstance(values, FactorValues) else values
    known = encoder_state.get("categories") or list(values.categories if levels is None else levels)
    encoder_state["categories"] = known
    codes = _codes_in(name, values, known)
    _refuse_wide(name, len(codes), len(known))
    matrix = _coding(name, contrasts, known, reduced_rank)
    # a missing value has code -1 and so reads this last row
    matrix = np.vstack([matrix, np.full(matrix.shape[1], np.nan)])
    if isinstance(contrasts, CustomContrasts) and not reduced_rank:
        fields, drop = known, None  # formulaic gives these the reduced matrix whether or not there is room
    else:
        fields = contrasts.get_coding_column_names(known, reduced_rank=reduced_rank)
        drop = contrasts.get_drop_field(known, reduced_rank=reduced_rank)
    return FactorValues(
        {field: np.ascontiguousarray(matrix[:, j])[codes] for j, field in enumerate(fields)},
        kind="categorical",
        spans_intercept=not reduced_rank,
        drop_field=drop,
        format=contrasts.get_factor_format(known, reduced_rank=reduced_rank),
        format_reduced=contrasts.get_factor_format(known, reduced_rank=True),
        encoded=True,
    )


def _refuse_wide(name: str, rows: int, levels: int) -> None:
    """Refuse a column for each of more levels than memory holds."""
    needed = 8.0 * _COPIES * (rows + levels) * levels
    if needed <= _LITTLE:
        return
    from lmmtools.core.several.sizes import memory_limit

    limit = memory_limit()
    if needed > limit:
        raise TooLarge(
            f"`{name}` has {levels:,} levels: a column for each of them over {rows:,} rows takes about "
            f"{needed / 1e9:.0f} GB of memory, where {limit / 1e9:.1f} GB can be used. Make it a grouping factor, as "
            f"in (1 | {name}), merge levels, or convert it to numbers if it holds numbers."
        )


def _coding(name: str, contrasts: Contrasts, known: list, reduced_rank: bool) -> np.ndarray:
    if isinstance(contrasts, CustomContrasts):
        if not reduced_rank:
            return np.eye(len(known))
        if contrasts.contrasts.shape[0] != len(known):
            raise ModelError(
                f"contrasts: the matrix for `{name}` has {contrasts.contrasts.shape[0]} rows, but the column has "
                f"{len(known)} levels ({quoted(known)}): give one row for each level."
            )
    try:
        return np.asarray(contrasts.get_coding_matrix(known, reduced_rank=reduced_rank), dtype=np.float64)
    except (ValueError, KeyError, IndexError) as error:
        raise FormulaError(
            f"the contrasts of `{name}` do not fit its levels {quoted(known)} ({error}): name a level it has."
        ) from error


def _codes_in(name: str, values: pd.Categorical, known: list) -> np.ndarray:
    """Codes among the known levels."""
    if list(values.categories) == known:
        return np.asarray(values.codes)
    place: Mapping[object, int] = {level: i for i, level in enumerate(known)}
    table = np.array([place.get(level, -2) for level in values.categories] + [-1])
    codes = table[values.codes]
    if (codes == -2).any():
        new = [level for level in values.categories if level not in place]
        rows = int((codes == -2).sum())
        raise DataError(
            f"`{name}` has {quoted(new)} in {counted(rows, 'row')}, which the model does not know; "
            f"it knows {quoted(known)}: correct or remove these rows."
        )
    return codes
