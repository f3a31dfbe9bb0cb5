"""Small random designs for property tests: unbalanced, singular, weighted, with missing cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

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
SEVERAL_PARTS = (
    "(1 | g) + (1 | h)",
    "(1 + x | g) + (1 | h)",
    "(1 + x | g) + (1 + z | h)",
    "(x || g) + (1 | h)",
    "(1 | g) + (0 + x | h)",
    "(1 | g/k)",
    "(1 + x | g) + (1 + x | g:k)",
    "(1 | g/k) + (1 | h)",
    "(0 + f | g) + (1 | h)",
    "diag(1 + x | g) + homdiag(1 + z | h)",
    "(1 | h) + (1 | g) + (1 + x | k)",
    "(1 | g:h) + (1 | g)",
)
STRUCTURED_PARTS = (
    "cs(0 + f | g)",
    "homcs(0 + f | g)",
    "cs(1 + x + z | g)",
    "ar1(t | g)",
    "hetar1(t | g)",
    "ar1(t | g) + (1 | h)",
    "homcs(0 + f | g) + (1 + x | h)",
    "cs(0 + f | h) + ar1(t | g)",
    "(1 | g) + ar1(t | g)",
)
KNOWN_PARTS = ("(1 | g)", "(1 + x | g)", "(x || g)", "(1 | g) + (1 | h)", "(1 | h) + (1 + x | g)", "ar1(t | g)")
FIXED_PARTS = ("1", "x", "x + z", "x * f", "0 + f", "0")


@dataclass(frozen=True)
class Problem:
    """A formula with data, and what goes with it."""

    formula: str
    data: pd.DataFrame
    reml: bool
    options: dict = field(default_factory=dict)

    def row_options(self, change) -> dict:
        """The options, those with a value a row changed."""
        return {k: change(k, v) if isinstance(v, np.ndarray) else v for k, v in self.options.items()}


def wider_problems() -> st.SearchStrategy[Problem]:
    """Several factors, structures, known matrices."""
    return st.one_of(problems(SEVERAL_PARTS), problems(STRUCTURED_PARTS), problems(KNOWN_PARTS, known=True))


@st.composite
def problems(draw: st.DrawFn, random_parts: tuple[str, ...] = RANDOM_PARTS, known: bool = False) -> Problem:
    """Formula, data, method, weights and offset; group sizes from 1 to 9, one factor cell possibly missing.

    `g` and `f` are unbalanced; `h` crosses `g` with cells missing; `k` is nested in `g`, its labels are not; `t` are
    positions with a gap.
    """
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
    problem = Problem(f"y ~ {fixed} + {random}", data, draw(st.booleans()), options)
    if re.search(r"\b[hkt]\b", random):
        problem = _wider(problem, rng, g)
    return _related(draw, problem, rng) if known else problem


def _wider(problem: Problem, rng: np.random.Generator, g: np.ndarray) -> Problem:
    """The problem with `h`, `k` and `t`, and their effects added to the response."""
    n, data = len(g), problem.data
    h = rng.integers(0, rng.integers(5, 8), n)
    h[(g == 1) & (h == 0)] = 1
    k, t = rng.integers(0, 3, n), rng.choice([1, 2, 3, 5], n)
    t[:3] = [1, 2, 3]
    size = rng.choice([0.0, 1.0], 3)
    y = data["y"] + size[0] * rng.normal(size=8)[h] + size[1] * rng.normal(size=(9, 3))[g, k]
    y = y + size[2] * rng.normal(size=(9, 6)).cumsum(axis=1)[g, t]
    return replace(problem, data=data.assign(y=y, h=[f"h{i}" for i in h], k=k.astype(str), t=t))


def _related(draw: st.DrawFn, problem: Problem, rng: np.random.Generator) -> Problem:
    """The problem with a known covariance of the levels of `g`: full rank, or of rank less than its order."""
    levels = [*sorted(problem.data["g"].unique()), "not in the data"]
    J = len(levels)
    root = rng.normal(size=(J, J - draw(st.sampled_from([0, 2]))))
    A = root @ root.T
    A = A / np.sqrt(np.outer(np.diag(A), np.diag(A)))
    order = rng.permutation(J)
    names = [levels[i] for i in order]
    frame = pd.DataFrame(A[np.ix_(order, order)], index=names, columns=names)
    return replace(problem, options=problem.options | {"known": {"g": frame}})
