"""Random structures one may have in mind, each with what the design can identify; nothing is fitted.

Every candidate is built and looked at by the same functions that a fit asks: the design, the Gram matrix of the
directions in which V can move, and the notes on few levels and many effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from lmmtools.core.covariance import n_theta
from lmmtools.core.criterion import Criterion
from lmmtools.design import RandomTerm, build_design
from lmmtools.errors import LMMError
from lmmtools.estimable import design_notes, flat_directions
from lmmtools.explore.variables import Variable, Variables
from lmmtools.explore.variation import Split, out_of, varies_within
from lmmtools.formats import counted, listed
from lmmtools.formula import BarTerm, ParsedFormula
from lmmtools.frames import Frame, frame

__all__ = ["candidate_table"]

# Slopes of one candidate, covariates it is chosen from, and effects a level: beyond, a table is no help.
_MOST_TOGETHER, _MOST_COVARIATES, _MOST_EFFECTS = 3, 4, 8

_COLUMNS = "term verdict effects parameters random told reason".split()


def candidate_table(variables: Variables, splits: Mapping[tuple[str, str], Split]) -> Frame:
    """A row a candidate, by grouping factor, the formula's own among them; its whole random part at the end."""
    data = pd.DataFrame(dict(variables.columns.series))[variables.complete]
    asked = dict.fromkeys((bar,) for bar in variables.parsed.random)
    bars: dict[str, tuple[BarTerm, ...]] = {}
    for group in variables.groups:
        own = [one for one in asked if one[0].factor == group.name]
        for one in (*_of_factor(variables, group, splits), *own):
            bars.setdefault(_written(one), one)
    whole = variables.parsed.random
    if len(whole) > 1:
        bars.setdefault(_written(whole), whole)
    rows = [_assessed(variables.parsed, one, data) for one in bars.values()]
    return frame(
        pd.DataFrame(rows, columns=_COLUMNS),
        caption="Candidate random structures, and what the design can identify of each",
        label="tbl-candidates",
        notes=(
            "Nothing is fitted for this table. Told apart: levels whose own rows can tell all of the structure's "
            "effects from each other. Estimable means that the design identifies every variance and covariance, "
            "not that the data hold evidence for them.",
        ),
        headings={
            "term": "Random part", "effects": "Effects a level", "parameters": "Parameters",
            "random": "Random effects", "told": "Told apart", "verdict": "Verdict", "reason": "Reason",
        },
        formats=dict.fromkeys(("effects", "parameters", "random"), "int"),
        index=False,
    )  # fmt: skip


def _written(bars: tuple[BarTerm, ...]) -> str:
    return " + ".join(bar.label for bar in bars)


def _of_factor(
    variables: Variables, group: Variable, splits: Mapping[tuple[str, str], Split]
) -> list[tuple[BarTerm, ...]]:
    """An intercept; each covariate that varies within groups, with and without correlation; several together."""
    names = next(bar.group for bar in variables.parsed.random if bar.factor == group.name)
    found = [(BarTerm("us", ((),), names, 0),)]
    slopes = [c for c in variables.covariates_of(group.name) if varies_within(splits[group.name, c.name])]
    # one by one, then all together: what lies between can be judged from these
    for together in sorted({1, max(1, min(len(slopes), _MOST_TOGETHER))}):
        for some in combinations(slopes[: _MOST_COVARIATES if together == 1 else together], together):
            if 1 + sum(1 if c.is_number else len(c.levels) - 1 for c in some) <= _MOST_EFFECTS:
                terms = ((), *((c.node,) for c in some))
                found += [(BarTerm(structure, terms, names, 0),) for structure in ("us", "diag")]
    return found


def _assessed(parsed: ParsedFormula, bars: tuple[BarTerm, ...], data: pd.DataFrame) -> tuple[object, ...]:
    """One row of the table."""
    term = _written(bars)
    try:
        if data.empty:
            raise LMMError("no row is complete in every column of the formula.")
        design = build_design(replace(parsed, random=bars), data)
        criterion = Criterion(design)
    except LMMError as error:
        return term, "not estimable", None, None, None, "", _sentence(str(error))
    effects = sum(len(term.names) for term in design.terms)
    parameters = sum(n_theta(term.structure, len(term.names)) for term in design.terms)
    random = sum(len(term.levels) * len(term.names) for term in design.terms)
    several = len(design.factors) > 1
    levels = len(design.terms[0].levels)
    told = levels if several else _told_apart(design.terms)
    verdict, reason = _verdict(criterion, random, told, levels)
    if several:
        return term, verdict, None, parameters, random, "", reason
    return term, verdict, effects, parameters, random, out_of(told, levels), reason


def _told_apart(terms: tuple[RandomTerm, ...]) -> int:
    """Levels of a factor whose own rows can tell all effects apart: whose cross-products have full rank."""
    columns = np.hstack([term.matrix for term in terms])
    columns = columns / np.maximum(np.sqrt(np.mean(columns**2, axis=0)), np.finfo(float).tiny)
    effects, codes = columns.shape[1], terms[0].codes
    blocks = np.split(columns[np.argsort(codes, kind="stable")], np.cumsum(np.bincount(codes))[:-1])
    return sum(len(block) >= effects and np.linalg.matrix_rank(block) == effects for block in blocks)


def _verdict(criterion: Criterion, random: int, told: int, levels: int) -> tuple[str, str]:
    """What the design says of one structure, and why."""
    working, factors = criterion.working, criterion.design.factors
    n, effects = working.products.n, sum(term.q for term in working.terms)
    if working.gram.residual_is_confounded():
        return "not estimable", (
            f"{counted(n, 'row')} for {random if len(factors) > 1 else f'{levels} × {effects}'} random effects: their "
            "variances cannot be told from the residual variance."
        )
    if flat := flat_directions(criterion):
        return "not unique", _sentence(f"no data of this design determine {flat[0]}.")
    if notes := design_notes(criterion):
        return "weak", _sentence(" ".join(note.replace("`", "") for note in notes))
    if told == 0:
        return "weak", "No level tells the effects apart by itself; only comparisons between levels do."
    if len(factors) > 1:
        all_levels = listed(f"{counted(len(terms[0].levels), 'level')} of {name}" for name, terms in factors.items())
        return "estimable", f"{all_levels} with {counted(n, 'row')}."
    if effects == 1:
        return "estimable", f"{counted(levels, 'level')} with {counted(n, 'row')}."
    whole = "every level tells" if told == levels else f"{told} of {levels} levels tell"
    return "estimable", _sentence(f"{whole} {'its' if told == levels else 'their'} effects apart.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
