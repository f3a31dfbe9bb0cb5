"""How much groups differ, in sentences: shares of variance, standard deviations of slopes, in the tables' strings."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from lmmtools.errors import ModelError
from lmmtools.formats import listed
from lmmtools.prose.columns import variables
from lmmtools.prose.value import literal
from lmmtools.prose.words import amount, noun, step, unit_of

__all__ = ["deviations", "percent", "scattered", "shares"]


def scattered(fit: Any) -> Iterator[str]:
    """Sentences on the variance between groups and within them; nothing of what the data do not determine."""
    if fit.certificate.flat_by == "data":
        yield "How much groups differ is not determined by these data (see the certificate)."
        return
    yield from _shares(fit)
    yield from _slopes(fit)
    one, _ = noun(fit.design, next(iter(fit.ngroups)))
    where = "at weight one, " if fit.design.weights is not None else ""
    sd = amount(deviations(fit)["Residual", ""], unit_of(fit.design))
    yield f"Within one {one}, {where}the rows scatter about its own fitted values with a standard deviation of {sd}."


def shares(fit: Any) -> dict[str, str]:
    """Share of variance between the levels of each factor, in per cent, from the strings of the ICC's table.

    Raises
    ------
    ModelError
        With weights, when there is no single share.
    """
    from lmmtools.inference.icc import icc

    table = icc(fit).table()
    group, adjusted = (next(j for j, c in enumerate(table.columns) if c.name == name) for name in ("group", "adjusted"))
    return {row[group]: percent(cells[adjusted]) for row, cells in zip(table.rows, table.cells, strict=True)}


def percent(share: str) -> str:
    """A share as its table shows it, in per cent: "0.737" is "73.7 %"."""
    return f"{100 * Decimal(share):.1f} %"


def deviations(fit: Any) -> dict[tuple[str, str], str]:
    """Standard deviations by group and effect as the table of variances has them; the residual's is the last."""
    frame = fit.varcorr
    table = frame.table(max_rows=max(len(frame), 40))
    place = next(j for j, column in enumerate(table.columns) if column.name == "sdcor")
    rows = zip(frame.itertuples(), table.cells, strict=True)
    return {(row.grp, row.var1): cells[place].strip() for row, cells in rows if not row.var2}


def _shares(fit: Any) -> Iterator[str]:
    """The intraclass correlation; the standard deviations where there is none."""
    try:
        found = shares(fit)
    except ModelError:
        yield from _intercepts(fit)
        return
    slopes = any(name != "Intercept" for term in fit.design.terms for name in term.names)
    for factor, share in found.items():
        one, many = noun(fit.design, factor)
        if fit.is_singular and all((t.group, n) in fit.zero_effects for t in fit.design.terms for n in t.names):
            yield (
                f"The variance between {many} is estimated as zero: the {many} differ no more than the scatter "
                f"within one {one} explains."
            )
        elif slopes:
            yield (
                f"On average over the rows, {share} of the variance that the fixed effects leave lies between {many}; "
                f"{_changing(fit)}."
            )
        else:
            yield f"{share} of the variance that the fixed effects leave lies between {many}."


def _changing(fit: Any) -> str:
    """With what the share changes: the columns with slopes, where these are all there is."""
    effects = dict.fromkeys(n for t in fit.design.terms for n in t.names if n != "Intercept")
    if all(name in fit.design.parsed.predictors for name in effects):
        return f"the share changes with {listed(map(literal, effects))}"
    return "the share differs from row to row"


def _intercepts(fit: Any) -> Iterator[str]:
    sds, unit = deviations(fit), unit_of(fit.design)
    for term in fit.design.terms:
        if term.names == ("Intercept",):
            _, many = noun(fit.design, term.factor)
            yield (
                f"The {many} scatter with a standard deviation of {amount(sds[term.group, 'Intercept'], unit)}; with "
                "weights there is no single share of variance."
            )


def _slopes(fit: Any) -> Iterator[str]:
    """Standard deviations of slopes of plain columns; other effects and correlations are the table's."""
    sds, unit, nodes = deviations(fit), unit_of(fit.design), variables(fit.design)
    other = False
    for term in fit.design.terms:
        _, many = noun(fit.design, term.factor)
        for name in term.names:
            if name == "Intercept":
                continue
            if fit.certificate.flat_by:
                continue
            if name not in fit.design.parsed.predictors:
                other = True
            elif (term.group, name) in fit.zero_effects:
                yield f"The {many} show no slopes of {literal(name)} of their own: the variance is estimated as zero."
            else:
                per = step(name, nodes.get(name), fit.design.units, nodes)
                yield (
                    f"{_own_slopes(fit.design, term.factor, name)} scatter with a standard deviation of "
                    f"{amount(sds[term.group, name], unit)} {per}."
                )
    if other:
        yield "The variances of the random effects that are no slopes of one column are in @tbl-varcorr."


def _own_slopes(design: Any, factor: str, name: str) -> str:
    """Whose slopes they are: "The children’s own slopes of age", or those of single levels of an unnamed factor."""
    _, many = noun(design, factor)
    if factor not in design.nouns:
        return f"The slopes of {literal(name)} of single {many}"
    return f"The {many}{'’' if many.endswith('s') else '’s'} own slopes of {literal(name)}"
