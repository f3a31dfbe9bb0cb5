"""The methods of a report in one paragraph, with the paper of each method that was used and of no other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lmmtools.arguments import check_level
from lmmtools.errors import ModelError
from lmmtools.formats import counted, format_value
from lmmtools.prose.inferences import how_made
from lmmtools.prose.residuals import in_words
from lmmtools.prose.scatter import shares
from lmmtools.prose.sentences import not_compared
from lmmtools.prose.value import Prose, literal

__all__ = ["methods"]


def methods(
    fit: Any, check: Any = None, level: float = 0.95, ddf: str = "satterthwaite", shown: Iterable[Any] = ()
) -> Prose:
    """How the fit was made, with citations of just what was used.

    Parameters
    ----------
    fit : LMMFit
    check : CrossCheck, optional
        The cross-check that the report shows.
    level : float
        Of the intervals.
    ddf : str
        Their degrees of freedom, as for `coef_table`.
    shown : iterable of Frame or None
        Tables that the report shows beside those of the fit, such as that of `anova`, and whose methods are told too.

    Returns
    -------
    Prose
        A paragraph on the fit, and one on the tables shown; their citations are keys of
        :data:`lmmtools.bibliography.BIBLIOGRAPHY`.
    """
    sentences = (
        _estimation(fit),
        *_residuals(fit),
        _criterion(fit),
        _certificate(fit),
        *_data(fit),
        _intervals(fit, check_level(level), ddf),
        *([_modes()] if fit.design.terms else []),
        *_check(check),
    )
    paragraphs = (" ".join(filter(None, sentences)), " ".join(how_made(shown)))
    return Prose("\n\n".join(filter(None, paragraphs)))


def _estimation(fit: Any) -> str:
    method = "restricted maximum likelihood (REML) [@patterson1971; @harville1977]"
    if not fit.reml:
        method = "maximum likelihood (ML) [@harville1977]"
    profiled = "profiled over the fixed effects and the residual variance [@bates2015]"
    if not fit.design.terms:
        return (
            f"The model is a linear model without random effects, fitted by {_least_squares(fit)}{method}. Its formula "
            f"is in R's notation [@wilkinson1973]; what is minimised is the criterion of the mixed model, {profiled}."
        )
    whose = "lme4's criterion" if fit.design.residual is None else "the criterion of the mixed model"
    return (
        f"The model is a linear mixed model [@laird1982], fitted by {method}. Its formula is in R's notation "
        f"[@wilkinson1973; @bates2015]; what is minimised is {whose}, {profiled}."
    )


def _least_squares(fit: Any) -> str:
    """Generalised where residuals are not independent and of one variance."""
    if fit.design.residual is not None:
        return "generalised least squares, whose weights are estimated by "
    return "least squares, the residual variance by "


def _residuals(fit: Any) -> list[str]:
    """The residual structure, in words."""
    structure = fit.design.residual
    if structure is None:
        return []
    said = [f"The residuals have {in_words(fit)} [@pinheiro2000]."]
    c = structure.correlation
    own_sd = any(p.kind == "varident" and set(p.variables) & set(c.variables) for p in structure.variances if c)
    if c is not None and c.kind == "us" and own_sd and not fit.design.terms:
        said.append(
            "With a covariance of its own for each pair of occasions this is a mixed model for repeated measures, "
            "whose groups may lack occasions [@jennrich1986]."
        )
    if any(part.fitted for part in structure.variances):
        said.append(
            "Variances that depend on the fitted values are those of the fitted values of the round before, until "
            "these repeat themselves: no joint maximum of the likelihood [@pinheiro2000]."
        )
    return said


def _criterion(fit: Any) -> str:
    """The criterion and what is made of it, in the strings of the fit's own table of facts."""
    kind = "restricted log-likelihood" if fit.reml else "log-likelihood"
    only = ", to be compared with those of other REML fits of the same fixed effects only" if fit.reml else ""
    return (
        f"At the optimum −2 × {kind} is {format_value(fit.criterion, 'fixed4')} with "
        f"{counted(fit.npar, 'parameter')}; AIC [@akaike1974] is {format_value(fit.aic, 'fixed2')} and BIC "
        f"[@schwarz1978] {format_value(fit.bic, 'fixed2')}{only}."
    )


def _certificate(fit: Any) -> str:
    """What was done to believe the optimum, and to a variance of zero."""
    said = ""
    if fit.certificate.status.startswith("certified"):
        said = (
            "That this is an optimum is certified afterwards, from the criterion's exact first and second derivatives."
        )
    if fit.is_singular:
        said += " The fit is singular and is kept as it is: nothing is moved away from zero."
    return said.strip()


def _data(fit: Any) -> list[str]:
    """What was done to rows and their variances."""
    said = []
    if len(fit.design.dropped_rows):
        said.append("Rows with a missing value in any column used are left out.")
    if fit.design.weights is not None:
        said.append("Residual variances are σ²/w with known precision weights w.")
    for term in fit.design.terms:
        if term.known_root is not None:
            said.append(f"Covariances between levels of {literal(term.factor)} are given, up to a factor.")
    if fit.design.offset is not None:
        said.append("A known offset enters the mean with coefficient one.")
    return list(dict.fromkeys(said))


_INTERVALS = {
    "satterthwaite": "Wald's, from t distributions with Satterthwaite's degrees of freedom, which come from the "
    "observed Hessian of the criterion [@satterthwaite1946; @giesbrecht1985; @kuznetsova2017]",
    "kenward-roger": "from t distributions with the adjusted standard errors and the degrees of freedom of Kenward and "
    "Roger [@kenward1997; @halekoh2014]",
    "kenward-roger-observed": "from t distributions with the adjusted standard errors and the degrees of freedom of "
    "Kenward and Roger [@kenward1997], with the observed information about the covariance parameters, as SAS PROC "
    "MIXED and the R package mmrm take it",
    "residual": "Wald's, from the t distribution with n − rank(X) degrees of freedom",
    "normal": "Wald's, from the normal distribution [@wald1943]",
}


def _intervals(fit: Any, level: float, ddf: str) -> str:
    said = ""
    if len(fit.fixef):
        said = f"Intervals ({100 * level:g} %) are {_INTERVALS[ddf]}. "
    try:
        shares(fit)
    except ModelError:
        return said.strip()
    slopes = any(name != "Intercept" for term in fit.design.terms for name in term.names)
    return said + (
        "Shares of variance are averaged over the rows [@nakagawa2017; @johnson2014]."
        if slopes
        else "Shares of variance are intraclass correlations [@nakagawa2017]."
        if len(fit.ngroups) == 1
        else "Shares of variance are those of the variance components [@nakagawa2017]."
    )


def _modes() -> str:
    return "Effects of single groups are conditional modes, best linear unbiased predictions [@henderson1975]."


def _check(check: Any) -> list[str]:
    if check is None or not_compared(check):
        return []
    engine = str(getattr(check, "engine", ""))
    paper = " [@seabold2010]" if engine.startswith("statsmodels") else ""
    return [f"The fit is compared, number by number, with {literal(engine)}{paper}."]
