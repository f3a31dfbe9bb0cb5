"""What prints a number that fails: planted misprints are found, luck is counted, and distances are minima."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

import lmmtools as lt
from lmmtools.replication.alternatives import Candidates, Search, Tried
from lmmtools.replication.alternatives.distance import distance
from lmmtools.replication.alternatives.luck import Luck, luck
from lmmtools.replication.alternatives.readings import readings
from lmmtools.replication.alternatives.stops import ALGORITHMS, TOLERANCES, stops
from lmmtools.replication.alternatives.told import small
from lmmtools.replication.fits import fitted
from lmmtools.replication.ledger.schema import Model, Variant
from lmmtools.replication.printed import read_printed
from lmmtools.replication.quantities import value_at

HERE = Path(__file__).parent
RAIL = Model(data="Rail", formula="travel ~ 1 + (1 | Rail)")
STOOL = Model(data="ergoStool", formula="effort ~ Type + (1 | Subject)")
APART = Model(data="sleepstudy", formula="Reaction ~ Days + (Days || Subject)", method="ML")
CURVE = Model(
    data="Orthodont", growth="distance ~ age | Subject", between="free", within="~ age", sigma="scalar"
)  # fmt: skip


FITS: dict[str, object] = {}


def fit_of(model: Model, folder: Path = HERE) -> object:
    """The fit of a model, which all tests share."""
    key = f"{folder} {model}"
    if key not in FITS:
        FITS[key] = fitted(model, folder)
    return FITS[key]


def of(printed: str, path: str, model: Model, folder: Path = HERE, **given: object) -> Search:
    """The search for one number of a model."""
    own = {"models": {"m": model}, "variants": ()} | given
    tried = Candidates("m", fitted=lambda one: fit_of(one, folder), folder=folder, **own)
    return tried.search(read_printed(printed), value_at(path, tried.fit), path)


@pytest.fixture
def no_stops(monkeypatch):
    """No looser searches, which take long: what a test is of lies among the other alternatives."""
    monkeypatch.setattr("lmmtools.replication.alternatives.tried.stops", lambda fit: ())


@pytest.fixture(scope="module")
def candidates():
    """What is tried in place of a model, made once for all of its numbers."""
    made: dict[str, Candidates] = {}

    def of_model(model: Model) -> Candidates:
        return made.setdefault(repr(model), Candidates("m", {"m": model}, (), fit_of, HERE))

    return of_model


# Numbers printed by something else than the model: path, model, number, and what it is found to be.
PLANTED = [
    ("varcorr.Rail.Intercept.sd", RAIL, "22.624", "fitted by ML"),
    ("criterion", RAIL, "90.933", "the criterion without n log 2π ((n − p) log 2π under REML)"),
    ("varcorr.Rail.Intercept.sd", RAIL, "615.31", "the variance in place of the standard deviation"),
    ("varcorr.Rail.Intercept.var", RAIL, "24.805", "the standard deviation in place of the variance"),
    ("sigma", RAIL, "3.907495", "n as the divisor of σ²"),
    ("varcorr.Residual.var", RAIL, "15.26852", "n as the divisor of σ²"),
    ("stderr.Intercept", Model(data="Rail", formula=RAIL.formula, method="ML"), "9.5540", "n − p as the divisor of σ²"),
    ("bic", RAIL, "130.677", "BIC with the logarithm of n − p"),
    ("aic", STOOL, "139.4869", "helmert contrasts"),
    ("fixef.Type[T.T2]", STOOL, "1.94444", "helmert contrasts"),
    ("sigma2", CURVE, "1.7162", "n − p as the divisor of σ²"),
]


@pytest.mark.parametrize(("path", "model", "printed", "name"), PLANTED, ids=[f"{p}: {w}" for p, _, _, w in PLANTED])
def test_a_planted_misprint_is_found_by_name(path, model, printed, name, candidates):
    tried = candidates(model)
    found = tried.search(read_printed(printed), value_at(path, tried.fit), path)
    assert [one.name for one in found.prints] == [name]
    assert found.explanation.name == name
    assert found.chance < 0.05
    assert found.tried > 1
    assert name in found.sentence


def test_rows_that_another_model_of_the_file_has(no_stops):
    girls = Model(data="Orthodont", formula="distance ~ age + (1 | Subject)", filter="Sex == 'Female'")
    everyone = Model(data="Orthodont", formula=girls.formula)
    found = of("149.2183", "aic", everyone, models={"m": everyone, "girls": girls})
    assert found.explanation.name == "the rows where Sex == 'Female'"
    back = of("455.0025", "aic", girls, models={"m": girls, "all": everyone})
    assert back.explanation.name == "all rows of the data"


def test_rows_that_are_complete_in_all_columns(tmp_path, no_stops):
    data = lt.load_dataset("Rail")
    data["age of `it`"] = np.where(np.arange(len(data)) % 5 == 2, np.nan, 1.0)
    data["age"] = np.where(np.arange(len(data)) % 7 == 1, np.nan, 1.0)
    data[["Rail", "travel", "age"]].to_csv(tmp_path / "gaps.csv", index=False)
    kept = lt.fit_lmm(RAIL.formula, data[data["age"].notna()].assign(Rail=lambda d: d["Rail"].astype(str)))
    model = Model(data="gaps.csv", formula=RAIL.formula, columns={})
    found = of(f"{kept.sigma:.7f}", "sigma", model, tmp_path)
    assert found.explanation.name == "the rows that are complete in all columns of the data"


def test_a_variant_of_the_file_is_the_explanation_where_the_source_says_so_and_only_for_its_models(no_stops):
    same = {"name": "no types told apart", "change": {"formula": "effort ~ 1 + (1 | Subject)"}}
    criterion = fitted(Model(data="ergoStool", formula="effort ~ 1 + (1 | Subject)"), HERE).criterion
    says = Variant(says="p. 7, footnote", models=["m"], **same)
    found = of(f"{criterion:.0f}", "criterion", STOOL, variants=(says,))
    assert found.explanation == Tried(same["name"], "p. 7, footnote", pytest.approx(criterion, abs=1e-9), stated=True)
    assert found.sentence == "The explanation is: no types told apart; the source says so (p. 7, footnote)."
    other = Variant(models=["another"], **same)
    for_another = of(f"{criterion:.0f}", "criterion", STOOL, variants=(other,))
    assert other.name not in [one.name for one in for_another.alternatives]
    # without the source's word it prints the number, be it by luck, and is not called the explanation
    unsaid = of("2.0", "sigma", STOOL, variants=(Variant(**same),))
    assert [one.name for one in unsaid.prints] == ["no types told apart"]
    assert unsaid.chance > 0.05
    assert unsaid.explanation.stated
    assert "prints it (no types told apart, a variant that the ledger states), as luck would in" in unsaid.sentence
    assert "explanation" not in unsaid.sentence


def test_a_variant_of_the_file_that_cannot_be_tried_is_told_of(no_stops):
    wrong = Variant(name="another response", change={"formula": "efort ~ Type + (1 | Subject)"})
    found = of("9.9", "sigma", STOOL, variants=(wrong,))
    assert found.faults[0].startswith('The variant "another response" cannot be tried: the data have no column `efort`')
    assert found.faults[0] in found.sentence


def test_a_coefficient_of_another_formula_is_not_taken_for_the_one_in_its_place(no_stops):
    models = {"m": Model(data="sleepstudy", formula="Reaction ~ Days + (1 | Subject)")}
    other = Variant(name="the square", change={"formula": "Reaction ~ I(Days ** 2) + (1 | Subject)"})
    square = fitted(Model(data="sleepstudy", formula=other.change["formula"]), HERE).fixef.iloc[1]
    found = of(f"{square:.4f}", "fixef.Days", models["m"], variants=(other,))
    assert "the square" not in [one.name for one in found.alternatives]
    coded = Variant(name="helmert, as the file says", change={"contrasts": {"Type": "helmert"}})
    found = of("1.94444", "fixef.Type[T.T2]", STOOL, variants=(coded,))
    assert found.explanation.name == coded.name


def test_minus_infinity_in_print_is_a_variant_without_a_minimum():
    endless = Variant(name="a variance for each occasion", says="Table 1", change={"sigma": "diagonal"})
    found = of("−∞", "deviance", CURVE, variants=(endless,))
    assert found.explanation.computed == -np.inf
    assert (found.chance, found.distance) == (None, None)


def test_a_number_of_a_model_without_an_estimate():
    model = Model(data="Orthodont", growth=CURVE.growth, between="free", within="~ age", sigma="diagonal")
    scalar = Variant(name="one variance", change={"sigma": "scalar"})

    found = Candidates("m", {"m": model}, (scalar,), fit_of, HERE).search(read_printed("91"), None, "deviance")
    assert [one.name for one in found.prints] == ["one variance"]
    assert (found.explanation.name, found.chance) == ("one variance", None)  # nothing is computed to count luck from
    assert found.sentence == "The one alternative tried prints it (one variance, a variant that the ledger states)."


def test_a_likelihood_ratio_has_both_of_its_models_changed(no_stops):
    models = {
        "fm1": Model(data="sleepstudy", formula="Reaction ~ Days + (1 | Subject)"),
        "m": Model(data="sleepstudy", formula="Reaction ~ Days + (Days | Subject)"),
    }
    fits = {name: fitted(model, HERE).refit(reml=False) for name, model in models.items()}
    ratio = fits["fm1"].criterion - fits["m"].criterion
    tried = Candidates("m", models, (), fit_of, HERE)
    found = tried.search(read_printed(f"{ratio:.4f}"), 42.8, "lrt(fm1, m).chisq")
    assert found.explanation.name == "fitted by ML"
    assert found.distance is None


# Luck.


@settings(max_examples=60)
@given(
    st.integers(-400, 400), st.floats(-0.499, 0.499), st.integers(-30, 30), st.integers(-3, 2),
    st.lists(st.floats(-60, 60), max_size=8),
)  # fmt: skip
def test_chance_is_the_share_of_numbers_that_an_alternative_would_have_printed(whole, part, off, place, spread):
    unit = Fraction(10) ** place
    computed = float((whole + Fraction(part)) * unit)
    text = f"{whole + off}e{place}"
    printed, values = read_printed(text), [float((whole + Fraction(one)) * unit) for one in spread]
    found = luck(printed, computed, values)
    if printed.prints(computed):
        assert found is None
        return
    away = abs(printed.exact - Fraction(computed))
    every = [Fraction(k) * unit for k in range(whole - 70, whole + 71)]
    could = [q for q in every if abs(q - Fraction(computed)) <= away and q != printed.rounded(computed)]
    lucky = [q for q in could if any(q == printed.rounded(value) for value in values)]
    assert found == Luck(len(could), len(lucky))
    assert found.chance == len(lucky) / len(could)


def test_off_by_one_is_never_explained_by_luck():
    # 3.1 is printed for 3.04: of the numbers as near there is 3.1 alone
    assert luck(read_printed("3.1"), 3.04, [3.12]).chance == 1.0
    assert luck(read_printed("3.2"), 3.04, [3.21]) == Luck(3, 1)
    assert luck(read_printed("-inf"), 3.0, [1.0]) is None
    assert luck(read_printed("3.0"), np.nan, [1.0]) is None


# Distance above the minimum.


@pytest.fixture(scope="module")
def apart() -> lt.LMMFit:
    return fitted(APART, HERE)


def test_distance_in_one_parameter_is_the_rise_where_the_quantity_reaches_the_interval():
    fit = fitted(Model(data="Dyestuff", formula="Yield ~ 1 + (1 | Batch)", method="ML"), HERE)
    criterion, n = lt.Criterion(fit.design, reml=False), 5
    Y = fit.design.y.reshape(6, n)

    def stderr(theta: float) -> float:
        """Of the mean of six batches: σ²(1 + nθ²)/30, σ² from sums of squares between and within."""
        means = Y.mean(axis=1)
        between = n * np.sum((means - means.mean()) ** 2) / (1 + n * theta**2)
        return np.sqrt((np.sum((Y - means[:, None]) ** 2) + between) / 30 * (1 + n * theta**2) / 30)

    assert stderr(fit.theta[0]) == pytest.approx(fit.stderr.iloc[0])
    theta = brentq(lambda t: stderr(t) - 19.5, fit.theta[0], 3.0)
    rise = criterion([theta]) - fit.criterion
    assert distance(read_printed("20"), "stderr.Intercept", fit) == pytest.approx(rise, rel=1e-3)
    found = distance(read_printed("327.5"), "criterion", fit)
    assert found == pytest.approx(327.45 - fit.criterion, rel=1e-3)
    nearest = criterion([0.805]) - fit.criterion
    assert distance(read_printed("0.81"), "theta.Batch.Intercept", fit) == pytest.approx(nearest, rel=1e-3)


@pytest.mark.parametrize(
    ("path", "printed"),
    [("varcorr.Subject.Intercept.sd", "30"), ("stderr.Days", "1.7"), ("sigma", "25"), ("loglik", "-877")],
)
def test_distance_is_the_least_of_a_dense_search_along_the_constraint(path, printed, apart):
    """For each relative sd of the slopes, the roots in that of the intercepts; the lowest of all of them."""
    criterion, number = lt.Criterion(apart.design, reml=False), read_printed(printed)
    value = value_at(path, apart)
    target = float(number.low if value < number.low else number.high)

    def lacks(a: float, b: float) -> float:
        theta = np.array([a, b])
        return _quantity(path, apart, criterion, theta) - target

    def lowest(b: float) -> float:
        grid = np.linspace(0.02, 3.0, 13)
        signs = [(low, high) for low, high in pairwise(grid) if lacks(low, b) * lacks(high, b) <= 0.0]
        roots = [brentq(lacks, low, high, args=(b,), xtol=1e-10) for low, high in signs]
        return min((criterion([a, b]) for a in roots), default=1e6)

    every = np.linspace(0.02, 0.6, 30)
    near = every[np.argmin([lowest(b) for b in every])]
    best = minimize_scalar(lowest, bounds=(near - 0.02, near + 0.02), method="bounded", options={"xatol": 1e-5})
    assert distance(number, path, apart) == pytest.approx(best.fun - apart.criterion, rel=2e-3, abs=1e-7)


def _quantity(path: str, fit: lt.LMMFit, criterion: lt.Criterion, theta: np.ndarray) -> float:
    """By the definitions, from dense matrices that stay apart from the engine's: V over σ² is I + ZTZ'."""
    if path == "loglik":
        return -0.5 * criterion(theta)
    X, Y = fit.design.X[:10], fit.design.y.reshape(18, 10)  # the same ten days of each subject
    W = np.linalg.inv(np.eye(10) + theta[0] ** 2 + theta[1] ** 2 * np.outer(X[:, 1], X[:, 1]))
    A, c = 18 * X.T @ W @ X, X.T @ W @ Y.sum(axis=0)
    sigma2 = (np.sum(Y @ W * Y) - c @ np.linalg.solve(A, c)) / fit.nobs
    found = {"sigma": sigma2, "stderr.Days": sigma2 * np.linalg.inv(A)[1, 1]}
    return float(np.sqrt(found.get(path, sigma2 * theta[0] ** 2)))


def test_the_smallest_distances_are_those_of_the_quadratic_approximation(apart):
    """So near to the minimum that differences of the criterion are rounding: (e − q)²/2a'H⁻¹a."""
    criterion = lt.Criterion(apart.design, reml=False)
    H, value = criterion.hessian(apart.theta), apart.theta[1]
    printed = read_printed(f"{value + 1e-7:.10f}")
    expected = 0.5 * (float(printed.low) - value) ** 2 / np.linalg.inv(H)[1, 1]
    assert expected < 1e-10
    assert distance(printed, "theta.Subject.Days", apart) == pytest.approx(expected, rel=1e-3)


