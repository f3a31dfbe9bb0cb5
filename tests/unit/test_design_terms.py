"""Random terms of a design: several factors, positions, known covariances, structures of the user's own."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from lmmtools.design import build_design
from lmmtools.errors import DataError, ModelError
from lmmtools.formula import parse_formula

LEVELS = list("abcdef")


@pytest.fixture
def data():
    rng = np.random.default_rng(7)
    n = 60
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "id": np.tile(LEVELS, 10),
            "g": np.repeat(np.arange(1, 11), 6),
            "week": np.tile([0, 1, 2, 4, 5, 7], 10),
            "phase": pd.Categorical(np.tile(["pre", "post"], 30), ["pre", "during", "post"], ordered=True),
        }
    )


def kinship(levels) -> pd.DataFrame:
    """A covariance that falls off with the distance of the labels."""
    far = np.abs(np.subtract.outer(np.arange(len(levels)), np.arange(len(levels))))
    return pd.DataFrame(0.6**far, index=levels, columns=levels)


def term(formula: str, data: pd.DataFrame, **arguments):
    (found,) = build_design(formula, data, **arguments).terms
    return found


# --- several factors


def test_terms_of_each_factor_are_together_in_factors(data):
    design = build_design("y ~ x + (x | g) + (1 | id) + (0 + x | id) + (1 | g:phase)", data)
    assert {f: [t.group for t in terms] for f, terms in design.factors.items()} == {
        "g:phase": ["g:phase"],
        "g": ["g"],
        "id": ["id", "id.1"],
    }
    assert [t.group for t in design.terms] == ["g:phase", "g", "id", "id.1"]
    assert design.ngroups == {"g:phase": 20, "g": 10, "id": 6}


def test_nested_crossed_and_repeated_terms(data):
    design = build_design("y ~ 1 + (1 | phase/id) + (x || g) + (1 | id) + (1 | id)", data)
    assert [t.group for t in design.terms] == ["g", "g.1", "id", "id.1", "phase:id", "phase"]  # ties are reversed
    assert design.Z.shape == (60, 10 + 10 + 6 + 6 + 6 + 2)


# --- positions


def test_numbers_are_positions_and_not_a_slope(data):
    design = build_design("y ~ x + ar1(week | g)", data)
    (found,) = design.terms
    assert (found.label, found.structure) == ("ar1(week | g)", "ar1")
    assert found.names == ("week[0]", "week[1]", "week[2]", "week[4]", "week[5]", "week[7]")
    np.testing.assert_array_equal(found.positions, [0, 1, 2, 4, 5, 7])
    np.testing.assert_array_equal(found.matrix, np.tile(np.eye(6), (10, 1)))
    assert design.messages == () and not found.positions.flags.writeable
    copy = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(copy.new_rows(data.iloc[:7]).terms[0].matrix, found.matrix[:7])


@pytest.mark.parametrize(
    ("numbers", "positions", "step"),
    [
        ([0, 14, 28, 56], [0, 1, 2, 4], "14"),
        ([0.1, 0.2, 0.1 + 0.2, 0.7], [0, 1, 2, 6], "0.1"),
        ([2020.25, 2020.5, 2021.0, 2021.25], [0, 1, 3, 4], "0.25"),
        ([0.0, 1 / 3, 2 / 3, 1.0], [0, 1, 2, 3], "0.3333333333"),
        ([-2.0, 0.0, 3.0, 4.0], [0, 2, 5, 6], None),
        ([1e9, 1e9 + 1, 1e9 + 3, 1e9 + 4], [0, 1, 3, 4], None),
    ],
)
def test_numbers_are_whole_steps_from_the_first(numbers, positions, step):
    data = pd.DataFrame({"y": np.sin(np.arange(24)), "t": np.tile(numbers, 6), "g": np.repeat(range(6), 4)})
    design = build_design("y ~ 1 + ar1(t | g)", data)
    np.testing.assert_array_equal(design.terms[0].positions, positions)
    assert [f"multiples of {step}, counted from" in m for m in design.messages] == ([True] if step else [])


def test_numbers_that_differ_by_rounding_are_one_position():
    data = pd.DataFrame({"y": np.arange(4.0), "t": [0.1 + 0.2, 0.3, 0.1, 0.2], "g": [1, 2, 1, 2]})
    found = term("y ~ 1 + ar1(t | g)", data)
    np.testing.assert_array_equal(found.matrix, [[0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]])


def test_positions_of_a_category_follow_its_order_and_leave_gaps(data):
    design = build_design("y ~ x + hetar1(phase | g)", data)
    (found,) = design.terms
    assert found.names == ("phase[pre]", "phase[post]") and found.structure == "hetar1"
    np.testing.assert_array_equal(found.positions, [0, 2])  # nobody was seen during
    assert design.messages == ()
    (found,) = build_design("y ~ x + ar1(factor(week) | g)", data).terms
    np.testing.assert_array_equal(found.positions, range(6))
    assert found.names[3] == "C(week)[4]"
    (message,) = build_design("y ~ x + ar1(id | g)", data).messages
    assert "`id` is text, so its positions are in alphabetical order: `a`, `b`" in message


def test_positions_can_be_computed(data):
    found = term("y ~ x + ar1(I(week * 7) | g)", data)
    np.testing.assert_array_equal(found.positions, [0, 1, 2, 4, 5, 7])
    assert found.names[1] == "I(week * 7)[7]"


def test_positions_of_new_rows(data):
    design = build_design("y ~ x + ar1(week | g) + (1 | id)", data)
    new = data.iloc[[3, 0]].assign(week=[4.0, np.nan])
    matrix = design.new_rows(new).terms[0].matrix
    np.testing.assert_array_equal(matrix[0], [0, 0, 0, 1, 0, 0])
    assert np.isnan(matrix[1]).all()
    with pytest.raises(DataError, match=r"`week` has `3` in 2 new rows, positions the model has no effect for"):
        design.new_rows(data.iloc[:2].assign(week=3))
    assert design.new_rows(data.iloc[:2].assign(week=3), groups=False).X.shape == (2, 2)


def test_several_rows_at_one_position_share_its_effect(data):
    found = term("y ~ x + ar1(week | id)", data)  # ten rows a cell
    assert found.matrix.sum() == 60 and found.matrix.shape == (60, 6)


def test_positions_that_do_not_fit_in_memory_are_refused_before_they_are_made(data, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 64)  # bytes of memory: 64 pages of 64
    with pytest.raises(ModelError, match=r"6 positions of `week` in 60 rows need a matrix of 2\.88e-06 GB.*coarser"):
        build_design("y ~ x + ar1(week | g)", data)


# --- known covariances


def test_a_known_covariance_is_matched_by_name_in_any_order(data):
    A = kinship(LEVELS)
    for given in (
        A,
        A.iloc[::-1, [3, 1, 0, 2, 5, 4]],
        (LEVELS, A.to_numpy()),
        (LEVELS[::-1], sparse.csc_array(A.to_numpy()[::-1, ::-1])),
    ):
        design = build_design("y ~ x + (1 | id)", data, known={"id": given})
        root = design.terms[0].known_root
        np.testing.assert_allclose(root @ root.T, A, atol=1e-14)
        assert design.messages == ()


@pytest.mark.parametrize("labels", [range(1, 11), [float(i) for i in range(1, 11)], [str(i) for i in range(1, 11)]])
def test_numbers_compare_as_numbers(data, labels):
    A = kinship(list(labels))
    root = term("y ~ x + (1 | g)", data, known={"g": A}).known_root
    np.testing.assert_allclose(root @ root.T, A, atol=1e-14)


def test_levels_without_rows_are_left_out_and_said(data):
    A = kinship(["sire", *LEVELS, "dam"])
    design = build_design("y ~ x + (1 | id)", data, known={"id": A})
    root = design.terms[0].known_root
    np.testing.assert_allclose(root @ root.T, A.loc[LEVELS, LEVELS], atol=1e-14)
    assert design.messages == (
        "known['id']: 2 of its 8 levels have no rows and were left out, which changes nothing for the others.",
    )


def test_combinations_have_labels_too(data):
    labels = [f"{g}:{phase}" for g in range(1, 11) for phase in ("pre", "post")]
    root = term("y ~ x + (1 | g:phase)", data, known={"g:phase": kinship(labels)}).known_root
    assert root.shape == (20, 20)


def test_a_singular_covariance_has_a_root_of_its_rank(data):
    half = np.random.default_rng(1).normal(size=(6, 2))
    root = term("y ~ x + (1 | id)", data, known={"id": (LEVELS, half @ half.T)}).known_root
    assert root.shape == (6, 2)
    np.testing.assert_allclose(root @ root.T, half @ half.T, atol=1e-13)


def test_a_factors_matrix_is_that_of_all_its_terms_but_a_repeated_one(data):
    A = kinship(LEVELS)
    design = build_design("y ~ x + (1 | id) + (0 + x | id) + (1 | id)", data, known={"id": A})
    roots = [t.known_root for t in design.terms]
    assert roots[0] is roots[1] and roots[2] is None
    assert design.messages == (
        "known['id'] is used for `id` and not again for its repeated term `id.2`, whose levels are taken as "
        "independent; known['id.2'] would give their covariances.",
    )
    design = build_design("y ~ x + (1 | id) + (1 | id)", data, known={"id": A, "id.1": A @ A})
    np.testing.assert_allclose(design.terms[1].known_root @ design.terms[1].known_root.T, A @ A, atol=1e-13)
    design = build_design("y ~ x + (1 | id) + (0 + x | id)", data, known={"id": A, "id.1": None})
    assert [t.known_root is None for t in design.terms] == [False, True]


# --- structures of the user's own


class Mine:
    """One variance; the shape of the correlations is fixed."""

    def n_theta(self, q):
        return 1

    def names(self, effects):
        return ("sd",)

    def bounds(self, q):
        return [(0.0, np.inf)]

    def start(self, q):
        return [1.0]

    def factor(self, theta, q):
        return theta[0] * np.linalg.cholesky(0.5 ** np.abs(np.subtract.outer(np.arange(q), np.arange(q))))


def test_a_structure_of_the_users_own_is_named_in_the_formula():
    parsed = parse_formula("y ~ mine(0 + f | g)", {"mine": object()})
    assert parsed.random[0].label == "mine(0 + f | g)" and parsed.random[0].structure == "mine"
    assert parse_formula("y ~ mine(0 + f | g)", ["mine"]) is parsed


def test_a_term_holds_the_users_structure(data):
    mine = Mine()
    found = term("y ~ 1 + mine(0 + phase | g)", data, structures={"mine": mine})
    assert found.structure is mine and found.label == "mine(0 + phase | g)"
    assert found.names == ("phase[pre]", "phase[post]") and found.positions is None


def test_a_parsed_formula_needs_the_structure_it_names(data):
    parsed = parse_formula("y ~ 1 + mine(0 + phase | g)", ["mine"])
    with pytest.raises(ModelError, match=r"structures=\{'mine': …\}"):
        build_design(parsed, data)
