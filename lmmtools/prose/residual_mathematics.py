"""The distribution of residuals that are correlated, or of unequal variance, in mathematics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lmmtools.formats import listed
from lmmtools.prose.value import literal
from lmmtools.prose.words import noun

__all__ = ["counted_in", "independent_groups", "residual_legend", "residual_lines", "shared_groups"]

_PLAIN = re.compile(r"\w+( \w+)*", re.ASCII)
_UNDERSCORE = "\\_"
_PHI, _RHO, _DELTA = "\\varphi", "\\rho", "\\delta"
# Correlations that are written for two different rows.
_OFF_DIAGONAL = ("cs", "toep", "us")
# Fewer occasions than this are named.
_MOST_OCCASIONS = 8


def shared_groups(fit: Any) -> bool:
    """Whether the groups of the residuals are those the rows are counted in, or parts of them."""
    c = fit.design.correlation
    factors = list(fit.ngroups)
    if c is None:
        return True
    if not factors:
        return bool(c.group)
    return len(factors) == 1 and bool(c.group) and (c.group == factors[0] or c.group.startswith(f"{factors[0]}:"))


def residual_lines(fit: Any, row: str) -> list[str]:
    """Lines of an ``aligned`` display: how residuals are distributed.

    Parameters
    ----------
    fit : LMMFit
        With a residual structure.
    row : str
        Subscript of a row: ``"ij"`` or ``"i"``.
    """
    other = f"{row[:-1]}k"
    c, spread = fit.design.correlation, _multiplier(fit, row)
    size = f"\\,s_{{{row}}}^2" if spread else ""
    if c is None:
        lines = [f"\\varepsilon_{{{row}}} &\\sim \\mathcal{{N}}\\left(0,\\ \\sigma^2{size}\\right)"]
    elif row == "ij" and counted_in(fit) == c.group:
        apart = " \\quad (j \\ne k)" if c.kind in _OFF_DIAGONAL or c.nugget else ""
        pair = f"s_{{{row}}}\\,s_{{{other}}}\\," if spread else ""
        lines = [
            "\\boldsymbol{\\varepsilon}_{i} &\\sim \\mathcal{N}\\left(\\mathbf{0},\\ "
            "\\sigma^2\\,\\mathbf{R}_{i}\\right)",
            f"\\left[\\mathbf{{R}}_{{i}}\\right]_{{jk}} &= {pair}{_falls(fit, c, row, other)}{apart}",
        ]
    else:
        lines = [
            f"\\varepsilon_{{{row}}} &\\sim \\mathcal{{N}}\\left(0,\\ \\sigma^2{size}\\right)",
            f"\\operatorname{{Cor}}\\left(\\varepsilon_{{{row}}},\\ \\varepsilon_{{{other}}}\\right) &= "
            f"{_falls(fit, c, row, other)}",
        ]
    return [*lines, *([f"s_{{{row}}} &= {spread}"] if spread else [])]


def residual_legend(fit: Any, row: str) -> list[str]:
    """Sentences on the symbols of those lines."""
    return list(filter(None, [*_of_correlation(fit, row), *_of_multipliers(fit, row)]))


def counted_in(fit: Any) -> str:
    """Of what the index i counts the levels, where a row has one index for its group; empty where it has not."""
    factors, c = list(fit.ngroups), fit.design.correlation
    return factors[0] if factors else c.group if c is not None else ""


def _parameter(symbol: str, c: Any, row: str) -> str:
    """A parameter, with the level of the factor that has parameters of its own."""
    return f"{symbol}_{{h({row})}}" if c.by else symbol


def _falls(fit: Any, c: Any, row: str, other: str) -> str:
    """The correlation of two rows of a group."""
    lag = f"|t_{{{row}}} - t_{{{other}}}|"
    own = f",\\,h({row})" if c.by else ""
    if c.kind in ("ar1", "car1"):
        return f"{_parameter(_PHI, c, row)}^{{{lag}}}"
    if c.kind == "arma":
        return f"\\rho\\left({lag}\\right)"
    if c.kind == "cs":
        return _parameter(_RHO, c, row)
    if c.kind == "toep":
        return f"{_RHO}_{{{lag}{own}}}"
    if c.kind == "us":
        return f"{_RHO}_{{t_{{{row}}}\\,t_{{{other}}}{own}}}"
    share = f"\\left(1 - {_parameter('c', c, row)}\\right)\\," if c.nugget else ""
    return f"{share}{_spatial(c, f'd_{{{row[-1]}k}}', _parameter('r', c, row))}"


def _spatial(c: Any, d: str, r: str) -> str:
    """How the correlation falls with the distance."""
    if c.kind == "exp":
        return f"e^{{-{d} / {r}}}"
    if c.kind == "gaus":
        return f"e^{{-({d} / {r})^2}}"
    if c.kind == "ratio":
        return f"\\frac{{1}}{{1 + ({d} / {r})^2}}"
    return f"\\left(1 - \\tfrac{{3}}{{2}}\\,\\frac{{{d}}}{{{r}}} + \\tfrac{{1}}{{2}}\\,\\frac{{{d}^3}}{{{r}^3}}\\right)"


def _multiplier(fit: Any, row: str) -> str:
    """The multiplier of a row's standard deviation; empty where it is one."""
    parts = fit.design.residual.variances
    several = len(parts) > 1
    factors = [_of_part(part, str(k) if several else "", row) for k, part in enumerate(parts, start=1)]
    product = "\\,".join(factors)
    if fit.design.weights is None:
        return product
    return f"{product or '1'} / \\sqrt{{w_{{{row}}}}}"


