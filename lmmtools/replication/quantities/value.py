"""The number that a path names: of a mixed model, of a growth curve, or of two models of one file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.formats import visible
from lmmtools.growth import GmanovaFit
from lmmtools.replication.quantities.curves import CURVES
from lmmtools.replication.quantities.heads import Asked, Head
from lmmtools.replication.quantities.mixed import MIXED
from lmmtools.replication.quantities.paths import Call, PathError, Walk, read_call, split_path
from lmmtools.replication.quantities.tables import Tables

__all__ = ["head_of", "models_named", "path_forms", "value_at"]

_NONE: Mapping[str, Any] = MappingProxyType({})


def value_at(path: str, fit: Any, others: Mapping[str, Any] = _NONE, tables: Tables | None = None) -> float:
    """The number that a path names.

    Parameters
    ----------
    path : str
        Such as ``"varcorr.Subject.Days.sd"``; `path_forms` lists them.
    fit : LMMFit or GmanovaFit
    others : Mapping[str, LMMFit or GmanovaFit], optional
        The fits of the models of the file by name, for numbers of two models; those that the path names are taken.
    tables : Tables, optional
        Where tables are kept from one number to the next: give the same to all numbers of a run.

    Returns
    -------
    float

    Raises
    ------
    PathError
        If the path cannot be read or leads nowhere; with what is valid there, and the nearest of it.
    LMMError
        If what it names is not defined for this fit.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> round(value_at("varcorr.Subject.Days.sd", fit), 2), round(value_at("coef(ddf=normal).Days.statistic", fit), 2)
    (5.92, 6.77)
    """
    tables = Tables() if tables is None else tables
    walk = Walk(path)
    value = _followed(walk, fit, others, tables)
    for taken in walk.shorter():
        try:
            other = _followed(Walk(path, taken), fit, others, tables)
        except LMMError:
            continue
        if other != value:  # nobody can tell which is meant
            raise PathError(
                f"`{visible(path)}` can be read in two ways, as names hold dots: one leads to {value:.6g}, one to "
                f"{other:.6g}; put the names between quotes."
            )
    return value


def _followed(walk: Walk, fit: Any, others: Mapping[str, Any], tables: Tables) -> float:
    """The number to which a walk leads."""
    head, call = _begun(walk, growth=isinstance(fit, GmanovaFit))
    try:
        value = head.read(Asked(fit, call, walk, others, tables))
    except PathError:
        raise
    except LMMError as error:
        raise error.__class__(f"`{walk.path}`: {error}") from error
    walk.end()
    return float(value)


def _begun(walk: Walk, growth: bool) -> tuple[Head, Call]:
    """The first step, checked."""
    heads = CURVES if growth else MIXED
    call = walk.call("quantity of a growth curve" if growth else "quantity of a mixed model", heads)
    heads[call.name].check(call, walk)
    return heads[call.name], call


def head_of(path: str, *, growth: bool) -> str:
    """The name of a path's first step, where there is no fit along which to follow it.

    Parameters
    ----------
    path : str
    growth : bool
        Whether the model is a growth curve.

    Raises
    ------
    PathError
        If the path cannot be read, or begins with nothing that such a model has.
    """
    return _begun(Walk(path), growth)[1].name


def models_named(path: str) -> tuple[str, ...]:
    """The models of the file that a path names besides its own: the two of a likelihood ratio.

    Raises
    ------
    PathError
        If the path cannot be read.
    """
    first, *_ = split_path(path)
    call = read_call(first, path)
    return call.arguments if call.name == "lrt" else ()


def path_forms() -> dict[str, dict[str, str]]:
    """Every path in its general form and what it is, of a mixed model and of a growth curve."""
    return {
        kind: {form: meaning for head in heads.values() for form, meaning in head.forms.items()}
        for kind, heads in (("mixed model", MIXED), ("growth curve", CURVES))
    }
