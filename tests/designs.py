"""Small random designs for property tests: unbalanced, singular, weighted, with missing cells."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from hypothesis import strategies as st

RANDOM_PARTS = (
    "(1 | g)",
    "(1 + x | g)",
    "(x || g)",
    "(0 + x | g)",
    "diag(1 + x + z | g)",
    "homdiag(1 + x | g)",
    "(1 + f | g)",
    "(1 | g:f)",
)
FIXED_PARTS = ("1", "x", "x + z", "x * f", "0 + f", "0")


@dataclass(frozen=True)
class Problem:
    """A formula with data, and what goes with it."""

    formula: str
    data: pd.DataFrame
    reml: bool
    options: dict = field(default_factory=dict)


@st.composite
def problems(draw: st.DrawFn, random_parts: tuple[str, ...] = RANDOM_PARTS) -> Problem:
    """Formula, data, method, weights and offset; group sizes from 1 to 9, one factor cell possibly missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fixed = draw(st.sampled_from(FIXED_PARTS))
    random = draw(st.sampled_from(random_parts))
    sizes = rng.integers(1, 10, size=draw(st.integers(5, 9)))
    sizes[:3] += 4
    g = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(g)
    f = rng.choice(["a", "b", "c"], size=n, p=[0.5, 0.3, 0.2])
    f[:3] = ["a", "b", "c"]
    f[(g == 0) & (f == "c")] = "b"
    x, z = rng.normal(1.0, 2.0, n), rng.normal(size=n)
    between = draw(st.sampled_from([0.0, 0.5, 3.0]))
    y = 3.0 + 0.5 * x + between * rng.normal(size=len(sizes))[g] + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "g": [f"level {i}" for i in g]})
    options = {}
    if draw(st.booleans()):
        options["weights"] = rng.uniform(0.3, 3.0, n)
    if draw(st.booleans()):
        options["offset"] = rng.normal(size=n)
    return Problem(f"y ~ {fixed} + {random}", data, draw(st.booleans()), options)
