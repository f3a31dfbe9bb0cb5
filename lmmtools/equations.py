"""Two sides of an equation, each computed in its own way, held together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
import scipy.sparse as sp

from lmmtools.errors import LMMError
from lmmtools.formats import listed, nearest, quoted, shown
from lmmtools.frames import Frame, frame

__all__ = ["identities"]


def identities(
    equations: Mapping[str, tuple[object, object]],
    *,
    fails: Iterable[str] = (),
    tolerance: float = 1e-8,
    caption: str,
    label: str,
) -> Frame:
    """Equations whose two sides were computed in different ways, and how far apart these are.

    Parameters
    ----------
    equations : mapping
        What the equation says, such as ``"β̂ by GLS"``, to its two sides: numbers, arrays, sparse matrices, Series or
        data frames. Series and data frames that carry the same names are put in the same order; all else is compared
        place by place.
    fails : iterable of str
        Those of the equations that do not hold, such as a misprint that is shown to be one.
    tolerance : float
        Largest difference at which an equation holds, relative to the largest value on either side.
    caption, label : str
        Of the table, see :func:`lmmtools.frames.frame`.

    Returns
    -------
    Frame
        A row for each equation, named in the index `what`: `left` and `right` (the value of largest size, which is
        the number itself where the sides are numbers; where an equation fails, the values that differ most),
        `difference` (the largest one, relative to the largest value on either side) and `holds` ("yes" or "no").

    Raises
    ------
    LMMError
        If an equation does not hold that is not in `fails`, or one in `fails` does; if the two sides have different
        shapes, hold anything but numbers, or NaN; if `fails` names no equation.

    Examples
    --------
    >>> V = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> identities(
    ...     {
    ...         "determinant": (np.linalg.det(V), 3.0),
    ...         "inverse": (np.linalg.inv(V), np.array([[2, -1], [-1, 2]]) / 3),
    ...         "inverse, entry by entry": (np.linalg.inv(V), 1 / V),
    ...     },
    ...     fails=["inverse, entry by entry"], tolerance=1e-12, caption="A matrix of two rows", label="tbl-small",
    ... )["holds"].to_list()
    ['yes', 'yes', 'no']
    """
    equations, fails = _read(equations), _failing(fails)
    for name in fails:
        if name not in equations:
            raise LMMError(f"identities: `fails` names {name!r}, which is no equation here{nearest(name, equations)}.")
    if not isinstance(tolerance, Real) or not 0.0 < tolerance < 1.0:
        raise LMMError(f"identities: tolerance must lie between 0 and 1, such as 1e-8; got {tolerance!r}.")
    held = {what: _compared(*_sides(what, *pair), tolerance) for what, pair in equations.items()}
    _check(held, fails, tolerance)
    return frame(
        pd.DataFrame(
            [[one.left, one.right, one.difference, "yes" if one.holds else "no"] for one in held.values()],
            index=pd.Index(held, name="what"),
            columns=["left", "right", "difference", "holds"],
        ),
        caption=caption,
        label=label,
        notes=(_note(held, fails, tolerance),),
        headings={"what": "Equation", "left": "Left", "right": "Right", "difference": "Difference", "holds": "Holds"},
        formats={"left": "plain6", "right": "plain6", "difference": "sci"},
    )


def _failing(fails: object) -> tuple[str, ...]:
    if isinstance(fails, str):
        return (fails,)
    named = tuple(fails) if isinstance(fails, Iterable) else (fails,)
    if not all(isinstance(name, str) for name in named):
        raise LMMError(f"identities: `fails` must name equations, such as ['inverse']; got {fails!r}.")
    return named


@dataclass(frozen=True)
class _Compared:
    """Two sides of one equation: a value of each, how far apart they are, and whether that is next to nothing."""

    left: float
    right: float
    difference: float
    holds: bool
    size: int


def _read(equations: Mapping[str, tuple[object, object]]) -> dict[str, tuple[object, object]]:
    """The equations, if they are such."""
    if not isinstance(equations, Mapping) or not equations:
        raise LMMError(
            "identities: give a mapping of what each equation says to its two sides, such as "
            f'{{"β̂ by GLS": (left, right)}}; got {"an empty one" if equations == {} else type(equations).__name__}.'
        )
    for what, pair in equations.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise LMMError(f"identities: {what!r} must have two sides, (left, right); got {type(pair).__name__}.")
    return dict(equations)


def _sides(what: str, left: object, right: object) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as arrays of one shape, names that both carry in the order of the left."""
    left, right = _matched(left, right)
    pair = _numbers(what, "left", left), _numbers(what, "right", right)
    if pair[0].shape != pair[1].shape:
        raise LMMError(
            f"identities: the sides of {what!r} have different shapes, {_shape(pair[0])} on the left and "
            f"{_shape(pair[1])} on the right; they must hold the same quantities."
        )
    if not pair[0].size:
        raise LMMError(f"identities: both sides of {what!r} are empty; there is nothing to compare.")
    return pair


