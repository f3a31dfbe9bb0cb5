"""How much groups differ, in sentences: shares of variance and standard deviations, the tables' numbers rounded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.formats import listed, rounded
from lmmtools.formula.translate import columns as columns_of
from lmmtools.prose.columns import slopes, variables
from lmmtools.prose.residuals import correlated, scattering, spread_out
from lmmtools.prose.value import literal
from lmmtools.prose.words import amount, finest, from_coarse, inner, noun, step, unit_of
from lmmtools.varcorr import COMMON, SERIAL

__all__ = ["deviations", "left", "percent", "scattered", "shares"]

_MOST_NAMES = 4


def scattered(fit: Any) -> Iterator[str]:
    """Sentences on the variance between groups and within them; nothing of what the data do not determine."""
    if fit.certificate.flat_by == "data":
        what = "How much groups differ" if fit.design.terms else "How far rows scatter, and how they go together,"
        yield f"{what} is not determined by these data (see the certificate)."
        return
    if not fit.design.terms:
        yield from scattering(fit)
        return
    yield from _shares(fit)
    yield from _slopes(fit)
    yield from _rows(fit)
    yield from correlated(fit)


def _rows(fit: Any) -> Iterator[str]:
    """How far rows scatter within their groups."""
    ones = [noun(fit.design, factor)[0] for factor in finest(fit.design)]
    if fit.design.residual is not None and fit.design.residual.variances:
        whose = f"one {ones[0]}" if len(fit.ngroups) == 1 else f"the values fitted for {listed(ones)}"
        about = "Within" if len(fit.ngroups) == 1 else "About"
        yield from spread_out(fit, "the residual", f"{about} {whose}")
        return
    where = "at weight one, " if fit.design.weights is not None else ""
    sd = amount(deviations(fit)["Residual", ""], unit_of(fit.design))
    if len(fit.ngroups) == 1:
        scatter = f"the rows scatter about its own fitted values with a standard deviation of {sd}"
        yield f"Within one {ones[0]}, {where}{scatter}."
    else:
        rows = f"{where.capitalize()}the rows" if where else "The rows"
        yield f"{rows} scatter about the values fitted for their own {listed(ones)} with a standard deviation of {sd}."


def shares(fit: Any) -> dict[str, str]:
    """Share of variance between the levels of each factor, in per cent, from the strings of the ICC's table.

    Raises
    ------
    ModelError
        With weights or a variance function, when there is no single share, and without random effects.
    """
    from lmmtools.measures import icc

    if fit.design.weights is not None:
        raise ModelError(
            "With weights the residual variance σ²/w differs from row to row, so there is no single share of variance: "
            "icc(fit) has that for an observation of weight 1, icc(fit, weight=…) for others."
        )
    if not fit.design.terms:
        raise ModelError(
            "The model has no random effects, so no share of the variance lies between groups: what rows have in "
            "common is in the correlation of their residuals."
        )
    if fit.design.residual is not None and fit.design.residual.variances:
        raise ModelError(
            "The residual variance differs from row to row (see its variance function), so there is no single share "
            "of variance."
        )
    table = icc(fit).table()
    group, adjusted = (next(j for j, c in enumerate(table.columns) if c.name == name) for name in ("group", "adjusted"))
    return {row[group]: percent(cells[adjusted]) for row, cells in zip(table.rows, table.cells, strict=True)}


def percent(share: str) -> str:
    """A share as its table shows it, in per cent: "0.737" is "73.7 %"."""
    return f"{100 * Decimal(share):.1f} %"


def deviations(fit: Any) -> dict[tuple[str, str], str]:
    """Standard deviations of the table of variances, to three digits, by group and effect; the residual's is last."""
    frame = fit.varcorr
    table = frame.table(max_rows=max(len(frame), 40))
    place = next(j for j, column in enumerate(table.columns) if column.name == "sdcor")
    rows = zip(frame.itertuples(), table.cells, strict=True)
    return {(row.grp, row.var1): _three_digits(cells[place].strip()) for row, cells in rows if not row.var2}


def _three_digits(text: str) -> str:
    """What is beyond three digits of a standard deviation, no data of a size one fits know."""
    digits = text.replace(",", "").strip("0.")
    try:
        exponent = int(f"{float(text.replace(',', '')):e}".partition("e")[2])
    except ValueError:
        return text
    return rounded(text, 2 - exponent) if digits else "0"


def left(fit: Any) -> str:
    """Of which variance shares are, where there is more of it than one: "the variance that the fixed effects leave"."""
    return "the variance that the fixed effects leave" if set(fit.fixef.index) - {"Intercept"} else "the variance"


def _shares(fit: Any) -> Iterator[str]:
    """The intraclass correlation; the standard deviations where there is none."""
    try:
        found = shares(fit)
    except ModelError:
        yield from _intercepts(fit)
        return
    for factor in from_coarse(fit.design):
        share = found[factor]
        one, many = noun(fit.design, factor)
        terms = [term for term in fit.design.terms if term.factor == factor]
        if all((t.group, n) in fit.zero_effects for t in terms for n in t.names):
            yield (
                f"The variance between {many} is estimated as zero: the {many} differ no more than the scatter "
                f"within one {one} explains."
            )
        elif any(name != "Intercept" for term in terms for name in term.names):
            differs = _changing(fit.design, terms) if _share_changes(fit, factor) else ""
            yield f"On average over the rows, {share} of {left(fit)} lies between {many}{differs}."
        else:
            sd = amount(deviations(fit)[terms[0].group, "Intercept"], unit_of(fit.design))
            yield f"{share} of {left(fit)} lies between {many}, which scatter with a standard deviation of {sd}."


