"""Other readings of a quantity of the same fit: another measure, divisor, or constant, as other paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lmmtools.replication.quantities.paths import Walk, read_call, split_path

__all__ = ["at_same_place", "readings"]

_CONSTANTS = ("criterion", "loglik", "aic", "bic")
_DIVISOR = ("sigma", "sigma2", "stderr")
# By head: the same coefficient of a model that is coded otherwise has another name.
_OF_COEFFICIENTS = ("fixef", "stderr", "coef")
_SQUARE, _ROOT = "the variance in place of the standard deviation", "the standard deviation in place of the variance"


def readings(path: str, fit: Any) -> Iterator[tuple[str, str]]:
    """What else of the same fit may stand behind a quantity's name.

    Parameters
    ----------
    path : str
    fit : LMMFit or GmanovaFit

    Yields
    ------
    words : str
    path : str
    """
    head, *rest = split_path(path)
    call = read_call(head, path)
    tail = "".join(f".{step}" for step in rest)
    yield from _squares(call.name, head, rest)
    if call.name in _CONSTANTS:
        has = call.options.get("constants", "yes") == "yes"
        words = "without n log 2π ((n − p) log 2π under REML)" if has else "with n log 2π ((n − p) log 2π under REML)"
        yield f"the criterion {words}", _with(head, path, "constants", "no" if has else "yes") + tail
    if call.name == "bic":
        own = call.options.get("n", "nobs")
        n, words = ("nobs-p", "n − p") if own == "nobs" else ("nobs", "n")
        yield f"BIC with the logarithm of {words}", _with(head, path, "n", n) + tail
    residual = rest[-1] if call.name == "varcorr" and rest[0] == "Residual" else ""
    if call.name in _DIVISOR or residual in ("sd", "var"):
        other = _other_divisor(fit, call.options.get("divisor", "own"))
        whole = {"sd": "sigma", "var": "sigma2"}.get(residual)
        start = _with(whole or head, path, "divisor", other)
        yield f"{other.replace('-', ' − ')} as the divisor of σ²", start if whole else start + tail


def _squares(name: str, head: str, rest: list[str]) -> Iterator[tuple[str, str]]:
    """The variance for a standard deviation, and back."""
    if name in ("sigma", "sigma2"):
        other = "sigma2" if name == "sigma" else "sigma"
        yield _SQUARE if name == "sigma" else _ROOT, other + head[len(name) :]
    elif name == "varcorr" and rest and rest[-1] in ("sd", "var"):
        other, words = ("var", _SQUARE) if rest[-1] == "sd" else ("sd", _ROOT)
        yield words, ".".join((head, *rest[:-1], other))


def _other_divisor(fit: Any, now: str) -> str:
    """The divisor that σ² does not have: n of REML, n − p of ML, unless the path says otherwise."""
    natural = "n-p" if getattr(fit, "reml", False) else "n"
    has = natural if now == "own" else now
    return "n" if has == "n-p" else "n-p"


def _with(head: str, path: str, key: str, value: str) -> str:
    """A first step with an option set."""
    call = read_call(head, path)
    options = {**call.options, key: value}
    return f"{call.name}({', '.join([*call.arguments, *(f'{k}={v}' for k, v in options.items())])})"


def at_same_place(path: str, fit: Any, other: Any) -> str | None:
    """The path to the coefficient of another fit that stands where a path's does; None of what is no coefficient.

    Factors coded otherwise give coefficients other names, in the same places.
    """
    head, *_ = split_path(path)
    if read_call(head, path).name not in _OF_COEFFICIENTS or len(fit.beta) != len(other.beta):
        return None
    walk = Walk(path)
    walk.left = walk.left[1:]
    names = list(fit.fixef.index)
    place = names.index(walk.name("coefficient", names))
    return ".".join((head, _quoted(str(other.fixef.index[place])), *walk.left))


def _quoted(name: str) -> str:
    return f'"{name}"' if "'" in name else f"'{name}'"
