"""What a section on inference shows, or why it has nothing to show: sentences that lead to tables and figures."""

from __future__ import annotations

from typing import Any

from lmmtools.formats import counted, listed
from lmmtools.prose.value import Prose, literal

__all__ = ["levels", "modes", "needed", "profiled", "replicates", "terms"]


def terms(table: Any) -> Prose:
    """What an analysis of variance tests, or that there is nothing to test.

    Parameters
    ----------
    table : Frame
        What a fit's `anova` returns.
    """
    if not len(table):
        return Prose("The fixed part has no terms beside an intercept, so there are none to test.")
    return Prose(
        "F tests of the terms (@tbl-anova). Their hypotheses are those of the design, however its factors are coded."
    )


def levels(means: Any) -> Prose:
    """What marginal means, or slopes, are and compare, or why there are none.

    Parameters
    ----------
    means : MarginalMeans or None
        What `lmmtools.marginal_means` returns; None of a model with an intercept only, or without fixed effects.
    """
    if means is None:
        return Prose("The fixed part has no factor whose levels could be compared.")
    rows = means.rows
    if not (rows.specs or rows.by):
        other = " with all covariates at their means" if len(rows.fit.fixef) > 1 else ""
        return Prose(f"The fixed part has no factor whose levels could be compared. @tbl-means has the mean{other}.")
    said = "Marginal means are what the model expects"
    if rows.trend is not None:
        said = f"These are the slopes of {literal(rows.fit.response)} in {literal(rows.trend)}"
    differences = ""
    if len(means) == 2:
        differences = "; @tbl-contrasts has their difference"
    elif len(means) > 2:
        differences = "; @tbl-contrasts has their differences, whose p-values allow for the number of comparisons"
    figure = ", @fig-means" if len(means) > 1 else ""
    names = listed(map(literal, (*rows.specs, *rows.by)))
    return Prose(f"{said} at each level of {names} (@tbl-means{figure}){differences}.")


def modes(fit: Any) -> Prose | None:
    """How to look at conditional modes, under a heading of its own; None of a model without random effects.

    Parameters
    ----------
    fit : LMMFit
    """
    if not fit.design.terms:
        return None
    return Prose(
        "### Do the random effects look as assumed?\n\n"
        "The conditional modes are the model's best guess of each group's effects, drawn towards zero the more, the "
        "less the data say about the group. @fig-qq-ranef compares them with a normal distribution, @fig-caterpillar "
        "shows each with its uncertainty."
    )


def needed(fit: Any) -> Prose | None:
    """That random effects are left out in turn, under a heading of its own; None of a model without any.

    Parameters
    ----------
    fit : LMMFit
    """
    if not fit.design.terms:
        return None
    return Prose("### Which random effects are needed?\n\nEach random effect is left out in turn (@tbl-ranova).")


def profiled(profile: Any) -> Prose:
    """What profiles are and how to read their pictures, or that there are none.

    Parameters
    ----------
    profile : Profile
        What `lmmtools.profile` returns.
    """
    said = (
        "The profile of a parameter is how the likelihood falls as the parameter moves away from its estimate, with "
        "all others estimated anew. Where it has fallen far enough the interval ends (@tbl-confint), or at a bound, "
        "such as zero for a standard deviation."
    )
    if profile.names:
        said += (
            " In @fig-profile-zeta a straight line is a parameter whose estimate is as good as normal; where the line "
            "bends, the interval is not symmetric."
        )
    if len(profile.names) > 1:
        said += (
            " Which parameters make up for one another is seen in @fig-profile-pairs: the narrower and more oblique "
            "their region, the more they do."
        )
    return Prose(said)


def replicates(bootstrap: Any) -> Prose:
    """What a bootstrap did, or that none was asked for.

    Parameters
    ----------
    bootstrap : Bootstrap or None
        What `lmmtools.bootstrap` returns.
    """
    if bootstrap is None:
        return Prose("No bootstrap was asked for.")
    return Prose(
        f"The model was fitted to {counted(len(bootstrap), 'response')} simulated from it. @tbl-confint-bootstrap has "
        "the ranges of their estimates, which rest on no approximation, but on the model and on the estimates that "
        "were simulated from."
    )
