"""The number that a path names: of a mixed model, of a growth curve, or of two models of one file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lmmtools.errors import LMMError
from lmmtools.growth import GmanovaFit
from lmmtools.replication.quantities.curves import CURVES
from lmmtools.replication.quantities.heads import Asked
from lmmtools.replication.quantities.mixed import MIXED
from lmmtools.replication.quantities.paths import PathError, Walk, read_call, split_path

__all__ = ["models_named", "path_forms", "value_at"]

_NONE: Mapping[str, Any] = MappingProxyType({})


def value_at(path: str, fit: Any, others: Mapping[str, Any] = _NONE) -> float:
    """The number that a path names.

    Parameters
    ----------
    path : str
        Such as ``"varcorr.Subject.Days.sd"``; `path_forms` lists them.
    fit : LMMFit or GmanovaFit
    others : Mapping[str, LMMFit or GmanovaFit], optional
        The fits of the models of the file by name, for numbers of two models; those that the path names are taken.

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
    heads = CURVES if isinstance(fit, GmanovaFit) else MIXED
    walk = Walk(path)
    call = walk.call("quantity of a growth curve" if heads is CURVES else "quantity of a mixed model", heads)
    head = heads[call.name]
    head.check(call, walk)
    try:
        value = head.read(Asked(fit, call, walk, others))
    except PathError:
        raise
    except LMMError as error:
        raise error.__class__(f"`{path}`: {error}") from error
    walk.end()
    return float(value)


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
