"""What is wrong with a growth curve model's arguments is said in a sentence; a row each."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.errors import DataError, FormulaError, LMMError, ModelError

LONG = "distance ~ age | Subject"
DATA = lt.load_dataset("Orthodont")
WIDE = pd.DataFrame(DATA.pivot(index="Subject", columns="age", values="distance"))
WIDE.columns, WIDE.index = list(WIDE.columns), list(WIDE.index)
SEXES = pd.DataFrame({"Sex": np.where(WIDE.index.str.startswith("M"), "Male", "Female")}, index=WIDE.index)


def changed(value, row=3, column=2):
    Y = WIDE.copy()
    Y.iloc[row, column] = value
    return Y


class Case(NamedTuple):
    """Its name, the arguments, the class of error, fragments of the message."""

    name: str
    args: tuple
    options: dict
    error: type[LMMError]
    says: tuple[str, ...]


def case(name, error, *says, Y=WIDE, between="~ Sex", within="~ age", sigma="free", **options):
    options = {"data": SEXES, **options}
    return Case(name, (Y, between, within, sigma), options, error, says)


CASES = [
    case("missing occasion", DataError, "1 subject of 27 has missing occasions (`M11`", "fit_gls", Y=changed(np.nan)),
    case("infinite", DataError, "subject `M11` at occasion `12`", Y=changed(np.inf)),
    case("long with a gap", DataError, "`F11`; 3 values", "us(age | Subject) * varident(age)", Y=LONG, data=DATA[:-3]),
    case("twice", DataError, "M01 has 2 rows at `age` 8", Y=LONG, data=pd.concat([DATA, DATA[:1]])),
    case("time between", DataError, "`age` changes within `Subject`", "within", Y=LONG, between="~ age", data=DATA),
    case("sex within", DataError, "`Sex` changes within `age` 8", Y=LONG, within="~ age + Sex", data=DATA),
    case("dependent between", ModelError, "rank 2 of 3", "`a` is a multiple of `Sex[T.Male]`",
         between="~ Sex + a", data=SEXES.assign(a=(SEXES["Sex"] == "Male") * 1.0)),
    case("dependent within", ModelError, "`I(2 * age)` is a multiple of `age`", within="~ age + I(2*age)"),
    case("too many within", ModelError, "5 columns", "for 4 occasions", within="~ age+I(age^2)+I(age^3)+I(age^4)"),
    case("degree", DataError, "poly(…, 4)", within="~ poly(age, 4)"),
    case("text in Y", DataError, "the column `k` is not numeric", Y=WIDE.assign(k="a"), within=np.ones((5, 1))),
    case("truth in Y", DataError, "true or false", Y=WIDE > 20),
    case("strings", DataError, "no matrix of real numbers", Y=[["a", "b"]]),
    case("nothing", DataError, "Y is a NoneType", Y=None),
    case("a vector", DataError, "its shape is (3,)", Y=[1.0, 2.0, 3.0]),
    case("no rows", DataError, "no rows", Y=WIDE[:0]),
    case("no columns", DataError, "Y has no columns", Y=WIDE[[]]),
    case("one label twice", DataError, "several rows of one label (`M16`)", Y=pd.concat([WIDE, WIDE[:1]])),
    case("no times", DataError, "when the 4 occasions were is not known", Y=WIDE.to_numpy()),
    case("names that are no times", DataError, "pass times=", Y=WIDE.set_axis(list("abcd"), axis=1)),
    case("few times", DataError, "`age` has 2 values for 4 occasions", Y=WIDE.to_numpy(), times=[1, 2]),
    case("a word for times", DataError, "`age` has no list of values", times="age"),
    case("times of one variable", DataError, "times is one column", within="~ age + z", times=[1, 2, 3, 4]),
    case("times lack one", DataError, "no column `z`", within="~ age + z", times={"age": [1, 2, 3, 4]}),
    case("times and long data", ModelError, "times goes with a wide Y", Y=LONG, data=DATA, times=[1, 2, 3, 4]),
    case("no data", DataError, "between names `Sex`", data=None),
    case("no such column", DataError, "did you mean `Sex`?", between="~ sex"),
    case("labels", DataError, "labelled `0`, `1`, `2`", "the same index", data=SEXES.reset_index(drop=True)),
    case("rows", DataError, "data has 108 rows and Y 27 subjects", data=DATA),
    case("missing between", DataError, "`Sex` is missing for 1 subject (`M16`)",
         data=SEXES.assign(Sex=[None, *SEXES["Sex"][1:]])),
    case("one level", DataError, "one level only", data=SEXES.assign(Sex="a")),
    case("sigma", ModelError, "sigma='fre' is unknown", "`free`", sigma="fre"),
    case("closed form", ModelError, "diagonal Σ has no closed form", sigma="diagonal", algorithm="closed form"),
    case("algorithm", ModelError, "algorithm='em'", algorithm="em"),
    case("random term", FormulaError, "random term `(1 | g)`", "fit_lmm", between="~ 1 + (1 | g)"),
    case("left side", FormulaError, "has a left side", between="y ~ 1"),
    case("no formula", FormulaError, "'~ gender'", "'equal', 'free'", between="gender"),
    case("no columns within", FormulaError, "has no columns", within="~ 0"),
    case("offset", FormulaError, "offset", within="~ age + offset(age)"),
    case("a syntax error", FormulaError, "Y ~ age +", within="~ age +"),
    case("half long", FormulaError, "does not say which columns", Y="distance", data=DATA),
    case("a model for Y", FormulaError, "three columns", Y="distance ~ age", data=DATA),
    case("one column thrice", FormulaError, "three different columns", Y="age ~ age | Subject", data=DATA),
    case("long without data", DataError, "there are no data", Y=LONG, data=None),
    case("matrix rows", DataError, "between has 4 rows and Y 27 subjects", between=np.ones((4, 1))),
    case("matrix values", DataError, "`g1` is missing or infinite for `M16`", between=np.full((27, 1), np.nan)),
    case("matrix labels", DataError, "between.to_numpy()", between=pd.DataFrame({"one": np.ones(27)})),
    case("no matrix", DataError, "between is neither", between=object()),
    case("dependent matrix", ModelError, "`x2` is a multiple of `x1`", within=np.ones((4, 2))),
    case("contrasts", ModelError, "`sx` is not a categorical column", contrasts={"sx": "sum"}),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_a_mistake_is_told(one):
    with pytest.raises(one.error) as caught:
        lt.fit_gmanova(*one.args, **one.options)
    for part in one.says:
        assert part in str(caught.value)


FIT = lt.fit_gmanova(WIDE, "~ Sex", "~ age", data=SEXES)
TESTS = {
    "a name": (("sex",), {}, "names `sex`"),
    "a size": (([[1, 2, 3]],), {}, "C: contrasts need 2 numbers a row"),
    "ragged": ((None, [[0, 1], [1]]), {}, "D: contrasts must be numbers"),
    "zeros": (([[0, 0]],), {}, "all zero"),
    "rhs size": (("Intercept", "age"), {"rhs": [1, 2, 3]}, "1 × 1"),
    "rhs missing": (("Intercept", "age"), {"rhs": np.nan}, "missing or infinite"),
    "redundant with rhs": (([[1, 0], [2, 0]], "age"), {"rhs": 1.0}, "1 of them independent"),
    "a test for least squares": ((), {"test": "f"}, '"wilks"'),
    "no test": ((), {"test": ()}, "none was named"),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_mistake_in_a_hypothesis_is_told(name):
    args, options, says = TESTS[name]
    with pytest.raises(LMMError) as caught:
        FIT.test(*args, **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda: lt.fit_gmanova(WIDE, "~ 1", "~ age + I(age^2)"), "its within can do what"),
        (lambda: lt.fit_gmanova(WIDE + 1.0, "~ 1", "~ age"), "different responses"),
        (lambda: FIT, "the same model"),
        (lambda: 3, "got int"),
    ],
)
def test_what_cannot_be_compared(other, says):
    with pytest.raises(ModelError, match=says):
        FIT.lrt(other())


def test_wilks_needs_a_free_covariance():
    with pytest.raises(LMMError, match="not defined for a scalar Σ"):
        lt.fit_gmanova(WIDE, "~ Sex", "~ age", "scalar", data=SEXES).test(test="wilks")
