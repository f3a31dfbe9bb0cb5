"""A growth curve model as it is written, on its data: responses, G and X, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmmtools.design.checks import check_contrast_names
from lmmtools.errors import ModelError
from lmmtools.formats import nearest
from lmmtools.growth.problem import Problem
from lmmtools.growth.responses import Responses, long_responses, wide_responses
from lmmtools.growth.sides import Side, formula_side, is_formula, matrix_side, parse_side, require_independent

__all__ = ["one_of", "stated"]


def stated(
    Y: Any, between: Any, within: Any, data: Any, times: Any, contrasts: Mapping[str, Any] | None
) -> tuple[Responses, Side, Side, Problem]:
    """Responses, G, X, and the model in orthonormal bases, from the arguments of `fit_gmanova`, which see."""
    responses = long_responses(Y, data) if isinstance(Y, str) else wide_responses(Y, data, times)
    if isinstance(Y, str) and times is not None:
        raise ModelError("times goes with a wide Y: with long data the formulas read columns of data.")
    G, X = _sides(responses, between, within, dict(contrasts or {}))
    for side in (G, X):
        require_independent(side)
    return responses, G, X, Problem(responses.values, G.matrix, X.matrix)


def one_of(given: Any, known: tuple[str, ...], what: str) -> str:
    """An argument that is one of some words; ModelError names them, and the nearest, if it is not."""
    if given not in known:
        words = ", ".join(f"'{word}'" for word in known)
        raise ModelError(f"{what}={given!r} is unknown{nearest(str(given), known)}: choose one of {words}.")
    return given


def _sides(responses: Responses, between: Any, within: Any, contrasts: dict[str, Any]) -> tuple[Side, Side]:
    """G and X; what cannot be read is told before what is not in the data."""
    made, categories = [], []
    given = (("between", between, responses.between, responses.subjects),
             ("within", within, responses.within, responses.occasions))  # fmt: skip
    parsed = [parse_side(side, what) if is_formula(side) else None for what, side, _, _ in given]
    for (what, side, source, rows), formula in zip(given, parsed, strict=True):
        if is_formula(side):
            columns = source(() if formula is None else formula.predictors)
            made.append(formula_side(what, side.strip(), formula, columns, contrasts))
        else:
            made.append(matrix_side(what, side, rows))
        categories += made[-1].categories
    check_contrast_names(contrasts, categories)
    return made[0], made[1]
