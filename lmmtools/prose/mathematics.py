"""The model of a fit in mathematics, with its own terms."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from lmmtools.core.covariance import n_theta
from lmmtools.formats import counted, listed
from lmmtools.prose.residual_mathematics import (
    counted_in,
    independent_groups,
    residual_legend,
    residual_lines,
    shared_groups,
)
from lmmtools.prose.value import Prose, literal
from lmmtools.prose.words import capital
from lmmtools.varcorr import COMMON

__all__ = ["model"]

# Beyond these, sums are written as x'β, matrices by a symbol, and lines are broken.
_MOST_TERMS, _MOST_EFFECTS = 14, 4
_MOST_LETTERS = 58
# What TeX, KaTeX-like readers and pandoc all take within \text{}; other names get a symbol and are explained.
_PLAIN = re.compile(r"[\w .,:+=()/*'!?\[\]-]*", re.ASCII)
# A dummy variable: a factor, or C() of one, and a level; contrasts (``[.L]``) and columns of poly() are neither.
_INDICATOR = re.compile(r"(?P<factor>C\([^()\[\]]+\)|[^()\[\]]+)\[(?:T\.)?(?P<level>(?!\.)[^\[\]]+)\]")
_POWER = re.compile(r"I\((?P<base>\w+) ?(?:\*\*|\^) ?(?P<exponent>\d+)\)", re.ASCII)


def model(fit: Any) -> Prose:
    """The model as it was fitted: response, terms, distributions, and what the symbols stand for.

    Parameters
    ----------
    fit : LMMFit

    Returns
    -------
    Prose
        One display of ``aligned`` mathematics and a paragraph.
    """
    names = _Names(fit)
    lines = [_mean(fit, names), *_random_distributions(fit, names), *_residual_distribution(fit, names)]
    display = "$$\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n$$"
    return Prose(f"{display}\n\n{_legend(fit, names)}")


class _Names:
    """Symbols of the columns of one model, and of what cannot be written as it is."""

    def __init__(self, fit: Any) -> None:
        self.crossed = len(fit.ngroups) > 1 or (bool(fit.ngroups) and not shared_groups(fit))
        self.row = "ij" if not self.crossed and counted_in(fit) else "i"
        self.factors = list(fit.ngroups)
        self.brackets = False
        self.symbols: dict[str, int] = {}

    def at_row(self, name: str) -> str:
        r"""A variable at one row: its name as ``\text{…}``, or a symbol where mathematics cannot hold the name."""
        if _PLAIN.fullmatch(name):
            return f"{_text(name)}_{{{self.row}}}"
        number = self.symbols.setdefault(name, len(self.symbols) + 1)
        return f"v_{{{number},{self.row}}}"

    def column(self, name: str) -> str:
        """A column of a model matrix at one row: variables, powers, indicators and their products."""
        return "\\,".join(self._factor(part) for part in _parts(name))

    def _factor(self, part: str) -> str:
        power = _POWER.fullmatch(part)
        if power:
            return f"{_text(power['base'])}_{{{self.row}}}^{{{power['exponent']}}}"
        found = _INDICATOR.fullmatch(part)
        if not found or not _PLAIN.fullmatch(part):
            return self.at_row(part)
        self.brackets = True
        factor = re.sub(r"^C\((\w+)\)$", r"\1", found["factor"])
        return f"[{_text(factor)} = {_text(found['level'])}]_{{{self.row}}}"

    def group(self, factor: str) -> str:
        """Index of the group a row is in."""
        return f"g_{{{self.factors.index(factor) + 1}}}(i)" if self.crossed else "i"

    def along(self, term: Any, k: int, position: str | None = None) -> str:
        """The effect of a group at the row's position; all of the group's effects, in bold, for an empty one."""
        mark = f"^{{({self.factors.index(term.factor) + 1})}}" if self.crossed else ""
        where = f"t({self.row})" if position is None else position
        places = ",".join(filter(None, [str(k) if k > 1 else "", self.group(term.factor), where]))
        letter = "a" if where else "\\mathbf{a}"
        return f"{letter}{mark}_{{{places}}}"

    def effect(self, factor: str, k: int) -> str:
        """The k-th random effect of a factor."""
        letter = f"b^{{({self.factors.index(factor) + 1})}}" if self.crossed else "b"
        return f"{letter}_{{{k}{',' if self.crossed else ''}{self.group(factor)}}}"


def _text(name: str) -> str:
    return "\\text{" + name.replace("_", "\\_") + "}"


def _parts(name: str) -> list[str]:
    """Split an interaction at the colons outside brackets and quotes."""
    parts, depth, quoted = [""], 0, False
    for char in name:
        quoted ^= char == "`"
        depth += (char in "[(") - (char in "])")
        if char == ":" and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts if all(parts) else [name]


def _numbered(names: tuple[str, ...]) -> list[int]:
    """Subscripts of coefficients: from zero when the first is the intercept."""
    first = 0 if names and names[0] == "Intercept" else 1
    return list(range(first, first + len(names)))


def _product(symbol: str, column: str, names: _Names) -> str:
    return symbol if column == "Intercept" else f"{symbol}\\,{names.column(column)}"


def _mean(fit: Any, names: _Names) -> str:
    design = fit.design
    numbered = zip(_numbered(design.fixed_names), design.fixed_names, strict=True)
    if len(design.fixed_names) <= _MOST_TERMS:
        fixed = [_product(f"\\beta_{{{k}}}", name, names) for k, name in numbered]
    else:
        fixed = [f"\\mathbf{{x}}_{{{names.row}}}^\\top\\boldsymbol{{\\beta}}"]
    offset = [f"o_{{{names.row}}}"] if design.offset is not None else []
    random = []
    for term, subscripts in _terms(fit):
        if term.positions is not None:
            random.append(names.along(term, subscripts[0]))
        elif len(term.names) > _MOST_TERMS:
            random.append(f"\\mathbf{{z}}_{{{names.row}}}^\\top\\mathbf{{b}}_{{{names.group(term.factor)}}}")
        else:
            random += [
                _product(names.effect(term.factor, k), n, names) for k, n in zip(subscripts, term.names, strict=True)
            ]
    terms = [*offset, *fixed, *random, f"\\varepsilon_{{{names.row}}}"]
    rows = [[terms[0]]]
    for term in terms[1:]:
        if _width(rows[-1]) + _width([term]) > _MOST_LETTERS:
            rows.append([])
        rows[-1].append(term)
    return f"{names.at_row(fit.response)} &= " + " \\\\\n&\\quad + ".join(" + ".join(row) for row in rows)


def _width(terms: list[str]) -> int:
    """About how many letters some terms take: a command counts for one, subscripts and plus signs for a half."""
    text = " + ".join(terms).replace("\\text", "")
    return len(re.sub(r"\\[a-z]+|_\{[^}]*\}|[{}\\]", "·", text).replace("··", "·"))


def _terms(fit: Any) -> list[tuple[Any, list[int]]]:
    """Random terms with the subscripts of their effects, counted on through the terms of one factor."""
    counts: dict[str, int] = {}
    found = []
    for term in fit.design.terms:
        first = counts.get(term.factor, _numbered(term.names)[0])
        counts[term.factor] = first + len(term.names)
        found.append((term, list(range(first, first + len(term.names)))))
    return found


def _random_distributions(fit: Any, names: _Names) -> list[str]:
    return [_distribution(term, subscripts, names) for term, subscripts in _terms(fit)]


def _distribution(term: Any, subscripts: list[int], names: _Names) -> str:
    """b ~ N(0, Ψ), Ψ with the structure of the term."""
    mark = f"{names.factors.index(term.factor) + 1}," if names.crossed else ""
    if term.positions is not None:
        return _along(term, subscripts[0], mark, names)
    effects = [names.effect(term.factor, k) for k in subscripts]
    if len(effects) == 1:
        return f"{effects[0]} &\\sim \\mathcal{{N}}\\left(0,\\ \\tau_{{{mark}{subscripts[0]}}}^2\\right)"
    if len(effects) > _MOST_EFFECTS or not isinstance(term.structure, str):
        stacked = f"({effects[0]}, \\dots, {effects[-1]})^\\top"
        matrix = f"\\boldsymbol{{\\Psi}}_{{{mark}{subscripts[0]}}}"
        return f"{stacked} &\\sim \\mathcal{{N}}\\left(\\mathbf{{0}},\\ {matrix}\\right)"
    stacked = "\\begin{pmatrix} " + " \\\\ ".join(effects) + " \\end{pmatrix}"
    matrix = _matrix(term.structure, subscripts, mark)
    return f"{stacked}\\, &\\sim \\mathcal{{N}}\\left(\\mathbf{{0}},\\ {matrix}\\right)"


def _along(term: Any, first: int, mark: str, names: _Names) -> str:
    """Effects along positions: normal, with a covariance that falls off with their distance."""
    stacked, at = names.along(term, first, ""), f"{mark}{first}"
    size = f"\\tau_{{{at}}}^2" if term.structure in COMMON else f"\\tau_{{{at},s}}\\,\\tau_{{{at},t}}"
    entry = f"\\left[{size}\\,\\rho_{{{at}}}^{{|s - t|}}\\right]_{{st}}"
    return f"{stacked} &\\sim \\mathcal{{N}}\\left(\\mathbf{{0}},\\ {entry}\\right)"


def _matrix(structure: str, subscripts: list[int], mark: str) -> str:
    common = structure in COMMON

    def sd(a: int) -> str:
        return f"\\tau_{{{mark}{subscripts[0] if common else a}}}"

    def entry(a: int, b: int) -> str:
        if a == b:
            return f"{sd(a)}^2"
        if structure in ("cs", "homcs"):
            product = f"{sd(a)}^2" if common else f"{sd(min(a, b))}\\tau_{{{mark}{max(a, b)}}}"
            return f"\\rho_{{{mark}{subscripts[0]}}}\\,{product}"
        return f"\\tau_{{{mark}{min(a, b)}{max(a, b)}}}" if structure == "us" else "0"

    rows = " \\\\ ".join(" & ".join(entry(a, b) for b in subscripts) for a in subscripts)
    return "\\begin{pmatrix} " + rows + " \\end{pmatrix}"


def _residual_distribution(fit: Any, names: _Names) -> list[str]:
    if fit.design.residual is not None:
        return residual_lines(fit, names.row)
    variance = "\\sigma^2" + (f" / w_{{{names.row}}}" if fit.design.weights is not None else "")
    return [f"\\varepsilon_{{{names.row}}} &\\sim \\mathcal{{N}}\\left(0,\\ {variance}\\right)"]


def _legend(fit: Any, names: _Names) -> str:
    """What the symbols of the display stand for."""
    if names.crossed:
        groups = [f"level $g_{{{k}}}(i)$ of {literal(f)}" for k, f in enumerate(names.factors, start=1)]
        where = [f"Here $i$ counts rows, and row $i$ is in {listed(groups)}."]
    elif names.row == "ij":
        where = [f"Here $i$ counts the levels of {literal(counted_in(fit))} and $j$ the rows within one."]
    else:
        where = ["Here $i$ counts rows."]
    where += [f"$v_{{{k},{names.row}}}$ is {literal(name)}." for name, k in names.symbols.items()]
    if names.brackets:
        where.append("A bracket is 1 where what it says holds and 0 elsewhere.")
    if fit.design.offset is not None:
        where.append(f"$o_{{{names.row}}}$ is a known offset.")
    if fit.design.weights is not None:
        w = fit.design.weights
        weights = "all equal" if np.ptp(w) == 0 else f"known, from {w.min():.4g} to {w.max():.4g}"
        where.append(f"The precision weights $w_{{{names.row}}}$ are {weights}.")
    where += _positions(fit)
    if fit.design.residual is not None:
        where += residual_legend(fit, names.row)
    if large := [t for t in fit.design.terms if _is_symbol(t)]:
        where.append(_large_matrices(large))
    return " ".join([*where, *_dependence(fit)])


def _positions(fit: Any) -> list[str]:
    """What positions are."""
    said = {}
    for term in fit.design.terms:
        if term.positions is not None:
            column = term.label[term.label.index("(") + 1 : term.label.rindex("|")].strip()
            symbol = "$t(i)$" if len(fit.ngroups) > 1 else "$t(ij)$"
            said.setdefault(column, f"{symbol} is the position of the row along {literal(column)}, in whole steps.")
    return list(said.values())


def _dependence(fit: Any) -> list[str]:
    """What is independent of what, and what known matrices say of the levels."""
    terms, apart = fit.design.terms, independent_groups(fit)
    known = [t for t in terms if t.known_root is not None]
    said = [
        f"Effects of levels $g$ and $h$ of {literal(t.factor)} have $A_{{gh}}$ times this covariance, $A$ the known "
        f"covariance matrix of the levels{f' that goes with {literal(t.label)}' if len(known) > 1 else ''}."
        for t in known
    ]
    different = [*(["terms"] if len(terms) > 1 else []), *(["levels"] if len(known) < len(terms) else [])]
    other = "of other " if known and "levels" in different else "of different "
    effects = f"Random effects {other}{' or '.join(different)}" if different else "Random effects"
    if not terms:
        return [f"{capital(apart)} are independent."] if apart else []
    if fit.design.residual is None:
        return [*said, f"{effects}, and residuals, are independent."]
    return [*said, f"{effects} are independent, of the residuals too{f', and so are {apart}' if apart else ''}."]


def _is_symbol(term: Any) -> bool:
    """Whether the covariance of a term's effects is written as a symbol."""
    large = len(term.names) > _MOST_EFFECTS or not isinstance(term.structure, str)
    return large and term.positions is None and len(term.names) > 1


_WORDS = {
    "us": "any covariance matrix",
    "diag": "a diagonal matrix",
    "homdiag": "a multiple of the identity",
    "cs": "one with variances of their own and one correlation",
    "homcs": "one with one variance and one correlation",
}


def _large_matrices(large: list[Any]) -> str:
    said = [f"of {literal(t.label)} is {_in_words(t)}, {len(t.names)} by {len(t.names)}" for t in large]
    return f"The matrix $\\boldsymbol{{\\Psi}}$ {listed(said)}."


def _in_words(term: Any) -> str:
    if isinstance(term.structure, str):
        return _WORDS[term.structure]
    m = n_theta(term.structure, len(term.names))
    return f"that of the structure {literal(type(term.structure).__name__)} with {counted(m, 'parameter')}"
