"""Formula and data → Design: columns, names, groups, weights, and what is said about them."""

import pickle

import numpy as np
import pandas as pd
import pytest

from lmmtools.datasets import load_dataset
from lmmtools.design import build_design
from lmmtools.design.terms import lme4_order
from lmmtools.errors import DataError


def test_sleepstudy_is_what_it_is_in_lme4():
    frame = load_dataset("sleepstudy")
    design = build_design("Reaction ~ Days + (Days | Subject)", frame)
    assert design.fixed_names == ("Intercept", "Days") and design.response == "Reaction"
    assert design.ngroups == {"Subject": 18}
    np.testing.assert_array_equal(design.X, np.column_stack([np.ones(180), frame["Days"]]))
    np.testing.assert_array_equal(design.y, frame["Reaction"])
    (term,) = design.terms
    assert (term.label, term.factor, term.group) == ("(1 + Days | Subject)", "Subject", "Subject")
    assert (term.structure, term.names) == ("us", ("Intercept", "Days"))
    assert list(term.levels) == list(frame["Subject"].cat.categories)
    assert (term.levels[term.codes] == frame["Subject"]).all()
    assert design.units["Reaction"] == "ms"
    assert design.X.flags.f_contiguous and term.matrix.flags.f_contiguous
    assert design.messages == () and design.dropped_columns == () and len(design.dropped_rows) == 0


def test_a_design_cannot_be_changed_and_does_not_share_the_callers_memory(data):
    design = build_design("y ~ x + offset(z) + (x | g)", data, weights="x")
    for array in (design.y, design.X, design.weights, design.offset, design.terms[0].matrix, design.terms[0].codes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        design.y = None
    with pytest.raises(TypeError):
        design.units["y"] = "kg"
    for values in (design.y, design.X, design.weights, design.offset, design.terms[0].codes):
        assert not any(np.shares_memory(values, data[name].to_numpy()) for name in ("y", "x", "z", "k", "g"))


@pytest.mark.parametrize(
    ("fixed", "names"),
    [
        ("f", "Intercept f[T.b] f[T.c] f[T.d]"),
        ("0 + f", "f[a] f[b] f[c] f[d]"),
        ("f:x", "Intercept f[a]:x f[b]:x f[c]:x f[d]:x"),
        ("x + f:x", "Intercept x f[T.b]:x f[T.c]:x f[T.d]:x"),
        ("h", "Intercept h[T.mid] h[T.high]"),
        ("factor(k)", "Intercept C(k)[T.1] C(k)[T.2] C(k)[T.3] C(k)[T.4] C(k)[T.5]"),
        ("k + factor(f)", "Intercept k C(f)[T.b] C(f)[T.c] C(f)[T.d]"),
        ("I(x^2)", "Intercept|I(x ** 2)"),
        ("poly(x, 2)", "Intercept|poly(x, 2)[1]|poly(x, 2)[2]"),
        ("poly(x, 2, raw=TRUE)", "Intercept|poly(x, 2, raw=True)[1]|poly(x, 2, raw=True)[2]"),
        ("C(h, contr.poly)", "Intercept|C(h, contr.poly)[.L]|C(h, contr.poly)[.Q]"),
        ("ordered(h)", "Intercept|C(h, contr.poly)[.L]|C(h, contr.poly)[.Q]"),
        ("C(f, contr.sum)", "Intercept|C(f, contr.sum)[S.a]|C(f, contr.sum)[S.b]|C(f, contr.sum)[S.c]"),
        ("bs(x, df=4)", "Intercept|bs(x, df=4)[1]|bs(x, df=4)[2]|bs(x, df=4)[3]|bs(x, df=4)[4]"),
        ("x * z", "Intercept x z x:z"),
    ],
)
def test_coefficient_names(data, fixed, names):
    expected = tuple(names.split("|") if "|" in names else names.split(" "))
    assert build_design(f"y ~ {fixed} + (1 | g)", data).fixed_names == expected


@pytest.mark.parametrize(
    ("coding", "names"),
    [
        ("poly", ["h[.L]", "h[.Q]"]),
        ("contr.poly", ["h[.L]", "h[.Q]"]),
        ("sum", ["h[S.low]", "h[S.mid]"]),
        ("helmert", ["h[H.mid]", "h[H.high]"]),
        ("treatment", ["h[T.mid]", "h[T.high]"]),
        (np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), ["h[1]", "h[2]"]),
    ],
)
def test_contrasts_leave_the_plain_variable_in_the_name(data, coding, names):
    design = build_design("y ~ h + x:h + (1 | g)", data, contrasts={"h": coding})
    assert list(design.fixed_names[:3]) == ["Intercept", *names]


