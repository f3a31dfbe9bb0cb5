"""Parameters as a user states them, read and checked: coefficients, standard deviations, correlations, φ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.errors import LMMError
from lmmtools.formats import counted, nearest, quoted

__all__ = ["check_number", "check_sigma", "entries_of", "read_fixef", "read_phi"]


def check_number(value: Any, name: str) -> float:
    """A finite number.

    Raises
    ------
    LMMError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(value):
        raise LMMError(f"planned: {name} must be a finite number; got {value!r}.")
    return float(value)


def check_sigma(value: Any) -> float:
    """A residual standard deviation.

    Raises
    ------
    LMMError
        If it is no positive number.
    """
    sigma = check_number(value, "sigma, the residual standard deviation,")
    if sigma <= 0.0:
        raise LMMError(
            f"planned: sigma, the residual standard deviation, must be positive; got {value!r}. It is in units of the "
            "response; for none, a number small beside the other standard deviations."
        )
    return sigma


def read_fixef(given: Any, names: Sequence[str], dropped: Sequence[str], base: np.ndarray | None) -> np.ndarray:
    """β from a mapping of names to numbers.

    Parameters
    ----------
    given : Mapping, Series or None
    names, dropped : sequence of str
        Coefficients of the model, and those that others determine.
    base : ndarray, shape (p,), or None
        What holds for those that are not named; None where all must be.

    Raises
    ------
    LMMError
        If it is no mapping, names what is no coefficient, leaves one out, or a value is no finite number.
    """
    known = list(names)
    stated = _as_mapping(given, "fixef", "fixef={'Intercept': 250, 'Days': 10}")
    for name in stated:
        if name in known:
            continue
        if name in dropped:
            raise LMMError(
                f"planned: fixef names `{name}`, which these rows cannot tell from the other coefficients, so that it "
                f"was left out; the model has {quoted(known)}."
            )
        raise LMMError(
            f"planned: fixef names `{name}`, which is no coefficient of this model{nearest(str(name), known)}; it has "
            f"{quoted(known)}."
        )
    lacking = [name for name in known if name not in stated]
    if base is None and lacking:
        raise LMMError(
            f"planned: fixef lacks {quoted(lacking)}: state every coefficient, zero where there is to be no effect; "
            f"the model has {quoted(known)}."
        )
    beta = np.zeros(len(known)) if base is None else np.array(base, dtype=float)
    for name, value in stated.items():
        beta[known.index(name)] = check_number(value, f"fixef[{name!r}]")
    return beta


def read_phi(given: Any, residual: Any, base: np.ndarray | None) -> np.ndarray:
    """φ from a mapping of its names, as `residual_params` has them, to numbers.

    Raises
    ------
    LMMError
        If there is no residual structure, a name is unknown or left out, or a value is outside its range.
    """
    stated = _as_mapping(given, "residual_params", "residual_params={'ar1.phi': 0.4}")
    if residual is None:
        if stated:
            raise LMMError(
                f"planned: residual_params={dict(stated)!r} was given, but the model has no residual structure: name "
                "it as well, such as residual='ar1(time | Subject)'."
            )
        return np.zeros(0)
    names = list(residual.names)
    for name in stated:
        if name not in names:
            raise LMMError(
                f"planned: residual_params names `{name}`, which is no parameter of `{residual.text}`"
                f"{nearest(str(name), names)}; it has {quoted(names) if names else 'none'}."
            )
    lacking = [name for name in names if name not in stated]
    if base is None and lacking:
        raise LMMError(
            f"planned: residual_params lacks {quoted(lacking)} of `{residual.text}`: state each, as "
            f"residual_params={{{lacking[0]!r}: …}}."
        )
    phi = np.zeros(len(names)) if base is None else np.array(base, dtype=float)
    for name, value in stated.items():
        k = names.index(name)
        phi[k] = check_number(value, f"residual_params[{name!r}]")
        low, high = residual.bounds[k]
        if not (low < phi[k] < high or (phi[k] == low == 0.0 and name.endswith("nugget"))):
            raise LMMError(f"planned: `{name}` must lie between {low:g} and {high:g}; got {value!r}.")
    return phi