def test_distance_from_a_variance_of_zero():
    fit = fitted(Model(data="Dyestuff2", formula="Yield ~ 1 + (1 | Batch)", method="ML"), HERE)
    criterion = lt.Criterion(fit.design, reml=False)
    assert distance(read_printed("0.1"), "theta.Batch.Intercept", fit) == pytest.approx(
        criterion([0.05]) - fit.criterion, rel=1e-3
    )


def test_what_has_no_distance(apart):
    assert distance(read_printed("181"), "nobs", apart) is None
    assert distance(read_printed("327.3"), "criterion_at(1, 1)", apart) is None
    assert distance(read_printed("1700"), "criterion", apart) is None  # below the minimum
    assert distance(read_printed("-inf"), "criterion", apart) is None
    assert distance(read_printed("90"), "deviance", fitted(CURVE, HERE)) is None
    squares = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"))
    assert distance(read_printed("9.9"), "sigma", squares) is None
    assert distance(read_printed("2.3"), "fixef.Days", apart) is None  # balanced: it does not depend on θ
    assert distance(read_printed(f"{apart.sigma:.3f}"), "sigma", apart) == 0.0


# Looser stops and readings.


def test_looser_stops_are_the_first_points_within_their_tolerances(apart):
    found = dict(stops(apart))
    assert len(found) == len(ALGORITHMS) * len(TOLERANCES)
    for (words, fit), tolerance in zip(found.items(), len(ALGORITHMS) * TOLERANCES, strict=True):
        rise = fit.criterion - apart.criterion
        assert -1e-9 <= rise <= tolerance, words
        assert fit.criterion == pytest.approx(lt.Criterion(apart.design, reml=False)(fit.theta), rel=1e-13)


