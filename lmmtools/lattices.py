"""The lattice of nested models: which likelihood-ratio tests are legal, and the shortest steps among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.comparison import criteria_of, likelihood_ratio, own_fitted, reference_notes, why_not_comparable
from lmmtools.errors import ModelError
from lmmtools.formats import listed, shown
from lmmtools.frames import Frame, frame
from lmmtools.nesting import Nesting, dimension, nesting

__all__ = ["Lattice", "Node", "lattice"]

# Criteria of one model fitted twice, or of nested ones the wrong way round, differ by no more than this.
_ROUNDING = 1e-4
_MOST_NAMES = 3


@dataclass(frozen=True)
class Node:
    """One model of a lattice: its name, those of models equal to it, its number of parameters, its AIC."""

    name: str
    same: tuple[str, ...]
    npar: int
    aic: float


class Lattice(Frame):
    """Likelihood-ratio tests along the steps of a lattice: ``smaller, larger, chisq, df, p_value, reference``.

    Attributes
    ----------
    nodes : tuple of Node
        The models, equal ones once, in the order given.
    apart : Frame
        ``first, second, reason``: the pairs that no test compares.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "nodes", "apart"]
    nodes: tuple[Node, ...] = ()
    apart: Frame | None = None

    @property
    def _constructor(self) -> type[Lattice]:
        return Lattice


def lattice(models: Mapping[str, Any]) -> Lattice:
    """Likelihood-ratio tests of neighbouring models among all that are nested.

    Parameters
    ----------
    models : Models, or any mapping of names to fits

    Returns
    -------
    Lattice
        A row a step, the smaller model first; what follows from steps in between is left out. `apart` has the pairs
        that cannot be tested, with reasons.

    Raises
    ------
    ModelError
        If `models` is not such a mapping.

    Notes
    -----
    A model is nested in another if its means and covariances are all among the other's, however the columns are
    coded. Under REML only models with the same means are tested. Each test has the reference distribution that `lrt`
    would choose; p is missing where the smaller model has a variance at zero itself.

    Examples
    --------
    >>> import lmmtools as lt
    >>> data = lt.load_dataset("sleepstudy")
    >>> models = lt.fit_models(["Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"], data)
    >>> lt.lattice(models)[["smaller", "larger", "df"]].values.tolist()
    [['M1', 'M2', 1]]
    """
    fits = _checked(models)
    found = _relations(fits)
    heads = {name: group[0] for group in found.same for name in group}
    names = [name for name in fits if heads.get(name, name) == name]
    edges = [
        pair
        for pair in found.nested
        if pair[0] in names and pair[1] in names
        and not any((pair[0], k) in found.nested and (k, pair[1]) in found.nested for k in names)
    ]  # fmt: skip
    steps = _steps(fits, edges, found)
    made = frame(
        steps,
        caption=f"Likelihood-ratio tests of nested models, one step at a time ({_method(fits)} fits)",
        label="tbl-lattice",
        notes=_notes(fits, edges, found, steps["reference"]),
        index=False,
        headings={"smaller": "Smaller", "larger": "Larger", "chisq": "χ²", "df": "df", "p_value": "p",
                  "reference": "Reference"},
        formats={"smaller": "text", "larger": "text", "chisq": "fixed2", "df": "int", "p_value": "p",
                 "reference": "text"},
        cls=Lattice,
    )  # fmt: skip
    made.nodes = _nodes(fits, names, found)
    made.apart = _apart(found.apart)
    return made


def _checked(models: Any) -> dict[str, Any]:
    if not isinstance(models, Mapping) or not all(hasattr(fit, "criterion") for fit in models.values()):
        raise ModelError(
            f"lattice: takes what fit_models returns, or a mapping of names to fits; got {type(models).__name__}."
        )
    return dict(models)


def _method(fits: Mapping[str, Any]) -> str:
    return " and ".join(dict.fromkeys(fit.method for fit in fits.values()))


@dataclass(frozen=True)
class _Relations:
    """Pairs (smaller, larger) with their nesting, groups of equal models, and what no test compares."""

    nested: dict[tuple[str, str], Nesting]
    same: tuple[tuple[str, ...], ...]
    apart: tuple[tuple[str, str, str], ...]


