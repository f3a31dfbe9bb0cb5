"""Marks of citations and cross-references in prose, written out for readers that do not know them."""

from __future__ import annotations

import re

from lmmtools.bibliography import cite

__all__ = ["written_out"]

# `literal` puts a backslash before every bracket and @ that comes from data, so none of those is a mark.
_CITATION = re.compile(r"(?<!\\)\[(@[\w-]+(?:; @[\w-]+)*)\]")
_REFERENCE = re.compile(r"(?<![\\\w])@(?P<label>(?:tbl|fig)-[A-Za-z0-9_-]+)")

# What the tables and figures of a report show, for where their numbers are not known.
_NAMES = {
    "tbl-data": "the first rows of the data",
    "tbl-coef": "the table of fixed effects",
    "tbl-varcorr": "the table of variances",
    "tbl-icc": "the table of intraclass correlations",
    "tbl-singular": "the table of simpler random effects",
    "tbl-crosscheck": "the table of the cross-check",
    "fig-data": "the figure of the data by group",
    "fig-residuals-fitted": "the figure of residuals against fitted values",
    "fig-qq-residuals": "the normal plot of the residuals",
    "fig-qq-ranef": "the normal plot of the conditional modes",
    "fig-caterpillar": "the figure of the conditional modes",
    "fig-ranef-pairs": "the figure of the modes and their fitted distribution",
    "fig-shrinkage": "the figure of what the fit makes of each group's least squares",
    "tbl-shrinkage-summary": "the table of how much the modes spread",
    "tbl-checks": "the table of checks",
    "fig-checks": "the figure of checks that stand out",
    "fig-residual-panels": "the four panels of residuals",
    "fig-observed-fitted": "the figure of observed against fitted values",
    "tbl-quantile-residuals": "the table of tests of quantile residuals",
    "fig-quantile-residuals": "the figure of quantile residuals",
    "tbl-mundlak": "the table of slopes within and between groups",
    "fig-influence-index": "the figure of influence",
    "fig-prediction": "the figure of predictions",
    "tbl-scores": "the table of scores of rows left out",
    "tbl-scores-by": "the table of scores of groups left out",
}


def written_out(markdown: str) -> str:
    """`markdown` with ``[@bates2015]`` as "(Bates et al., 2015)" and ``@tbl-coef`` as words.

    Raises
    ------
    LMMError
        If a citation is not in the bibliography.
    """
    cited = _CITATION.sub(lambda m: cite(*m[1].split("; "), parenthetical=True), markdown)
    return _REFERENCE.sub(lambda m: _name(m["label"]), cited)


def _name(label: str) -> str:
    kind, _, rest = label.partition("-")
    return _NAMES.get(label) or f"the {'table' if kind == 'tbl' else 'figure'} “{rest.replace('-', ' ')}”"