def test_looser_stops_with_parameters_of_the_residuals_and_where_there_is_no_search():
    fit = lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"), residual="ar1(age | Subject)")
    assert len(dict(stops(fit))) == 3 * len(TOLERANCES)  # EM has no step for them
    assert not list(stops(lt.fit_gls("distance ~ age", lt.load_dataset("Orthodont"))))


def test_every_reading_is_a_path_to_another_number(apart):
    for path in ("criterion", "bic(n=nobs-p)", "sigma", "sigma2", "stderr.Days", "varcorr.Residual.sd", "loglik",
                 "varcorr.Subject.Intercept.var", "aic(constants=no)"):  # fmt: skip
        found = [value_at(other, apart) for _, other in readings(path, apart)]
        assert found
        assert not set(found) & {value_at(path, apart)}
    assert not list(readings("fixef.Days", apart))


# Words.


def test_a_search_in_words():
    one, two = Tried("fitted by ML", "", 1.0), Tried("sum contrasts", "", 1.0)
    assert Search((), (), None, None).sentence == "There is no alternative to try."
    assert Search((one,), (), None, None).sentence == "The one alternative tried does not print it."
    assert Search((one, two), (), None, 1.3e-9).sentence == (
        "None of 2 alternatives prints it; a search that stops 1.3×10⁻⁹ above the minimum can."
    )
    likely = Search((one, two), (one, two), 0.5, 8.3)
    assert likely.explanation is None
    assert likely.sentence == (
        "2 of 2 alternatives print it (first: fitted by ML), as luck would in 50 of 100 such numbers; parameters that "
        "do lie 8.3 above the minimum, where no search stops."
    )
    sure = Search((one, two), (one,), 0.05, 8.3)
    assert sure.explanation is one
    assert sure.sentence == "1 of 2 alternatives prints it (fitted by ML), as luck would in 5 of 100 such numbers."
    rare = Search((one, two), (one,), 0.00065, None)
    assert rare.sentence == "1 of 2 alternatives prints it (fitted by ML), as luck would in 1 of 1500 such numbers."
    always = Search((one, two), (one,), 1.0, 2e-5).sentence
    assert always == (
        "1 of 2 alternatives prints it (fitted by ML), as luck would in every such case; a search that stops 2.0×10⁻⁵ "
        "above the minimum can, too."
    )
    assert "stops less than 10⁻¹⁰ above the minimum can" in Search((one,), (), None, 1e-12).sentence


def test_small_numbers_have_powers_of_ten():
    assert [small(one) for one in (1.3e-9, 9.96e-6, 0.00072, 0.038, 8.3)] == [
        "1.3×10⁻⁹", "1.0×10⁻⁵", "7.2×10⁻⁴", "0.038", "8.3"
    ]  # fmt: skip
    assert [small(one, 1) for one in (1e-3, 1e-7, 3e-7)] == ["10⁻³", "10⁻⁷", "3×10⁻⁷"]


def test_frames_with_an_index_of_their_own_are_read_by_name():
    fit = fitted(STOOL, HERE)
    assert isinstance(fit.coef_table(), pd.DataFrame)
    assert value_at("anova(ddf=kenward-roger).Type.f_value", fit) == pytest.approx(22.3556, abs=1e-4)
