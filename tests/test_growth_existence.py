"""Whether a growth curve model has an estimate: refused exactly where the deviance falls without bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmmtools as lt
from lmmtools.growth import fit
from tests.definitions import growth as dense


def random_model(n, g, m, p, seed):
    rng = np.random.default_rng(seed)
    G = np.column_stack([np.ones(n), rng.normal(size=(n, g - 1))])
    X = np.vander(np.linspace(-1, 1, m), p, increasing=True) if p else np.empty((m, 0))
    return rng.normal(size=(n, m)) + rng.normal(size=m), G, X


def refused(Y, G, X, sigma):
    try:
        lt.fit_gmanova(Y, G, X, sigma)
    except lt.UnboundedLikelihood:
        return True
    return False


def falls_without_bound(path, n):
    """n log 10 at each step, as the variance that vanishes is divided by ten."""
    return len(path) > 3 and np.allclose(np.diff(path[1:]), -n * np.log(10), rtol=0.05)


@settings(max_examples=120, deadline=None)
@given(
    n=st.integers(2, 9), m=st.integers(1, 5), g=st.integers(1, 9), p=st.integers(1, 5),
    sigma=st.sampled_from(["scalar", "diagonal", "free"]), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_generic_data_are_refused_by_dimensions(n, m, g, p, sigma, seed):
    g, p = min(g, n), min(p, m)
    Y, G, X = random_model(n, g, m, p, seed)
    unbounded = {"scalar": n == g and m == p, "diagonal": n == g, "free": n - g < m}[sigma]
    assert refused(Y, G, X, sigma) == unbounded
    if sigma != "scalar":
        path = dense.path_to_minus_infinity(Y, G, X, sigma)
        assert falls_without_bound(path, n) == unbounded, path


def with_column(change, seed=1):
    """Ten subjects, two groups, four occasions; the last changed."""
    Y, _, X = random_model(10, 1, 4, 2, seed)
    G = np.column_stack([np.ones(10), np.arange(10) % 2])
    Y[:, 3] = change(Y, G)
    return Y, G, X


DEGENERATE = {
    "constant": lambda Y, G: 3.0,
    "constant in groups": lambda Y, G: 1.0 + 2.0 * G[:, 1],
    "a sum of others": lambda Y, G: Y[:, 0] + Y[:, 1],
    "a sum of others, shifted by groups": lambda Y, G: Y[:, 0] - 2 * Y[:, 1] + G[:, 1] - 4.0,
    "zero": lambda Y, G: 0.0,
}
UNREACHED = np.column_stack([[1.0, 1, 1, 0], [0, 1, 2, 0]])  # the last occasion has mean zero


@pytest.mark.parametrize("sigma", ["diagonal", "free"])
@pytest.mark.parametrize("how", DEGENERATE)
def test_degenerate_data_are_refused_where_some_combination_is_fitted_exactly(how, sigma):
    Y, G, X = with_column(DEGENERATE[how])
    path = dense.path_to_minus_infinity(Y, G, X, sigma)
    assert refused(Y, G, X, sigma) == falls_without_bound(path, 10)
    assert refused(Y, G, X, sigma) == (sigma == "free" or "sum" not in how)
    assert not refused(Y, G, X, "scalar")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_what_hardly_varies_is_no_reason(scale):
    Y, G, X = with_column(lambda Y, G: Y[:, 0] + Y[:, 1] + 1e-5 * np.sin(np.arange(10)))
    for sigma in ("scalar", "diagonal", "free"):
        assert np.isfinite(lt.fit_gmanova(scale * (Y + 100), G, X, sigma).deviance)


def test_an_occasion_that_the_curves_do_not_reach():
    # zero: its variance is; constant: its mean is not that, so the variance stays, but B is not determined with Σ free
    Y, G, _ = with_column(DEGENERATE["zero"])
    for sigma in ("diagonal", "free"):
        assert refused(Y, G, UNREACHED, sigma)
        assert falls_without_bound(dense.path_to_minus_infinity(Y, G, UNREACHED, sigma), 10)
    Y, G, _ = with_column(DEGENERATE["constant"])
    assert lt.fit_gmanova(Y, G, UNREACHED, "diagonal").Sigma.iloc[3, 3] == pytest.approx(9.0)
    assert dense.path_to_minus_infinity(Y, G, UNREACHED, "free") == []
    with pytest.raises(lt.ModelError, match="bounded, but B") as caught:
        lt.fit_gmanova(Y, G, UNREACHED, "free")
    assert not isinstance(caught.value, lt.UnboundedLikelihood)


@pytest.mark.parametrize("sigma", ["diagonal", "free"])
def test_it_is_found_before_anything_is_estimated(sigma, monkeypatch):
    def never(*args):
        raise AssertionError("something was estimated")

    monkeypatch.setattr(fit, "estimate", never)
    Y, _, X = random_model(5, 1, 4, 2, 0)
    with pytest.raises(lt.UnboundedLikelihood):
        lt.fit_gmanova(Y, "free", X, sigma)
    with pytest.raises(AssertionError, match="something was"):
        lt.fit_gmanova(Y, "equal", X, sigma)


@pytest.mark.parametrize(
    ("n", "between", "sigma", "says"),
    [
        (27, "free", "free", "27 subjects less rank(G) = 27 leave S = Y'(I − P_G)Y of rank 0"),
        (27, "free", "free", "Use at most 23 columns in between"),
        (27, "free", "diagonal", "rank(G) = 27 gives each of 27 subjects a curve of its own"),
        (4, "equal", "free", "of rank 3, and a free Σ of 4 occasions needs 4"),
        (4, "equal", "free", "Use more subjects or fewer occasions"),
        (1, "equal", "free", "Y has one subject"),
        (1, "equal", "diagonal", "Y has one subject"),
    ],
)
def test_the_sentence_has_the_ranks_and_a_way_out(n, between, sigma, says):
    Y, _, X = random_model(n, 1, 4, 2, 0)
    with pytest.raises(lt.UnboundedLikelihood) as caught:
        lt.fit_gmanova(Y, between, X, sigma)
    assert says in str(caught.value)
    assert "no estimate exists" in str(caught.value)


@pytest.mark.parametrize(("how", "says"), [
    ("constant in groups", "the observations at `4` do not vary once G is taken account of"),
    ("a sum of others", "a combination of the observations at `1`, `2`, `4` does not vary"),
])  # fmt: skip
def test_the_sentence_names_the_occasions(how, says):
    Y, G, X = with_column(DEGENERATE[how])
    with pytest.raises(lt.UnboundedLikelihood) as caught:
        lt.fit_gmanova(Y, G, X)
    assert says in str(caught.value)


def test_a_perfect_fit_has_no_variance():
    Y = np.outer(np.arange(1.0, 6), np.ones(4)) + np.arange(4)
    X = np.column_stack([np.ones(4), np.arange(4)])
    with pytest.raises(lt.UnboundedLikelihood, match=r"every observation \(5 subjects, rank\(G\) = 5"):
        lt.fit_gmanova(Y, "free", X, "scalar")
