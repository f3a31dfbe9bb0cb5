"""What each parameter of a residual structure means, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from lmmtools.formats import listed, shared_unit, shown, singular

__all__ = ["apart", "far_apart", "meanings", "of_group", "sigma_is", "where"]

_FALLEN = {
    "exp": "has fallen to 37 % (1/e)",
    "gaus": "has fallen to 37 % (1/e)",
    "spher": "has fallen to zero",
    "ratio": "has fallen to one half",
}


def meanings(fit: Any) -> tuple[str, ...]:
    """What each of `residual_params` is, in their order, as plain text without a stop."""
    structure = fit.design.residual
    if structure is None:
        return ()
    said: list[str] = []
    if structure.correlation is not None:
        said += _of_correlation(fit, structure.correlation)
    for part in structure.variances:
        said += _of_variance(fit, part)
    return tuple(said)


def apart(design: Any, c: Any, distance: str = "1") -> str:
    """How far apart two rows are: "1 year apart in age", "2 apart in time"."""
    return f"{far_apart(design, c, distance)} in {' + '.join(c.variables)}"


def far_apart(design: Any, c: Any, distance: str = "1") -> str:
    """The same without the variable: "1 year apart", "2 steps apart"."""
    unit = "steps" if c.categorical else shared_unit(design.units, c.variables)
    of = singular(unit) if distance == "1" else unit
    return f"{distance} {of} apart" if unit else f"{distance} apart"


def of_group(design: Any, c: Any) -> str:
    """Whose residuals are correlated: "of one child"; empty where all rows are one group."""
    if not c.group:
        return ""
    noun = design.nouns.get(c.group)
    return f" of one {noun[0] if noun else c.group}"


def where(name: str, level: str) -> str:
    """A clause: ", where arm is A"; empty without a level."""
    return f", where {name} is {level}" if level else ""


def sigma_is(fit: Any) -> str:
    """Of which rows σ is the residual standard deviation, as a clause; empty where it is of all."""
    structure = fit.design.residual
    parts = () if structure is None else structure.variances
    clauses = [f"{':'.join(p.variables)} is {p.levels[0]}" for p in parts if p.kind == "varident"]
    if any(p.kind != "varident" for p in parts):
        others = [p.label for p in parts if p.kind != "varident"]
        many = len(others) > 1
        clauses.append(f"the multiplier{'s' if many else ''} {listed(others)} {'are' if many else 'is'} 1")
    if fit.design.weights is not None:
        clauses.append("the weight is 1")
    return f"where {listed(clauses)}" if clauses else ""


def _of_correlation(fit: Any, c: Any) -> Iterator[str]:
    for level in c.by_levels:
        tail = where(c.by, level)
        yield from (f"{one}{tail}" for one in _CORRELATIONS[c.kind](fit.design, c))


def _power(design: Any, c: Any) -> list[str]:
    return [
        f"correlation of residuals{of_group(design, c)} {apart(design, c)}; k times as far apart it is the k-th power"
    ]


def _coefficients(design: Any, c: Any) -> list[str]:
    p, q = c.order

    def back(i: int) -> str:
        return "the residual" if not i else f"the residual {apart(design, c, str(i)).replace(' apart', ' earlier', 1)}"

    return [
        *(f"share of {back(i)} that a residual carries on" for i in range(1, p + 1)),
        *(f"share of the random shock of {back(j)} that a residual carries on" for j in range(1, q + 1)),
    ]


def _common(design: Any, c: Any) -> list[str]:
    return [f"correlation of any two residuals{of_group(design, c)}"]


def _by_distance(design: Any, c: Any) -> list[str]:
    return [f"correlation of residuals{of_group(design, c)} {apart(design, c, lag)}" for lag in c.occasions]


def _pairs(design: Any, c: Any) -> list[str]:
    name = c.variables[0]
    return [
        f"correlation of the residuals{of_group(design, c)} at {name} {a} and {b}"
        for a, b in combinations(c.occasions, 2)
    ]


def _spatial(design: Any, c: Any) -> list[str]:
    variable = " and ".join(c.variables)
    unit = shared_unit(design.units, c.variables)
    start = " from where it starts" if c.nugget else ""
    where = f"{variable}, in {unit}," if unit else variable
    said = [f"distance in {where} at which the correlation {_FALLEN[c.kind]}{start}"]
    if c.nugget:
        said.append("share of the variance that is a row's own, however near another row is")
    return said


_CORRELATIONS = {
    "ar1": _power,
    "car1": _power,
    "arma": _coefficients,
    "cs": _common,
    "toep": _by_distance,
    "us": _pairs,
    **dict.fromkeys(_FALLEN, _spatial),
}


def _of_variance(fit: Any, part: Any) -> Iterator[str]:
    name = part.variables[0] if part.kind != "varident" else ":".join(part.variables)
    if part.kind == "varident":
        yield from _ratios(fit, part, name)
        return
    size = "|fitted value|" if part.fitted else f"|{name}|"
    plain = "the fitted value" if part.fitted else name
    for level in part.levels:
        tail = where(part.strata, level)
        if part.kind == "varpower":
            yield f"power of {size} that the residual sd is proportional to{tail}"
        elif part.kind == "varexp":
            yield f"change of the logarithm of the residual sd per unit of {plain}{tail}"
        elif part.kind == "varconstpower":
            yield f"constant c in c + {size}^power, which the residual sd is proportional to{tail}"
            yield f"power in c + {size}^power{tail}"


def _ratios(fit: Any, part: Any, name: str) -> Iterator[str]:
    """Ratios of standard deviations, with the deviations themselves where nothing else makes them differ."""
    structure = fit.design.residual
    place = structure.slices[structure.variances.index(part) + (structure.correlation is not None)]
    alone = len(structure.variances) == 1 and fit.design.weights is None
    for level, ratio in zip(part.levels[1:], fit.phi[place], strict=True):
        sds = f": {shown(fit.sigma * ratio)} against {shown(fit.sigma)}" if alone else ""
        yield f"residual sd where {name} is {level} over that where it is {part.levels[0]}{sds}"
