"""Other ways to the same optimum: EM, ECME, alternating least squares, quasi-Newton, derivative-free.

All work on the criterion that Newton works on, over the same covariances, and all leave the boundary and are put on it
in the same way (`core.optimize`); what differs is how they get from one point to the next. Newton is faster than any
of them: they are here to be compared with, and to replicate what was published about them.

Each is a function of (criterion, θ̃, report, limit) that returns θ̃, the solution there, the evaluations used and
whether nothing was left to gain; `report` is told of every iteration.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module

from lmmtools.errors import LMMError

__all__ = ["DESCRIPTIONS", "METHODS", "WITH_RESIDUAL", "algorithm", "check_method", "early_end"]

_HOME = {
    "em": ("em", "em"),
    "ecme": ("em", "ecme"),
    "gls": ("gls", "gls"),
    "bfgs": ("general", "bfgs"),
    "nelder-mead": ("general", "nelder_mead"),
    "cobyqa": ("general", "cobyqa"),
}
METHODS = ("newton", *_HOME)
# Those that have a step for the parameters φ of a residual structure.
WITH_RESIDUAL = ("newton", "bfgs", "nelder-mead", "cobyqa")
_OTHER_NAMES = {"ecm": "ecme", "igls": "gls", "rigls": "gls", "l-bfgs-b": "bfgs", "nelder_mead": "nelder-mead"}

# Deviance left that the certificate, too, counts as none.
_NOTHING = 1e-6

DESCRIPTIONS = {
    "newton": "Newton's method on the exact derivatives",
    "em": "EM (Laird & Ware 1982)",
    "ecme": "ECME (Liu & Rubin 1994)",
    "gls": "alternating generalised least squares (Goldstein 1986, 1989)",
    "bfgs": "quasi-Newton on the exact gradient (L-BFGS-B)",
    "nelder-mead": "derivative-free, by a simplex (Nelder & Mead 1965)",
    "cobyqa": "derivative-free, by quadratic models (COBYQA)",
}


def check_method(method: str) -> str:
    """The name of an algorithm, as `METHODS` has it.

    Raises
    ------
    LMMError
        If there is none of this name.
    """
    name = method.lower() if isinstance(method, str) else ""
    name = _OTHER_NAMES.get(name, name)
    if name in METHODS:
        return name
    close = difflib.get_close_matches(name, (*METHODS, *_OTHER_NAMES), n=1)
    meant = f" did you mean {close[0]!r}? Known" if close else " known"
    raise LMMError(f"minimize: there is no method {method!r};{meant} are {', '.join(METHODS)}.")


def algorithm(method: str) -> Callable:
    """The function of an algorithm other than Newton's, imported when asked for: scipy.optimize takes its time."""
    module, function = _HOME[method]
    return getattr(import_module(f"{__name__}.{module}"), function)


def early_end(method: str, left: float) -> str:
    """A sentence on a search that stopped with so much left to gain; empty where that is next to nothing."""
    if left <= _NOTHING:
        return ""
    other = 'method="newton"' if method != "newton" else "another start"
    return (
        f'minimize: method="{method}" has stopped before the optimum: about {left:.2g} of deviance could still be '
        f"gained. Raise max_iterations, or take {other}."
    )
