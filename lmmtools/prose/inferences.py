"""How tables on inference were made, a sentence each, with the papers of what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lmmtools.formats import counted, listed
from lmmtools.prose.value import literal

__all__ = ["how_made"]


def how_made(tables: Iterable[Any]) -> list[str]:
    """Sentences on the tables that have any, in the tables' order.

    Parameters
    ----------
    tables : iterable of Frame or None
        Recognised by their labels; None is nothing shown.
    """
    shown = [table for table in tables if getattr(table, "label", "") in _SAID and len(table)]
    return [said for table in shown if (said := _SAID[table.label](table))]


def _terms(table: Any) -> str:
    kind = table.caption.partition(" analysis")[0].replace("Type", "type")
    return f"F tests of terms are those of {kind} hypotheses, as in lmerTest [@kuznetsova2017]."


def _means(table: Any) -> str:
    return "Marginal means are averages of the fixed part over a grid of the other predictors [@searle1980]."


def _contrasts(table: Any) -> str:
    if not any("Tukey" in text for text in (table.caption, *table.notes)):
        return ""
    return "Their differences are tested by Tukey's method, with Kramer's standard errors [@kramer1956]."


def _profile(table: Any) -> str:
    return (
        "Profile intervals hold the values of a parameter at which the likelihood, maximised over all others, is not "
        "too far below its maximum for χ² with one degree of freedom [@bates1988; @bates2015]."
    )


def _random(table: Any) -> str:
    mixtures = ", on the boundary with mixtures of χ² distributions [@self1987; @stram1994]"
    return f"Random effects are tested by likelihood ratios{mixtures if _has_mixture(table) else ''}."


def _has_mixture(table: Any) -> bool:
    return any("+" in str(reference) for reference in table["reference"])


def _structures(table: Any) -> str:
    mixtures = ", on the boundary with mixtures of χ² distributions [@self1987; @stram1994]"
    tests = ", and, where one is a special case of another, by likelihood ratios" + mixtures * _has_mixture(table)
    tested = tests if table["chisq"].notna().any() else ""
    return f"Residual structures of one mean are compared by AIC and BIC [@jennrich1986; @burnham2002]{tested}."


def _effects(table: Any) -> str:
    kinds = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward"}
    used = [_METHODS[kinds[kind]] for kind in kinds if any(kind in str(column).split(" | ") for column in table)]
    by = f" by {listed(used)}" if used else ""
    return f"The fixed effects are tested under each residual structure{by}."


def _semivariogram(table: Any) -> str:
    drawn = "; their envelopes come from responses drawn from the fitted model" * ("low" in table)
    said = "Semivariograms of residuals average half the squared differences of pairs by distance [@pinheiro2000]"
    return f"{said}{drawn}."


def _bootstrap(table: Any) -> str:
    number = counted(int(table["replicates"].max()), "replicate")
    return f"Bootstrap intervals are percentiles of {number} [@davison1997]."


# What is said of a method of a triangulation, by the beginning of its name.
_METHODS = {
    "Normal reference": "the normal distribution [@wald1943]",
    "Satterthwaite": "Satterthwaite's degrees of freedom [@satterthwaite1946; @giesbrecht1985]",
    "Kenward": "Kenward and Roger's method [@kenward1997; @halekoh2014]",
    "Profile": "the profile likelihood [@bates1988]",
    "Cluster-robust": "cluster-robust standard errors CR2 [@pustejovsky2018]",
    "Percentile": "percentiles of a bootstrap [@davison1997]",
    "BCa": "BCa intervals [@efron1987]",
    "Simulated likelihood": "the simulated distribution of a likelihood ratio [@crainiceanu2004; @greven2008]",
}


def _triangulation(table: Any) -> str:
    answers = pd.DataFrame(table)[["p_value", "low", "high"]].notna().any(axis=1)
    names = [str(name) for name in table.loc[answers, "method"]]
    used = [said for start, said in _METHODS.items() if any(name.startswith(start) for name in names)]
    return f"For {literal(table.parameter)} the answers of several methods stand together, among them {listed(used)}."


def _checks(table: Any) -> str:
    said = "Assumptions are checked one by one"
    if table["df"].str.endswith("draws").any():
        said += (
            f", most against {counted(table.simulations, 'response')} drawn from the fitted model, with allowance to "
            "first order for its estimated covariance [@pierce1982]"
        )
    if "Independent effects" in table.tested:
        said += "; that effects go with no covariate, by slopes within and between groups [@mundlak1978]"
    return f"{said}."


def _influence(table: Any) -> str:
    what = f"levels of {literal(table.by)}" if table.by else "rows"
    how = {
        "one-step": ", with the covariance parameters moved by one Newton step",
        "refit": ", the model fitted again without each",
        "fixed": ", the covariance parameters held",
    }
    return f"Influence is measured by leaving out {what} in turn [@cook1977]{how[table.method]}."


def _quantile_residuals(table: Any) -> str:
    return "Quantile residuals [@dunn1996] are ranks among responses drawn from the fitted model."


def _scores(table: Any) -> str:
    return (
        "Predictions of what was left out are scored by their errors and by proper scores of their distributions "
        "[@gneiting2007]."
    )


_SAID = {
    "tbl-anova": _terms,
    "tbl-means": _means,
    "tbl-contrasts": _contrasts,
    "tbl-confint": _profile,
    "tbl-ranova": _random,
    "tbl-confint-bootstrap": _bootstrap,
    "tbl-triangulation": _triangulation,
    "tbl-residual-structures": _structures,
    "tbl-structure-effects": _effects,
    "tbl-checks": _checks,
    "tbl-influence": _influence,
    "tbl-influence-by": _influence,
    "tbl-quantile-residuals": _quantile_residuals,
    "tbl-scores": _scores,
    **dict.fromkeys(("tbl-semivariogram-normalized", "tbl-semivariogram-pearson"), _semivariogram),
}
