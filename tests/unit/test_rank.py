"""Dependent columns: which are dropped, what they equal, and what must not be dropped."""

import numpy as np
import pytest

from lmmtools.core.rank import column_rank


@pytest.fixture
def columns():
    rng = np.random.default_rng(20)
    n = 60
    return np.ones(n), rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)


def equal(X, rank):
    """Check that every dropped column is its combination of kept ones, relative to its own length."""
    for found in rank.dropped:
        column, combination = X[:, found.column], X[:, rank.kept] @ found.coefficients
        assert np.linalg.norm(column - combination) <= 1e-8 * max(np.linalg.norm(column), 1e-300)


def test_independent_columns_all_stay(columns):
    rank = column_rank(np.column_stack(columns))
    assert rank.kept.tolist() == [0, 1, 2, 3] and rank.dropped == ()


def test_earlier_columns_win(columns):
    one, x, z, _ = columns
    X = np.column_stack([one, x, z, 2 * x, x - 3 * z + 5])
    rank = column_rank(X)
    assert rank.kept.tolist() == [0, 1, 2]
    assert [found.column for found in rank.dropped] == [3, 4]
    # exact zeros where a column does not take part, the rest to rounding of well-conditioned numbers
    np.testing.assert_allclose(rank.dropped[0].coefficients, [0, 2, 0], atol=1e-12)
    assert (rank.dropped[0].coefficients == 0).tolist() == [True, False, True]
    np.testing.assert_allclose(rank.dropped[1].coefficients, [5, 1, -3], atol=1e-12)


def test_a_dependent_column_hides_none_that_follow(columns):
    one, x, z, w = columns
    X = np.column_stack([one, x, x, z, one + x, w])
    assert column_rank(X).kept.tolist() == [0, 1, 3, 5]


def test_zero_and_constant_columns(columns):
    one, x, *_ = columns
    X = np.column_stack([one, 0 * one, 5 * one, x, np.full(60, 0.1) * 3])
    rank = column_rank(X)
    assert rank.kept.tolist() == [0, 3]
    assert [found.coefficients.tolist() for found in rank.dropped[:2]] == [[0, 0], [5, 0]]
    equal(X, rank)


def test_without_an_intercept_a_dummy_set_and_a_constant_are_dependent():
    f = np.eye(3)[np.arange(30) % 3]
    X = np.column_stack([f, np.ones(30)])
    rank = column_rank(X)
    assert rank.kept.tolist() == [0, 1, 2]
    np.testing.assert_allclose(rank.dropped[0].coefficients, [1, 1, 1], atol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6, 1e9])
def test_a_large_mean_is_not_collinearity(columns, mean):
    one, x, z, _ = columns
    assert len(column_rank(np.column_stack([one, x + mean, z - mean])).kept) == 3
    X = np.column_stack([one, x + mean, 3 * (x + mean), z])
    rank = column_rank(X)
    assert rank.kept.tolist() == [0, 1, 3]
    equal(X, rank)


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1e8, 1e150])
def test_units_do_not_matter(columns, scale):
    one, x, z, _ = columns
    rank = column_rank(np.column_stack([one, scale * x, z, x]))
    assert rank.kept.tolist() == [0, 1, 2]


def test_raw_powers_of_a_year_stay_where_r_drops_them():
    year = np.repeat(np.arange(2000.0, 2011.0), 3)
    # R's lm drops the cube: uncentred, its orthogonal part is 4e-9 of its length
    assert len(column_rank(np.vander(year, 4, increasing=True)).kept) == 4


def test_more_columns_than_rows(columns):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4, 7))
    rank = column_rank(X)
    assert rank.kept.tolist() == [0, 1, 2, 3]
    equal(X, rank)


def test_no_columns():
    rank = column_rank(np.empty((5, 0)))
    assert rank.kept.tolist() == [] and rank.dropped == ()


def test_random_dependencies_are_found_and_described():
    rng = np.random.default_rng(11)
    for _ in range(30):
        n, r, extra = int(rng.integers(20, 200)), int(rng.integers(1, 8)), int(rng.integers(1, 5))
        basis = np.column_stack([np.ones(n), rng.normal(size=(n, r)) * 10.0 ** rng.integers(-6, 7, r)])
        mixed = basis @ rng.integers(-3, 4, size=(r + 1, extra))
        X = np.column_stack([basis, mixed])
        rank = column_rank(X)
        assert rank.kept.tolist() == list(range(r + 1))
        equal(X, rank)


def test_rows_beyond_one_block_count():
    rng = np.random.default_rng(5)
    n = 40_000  # more than two blocks of rows
    x = rng.normal(size=n)
    late = x.copy()
    late[-1] += 1.0
    assert len(column_rank(np.column_stack([np.ones(n), x, late])).kept) == 3
    assert len(column_rank(np.column_stack([np.ones(n), x, x])).kept) == 2
