"""Several models of one response, fitted to the same rows, as one value."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from lmmtools.comparison import compare
from lmmtools.errors import LMMWarning, ModelError
from lmmtools.formats import counted, effect_unit, visible
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import REFERENCE
from lmmtools.lattices import Lattice, lattice
from lmmtools.results import LMMFit

__all__ = ["Coefficients", "Models", "coefficients", "under_its_name"]


@dataclass(frozen=True, repr=False)
class Models(Mapping[str, LMMFit]):
    """Fits by name, all of one response, one set of rows and one method; a mapping.

    Attributes
    ----------
    fits : Mapping[str, LMMFit]
        In the order given.
    formulas : Mapping[str, str]
        Every formula that was asked for, those that failed too.
    failures : Mapping[str, str]
        For each variant that could not be fitted, or not be compared with the others, why.
    messages : tuple of str
        What rows the comparison rests on, where that is not all of them.
    """

    fits: Mapping[str, LMMFit]
    formulas: Mapping[str, str]
    failures: Mapping[str, str]
    messages: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("fits", "formulas", "failures"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple:
        # a mapping proxy cannot be pickled, a dict can
        return Models, (dict(self.fits), dict(self.formulas), dict(self.failures), self.messages)

    def __getitem__(self, name: str) -> LMMFit:
        return self.fits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def method(self) -> str:
        """How they are fitted: ``ML`` or ``REML``."""
        return next(iter(self.fits.values())).method

    @property
    def nobs(self) -> int:
        """Rows that all were fitted to."""
        return next(iter(self.fits.values())).nobs

    @cached_property
    def criteria(self) -> Frame:
        """What `compare` says of them."""
        return compare(self.fits)

    @cached_property
    def steps(self) -> Lattice:
        """What `lattice` says of them."""
        return lattice(self.fits)

    @cached_property
    def sound(self) -> tuple[str, ...]:
        """Names of the fits whose optimum is certified; that of a singular fit can be."""
        return tuple(n for n, f in self.fits.items() if f.certificate.status.startswith("certified"))

    @cached_property
    def preferred(self) -> str:
        """Name of the fit with the lowest AIC among those that are certified, among all where none is."""
        return str(self.criteria["aic"].loc[list(self.sound or self.fits)].idxmin())

    @cached_property
    def by_reml(self) -> Mapping[str, LMMFit]:
        """The same models fitted by REML, for their numbers."""
        return MappingProxyType({
            name: fit if fit.reml else under_its_name(name, fit.refit, reml=True) for name, fit in self.fits.items()
        })  # fmt: skip

    @property
    def chosen(self) -> LMMFit:
        """The preferred model, fitted by REML."""
        return self.by_reml[self.preferred]

    def summary(self) -> Frame:
        """The models asked for: name, formula, parameters and what became of them."""
        rows = [
            (name, formula, self._residual(name), self[name].npar if name in self.fits else pd.NA, self._outcome(name))
            for name, formula in self.formulas.items()
        ]
        table = pd.DataFrame(rows, columns=["name", "formula", "residual", "npar", "outcome"])
        if not table["residual"].any():
            table = table.drop(columns="residual")
        return frame(
            table.astype({"npar": "Int64"}),
            caption=f"The models, fitted by {self.method} to the same {counted(self.nobs, 'row')}",
            label="tbl-models",
            notes=(*map(_sentence, self.messages), *(f"{n} is left out: {t}" for n, t in self.failures.items())),
            index=False,
            headings={"name": "Model", "formula": "Formula", "residual": "Residuals", "npar": "Parameters",
                      "outcome": "Certificate"},
            formats={"name": "text", "formula": "text", "residual": "text", "npar": "int", "outcome": "text"},
        )  # fmt: skip

    def _residual(self, name: str) -> str:
        structure = self[name].design.residual if name in self.fits else None
        return "" if structure is None else structure.text

    def _outcome(self, name: str) -> str:
        return self[name].certificate.status if name in self.fits else "left out"

    def __repr__(self) -> str:
        return repr(self.summary())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self.summary()._repr_mimebundle_(include, exclude)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]


def under_its_name(name: str, fit: Callable[..., LMMFit], *args: object, **kw: object) -> LMMFit:
    """What `fit` makes of the arguments, its warnings saying which model they are of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = fit(*args, **kw)
    for one in caught:
        text = f"{visible(name)}: {one.message}" if issubclass(one.category, LMMWarning) else str(one.message)
        warnings.warn(text, one.category, stacklevel=4)
    return made


class Coefficients(Frame):
    """Fixed effects of several models, a row a coefficient and model.

    Attributes
    ----------
    level : float
        Confidence level of the intervals.
    preferred : str
        The preferred model's name.
    units : Mapping[str, str]
        Units of coefficients, where the data know them.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "level", "preferred", "units"]
    level: float = 0.95
    preferred: str = ""
    units: Mapping[str, str] = MappingProxyType({})

    @property
    def _constructor(self) -> type[Coefficients]:
        return Coefficients


def _slope(name: str) -> str:
    """Of an interaction of a covariate with indicators, the covariate: it has the units of its slope."""
    return ":".join(part for part in name.split(":") if "[" not in part) or name


def coefficients(models: Models, *, level: float = 0.95, ddf: str = "satterthwaite") -> Coefficients:
    """Fixed effects of all models side by side, by REML.

    Parameters
    ----------
    models : Models
    level : float
        Confidence level of the intervals.
    ddf : str
        Their degrees of freedom, as for `coef_table`.

    Returns
    -------
    Coefficients
        A frame: ``coefficient, model, estimate, std_error, low, high``: a row for each model that has the coefficient.

    Raises
    ------
    ModelError
        If `models` is not what `fit_models` returns.
    """
    if not isinstance(models, Models):
        raise ModelError(f"coefficients: takes what fit_models returns; got {type(models).__name__}.")
    parts = []
    for name, fit in models.by_reml.items():
        table = fit.coef_table(ddf=ddf, level=level)
        part = pd.DataFrame(table[["estimate", "std_error", "ci_low", "ci_high"]])
        parts.append(part.rename_axis("coefficient").reset_index().assign(model=name))
    long = pd.concat(parts, ignore_index=True).rename(columns={"ci_low": "low", "ci_high": "high"})
    order = {name: place for place, name in enumerate(dict.fromkeys(long["coefficient"]))}
    long = long.sort_values("coefficient", key=lambda c: c.map(order), kind="stable", ignore_index=True)
    percent = f"{100 * level:g} %"
    made = frame(
        long[["coefficient", "model", "estimate", "std_error", "low", "high"]],
        caption=f"Fixed effects of each model by REML, with {percent} intervals; reference: {REFERENCE[ddf][0]}",
        label="tbl-coefficients",
        index=False,
        headings={"coefficient": "Coefficient", "model": "Model", "estimate": "Estimate", "std_error": "Std. error",
                  "low": f"{percent} low", "high": "high"},
        formats={"estimate": "sig4", "std_error": "sig4", "low": "sig4", "high": "sig4"},
        cls=Coefficients,
    )  # fmt: skip
    made.level, made.preferred = level, models.preferred
    first = models.chosen
    units = {name: effect_unit(first.design.units, first.response, _slope(name)) for name in order}
    made.units = {name: unit for name, unit in units.items() if unit}
    return made