def test_contrasts_reach_a_column_inside_factor(data):
    design = build_design("y ~ factor(k) + (1 | g)", data, contrasts={"k": "sum"})
    assert design.fixed_names[1] == "C(k)[S.0]"


# R 4.2.2: contr.helmert(4), contr.poly(4), contr.sum(4)
R_CONTRASTS = {
    "helmert": [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]],
    "poly": [
        [-0.670820393249937, 0.5, -0.223606797749979],
        [-0.223606797749979, -0.5, 0.670820393249937],
        [0.223606797749979, -0.5, -0.670820393249937],
        [0.670820393249937, 0.5, 0.223606797749979],
    ],
    "sum": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]],
    "treatment": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
}


@pytest.mark.parametrize("coding", R_CONTRASTS)
def test_contrasts_are_rs(data, coding):
    design = build_design("y ~ f + (1 | g)", data, contrasts={"f": coding})
    rows = [np.flatnonzero(data["f"] == level)[0] for level in "abcd"]
    np.testing.assert_allclose(design.X[rows, 1:], R_CONTRASTS[coding], atol=1e-14)


def test_poly_is_rs():
    frame = pd.DataFrame({"y": [1.0, 3, 2, 5, 4], "t": [1, 2, 3, 4, 5], "g": [1, 1, 2, 2, 2]})
    # R 4.2.2: poly(1:5, 2)
    expected = [
        [-0.632455532033676, 0.534522483824849],
        [-0.316227766016838, -0.267261241912424],
        [0, -0.534522483824849],
        [0.316227766016838, -0.267261241912424],
        [0.632455532033676, 0.534522483824849],
    ]
    for shift in (0, 1e6):  # a large mean costs no digits
        X = build_design("y ~ poly(t, 2) + (1 | g)", frame.assign(t=frame["t"] + shift)).X
        np.testing.assert_allclose(X[:, 1:], expected, atol=1e-14)


def test_powers_of_integers_are_powers(data):
    design = build_design("y ~ k + I(k^2) + (1 | g)", data)
    np.testing.assert_array_equal(design.X[:, 2], data["k"] ** 2.0)


def test_functions_and_constants(data):
    design = build_design("y ~ sin(2 * pi * z) + sqrt(x) + abs(z) + exp(z) + log10(x) + (1 | g)", data)
    x, z = data["x"], data["z"]
    expected = [np.ones(48), np.sin(2 * np.pi * z), np.sqrt(x), np.abs(z), np.exp(z), np.log10(x)]
    np.testing.assert_allclose(design.X, np.column_stack(expected), rtol=1e-15)


@pytest.mark.parametrize(
    ("response", "name", "function"),
    [("log(x)", "log(x)", np.log), ("I(x/2)", "I(x / 2)", lambda x: x / 2), ("x/2", "I(x / 2)", lambda x: x / 2)],
)
def test_transformed_responses(data, response, name, function):
    design = build_design(f"{response} ~ z + (1 | g)", data)
    assert design.response == name and design.fixed_names == ("Intercept", "z")
    np.testing.assert_allclose(design.y, function(data["x"]), rtol=1e-15)


def test_a_response_may_appear_on_the_right_too(data):
    design = build_design("log(x) ~ 0 + f + offset(log(x)) + (1 | g)", data)
    np.testing.assert_array_equal(design.y, design.offset)


