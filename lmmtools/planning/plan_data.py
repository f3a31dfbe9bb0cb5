"""The design of a study that has no response yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.design import Design, build_design
from lmmtools.design.checks import complete_rows, per_row
from lmmtools.design.frame import take
from lmmtools.errors import DataError, ModelError
from lmmtools.formula import ParsedFormula, ParsedResidual, parse_residual
from lmmtools.formula.syntax import Name

__all__ = ["PlanData", "plan_data", "refuse_fitted"]

# Of the numbers in the place of a response, of which nothing is read: no seed that a covariate was drawn with, since a
# column that is the response would leave no residuals.
_SEED = 0x6C6D6D746F6F6C7320706C616E


@dataclass(frozen=True, eq=False)
class PlanData:
    """What a planned design is made of, for any formula of the same rows.

    Attributes
    ----------
    frame : pd.DataFrame
        The columns that the formula names, in the rows that are complete, with numbers for the response.
    response : str
        Name of the response's column.
    weights, offset : ndarray, shape (n,), or None
    known, contrasts : Mapping or None
    residual : ParsedResidual or None
    messages : tuple of str
        On rows left out.
    """

    frame: pd.DataFrame
    response: str
    weights: np.ndarray | None
    offset: np.ndarray | None
    known: Mapping[str, Any] | None
    contrasts: Mapping[str, Any] | None
    residual: ParsedResidual | None
    messages: tuple[str, ...]

    def design(self, parsed: ParsedFormula) -> Design:
        """The design of a formula in these rows.

        Raises
        ------
        FormulaError, DataError, ModelError
            As `build_design`.
        """
        parsed = replace(parsed, response_node=Name(0, self.response, True))
        made = build_design(
            parsed, self.frame, weights=self.weights, offset=self.offset, known=self.known,
            contrasts=self.contrasts, residual=self.residual, missing="raise",
        )  # fmt: skip
        return replace(made, messages=(*self.messages, *made.messages))


def plan_data(
    parsed: ParsedFormula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    known: Mapping[str, Any] | None = None,
    contrasts: Mapping[str, Any] | None = None,
    residual: str | None = None,
    missing: str = "drop",
) -> PlanData:
    """The columns of a plan; the response need not be among them, and is not read where it is.

    Raises
    ------
    FormulaError
        If the residual structure cannot be read.
    DataError
        If `data` is no frame or lacks a column; if the response is a predictor too, or rows have missing values and
        ``missing="raise"``.
    ModelError
        If `missing` is neither of its values, or variances are functions of fitted values.
    """
    if missing not in ("drop", "raise"):
        raise ModelError(f"missing={missing!r} is unknown: choose 'drop' or 'raise'.")
    structure = None if residual is None else parse_residual(residual)
    named = [*parsed.predictors, *parsed.groups, *(structure.columns if structure else ())]
    if parsed.response in named:
        raise DataError(
            f"planned: the response `{parsed.response}` is also what other parts of the model are made of, but a plan "
            "has no response yet: leave it out there."
        )
    extra = [name for name in (weights, offset) if isinstance(name, str)]
    columns = take(data, dict.fromkeys([*named, *extra]))
    keep, message = complete_rows(columns, missing, None)
    rows = slice(None) if keep is None else keep
    arrays = [_array(what, given, columns, rows) for what, given in (("weights", weights), ("offset", offset))]
    frame = pd.DataFrame(dict(columns.series), index=columns.index)[rows]
    frame[parsed.response] = np.random.default_rng(_SEED).standard_normal(len(frame))
    frame.attrs = dict(data.attrs) if isinstance(data, pd.DataFrame) else {}
    told = () if message is None else (message,)
    return PlanData(frame, parsed.response, *arrays, known, contrasts, structure, told)


def _array(what: str, given: Any, columns: Any, rows: Any) -> np.ndarray | None:
    return None if given is None else np.array(per_row(what, given, columns, columns.index, None)[rows])


def refuse_fitted(residual: Any, what: str) -> None:
    """Refuse variances that are functions of fitted values, which a response would have to tell.

    Raises
    ------
    ModelError
    """
    parts: Iterable[Any] = () if residual is None else residual.variances
    for part in parts:
        if part.fitted:
            raise ModelError(
                f"{what}: `{part.label}` makes residual variances functions of the fitted values, which a planned "
                "study has not: give the values expected as a column of the data, and that column as the covariate."
            )