def _as_mapping(given: Any, what: str, example: str) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if isinstance(given, pd.Series):
        if not given.index.is_unique:
            raise LMMError(f"planned: {what} is a Series that has a name twice: each must come once.")
        return given.to_dict()
    if not isinstance(given, Mapping):
        raise LMMError(f"planned: {what} takes names with their values, such as {example}; got {given!r}.")
    return given


def entries_of(given: Any, what: str, terms: Sequence[Any]) -> Iterator[tuple[Any, tuple[int, ...], Any, str]]:
    """Each statement on a random term: the term, the effects it is of, the value, and how it was written.

    Effects are none where the value is of a whole term (a number, or a matrix), one for an sd, two for a correlation.

    Parameters
    ----------
    given : Mapping, Series or None
        ``"sd(g, x)"`` or ``"cor(g, x, z)"`` to numbers; or a term's name in ``varcorr`` to a number, a matrix, or a
        mapping of effects (for correlations pairs of them) to numbers.
    what : {"sd", "cor"}
    terms : sequence of RandomTerm

    Raises
    ------
    LMMError
        If it is no mapping, or a name is unknown.
    """
    example = "sd={'sd(Subject, Days)': 6}" if what == "sd" else "cor={'cor(Subject, Intercept, Days)': 0.1}"
    named = {_squeezed(name): found for name, found in _names(terms, what)}
    groups = {term.group: term for term in terms}
    for key, value in _as_mapping(given, what, example).items():
        if (found := named.get(_squeezed(key))) is not None:
            yield *found, value, str(key)
        elif (term := groups.get(key)) is None:
            known = [*groups, *(name for name, _ in _names(terms, what))]
            there = f"the model has {quoted(known)}" if known else "the model has no random effects"
            raise LMMError(f"planned: {what} names `{key}`, which is not there{nearest(str(key), known)}; {there}.")
        elif isinstance(value, Mapping) or (isinstance(value, pd.Series) and what == "sd"):
            for effect, one in dict(value).items():
                yield term, _effects(term, effect, what), one, f"{what}[{key!r}][{effect!r}]"
        else:
            yield term, (), value, f"{what}[{key!r}]"


def _names(terms: Sequence[Any], what: str) -> Iterator[tuple[str, tuple[Any, tuple[int, ...]]]]:
    for term in terms:
        if what == "sd":
            yield from ((f"sd({term.group}, {name})", (term, (i,))) for i, name in enumerate(term.names))
            continue
        for i, j in combinations(range(len(term.names)), 2):
            for a, b in ((i, j), (j, i)):
                yield f"cor({term.group}, {term.names[a]}, {term.names[b]})", (term, (i, j))


def _effects(term: Any, effect: Any, what: str) -> tuple[int, ...]:
    names = list(term.names)
    wanted = [effect] if what == "sd" else list(effect) if isinstance(effect, tuple) else []
    if what == "cor" and len(wanted) != 2:
        raise LMMError(
            f"planned: a correlation of {term.label} is that of two effects, such as ({names[0]!r}, {names[-1]!r}); "
            f"got {effect!r}."
        )
    for name in wanted:
        if name not in names:
            raise LMMError(
                f"planned: {what} names the effect `{name}` of {term.label}, which has {counted(len(names), 'effect')}"
                f"{nearest(str(name), names)}: {quoted(names)}."
            )
    places = sorted(names.index(name) for name in wanted)
    if len(set(places)) < len(places):
        raise LMMError(f"planned: cor of `{wanted[0]}` with itself is one; got a value for it in {term.label}.")
    return tuple(places)


def _squeezed(name: Any) -> str:
    return "".join(str(name).split())