def test_names_that_python_would_not_have(data):
    frame = data.rename(columns={"y": "Informed.liking", "x": "class", "z": "C", "k": "my col", "g": "in"})
    design = build_design("Informed.liking ~ log(class) + C + I(`my col`^2) + C(f) + (class | in)", frame)
    assert design.response == "Informed.liking"
    assert design.fixed_names == (
        "Intercept",
        "log(class)",
        "C",
        "I(my col ** 2)",
        "C(f)[T.b]",
        "C(f)[T.c]",
        "C(f)[T.d]",
    )
    assert design.terms[0].names == ("Intercept", "class") and design.ngroups == {"in": 8}
    np.testing.assert_array_equal(design.X[:, 2], data["z"])


def test_a_formula_sees_the_data_and_nothing_else(data):
    x2 = data["x"] * 2  # noqa: F841 - a caller's variable is not a column
    for name in ("x2", "data", "print", "np", "__builtins__"):
        with pytest.raises(DataError, match="no column"):
            build_design(f"y ~ {name} + (1 | g)", data)


# --- random terms


@pytest.mark.parametrize(
    ("random", "names", "structures", "groups"),
    [
        ("(1 | g)", [("Intercept",)], ["us"], ["g"]),
        ("(0 + x | g)", [("x",)], ["us"], ["g"]),
        ("(x || g)", [("Intercept",), ("x",)], ["us", "us"], ["g", "g.1"]),
        ("(0 + h || g)", [("h[low]", "h[mid]", "h[high]")], ["us"], ["g"]),
        ("(h || g)", [("Intercept",), ("h[low]", "h[mid]", "h[high]")], ["us", "us"], ["g", "g.1"]),
        ("(h | g)", [("Intercept", "h[T.mid]", "h[T.high]")], ["us"], ["g"]),
        ("diag(x + z | g)", [("Intercept", "x", "z")], ["diag"], ["g"]),
        ("homdiag(0 + h | g)", [("h[low]", "h[mid]", "h[high]")], ["homdiag"], ["g"]),
        ("(1 | g) + (0 + x | g) + (0 + z | g)", [("Intercept",), ("x",), ("z",)], ["us"] * 3, ["g", "g.1", "g.2"]),
    ],
)
def test_random_terms(data, random, names, structures, groups):
    design = build_design(f"y ~ x + {random}", data)
    assert [term.names for term in design.terms] == names
    assert [term.structure for term in design.terms] == structures
    assert [term.group for term in design.terms] == groups


def test_interactions_of_groups_are_the_combinations_that_occur(data):
    frame = data[(data["f"] != "a") | (data["h"] != "low")]
    design = build_design("y ~ x + (1 | h:f)", frame)
    (term,) = design.terms
    assert term.factor == "h:f" and design.ngroups == {"h:f": 11}
    assert list(term.levels[:4]) == ["low:b", "low:c", "low:d", "mid:a"]  # the order of h, then of f
    assert [term.levels[code] for code in term.codes] == [
        f"{h}:{f}" for h, f in zip(frame["h"], frame["f"], strict=True)
    ]


def test_z_has_columns_by_term_then_level_then_effect(data):
    design = build_design("y ~ x + (1 + x | g) + (0 + z | g)", data)
    Z = np.zeros((48, 8 * 2 + 8))
    for i, g in enumerate(data["g"] - 1):
        Z[i, 2 * g : 2 * g + 2] = 1, data["x"][i]
        Z[i, 16 + g] = data["z"][i]
    np.testing.assert_array_equal(design.Z.toarray(), Z)
    assert design.Z.format == "csc"


@pytest.mark.parametrize(
    ("levels", "order"),
    # R: formula order while numbers of levels do not increase, else rev(order(levels)), which reverses ties
    [
        ([5], [0]),
        ([18, 6], [0, 1]),
        ([6, 18], [1, 0]),
        ([3, 3], [0, 1]),
        ([2, 5, 5], [2, 1, 0]),
        ([5, 2, 5], [2, 0, 1]),
    ],
)
def test_terms_are_in_lme4s_order(levels, order):
    assert lme4_order(levels) == order


# --- weights and offsets


