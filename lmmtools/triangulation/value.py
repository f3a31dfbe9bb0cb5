"""The table of one effect by every method, and what it decides."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_count, check_level
from lmmtools.errors import LMMError, LMMWarning
from lmmtools.formats import effect_unit, estimate_format, nearest, quoted
from lmmtools.frames import Frame, frame
from lmmtools.profiles.parameters import parameters_of
from lmmtools.resampling import Bootstrap
from lmmtools.tables import Table
from lmmtools.triangulation.methods import Asked, Said, of_coefficient, of_deviation, of_residual
from lmmtools.triangulation.reasons import decision, reference_of

__all__ = ["Triangulation", "triangulate"]


class Triangulation(Frame):
    """One parameter by every method: a frame, with what it decides.

    Attributes
    ----------
    parameter : str
    reference : str
        The method that the others are held against.
    null, level : float
    unit : str
        Of the parameter; empty where it is not known.
    flips : bool
        Whether some method decides otherwise than the reference.
    sentences : tuple of str
        Where the methods agree, or why they do not.
    """

    _metadata: ClassVar[list[str]] = ["_about", "parameter", "reference", "null", "level", "sentences", "unit"]

    @property
    def _constructor(self) -> type[Triangulation]:
        return Triangulation

    @property
    def flips(self) -> bool:
        """Whether some method decides otherwise than the reference."""
        return "flips" in self and bool((self["flips"] != "").any())

    def table(self, max_rows: int = 40) -> Table:
        """The table as shown: without a column of flips where there are none."""
        empty = "flips" in self and not self.flips
        return Frame.table(self.drop(columns="flips") if empty else self, max_rows)

    def __repr__(self) -> str:
        """The table in text, and what it decides."""
        return "\n".join([super().__repr__(), *(self.sentences if self._described else ())])


def triangulate(
    fit: Any,
    parameter: str = "",
    *,
    null: float = 0.0,
    level: float = 0.95,
    cluster: Any = None,
    n: int = 1000,
    rng: Any = None,
    made: Any = None,
    workers: int = 1,
    progress: bool | None = None,
) -> Triangulation:
    """One parameter by every method, and where the decision turns on the method.

    Parameters
    ----------
    fit : LMMFit
    parameter : str
        A coefficient, a standard deviation as `confint` names it, ``sd(Subject, Days)``, or a parameter of the residual
        structure: ``ar1.phi``. By default the last coefficient, or the first standard deviation of a model without any.
    null : float
        What a coefficient is tested against; a standard deviation is against zero, a ratio of residual standard
        deviations against one, and what cannot be zero against nothing.
    level : float
        Confidence level; tests are at one less it.
    cluster : str or array_like, optional
        What robust standard errors are clustered by; the grouping factor where there is one only.
    n, rng, workers, progress
        Of the bootstrap, see `lmmtools.bootstrap`; without `rng` the methods that simulate responses are left out.
    made : Bootstrap, optional
        Replicates of this fit that there are already, for the bootstrap intervals.

    Returns
    -------
    Triangulation
        A row a method: ``method, estimate, std_error, df, p_value, low, high, decision, flips``; `flips` marks a
        decision that is not that of the reference, which is Kenward and Roger's method for a coefficient, as far as it
        is defined. What a method cannot say is missing, with the reason in the notes.

    Raises
    ------
    LMMError
        If there is no such parameter, or an argument is none.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> lt.triangulate(fit, "Days").flips
    False
    """
    level, n = check_level(level), check_count(n, "triangulate: n, the number of replicates,", at_least=1)
    if cluster is None and len(fit.ngroups) == 1:
        cluster = next(iter(fit.ngroups))
    name = parameter or _first(fit)
    null = _null(fit, name, float(null))
    asked = Asked(fit, name, null, level, cluster, n, rng, workers, progress, _checked(made, fit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # of refits, which are not what is looked at
        said = list(_ask(asked))
    reference = reference_of(said, asked)
    return _table(asked, said, reference)


def _null(fit: Any, name: str, null: float) -> float:
    """What a parameter is tested against; NaN where that is none of its values, or the end of them."""
    if name not in fit.residual_params.index:
        return null
    k = list(fit.residual_params.index).index(name)
    low, high = fit.design.residual.bounds[k]
    low = max(low, fit.working.residual.own_form.lower[k])  # not where the lags do not tell −φ from φ
    if null == 0.0 and name.startswith("varident"):
        return 1.0
    return null if low < null < high else np.nan


def _first(fit: Any) -> str:
    """The parameter that is meant where none is named."""
    coefficients = list(fit.design.fixed_names)
    return coefficients[-1] if coefficients else next(p.name for p in parameters_of(fit) if p.kind == "sd")


def _checked(made: Any, fit: Any) -> Any:
    """Replicates of this fit's parameters, or None."""
    if made is None:
        return None
    p = len(fit.beta)
    whole = isinstance(made, Bootstrap) and list(made.columns[:p]) == list(fit.design.fixed_names)
    if not whole or not np.array_equal(made.estimates.to_numpy()[:p], fit.beta):
        raise LMMError("triangulate: made takes what bootstrap(fit, …) returns for this very fit, without a statistic.")
    return made


