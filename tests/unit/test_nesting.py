"""Which random effects are special cases of which: several factors, structures, known covariances of levels."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lmmtools.design import build_design
from lmmtools.nesting import nesting


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    cells = [(f"a{a}", f"b{b}", t) for a in range(8) for b in range(3) for t in range(4)]
    frame = pd.DataFrame(cells, columns=["a", "b", "t"])
    frame = frame[rng.random(len(frame)) < 0.9].reset_index(drop=True)
    x, y = rng.normal(size=(2, len(frame)))
    return frame.assign(x=x, y=y, far=1e6 + x, T=frame["t"].astype(str))


def relation(small, large, data, **options):
    """How random parts stand; a design stands in for its fit, whose dimensions are not asked for here."""
    made = [build_design(f"y ~ 1 + {part}", data, **options) for part in (small, large)]
    gram = SimpleNamespace(gram=SimpleNamespace(rank=0))
    return nesting(*(SimpleNamespace(design=d, beta=np.zeros(1), working=gram) for d in made))


INSIDE = [
    ("(1 | a)", "(1 | a/b)"),
    ("(1 | a:b)", "(1 | a/b)"),
    ("(1 | b)", "(1 | a) + (1 | b)"),
    ("(1 | a) + (1 | b)", "(1 | b) + (1 | a/b)"),
    ("(x || a)", "(1 | b) + (x | a)"),
    ("(0 + far | a)", "(far | a) + (1 | b)"),
    ("(x | a)", "(far | a)"),
    ("(1 | a)", "(0 + b | a)"),
    ("(1 | a:b)", "(0 + b | a)"),
    ("homcs(0 + b | a)", "cs(0 + b | a)"),
    ("cs(0 + b | a)", "(0 + b | a)"),
    ("diag(0 + b | a)", "cs(0 + b | a)"),
    ("(1 | a) + (1 | a:b)", "homcs(0 + b | a)"),
    ("(1 | a) + (1 | a:b)", "cs(0 + b | a)"),
    ("ar1(t | a)", "hetar1(t | a)"),
    ("hetar1(t | a)", "(0 + T | a)"),
    ("homdiag(0 + T | a)", "ar1(t | a)"),
    ("diag(0 + T | a)", "hetar1(t | a)"),
    ("(1 | a)", "ar1(t | a)"),
    ("(1 | a) + homdiag(0 + T | a)", "(1 | a) + ar1(t | a)"),
    ("(1 | b) + ar1(t | a)", "(1 | b) + hetar1(t | a)"),
]


@pytest.mark.parametrize(("small", "large"), INSIDE)
def test_special_cases_are_found_and_not_the_other_way_round(small, large, data):
    assert relation(small, large, data).inside
    same = (small, large) == ("(x | a)", "(far | a)")  # a shift of the covariate changes nothing
    assert relation(large, small, data).inside == same


@pytest.mark.parametrize(("small", "large", "beyond"), [
    ("(1 | b)", "(1 | a)", ("(1 | b)",)),
    ("(1 | a/b)", "(1 | a)", ("(1 | a:b)",)),
    ("(x | a:b)", "(x | a)", ("(1 + x | a:b)",)),
    ("ar1(t | a:b)", "ar1(t | a)", ("ar1(t | a:b)",)),
    ("homcs(0 + b | a)", "(1 | a) + (1 | a:b)", ()),  # a negative correlation
    ("ar1(t | a)", "cs(0 + T | a)", ()),
    ("(0 + b | a)", "cs(0 + b | a)", ()),
])  # fmt: skip
def test_what_is_no_special_case_is_said_with_the_term_that_is_beyond(small, large, beyond, data):
    found = relation(small, large, data)
    assert (found.inside, found.decided, found.random) == (False, True, beyond)


@pytest.mark.parametrize(("small", "large", "boundary"), [
    ("(1 | a)", "(1 | a/b)", True),
    ("(1 | a)", "homcs(0 + b | a)", True),  # a correlation of one
    ("(1 | a) + (1 | a:b)", "homcs(0 + b | a)", False),
    ("diag(0 + b | a)", "(0 + b | a)", False),
    ("ar1(t | a)", "hetar1(t | a)", False),
    ("ar1(t | a)", "(1 | b) + ar1(t | a)", True),
])  # fmt: skip
def test_variances_of_zero_and_perfect_correlations_are_boundaries(small, large, boundary, data):
    assert relation(small, large, data).boundary == boundary


def test_what_cannot_be_decided_is_said_so(data):
    found = relation("homcs(0 + T | a)", "(1 | a) + ar1(t | a)", data)
    assert (found.inside, found.decided) == (False, False)
    assert found.why_not("A", "B", ", ".join) == (
        "whether the random effects of A are a special case of those of B is not decided"
    )


class Shrinking:
    """Standard deviations that shrink by a constant factor: nothing the package knows."""

    def n_theta(self, q):
        return 2

    def names(self, effects):
        return ("sd", "rate")

    def bounds(self, q):
        return [(0.0, np.inf), (0.1, 1.0)]

    def start(self, q):
        return [1.0, 0.5]

    def factor(self, theta, q):
        return np.diag(theta[0] * theta[1] ** np.arange(q))


def test_structures_of_the_users_own_are_inside_what_holds_all_their_members(data):
    own = {"structures": {"mine": Shrinking()}}
    assert relation("mine(0 + T | a)", "diag(0 + T | a)", data, **own).inside
    assert relation("mine(0 + T | a)", "mine(0 + T | a) + (1 | b)", data, **own).inside
    back = relation("homdiag(0 + T | a)", "mine(0 + T | a)", data, **own)
    assert (back.inside, back.decided) == (False, False)


def test_known_covariances_of_levels_are_directions_of_their_own(data):
    levels = sorted(data["a"].unique())
    near = pd.DataFrame(0.5 + 0.5 * np.eye(8), index=levels, columns=levels)
    known = {"known": {"a": near}}
    made = [build_design(f"y ~ 1 + {part}", data, **options) for part, options in (
        ("(1 | a)", known), ("(1 | a)", {}), ("(1 | a) + (1 | b)", known),
    )]  # fmt: skip
    gram = SimpleNamespace(gram=SimpleNamespace(rank=0))
    related, plain, both = (SimpleNamespace(design=d, beta=np.zeros(1), working=gram) for d in made)
    assert nesting(related, both).inside
    assert nesting(related, plain).random == ("(1 | a) with known covariances",)
    assert nesting(plain, related).random == ("(1 | a)",)


def test_directions_that_no_group_has_are_no_directions():
    rng = np.random.default_rng(0)  # of these designs all but a few give them a size below zero, by rounding
    for _ in range(5):
        t = np.concatenate([np.sort(rng.choice(6, 3, replace=False)) for _ in range(6)])
        data = pd.DataFrame({"a": np.repeat(list("abcdef"), 3), "t": t})
        data = data.assign(x=rng.normal(size=18), y=rng.normal(size=18), T=data["t"].astype(str))
        assert relation("diag(0 + T | a)", "(0 + T | a)", data).inside
        assert not relation("(x | a)", "hetar1(t | a)", data).inside