def test_weights_and_offsets_in_a_series_go_by_label(data):
    frame = data.set_axis([f"row {i}" for i in range(48)])
    frame.loc["row 2", "y"] = np.nan
    shuffled = frame["x"].sample(frac=1, random_state=1)
    design = build_design("y ~ z + (1 | g)", frame, weights=shuffled, offset=shuffled)
    np.testing.assert_array_equal(design.weights, np.delete(frame["x"].to_numpy(), 2))
    np.testing.assert_array_equal(design.offset, design.weights)
    twice = data.set_axis([1, 2] * 24)  # equal indices need no labels to be told apart
    np.testing.assert_array_equal(build_design("y ~ z + (1 | g)", twice, weights=twice["x"]).weights, data["x"])


def test_weights_and_offsets_by_name_or_array(data):
    by_name = build_design("y ~ f + offset(z) + (1 | g)", data, weights="x", offset="k")
    by_array = build_design("y ~ f + offset(z) + (1 | g)", data, weights=data["x"].to_numpy(), offset=list(data["k"]))
    for design in (by_name, by_array):
        np.testing.assert_array_equal(design.weights, data["x"])
        np.testing.assert_array_equal(design.offset, data["z"] + data["k"])
    assert build_design("y ~ x + (1 | g)", data).offset is None


def test_arrays_lose_the_rows_that_are_left_out(data):
    frame = data.assign(x=data["x"].where(data.index != 2))
    weights = np.arange(1.0, 49)
    design = build_design("y ~ x + (1 | g)", frame, weights=weights, offset=weights)
    np.testing.assert_array_equal(design.weights, np.delete(weights, 2))
    np.testing.assert_array_equal(design.offset, np.delete(weights, 2))


def test_a_missing_weight_in_a_row_left_out_anyway_is_no_error(data):
    frame = data.assign(x=data["x"].where(data.index != 2), w=np.where(data.index == 2, np.nan, 2.0))
    assert len(build_design("y ~ x + (1 | g)", frame, weights="w").weights) == 47


# --- rank


def test_dropped_columns_are_named_with_what_they_repeat(data):
    frame = data.assign(x2=2 * data["x"], s=data["x"] - 3 * data["z"], zero=0.0, five=5)
    design = build_design("y ~ x + z + x2 + s + zero + five + (x2 | g)", frame)
    assert design.fixed_names == ("Intercept", "x", "z") and design.X.shape == (48, 3)
    assert design.dropped_columns == ("x2", "s", "zero", "five")
    assert design.messages == (
        "the fixed effect `x2` was dropped: it equals 2 × `x`.",
        "the fixed effect `s` was dropped: it equals `x` − 3 × `z`.",
        "the fixed effect `zero` was dropped: it is zero in every row.",
        "the fixed effect `five` was dropped: it is 5 in every row, which the intercept describes.",
    )
    np.testing.assert_array_equal(design.terms[0].matrix[:, 1], frame["x2"])  # a bar keeps its columns


def test_an_empty_cell_of_an_interaction_is_dropped(data):
    frame = data[(data["f"] != "a") | (data["h"] != "high")]
    design = build_design("y ~ h * f + (1 | g)", frame)
    assert len(design.dropped_columns) == 1 and np.linalg.matrix_rank(design.X) == design.X.shape[1] == 11


def test_unused_levels_and_levels_of_one_row_are_told(data):
    frame = data.assign(f=pd.Categorical(["e"] + list(data["f"][1:]), list("abcdefg")))
    design = build_design("y ~ f + (1 | g)", frame)
    assert design.messages == (
        "2 levels of `f` have no rows and were dropped: `f`, `g`.",
        "`f` has one row only in `e`: its effect there rests on that row alone.",
    )


def test_a_design_can_be_pickled(data):
    design = build_design("y ~ poly(x, 2) + C(h, contr.sum) + (f | g)", data)
    copy = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(copy.X, design.X)
    np.testing.assert_array_equal(copy.new_rows(data.iloc[:4]).X, design.new_rows(data.iloc[:4]).X)
    assert not copy.X.flags.writeable
