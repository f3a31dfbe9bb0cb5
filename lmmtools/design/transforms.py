"""The functions a formula may call, by name; nothing else is in reach of its text."""

from __future__ import annotations

import numpy as np
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS, ContrastsRegistry
from formulaic.transforms import poly as _orthogonal
from formulaic.utils.stateful_transforms import stateful_transform

from lmmtools.design.encoding import as_factor
from lmmtools.errors import DataError

__all__ = ["CONTEXT"]


@stateful_transform
def poly(x, degree: int = 1, raw: bool = False, _state: dict | None = None):
    """R's ``poly``: columns of powers, orthonormal unless `raw`, counted from 1.

    Parameters
    ----------
    x : array_like, shape (n,)
    degree : int
    raw : bool

    Returns
    -------
    FactorValues, shape (n, degree)

    Raises
    ------
    DataError
        If `x` has no more distinct values than `degree`.
    """
    state = {} if _state is None else _state
    x = np.asarray(x, dtype=np.float64)
    names = tuple(str(k) for k in range(1, degree + 1))
    if raw:
        return FactorValues(np.stack([x**k for k in range(1, degree + 1)], axis=1), column_names=names)
    if "mean" not in state:
        distinct = len(np.unique(x))
        if distinct <= degree:
            raise DataError(
                f"poly(…, {degree}) needs more than {degree} distinct values, its variable has {distinct}: "
                "lower the degree."
            )
        state["mean"] = float(x.mean())  # a large mean would cost the recurrence its digits
    return _orthogonal(x - state["mean"], degree, _state=state.setdefault("recurrence", {}))


CONTEXT = {
    "I": TRANSFORMS["I"],
    "C": as_factor,
    "contr": ContrastsRegistry,
    "pi": np.pi,
    "poly": poly,
    **{name: TRANSFORMS[name] for name in ("bs", "cr", "cs", "cc", "scale", "center", "standardize")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sqrt", "abs", "exp")},
    **{name: getattr(np, name) for name in ("sinh", "cosh", "tanh")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan")},
    **{name: getattr(np, name) for name in ("log", "log2", "log10", "log1p", "expm1")},
}