def _share_changes(fit: Any, factor: str) -> bool:
    """Whether the variance between the levels of a factor differs from row to row."""
    from lmmtools.inference.variances import relative_variance

    terms = zip(fit.design.terms, fit.Lambda, strict=True)
    own = sum(relative_variance(term, L) for term, L in terms if term.factor == factor)
    return bool(np.ptp(own) > 1e-9 * own.max())


def _changing(design: Any, terms: list[Any]) -> str:
    """With what the share changes: the columns with slopes, where these are all there is."""
    effects = dict.fromkeys(n for t in terms for n in t.names if n != "Intercept")
    numbers = slopes(design)
    if all(name in numbers for name in effects):
        read = dict.fromkeys(column for name in effects for column in columns_of(numbers[name]))
        return f"; the share changes with {listed(map(literal, read))}"
    return "; the share differs from row to row"


def _intercepts(fit: Any) -> Iterator[str]:
    sds, unit = deviations(fit), unit_of(fit.design)
    why = "with weights" if fit.design.weights is not None else "since residual variances differ"
    for term in fit.design.terms:
        if term.names == ("Intercept",):
            _, many = noun(fit.design, term.factor)
            yield (
                f"The {many} scatter with a standard deviation of {amount(sds[term.group, 'Intercept'], unit)}; {why} "
                "there is no single share of variance."
            )


def _slopes(fit: Any) -> Iterator[str]:
    """Standard deviations of slopes; other effects and correlations are the table's."""
    if fit.certificate.flat_by:
        return
    sds, unit, numbers = deviations(fit), unit_of(fit.design), slopes(fit.design)
    fixed, mean = variables(fit.design), {c for node in variables(fit.design).values() for c in columns_of(node)}
    for term in fit.design.terms:
        _, many = noun(fit.design, term.factor)
        for name in (name for name in term.names if name in numbers):
            column = inner(numbers[name]) or name
            if (term.group, name) in fit.zero_effects:
                yield f"The {many} show no slopes of {literal(column)} of their own: the variance is estimated as zero."
                continue
            read = set(columns_of(numbers[name]))
            others = [other for other, node in {**fixed, **numbers}.items() if not read & set(columns_of(node))]
            per = step(name, numbers[name], fit.design.units, others)
            zero = "" if mean & read else " about zero, since the mean has no such slope,"
            yield (
                f"{_own_slopes(fit.design, term.factor, column)} scatter{zero} with a standard deviation of "
                f"{amount(sds[term.group, name], unit)} {per}."
            )
        rest = [name for name in term.names if name != "Intercept" and name not in numbers]
        if rest and term.structure in _ONE_CORRELATION and len(term.names) > 1:
            yield _correlated(fit, term, rest)
        elif rest:
            yield f"How much {many} differ in {_effects(rest)} is in @tbl-varcorr."


_ONE_CORRELATION = ("cs", "homcs", "ar1", "hetar1")


def _correlated(fit: Any, term: Any, names: list[str]) -> str:
    """Of a structure with one correlation, that and the standard deviation, where it is one."""
    one, _ = noun(fit.design, term.factor)
    sds, unit = deviations(fit), unit_of(fit.design)
    correlation = next(text for (group, first, second), text in _correlations(fit).items() if group == term.group)
    if term.structure in SERIAL:
        column = term.label[term.label.index("(") + 1 : term.label.rindex("|")].strip()
        which = f"The effects of one {one} along {literal(column)}"
    elif len(names) > _MOST_NAMES:
        which = f"The {len(names)} effects of one {one}"
    else:
        which = f"The effects of one {one} ({_effects(names)})"
    size = f"each have a standard deviation of {amount(sds[term.group, term.names[0]], unit)}"
    size = size if term.structure in COMMON else "have standard deviations of their own (@tbl-varcorr)"
    if term.structure not in SERIAL:
        return f"{which} {size}; any two of them have a correlation of {correlation}."
    pairs = f"two of them one step apart have a correlation of {correlation}, k steps apart its k-th power"
    return f"{which} {size}; {pairs}."


def _correlations(fit: Any) -> dict[tuple[str, str, str], str]:
    """Correlations of the table of variances, by group and the two effects."""
    frame = fit.varcorr
    table = frame.table(max_rows=max(len(frame), 40))
    place = next(j for j, column in enumerate(table.columns) if column.name == "sdcor")
    rows = zip(frame.itertuples(), table.cells, strict=True)
    return {(row.grp, row.var1, row.var2): rounded(cells[place].strip(), 3) for row, cells in rows if row.var2}


def _effects(names: list[str]) -> str:
    """Names of effects; many are counted."""
    return listed(map(literal, names)) if len(names) <= _MOST_NAMES else f"{len(names)} other effects"


def _own_slopes(design: Any, factor: str, name: str) -> str:
    """Whose slopes they are: "The children’s own slopes of age", or those of single levels of an unnamed factor."""
    _, many = noun(design, factor)
    if factor not in design.nouns:
        return f"The slopes of {literal(name)} of single {many}"
    return f"The {many}{'’' if many.endswith('s') else '’s'} own slopes of {literal(name)}"
