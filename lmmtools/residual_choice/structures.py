"""Residual structures for one mean model, compared: information criteria, and tests of those that are nested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.comparison import compare, likelihood_ratio, own_fitted, reference_notes
from lmmtools.errors import LMMError, ModelError
from lmmtools.formats import counted, listed, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.models import Models
from lmmtools.nesting import Nesting, nesting
from lmmtools.residual_choice.candidates import candidates
from lmmtools.results import LMMFit
from lmmtools.tables import Table
from lmmtools.variants import fit_models

__all__ = ["ResidualStructures", "pick_structure", "residual_structures"]

INDEPENDENT = "independent"
_FAILED = "not fitted"


@dataclass(frozen=True, repr=False)
class ResidualStructures:
    """Fits of one mean model with several residual structures.

    Attributes
    ----------
    fits : Mapping[str, LMMFit]
        By structure as written, ``"independent"`` for none; in the order given.
    failures : Mapping[str, str]
        Structures that could not be fitted, with the reason.
    table : Frame
        A row a structure.
    """

    fits: Mapping[str, LMMFit]
    failures: Mapping[str, str]
    table: Frame

    def __post_init__(self) -> None:
        for name in ("fits", "failures"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple:
        # a mapping proxy cannot be pickled, a dict can
        return ResidualStructures, (dict(self.fits), dict(self.failures), self.table)

    @property
    def name(self) -> str:
        """The structure with the lowest AIC among those whose optimum is certified, among all where none is."""
        sound = [s for s, fit in self.fits.items() if fit.certificate.status.startswith("certified")]
        return str(self.table["aic"].loc[sound or list(self.fits)].idxmin())

    @property
    def best(self) -> LMMFit:
        """The fit with that structure."""
        return self.fits[self.name]

    def _shown(self) -> Table:
        """What there is room for: notes tell the references and certificates that are not as most."""
        table = self.table.drop(columns=["aicc", "weight", "reference", "note"]).table()
        return replace(table, notes=(*_exceptions(self.table), *table.notes))

    def __repr__(self) -> str:
        return self._shown().text()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self._shown()._repr_mimebundle_(include, exclude)


def residual_structures(
    model: Any,
    data: Any,
    structures: Sequence[str | None] | None = None,
    *,
    time: str | None = None,
    group: str | None = None,
    reml: bool | None = None,
    **options: Any,
) -> ResidualStructures:
    """Fit one mean model with several residual structures to the same rows and compare them.

    Parameters
    ----------
    model : str or LMMFit
        A formula, or a fit, whose formula and method are taken, and its structure as one of the candidates.
    data : frame
        Of a fit, what it was fitted to.
    structures : sequence of str or None, optional
        Residual structures as `fit_lmm` takes them; None or ``"independent"`` is R = W⁻¹. By default candidates over
        `time` within `group`: independent residuals, compound symmetry, an autoregression, and with up to eight
        occasions Toeplitz and unstructured correlations, and some with a standard deviation for each occasion.
    time, group : str, optional
        Columns for the candidates; of a fit, those of its correlation by default. A single grouping factor of the
        random effects is the group where none is named.
    reml : bool, optional
        REML by default, or as the fit. Criteria of REML compare residual structures, since the means are the same.
    **options
        ``weights``, ``offset``, ``known``, ``contrasts``, ``missing``, as for `fit_lmm`.

    Returns
    -------
    ResidualStructures
        With ``.table``, ``.fits``, ``.failures``, ``.name`` and ``.best``. The table has a row a structure:
        ``npar, loglik, aic, aicc, bic, delta, weight, against, chisq, df, p_value, reference, note``. `delta` and
        `weight` (Akaike's) are of AIC. `against` is the largest structure that is nested in it, which the likelihood
        ratio tests it against; empty where there is none. `note` is the certificate. A structure that could not be
        fitted stays without numbers; the notes and `.failures` say why.

    Raises
    ------
    LMMError
        If there are no structures to compare.
    FormulaError
        If the formula or a structure cannot be read.
    ModelError
        If none of the models can be fitted, or a fit's data are not those given.

    References
    ----------
    Jennrich & Schluchter (1986), Unbalanced repeated-measures models with structured covariance matrices,
    Biometrics 42.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("Orthodont")
    >>> found = lt.residual_structures("distance ~ Sex * age", data, time="age", group="Subject")
    >>> found.name, found.table.loc["us(age | Subject)", "against"]
    ('toep(age | Subject)', 'toep(age | Subject)')
    """
    formula, fit = _asked(model)
    reml = (True if fit is None else fit.reml) if reml is None else reml
    names = _names(structures if structures is not None else candidates(formula, fit, data, time, group))
    given = [None if name == INDEPENDENT else name for name in names]
    models = fit_models([formula] * len(names), data, names=names, residual=_some(given), reml=reml, **options)
    if fit is not None:
        _check_rows(fit, models)
    return ResidualStructures(models.fits, models.failures, _table(models, names))


def pick_structure(structures: ResidualStructures, residual: str = "") -> Any:
    """The fit with one of the residual structures compared.

    Parameters
    ----------
    structures : ResidualStructures
        What `residual_structures` returns.
    residual : str
        As it was given there, ``"independent"`` for none; empty for the one with the lowest AIC.

    Returns
    -------
    LMMFit

    Raises
    ------
    LMMError
        If it was not among those compared, or could not be fitted.
    """
    if not isinstance(structures, ResidualStructures):
        raise LMMError(f"pick_structure: takes what residual_structures returns; got {type(structures).__name__}.")
    if not residual:
        return structures.best
    asked = residual.strip()
    if asked in structures.failures:
        raise LMMError(f"pick_structure: `{asked}` could not be fitted: {structures.failures[asked]}")
    if asked not in structures.fits:
        raise LMMError(
            f"pick_structure: `{asked}` is not among the structures compared{nearest(asked, structures.fits)}, which "
            f"are {quoted(structures.fits)}."
        )
    return structures.fits[asked]


def _asked(model: Any) -> tuple[str, LMMFit | None]:
    if isinstance(model, str):
        return model, None
    if isinstance(model, LMMFit):
        return model.formula, model
    raise LMMError(f"residual_structures: takes a formula or a fit; got {type(model).__name__}.")


def _names(structures: Any) -> list[str]:
    """The structures as written, each once."""
    single = isinstance(structures, str) or not isinstance(structures, Sequence)
    if single or not all(one is None or isinstance(one, str) for one in structures):
        raise LMMError(
            "residual_structures: structures must be a list of texts such as 'ar1(time | g)', and None for independent "
            f"residuals; got {structures!r}."
        )
    names = list(dict.fromkeys((one or "").strip() or INDEPENDENT for one in structures))
    if not names:
        raise LMMError("residual_structures: structures is an empty list; there is nothing to compare.")
    return names


def _some(given: list[str | None]) -> list[str | None] | None:
    return given if any(given) else None


def _check_rows(fit: LMMFit, models: Models) -> None:
    """Refuse data or options other than those of the fit."""
    other = next(iter(models.fits.values())).design
    ours = fit.design
    equal = len(ours.y) == len(other.y) and np.array_equal(ours.y, other.y) and np.array_equal(ours.X, other.X)
    for a, b in ((ours.weights, other.weights), (ours.offset, other.offset)):
        equal = equal and ((a is None) == (b is None)) and (a is None or np.array_equal(a, b))
    if not equal:
        raise ModelError(
            f"residual_structures: the fit has {counted(len(ours.y), 'row')}, and what was fitted to the data given "
            f"has {counted(len(other.y), 'row')} or other values: give the data that the fit was made from, with the "
            "same weights, offset and contrasts, and no missing values in the columns of the structures."
        )


def _table(models: Models, names: Sequence[str]) -> Frame:
    criteria = compare(models.fits, conditional=False)
    tests = {name: _test(name, models.fits) for name in models.fits}
    numbers = ["npar", "loglik", "aic", "aicc", "bic", "delta", "weight"]
    rows = {}
    for name in names:
        if name in models.fits:
            rows[name] = dict(criteria.loc[name, numbers]) | tests[name] | {"note": models[name].certificate.status}
        else:
            rows[name] = dict.fromkeys(numbers, np.nan) | _NO_TEST | {"note": _FAILED}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table = table.astype({"npar": "Int64", "df": "Int64", "chisq": float, "p_value": float})
    told = [f"{name} is not fitted: {_plain(models.failures[name])}" for name in names if name not in models.fits]
    fits = list(models.fits.values())
    return frame(
        table,
        caption=f"Residual structures of {next(iter(models.formulas.values()))} ({fits[0].method} fits of "
        f"{counted(models.nobs, 'row')})",
        label="tbl-residual-structures",
        notes=(*map(_sentence, models.messages), *told, *reference_notes(table["reference"]), *own_fitted(fits)),
        headings={"npar": "Par.", "loglik": "log-lik.", "aic": "AIC", "aicc": "AICc", "bic": "BIC",
                  "delta": "ΔAIC", "weight": "Weight", "against": "Tested against", "chisq": "χ²", "df": "df",
                  "p_value": "p", "reference": "Reference", "note": "Note"},
        formats={"npar": "int", "loglik": "fixed3", "aic": "fixed2", "aicc": "fixed2", "bic": "fixed2",
                 "delta": "fixed2", "weight": "fixed3", "against": "text", "chisq": "fixed3", "df": "int",
                 "p_value": "p", "reference": "text", "note": "text"},
    )  # fmt: skip


def _exceptions(table: Frame) -> list[str]:
    """Sentences: whose p is not χ²'s, and whose optimum is not certified inside."""
    plain = [reference in ("", f"χ²({df})") for reference, df in zip(table["reference"], table["df"], strict=True)]
    others = ", for the others χ²" if any(p and r for p, r in zip(plain, table["reference"], strict=True)) else ""
    said = [
        f"The reference distribution for {listed(rows.index)} is {reference}{others}."
        for reference, rows in table[np.logical_not(plain)].groupby("reference", sort=False)
    ]
    odd = table[~table["note"].isin(["certified", _FAILED])]
    return said + [f"{listed(rows.index)}: {note}." for note, rows in odd.groupby("note", sort=False)]


_NO_TEST = {"against": "", "chisq": np.nan, "df": pd.NA, "p_value": np.nan, "reference": ""}


def _test(name: str, fits: Mapping[str, LMMFit]) -> dict[str, Any]:
    """The likelihood ratio against the largest structure nested in this one, of several the one that fits best."""
    large = fits[name]
    below: list[tuple[str, Nesting]] = []
    for other, small in fits.items():
        if other != name and small.npar < large.npar:
            step = nesting(small, large)
            if step.inside and step.df > 0:
                below.append((other, step))
    if not below:
        return _NO_TEST
    other, step = max(below, key=lambda pair: (fits[pair[0]].npar, fits[pair[0]].loglik))
    criteria = (fits[other].criterion, large.criterion)
    return {"against": other} | likelihood_ratio(fits[other], large, criteria, step)


def _plain(reason: str) -> str:
    """A reason on one line: a caret that shows a place in a structure stays behind."""
    return " ".join(reason.split())


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]
