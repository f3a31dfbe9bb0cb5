"""From a model as a ledger has it to the fit, and the fits of a file by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from msgspec import UNSET

from lmmtools.core.criterion import Criterion
from lmmtools.core.optimize import minimize
from lmmtools.datasets import list_datasets
from lmmtools.design import build_design
from lmmtools.errors import DataError, LMMError, LMMWarning, ModelError, StudyError, TooLarge, UnboundedLikelihood
from lmmtools.formats import nearest, quoted, visible
from lmmtools.growth import GmanovaFit, fit_gmanova
from lmmtools.replication.ledger.schema import Model
from lmmtools.results import LMMFit, estimate
from lmmtools.sources import read_data

__all__ = ["Fits", "Given", "NoEstimate", "data_of", "fitted", "one_line", "unidentified"]

Given = LMMFit | GmanovaFit
_KINDS = {".csv", ".tsv", ".parquet"}


class NoEstimate(ModelError):
    """The data do not identify a mixed model, or make its likelihood grow without bound."""


def data_of(model: Model, folder: Path) -> pd.DataFrame:
    """The rows that a model is fitted to.

    Parameters
    ----------
    model : Model
    folder : pathlib.Path
        Where the ledger is: data that are not shipped are files there.

    Raises
    ------
    DataError
        If there is no such data set or file, or filter, columns or row do not fit it.
    """
    shipped = model.data in list_datasets().index
    columns = {
        name: {key: value for key in ("kind", "levels") if (value := getattr(about, key)) is not UNSET}
        for name, about in model.columns.items()
    }
    path = folder / model.data
    if not shipped and not path.is_file():
        known = [*list_datasets().index, *(one.name for one in folder.glob("*") if _KINDS & set(one.suffixes))]
        raise DataError(
            f"there is no data set or file `{visible(model.data)}`{nearest(model.data, known)}; `list_datasets` has "
            "the data sets that come with the package, and the paths of files start at the ledger."
        )
    try:
        data = read_data(model.data if shipped else path, filter=model.filter, columns=columns or None)
    except DataError as error:  # a report names a file as the ledger does, wherever the ledger is
        raise DataError(str(error).replace(str(path), model.data)) from error
    return _numbered(data, model.row) if model.row else data


def _numbered(data: pd.DataFrame, factor: str) -> pd.DataFrame:
    """The data with a column ``row`` that counts the rows within each level of a factor."""
    if factor not in data:
        raise DataError(f"row: there is no column `{factor}`{nearest(factor, data)}; the data have {quoted(data)}.")
    if "row" in data:
        raise DataError("row: the data have a column `row` already; write that into the formula, and leave `row` out.")
    found = data.assign(row=data.groupby(factor, observed=True).cumcount() + 1)
    found.attrs = data.attrs
    return found


def fitted(model: Model, folder: Path) -> Given:
    """Fit a model of a ledger.

    Parameters
    ----------
    model : Model
    folder : pathlib.Path
        Where the ledger is.

    Returns
    -------
    LMMFit or GmanovaFit
        What a fit warns of is among its messages.

    Raises
    ------
    DataError, FormulaError
        If the data cannot be read, or the formula not be read or followed.
    NoEstimate
        If the data do not identify a mixed model.
    UnboundedLikelihood
        If the likelihood of a growth curve grows without bound.
    ModelError
        If a model has what does not go together, or needs more memory than there is.
    StudyError
        If the model is no mixed model and no growth curve, or its `start` does not name its parameters.

    Examples
    --------
    >>> model = Model(data="Rail", formula="travel ~ 1 + (1 | Rail)")
    >>> round(fitted(model, Path()).sigma, 4)
    4.0208
    """
    if (model.formula is UNSET) == (model.growth is UNSET):
        raise StudyError("a model is either a mixed model, with `formula`, or a growth curve, with `growth`.")
    data = data_of(model, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        return _growth(model, data) if model.formula is UNSET else _mixed(model, data)


def _mixed(model: Model, data: pd.DataFrame) -> LMMFit:
    design = build_design(
        model.formula,
        data,
        residual=model.residual or None,
        weights=model.weights or None,
        contrasts=model.contrasts or None,
    )
    try:
        fit = estimate(design, reml=model.method != "ML")
    except TooLarge:  # there may be one
        raise
    except ModelError as error:
        raise NoEstimate(str(error)) from error
    return _started(fit, model.start) if model.start else fit


def _started(fit: LMMFit, given: Mapping[str, float]) -> LMMFit:
    """The minimum that a search from a given point leads to: a local one, where that is what a source prints."""
    if fit.design.residual is not None and any(part.fitted for part in fit.design.residual.variances):
        raise StudyError("start: a search with variances that follow the fitted values starts where it is best.")
    names = [*fit.theta_names, *fit.residual_params.index]
    for name in given:
        if name not in names:
            raise StudyError(f"start: there is no parameter `{name}`{nearest(name, names)}; this model has "
                             f"{quoted(names)}.")  # fmt: skip
    if lacking := [name for name in names if name not in given]:
        raise StudyError(f"start: {quoted(lacking)} lacking; it takes all parameters, {quoted(names)}, or none.")
    criterion = Criterion(fit.design, reml=fit.reml, working=fit.working)
    return fit.at(criterion, minimize(criterion, np.array([float(given[name]) for name in names])))


def _growth(model: Model, data: pd.DataFrame) -> GmanovaFit:
    sides = {"between": model.between, "within": model.within}
    if lacking := [name for name, side in sides.items() if side is UNSET]:
        raise StudyError(f'a growth curve needs `{lacking[0]}` as well: a formula such as "~ Sex".')
    structure = {} if model.sigma is UNSET else {"sigma": model.sigma}
    return fit_gmanova(model.growth, **sides, **structure, data=data, contrasts=model.contrasts or None)


class Fits(Mapping[str, Given]):
    """The fits of the models of a file by name; none is made before it is asked for.

    Parameters
    ----------
    models : Mapping[str, Model]
    fit : callable
        From a model to its fit; it is asked again each time.
    """

    def __init__(self, models: Mapping[str, Model], fit: Callable[[Model], Given]) -> None:
        self.models, self.fit = models, fit

    def __getitem__(self, name: str) -> Given:
        return self.fit(self.models[name])

    def __contains__(self, name: object) -> bool:
        return name in self.models

    def __iter__(self) -> Iterator[str]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)


def unidentified(error: LMMError) -> bool:
    """Whether an error of `fitted` says that the model has no estimate, rather than that it was asked for wrongly."""
    return isinstance(error, UnboundedLikelihood | NoEstimate)


def one_line(error: Exception) -> str:
    """The text of an error on one line; what only points at a place of the line above it is left out."""
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip(" ^~"))