def _covariate(part: Any, number: str, row: str) -> str:
    """The variable that a variance function is of: by its name where mathematics can hold that."""
    if part.fitted:
        return f"\\hat{{y}}_{{{row}}}"
    name = part.variables[0]
    if _PLAIN.fullmatch(name):
        return f"\\text{{{name.replace('_', _UNDERSCORE)}}}_{{{row}}}"
    return f"v_{{{number + ',' if number else ''}{row}}}"


def _of_part(part: Any, number: str, row: str) -> str:
    v = _covariate(part, number, row)
    level = f"\\ell_{{{number}}}({row})" if number else f"\\ell({row})"
    own = part.kind == "varident" or part.levels != ("",)

    def parameter(symbol: str) -> str:
        places = ",".join(filter(None, [number, level if own else ""]))
        return f"{symbol}_{{{places}}}" if places else symbol

    if part.kind == "varident":
        return parameter(_DELTA)
    if part.kind == "varpower":
        return f"|{v}|^{{{parameter(_DELTA)}}}"
    if part.kind == "varexp":
        return f"e^{{{parameter(_DELTA)}\\,{v}}}"
    if part.kind == "varconstpower":
        return f"\\left({parameter('c')} + |{v}|^{{{parameter(_DELTA)}}}\\right)"
    return f"\\sqrt{{{v}}}"


def _of_correlation(fit: Any, row: str) -> Iterator[str]:
    c = fit.design.correlation
    if c is None:
        return
    other = f"{row[:-1]}k"
    if row == "i" and c.group:
        yield f"The correlation is that of two rows, $i$ and $k$, of one {noun(fit.design, c.group)[0]}."
    names = listed(map(literal, c.variables)) if c.variables else ""
    if c.kind in ("exp", "gaus", "spher", "ratio"):
        until = ", up to $r$, beyond which they are uncorrelated" if c.kind == "spher" else ""
        yield f"$d_{{{row[-1]}k}}$ is the distance of rows ${row}$ and ${other}$ in {names}{until}."
        yield "$r$ is the range" + (
            " and $c$ the nugget, by which the correlation of near rows stays below one." if c.nugget else "."
        )
    elif c.kind != "cs":
        place = "the place, among all its levels, of the row’s level of " if c.categorical else ""
        yield f"$t_{{{row}}}$ is {place}{names}."
    if c.kind == "arma":
        yield _process(c, row)
    if row == "ij" and counted_in(fit) == c.group and (c.kind in _OFF_DIAGONAL or c.nugget):
        yield f"On its diagonal $\\mathbf{{R}}_{{i}}$ has {f'$s_{{{row}}}^2$' if _multiplier(fit, row) else 'ones'}."
    if c.kind == "us" and len(c.occasions) <= _MOST_OCCASIONS:
        yield f"Each pair of the occasions {listed(map(literal, c.occasions))} has a correlation of its own."
    elif c.kind == "toep":
        beyond = fit.design.recipe.residual.parsed.correlation.option("k", 0)
        rest = ", larger ones none" if beyond else ""
        yield f"Each of the distances {listed(map(literal, c.occasions))} has a correlation of its own{rest}."
    if c.by:
        yield f"$h({row})$ is the level of {literal(c.by)}, each with parameters of its own."


def _process(c: Any, row: str) -> str:
    """The process whose autocorrelations are meant."""
    p, q = c.order
    past = [f"\\varphi_{{{i}}}\\,e_{{t - {i}}}" for i in range(1, p + 1)]
    shocks = ["a_{t}", *(f"\\theta_{{{j}}}\\,a_{{t - {j}}}" for j in range(1, q + 1))]
    own = f", with coefficients that depend on $h({row})$" if c.by else ""
    return (
        f"$\\rho$ is the autocorrelation of the stationary process $e_{{t}} = {' + '.join([*past, *shocks])}$ with "
        f"independent $a_{{t}}${own}."
    )


def _of_multipliers(fit: Any, row: str) -> Iterator[str]:
    parts = fit.design.residual.variances
    several = len(parts) > 1
    for k, part in enumerate(parts, start=1):
        number = str(k) if several else ""
        level = f"\\ell_{{{number}}}({row})" if number else f"\\ell({row})"
        if part.kind == "varident":
            symbol = f"\\delta_{{{number}}}" if number else "\\delta"
            factor = literal(":".join(part.variables))
            yield f"${level}$ is the row’s level of {factor}; ${symbol}$ is 1 where that is {literal(part.levels[0])}."
            continue
        if part.fitted:
            yield f"$\\hat{{y}}_{{{row}}}$ is the fitted value."
        else:
            v, name = _covariate(part, number, row), literal(part.variables[0])
            said = [f"${v}$ is {name}"] if v.startswith("v_") else []
            if part.kind == "varfixed":
                said = [*(f"{one}," for one in said), "a known variance" if said else f"{name} is a known variance"]
                said.append("up to the factor $\\sigma^2$")
            yield f"{' '.join(said)}." if said else ""
        if part.levels != ("",):
            yield f"${level}$ is the row’s level of {literal(part.strata)}."


def independent_groups(fit: Any) -> str:
    """Whose residuals are independent of each other: "residuals of different children"; plain where all are."""
    c = fit.design.correlation
    if c is None:
        return "residuals"
    return f"residuals of different {noun(fit.design, c.group)[1]}" if c.group else ""