def _ask(asked: Asked) -> Any:
    fit = asked.fit
    coefficients = list(fit.design.fixed_names)
    if asked.name in coefficients:
        return of_coefficient(asked)
    deviations = {p.name: (p.term, p.places[0]) for p in parameters_of(fit) if p.kind == "sd"}
    of_residuals = list(fit.residual_params.index)
    if asked.name in of_residuals:
        return of_residual(asked)
    known = [*coefficients, *deviations, *of_residuals]
    if asked.name not in deviations:
        raise LMMError(
            f"triangulate: `{asked.name}` is no coefficient or standard deviation of this model, and no parameter of "
            f"its residuals{nearest(str(asked.name), known)}; it has {quoted(known)}."
        )
    if asked.null:
        raise LMMError("triangulate: a standard deviation is tested against zero; leave null out.")
    return of_deviation(asked, *deviations[asked.name])


def _table(asked: Asked, said: list[Said], reference: Said | None) -> Triangulation:
    verdicts = [one.finds(asked) for one in said]
    held = None if reference is None else reference.finds(asked)
    words = {True: "clear", False: "not clear", None: ""}
    numbers = ("estimate", "std_error", "df", "p_value", "low", "high")
    table = pd.DataFrame(
        {"method": [one.method for one in said]}
        | {name: [getattr(one, name) for one in said] for name in numbers}
        | {
            "decision": [words[v] for v in verdicts],
            "flips": ["flips" if v is not None and v != held else "" for v in verdicts],
        }
    )
    sentences = decision(said, reference, asked)
    known = table["estimate"].notna().any()
    digits = table[["estimate", "std_error"] if known else ["low", "high"]].to_numpy().ravel()
    together = estimate_format(x for x in digits if np.isfinite(x))
    percent = f"{100 * asked.level:g} %"
    turned = reference is not None and any(v is not None and v != held for v in verdicts)
    about = (f"Flips: decisions other than that of {reference.method}.",) if turned else ()
    made = frame(
        table,
        caption=f"{asked.name} by every method, with {percent} intervals{_against(asked)}",
        label="tbl-triangulation",
        notes=(*about, *dict.fromkeys(one.note for one in said if one.note)),
        index=False,
        headings={"method": "Method", "estimate": "Estimate", "std_error": "Std. error", "df": "df", "p_value": "p",
                  "low": f"{percent} low", "high": "high", "decision": "Decision", "flips": "Flips"},
        formats={"estimate": together, "std_error": together, "df": "fixed1", "p_value": "p", "low": together,
                 "high": together, "decision": "text", "flips": "text"},
        cls=Triangulation,
    )  # fmt: skip
    made.parameter, made.null, made.level, made.sentences = asked.name, asked.null, asked.level, sentences
    made.unit = _unit(asked)
    made.reference = "" if reference is None else reference.method
    return made


def _against(asked: Asked) -> str:
    return "" if np.isnan(asked.null) else f"; tested against {asked.null:g}"


def _unit(asked: Asked) -> str:
    """The parameter's unit; an interaction with indicators has that of its covariate's slope."""
    design, effect = asked.fit.design, asked.name
    if effect in asked.fit.residual_params.index:
        return ""
    if effect not in design.fixed_names:
        effect = next(design.terms[p.term].names[p.places[0]] for p in parameters_of(asked.fit) if p.name == effect)
    effect = ":".join(part for part in effect.split(":") if "[" not in part) or effect
    return effect_unit(design.units, design.response, effect) or ""