def _relations(fits: Mapping[str, Any]) -> _Relations:
    nested: dict[tuple[str, str], Nesting] = {}
    groups: list[list[str]] = []
    apart = []
    for a, b in combinations(fits, 2):
        reason = why_not_comparable(fits[a], fits[b])
        if reason:
            apart.append((a, b, reason))
            continue
        small, large = (a, b) if sum(dimension(fits[a])) <= sum(dimension(fits[b])) else (b, a)
        step, why = _relation(small, large, fits)
        if step is None and not why:
            _join(groups, a, b)
            apart.append((a, b, "the same model, written differently"))
        elif step is None:
            apart.append((a, b, why))
        else:
            nested[small, large] = step
    return _Relations(nested, tuple(map(tuple, groups)), tuple(apart))


def _relation(small: str, large: str, fits: Mapping[str, Any]) -> tuple[Nesting | None, str]:
    """The nesting of two comparable fits, or why there is none; neither for the same model."""
    step = nesting(fits[small], fits[large])
    if step.inside and step.df > 0:
        return step, ""
    back = nesting(fits[large], fits[small]) if step.df == 0 or not step.inside else step
    if step.inside and back.inside:
        return None, ""
    # Groups and covariances are said once, with the smaller model's means.
    means = replace(back, inside=True, random=(), decided=True)
    reasons = (step.why_not(small, large, _some), means.why_not(large, small, _some))
    return None, "; ".join(dict.fromkeys(filter(None, reasons))) or "neither is a special case of the other"


def _some(names: Sequence[str]) -> str:
    """A few names as a table shows them, and how many more."""
    more = len(names) - _MOST_NAMES
    return listed([*names[:_MOST_NAMES], f"{more} more"] if more > 0 else names)


def _join(groups: list[list[str]], a: str, b: str) -> None:
    """Put two equal models into one group, in the order they came."""
    home = next((group for group in groups if a in group), None)
    if home is None:
        groups.append([a, b])
    elif b not in home:
        home.append(b)


def _steps(fits: Mapping[str, Any], edges: list[tuple[str, str]], found: _Relations) -> pd.DataFrame:
    rows = []
    for small, large in sorted(edges, key=lambda e: (fits[e[0]].npar, fits[e[1]].npar)):
        criteria = criteria_of([fits[small], fits[large]])
        tested = likelihood_ratio(fits[small], fits[large], criteria, found.nested[small, large])
        rows.append({"smaller": small, "larger": large} | tested)
    columns = ["smaller", "larger", "chisq", "df", "p_value", "reference"]
    return pd.DataFrame(rows, columns=columns).astype({"chisq": float, "p_value": float})


def _nodes(fits: Mapping[str, Any], names: list[str], found: _Relations) -> tuple[Node, ...]:
    """The models of the lattice; their AIC only where all can be compared by it."""
    first, *others = fits.values()
    known = not any(why_not_comparable(first, other) for other in others)
    aic = {n: c + 2.0 * f.npar if known else np.nan
           for (n, f), c in zip(fits.items(), criteria_of([first, *others]), strict=True)}  # fmt: skip
    same = {group[0]: group[1:] for group in found.same}
    return tuple(Node(name, same.get(name, ()), fits[name].npar, float(aic[name])) for name in names)


def _notes(
    fits: Mapping[str, Any], edges: list[tuple[str, str]], found: _Relations, references: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if not edges:
        notes.append("No model here is a special case of another, so there is nothing to test.")
    notes += (*reference_notes(references), *own_fitted(list(fits.values())))
    for group in found.same:
        notes.append(f"{listed(group)} are the same model, written differently; {group[0]} stands for all of them.")
        gap = np.ptp(criteria_of([fits[name] for name in group]))
        if gap > _ROUNDING:
            notes.append(f"Their criteria differ by {shown(gap)} all the same: not all are at their optimum.")
    for small, large in edges:
        less, more = criteria_of([fits[small], fits[large]])
        if more - less > _ROUNDING:
            notes.append(f"{large} fits worse than {small}, which is nested in it, by {shown(more - less)}: it is not "
                         "at its optimum, and its tests mean nothing.")  # fmt: skip
    return tuple(notes)


def _apart(rows: tuple[tuple[str, str, str], ...]) -> Frame:
    return frame(
        pd.DataFrame(rows, columns=["first", "second", "reason"]),
        caption="Pairs of models that no likelihood-ratio test compares",
        label="tbl-apart",
        notes=() if rows else ("There are none.",),
        index=False,
        headings={"first": "Model", "second": "and", "reason": "Why not"},
        formats={"first": "text", "second": "text", "reason": "text"},
    )