def _matched(left: object, right: object) -> tuple[object, object]:
    """The right side in the order of the left, where both carry the same names."""
    kinds = (pd.Series, pd.DataFrame)
    if isinstance(left, kinds) and isinstance(right, kinds) and left.ndim == right.ndim:
        for axis, (ours, theirs) in enumerate(zip(left.axes, right.axes, strict=True)):
            if ours.is_unique and theirs.is_unique and len(ours) == len(theirs) and ours.isin(theirs).all():
                right = right.reindex(ours, axis=axis)
    return left, right


def _numbers(what: str, side: str, value: object) -> np.ndarray:
    """One side as an array of floats."""
    try:
        if isinstance(value, np.ma.MaskedArray):
            value = value.astype(float).filled(np.nan)  # what is masked is not known
        found = np.asarray(value.toarray() if sp.issparse(value) else value)
        if found.dtype == object and all(isinstance(x, Real) for x in found.ravel()):
            found = found.astype(float)
    except (ValueError, OverflowError):  # rows of different lengths, integers beyond all floats
        found = np.array(None)
    if found.dtype.kind not in "iuf":
        raise LMMError(
            f"identities: the {side} side of {what!r} holds no numbers but {type(value).__name__}"
            f"{f' of {found.dtype}' if found.dtype.kind != 'O' else ''}; give real numbers or arrays of them."
        )
    found = found.astype(float)
    if bad := int(np.isnan(found).sum()):
        raise LMMError(
            f"identities: the {side} side of {what!r} has NaN in {bad} of {found.size} places; nothing equals NaN, "
            "so find what could not be computed."
        )
    return found


def _compared(left: np.ndarray, right: np.ndarray, tolerance: float) -> _Compared:
    """The largest difference of two arrays in units of their largest value, and a place that shows it."""
    apart = np.zeros(left.shape)
    with np.errstate(over="ignore"):
        np.subtract(left, right, out=apart, where=left != right)  # infinities of one sign are equal, not NaN apart
    apart, size = np.abs(apart), np.maximum(np.abs(left), np.abs(right))
    most, largest = float(apart.max()), float(size[np.isfinite(size)].max(initial=0.0))
    difference = most / largest if 0.0 < most < np.inf else most  # two infinities tell nothing of the other values
    holds = difference <= tolerance
    place = np.unravel_index(int((size if holds else apart).argmax()), left.shape)
    return _Compared(float(left[place]), float(right[place]), difference, holds, left.size)


def _check(held: Mapping[str, _Compared], fails: tuple[str, ...], tolerance: float) -> None:
    """Stop where an equation turned out other than it was said to."""
    broken = [what for what, one in held.items() if not one.holds and what not in fails]
    if broken:
        said = [f"{what!r} ({_said(held[what])})" for what in broken[:5]]
        more = [f"{len(broken) - 5} more"] if len(broken) > 5 else []
        zero = "; where one side is zero, move a term over, so that rounding has a scale"
        one_sided = any(0.0 in (held[what].left, held[what].right) for what in broken)
        raise LMMError(
            f"identities: the two sides differ by more than {shown(tolerance)} of their largest value in "
            f"{listed([*said, *more])}. Correct the formula, or see whether it is one for such data; name the equation "
            f"in `fails` if it is meant to fail{zero if one_sided else ''}."
        )
    if sound := [what for what in fails if held[what].holds]:
        raise LMMError(
            f"identities: {quoted(sound)} should fail but {'holds' if len(sound) == 1 else 'hold'} to "
            f"{shown(max(held[what].difference for what in sound))} of the largest value; there is nothing wrong with "
            "the formula here, so take it out of `fails` or show a case in which it goes wrong."
        )


def _said(one: _Compared) -> str:
    return f"{shown(one.left, 8)} on the left, {shown(one.right, 8)} on the right"


def _note(held: Mapping[str, _Compared], fails: tuple[str, ...], tolerance: float) -> str:
    """What is shown of vectors and matrices, and what is meant by holding."""
    said = f"Differences are relative to the largest value; up to {shown(tolerance, 1)} an equation holds."
    if any(one.size > 1 for one in held.values()):
        most = ", of those that fail the one that differs most" if fails else ""
        said += f" Of matrices the largest entry is shown{most}."
    return said


def _shape(side: np.ndarray) -> str:
    return " × ".join(map(str, side.shape)) or "a number"
