from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from lmmtools import identities
from lmmtools.errors import LMMError

V = np.array([[2.0, 1.0], [1.0, 2.0]])
SAID = {"caption": "Cap", "label": "tbl-a"}


def one(left, right, **options):
    """The row of a single equation."""
    return identities({"it": (left, right)}, **{**SAID, **options}).loc["it"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (3, 3.0 + 1e-12),
        (np.float32(0.5), 0.5),
        ([1, 2], (1.0, 2.0)),
        (np.linalg.inv(V) @ V, np.eye(2)),
        (sp.csc_matrix(V), V),
        (sp.coo_array(V), pd.DataFrame(V)),
        (pd.Series([1.0, 2.0], ["a", "b"]), pd.Series([2.0, 1.0], ["b", "a"])),
        (pd.DataFrame(V * [1, 3], ["a", "b"], ["c", "d"]), pd.DataFrame([[6, 1], [3, 2]], ["b", "a"], ["d", "c"])),
        (pd.Series([1, 2], ["a", "b"], dtype=object), pd.Series([1.0, 2.0])),
        ([-np.inf, 1.0], [-np.inf, 1.0]),
        (0, 0.0),
        (Fraction(1, 3), 1 / 3),
    ],
)
def test_two_sides_that_are_the_same(left, right):
    assert one(left, right)["holds"] == "yes"
    assert one(left, right)["difference"] < 1e-11


def test_names_that_differ_are_compared_place_by_place():
    swapped = pd.Series([2.0, 1.0], ["b", "c"])
    assert one(pd.Series([1.0, 2.0], ["a", "b"]), swapped, fails=["it"])["difference"] == 0.5
    assert one(pd.Series([2.0, 1.0], ["a", "a"]), swapped)["holds"] == "yes"


def test_the_difference_is_relative_to_the_largest_value_of_either_side():
    row = one([100.0, 3.0, -8.0], [100.0, 5.0, -8.0], fails=["it"])
    assert (row["left"], row["right"], row["difference"], row["holds"]) == (3.0, 5.0, 0.02, "no")
    assert one([1.0, -200.0], [1.0, -200.0])["left"] == -200.0
    assert one(1e-200, 2e-200, fails=["it"])["difference"] == 0.5
    assert one(1e12, 1e12 + 1)["holds"] == "yes"
    assert one([np.inf, 1.0], [np.inf, 2.0], fails=["it"])["difference"] == 0.5  # infinity hides nothing
    assert one(np.inf, -np.inf, fails=["it"])["difference"] == np.inf
    assert one(1.7e308, -1.7e308, fails=["it"])["difference"] == np.inf


def test_the_tolerance_is_the_largest_difference_that_holds():
    assert one(8.0, 7.0, tolerance=0.125)["holds"] == "yes"
    assert one(8.0, 7.0, tolerance=0.1249, fails=["it"])["holds"] == "no"


def test_it_is_a_table():
    made = identities({"a": (1.0, 1.0), "b": (V, V), "c": (V, -V)}, fails=["c"], **SAID)
    assert (made.caption, made.label) == ("Cap", "tbl-a")
    assert made.notes == (
        "Differences are relative to the largest value; up to 1×10⁻⁸ an equation holds. Of matrices the largest entry "
        "is shown, of those that fail the one that differs most.",
    )
    assert made.table().cells[2] == ("c", "2", "−2", "2.00×10⁰", "no")
    assert "matrices" not in identities({"a": (1.0, 1.0)}, **SAID).notes[0]


@pytest.mark.parametrize(
    ("equations", "options", "message"),
    [
        ({"a": (1.0, 2.0)}, {}, r"'a' \(1.00000\d* on the left, 2.00000\d* on the right\)\. Correct the formula"),
        ({"a": (1e-17, 0.0)}, {}, "where one side is zero, move a term over"),
        ({str(i): (i, -i) for i in range(1, 9)}, {}, r"on the right\) and 3 more\. Correct"),
        ({"a": (1.0, 1.0)}, {"fails": ["a"]}, "`a` should fail but holds to 0"),
        ({"a": (1.0, 1.0)}, {"fails": ["b"]}, "`fails` names 'b', which is no equation here"),
        ({"inverse": (1.0, 1.0)}, {"fails": "invers"}, r"did you mean `inverse`\?"),
        ({"a": (V, V[0])}, {}, "'a' have different shapes, 2 × 2 on the left and 2 on the right"),
        ({"a": (V, 2.0)}, {}, "2 × 2 on the left and a number on the right"),
        ({"a": ([1.0, np.nan, np.nan], [1.0, 2.0, 3.0])}, {}, "left side of 'a' has NaN in 2 of 3 places"),
        ({"a": (1.0, pd.Series([pd.NA]))}, {}, "right side of 'a' holds no numbers but Series"),
        ({"a": (1.0, "1.0")}, {}, "right side of 'a' holds no numbers but str"),
        ({"a": (1j, 1.0)}, {}, "left side of 'a' holds no numbers but complex"),
        ({"a": (True, 1)}, {}, "holds no numbers but bool"),
        ({"a": ([[1], [2, 3]], V)}, {}, "left side of 'a' holds no numbers but list"),
        ({"a": (10**400, 1.0)}, {}, "left side of 'a' holds no numbers but int"),
        ({"a": (np.ma.array([1, 2], mask=[0, 1]), [1, 2])}, {}, "left side of 'a' has NaN in 1 of 2 places"),
        ({"a": (1.0, 1.0)}, {"fails": None}, "`fails` must name equations"),
        ({"a": (1.0, 1.0)}, {"fails": [["a"]]}, "`fails` must name equations"),
        ({"a": ([], [])}, {}, "both sides of 'a' are empty"),
        ({"a": 1.0}, {}, r"'a' must have two sides, \(left, right\); got float"),
        ({"a": (1.0, 1.0, 1.0)}, {}, "'a' must have two sides"),
        ({}, {}, "got an empty one"),
        ([("a", (1.0, 1.0))], {}, "got list"),
        ({"a": (1.0, 1.0)}, {"tolerance": 0}, "tolerance must lie between 0 and 1"),
        ({"a": (1.0, 1.0)}, {"tolerance": "1e-8"}, "tolerance must lie between 0 and 1"),
    ],
)
def test_what_is_wrong_is_named(equations, options, message):
    with pytest.raises(LMMError, match=message):
        identities(equations, **SAID, **options)
