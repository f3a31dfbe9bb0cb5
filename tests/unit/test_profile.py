"""Profiles: limits of R, of the definition, at bounds and where there are none; the table, its notes, its pictures."""

import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import lmmtools as lt
from lmmtools.profiles import Profile, profile, profile_confint
from lmmtools.profiles.limits import curve, limit
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.path import Point
from lmmtools.profiles.paths import path_of
from lmmtools.profiles.sketch import contour, joint_cutoff, values_at, zetas_at
from tests.definitions import profile as definition
from tests.oracle import dense_model

SLOPES = "Reaction ~ Days + (Days | Subject)"


def fitted(formula, data, **options):
    data = lt.load_dataset(data) if isinstance(data, str) else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.LMMWarning)
        return lt.fit_lmm(formula, data, **{"reml": False} | options)


@pytest.fixture(scope="module")
def slopes():
    return profile(fitted(SLOPES, "sleepstudy"))


@pytest.fixture(scope="module")
def singular():
    return profile(fitted("Yield ~ 1 + (1 | Batch)", "Dyestuff2"))


# Direct root finding on the ML deviance in R, for random intercepts (profile_exact); lme4 1.1-31 with a dense grid
# (fine_95) for slopes, whose spline is good to some 1e-5 of the width.
EXACT = {
    ("Dyestuff", "Yield ~ 1 + (1 | Batch)"): {
        "sd(Batch, Intercept)": (12.1965052791586, 84.063410969336),
        "sigma": (38.2301233112573, 67.657672789763),
        "Intercept": (1486.45148764445, 1568.54851235555),
    },
    ("Dyestuff2", "Yield ~ 1 + (1 | Batch)"): {
        "sd(Batch, Intercept)": (0.0, 2.08404787177718),
        "sigma": (2.89284504255648, 4.8158303043852),
        "Intercept": (4.31283749417259, 7.01836250582741),
    },
}
FINE = {
    "sd(Subject, Intercept)": (14.38138937953, 37.7160691442958),
    "cor(Subject, Intercept, Days)": (-0.481492574492119, 0.68501488802529),
    "sd(Subject, Days)": (3.80118711668594, 8.75339641359149),
    "sigma": (22.8982565138772, 28.8579992181721),
    "Intercept": (237.680689952192, 265.129519478735),
    "Days": (7.35865200902438, 13.5759199149477),
}


@pytest.mark.parametrize(("case", "limits"), EXACT.items())
def test_limits_are_those_of_direct_root_finding_in_r(case, limits):
    table = profile_confint(fitted(case[1], case[0]))
    for name, (low, high) in limits.items():
        assert table.loc[name, ["low", "high"]].tolist() == pytest.approx([low, high], rel=1e-8, abs=1e-10)


def test_limits_are_those_of_lme4(slopes):
    for table in (profile_confint(slopes.origin.fit), slopes.confint()):
        for name, (low, high) in FINE.items():
            assert table.loc[name, ["low", "high"]].tolist() == pytest.approx([low, high], abs=1e-5 * (high - low))


@pytest.mark.parametrize(
    ("formula", "data", "name", "level"),
    [
        (SLOPES, "sleepstudy", "sd(Subject, Days)", 0.5),
        ("score ~ Machine + (1 | Worker/Machine)", "Machines", "sd(Worker, Intercept)", 0.99),  # lme4's says 0.185
    ],
)
def test_where_lme4s_spline_errs_the_definition_has_our_limit(formula, data, name, level):
    fit = fitted(formula, data)
    cutoff = float(ndtri(0.5 + level / 2.0))
    path = path_of(origin := Origin(fit), next(p for p in origin.parameters if p.name == name))
    side = -1 if level == 0.99 else 1
    end, p = limit(path, cutoff, side).value, path.parameter
    start = [(np.where(np.abs(fit.theta) < 1e-6, 0.3, fit.theta), fit.sigma)]
    brute = definition.profile_deviance(dense_model(fit.design, reml=False), p.kind, p.term, p.places, end, start)
    assert brute - fit.criterion == pytest.approx(cutoff**2, abs=1e-7)


def test_at_an_sd_of_zero_the_profile_is_the_model_without_the_effect():
    fit = fitted(SLOPES, "sleepstudy")
    for name, term in (("sd(Subject, Days)", "(1 | Subject)"), ("sd(Subject, Intercept)", "(0 + Days | Subject)")):
        path = path_of(origin := Origin(fit), next(p for p in origin.parameters if p.name == name))
        assert path.at(0.0).deviance == pytest.approx(fitted(f"Reaction ~ Days + {term}", "sleepstudy").criterion)
    alone = fitted("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    path = path_of(origin := Origin(alone), origin.parameters[1])
    y = alone.design.y
    assert path.at(0.0).deviance == pytest.approx(len(y) * (1 + np.log(2 * np.pi * y.var())))
    assert definition.lowest(dense_model(alone.design, reml=False), (0, 0)) == pytest.approx(path.at(0.0).deviance)


def test_a_bound_is_the_limit_where_the_cutoff_is_not_reached_before_it(singular):
    table = singular.confint()
    assert table.loc["sd(Batch, Intercept)", "low"] == 0.0
    assert any("sd(Batch, Intercept) does not reach the cutoff before 0" in note for note in table.notes)
    assert table.loc["sd(Batch, Intercept)", "high"] > 0.0


def test_a_correlation_beside_a_vanishing_sd_is_open_and_says_so():
    fit = fitted("distance ~ age * Sex + (age | Subject)", "Orthodont")
    table = profile_confint(fit, which="cor(Subject, Intercept, age)")
    assert table.iloc[0].tolist() == [-1.0, 1.0]
    assert "reaches the cutoff nowhere" in table.notes[0]
    assert "ζ is 0.91 only" in table.notes[0]
    inner = profile_confint(fit, 0.5, "cor(Subject, Intercept, age)").iloc[0]
    assert -1.0 < inner["low"] < fit.varcorr["sdcor"].iloc[2] < inner["high"] < 1.0


def test_a_correlation_that_the_optimum_does_not_determine_has_no_profile():
    g, x = np.repeat(np.arange(12), 5), np.tile(np.arange(5.0), 12)
    noise = np.random.default_rng(8).normal(size=(12, 5))
    own = np.column_stack([np.ones(5), np.arange(5.0)])
    noise -= noise @ own @ np.linalg.inv(own.T @ own) @ own.T  # no group has a mean or slope of its own
    fit = fitted("y ~ x + (x | g)", pd.DataFrame({"g": g.astype(str), "x": x, "y": x + noise.ravel()}))
    table = profile_confint(fit)
    assert table.loc["cor(g, Intercept, x)"].isna().all()
    assert any("is not determined" in note for note in table.notes)
    points = profile(fit)
    assert "cor(g, Intercept, x)" not in set(points["parameter"])
    assert points.confint().loc["cor(g, Intercept, x)"].isna().all()


@pytest.mark.parametrize("structure", ["cs", "homcs", "us"])
def test_three_effects(structure):
    fit = fitted(f"score ~ Machine + {structure}(0 + Machine | Worker)", "Machines")
    table = profile_confint(fit, 0.8)
    estimates = pd.Series(Origin(fit).estimates, index=[p.name for p in Origin(fit).parameters])
    assert (table["low"] < estimates).all()
    assert (estimates < table["high"]).all()
    pairs = table.filter(like="cor(", axis=0)
    assert (len(pairs.drop_duplicates()) == 1) == (structure != "us")


def test_autoregression_lags_are_powers_of_one_another():
    fit = fitted("distance ~ age + ar1(age | Subject)", "Orthodont")
    names = [f"cor(Subject, age[8], age[{t}])" for t in (10, 12, 14)]
    table = profile_confint(fit, 0.5, names)
    one, two, three = (table.loc[name].to_numpy() for name in names)
    assert two[0] == pytest.approx(one[0] ** 2, rel=1e-6)
    assert three[0] == pytest.approx(one[0] ** 3, rel=1e-6)


def test_a_users_structure_has_profiles_of_its_sds_and_says_why_none_of_its_correlations():
    class Proportional:
        def n_theta(self, q):
            return 1

        def names(self, effects):
            return ("sd",)

        def bounds(self, q):
            return [(0.0, np.inf)]

        def start(self, q):
            return [1.0]

        def factor(self, theta, q):
            return theta[0] * np.diag([1.0, 0.2])

    fit = fitted("Reaction ~ Days + mine(Days | Subject)", "sleepstudy", structures={"mine": Proportional()})
    table = profile_confint(fit)
    assert table.loc["sd(Subject, Days)"].to_numpy() * 5 == pytest.approx(table.loc["sd(Subject, Intercept)"], rel=1e-6)
    assert table.loc["cor(Subject, Intercept, Days)"].isna().all()
    assert any("Proportional" in note for note in table.notes)


def test_what_the_data_do_not_determine_is_level_and_said():
    fit = fitted("distance ~ age + (0 + Sex | Subject)", "Orthodont")
    table = profile_confint(fit)
    assert table.loc["cor(Subject, Sex[Male], Sex[Female])"].tolist() == [-1.0, 1.0]
    assert any("Not determined by the data" in note for note in table.notes)


def test_a_point_below_the_fit_is_news():
    fit = fitted(SLOPES, "sleepstudy")
    off = dataclasses.replace(fit, theta=fit.theta * 1.3, working_theta=fit.working_theta * 1.3)
    with pytest.raises(lt.ModelError, match=r"below the 175\d\.\d+ of the fit.*certify"):
        profile_confint(off)


def test_weights_offsets_and_known_matrices():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(10), 4)
    data = pd.DataFrame({"g": [f"g{i}" for i in g], "x": rng.normal(size=40)})
    data["y"] = data["x"] + rng.normal(size=10)[g] + rng.normal(size=40)
    A = 0.5 * np.eye(10) + 0.5
    levels = sorted(data["g"].unique())
    plain = profile_confint(fitted("y ~ x + (1 | g)", data))
    heavy = profile_confint(fitted("y ~ x + (1 | g)", data, weights=np.full(40, 4.0)))
    assert heavy.loc["sigma"].to_numpy() == pytest.approx(2.0 * plain.loc["sigma"].to_numpy())
    assert heavy.drop("sigma").to_numpy() == pytest.approx(plain.drop("sigma").to_numpy())
    moved = profile_confint(fitted("y ~ x + (1 | g)", data, offset=np.full(40, 2.0)))
    assert moved.loc["Intercept"].to_numpy() == pytest.approx(plain.loc["Intercept"].to_numpy() - 2.0)
    known = profile_confint(fitted("y ~ x + (1 | g)", data, known={"g": (levels, A)}))
    assert known.loc["sd(g, Intercept)", "high"] > plain.loc["sd(g, Intercept)", "high"]  # half of it is in the mean


def test_a_table_of_points_and_what_it_says(slopes):
    assert isinstance(slopes, Profile)
    assert list(slopes.columns) == ["parameter", "value", "zeta"]
    assert list(dict.fromkeys(slopes["parameter"])) == [*FINE][-2:] + [
        "sd(Subject, Intercept)", "sd(Subject, Days)", "cor(Subject, Intercept, Days)", "sigma"
    ]  # fmt: skip
    assert slopes.caption.startswith("profile (ML)")
    for _, part in slopes.groupby("parameter"):
        assert part["value"].is_monotonic_increasing
        assert part["zeta"].is_monotonic_increasing
        assert (part["zeta"] == 0.0).any()
    assert slopes.traces.columns.tolist()[:3] == ["parameter", "zeta", "Intercept"]
    assert len(slopes.traces) == len(slopes)
    again = pickle.loads(pickle.dumps(slopes))
    pd.testing.assert_frame_equal(again.confint(0.8), slopes.confint(0.8))


def test_a_selection_has_its_own_intervals(slopes):
    sigma = slopes[slopes["parameter"] == "sigma"]
    assert list(sigma.confint().index) == ["sigma"]
    only = profile(slopes.origin.fit, ["sigma", "Days"])
    assert list(only.confint().index) == ["Days", "sigma"]


@pytest.mark.parametrize("level", [0.3, 0.9, 0.9968, 0.999])
def test_limits_do_not_depend_on_the_points_known(slopes, level):
    known, alone = slopes.confint(level), profile_confint(slopes.origin.fit, level)
    assert known.to_numpy() == pytest.approx(alone.to_numpy(), rel=1e-7)
    assert known.notes == alone.notes


def test_a_fit_by_reml_is_refitted_and_the_table_says_so():
    fit = fitted(SLOPES, "sleepstudy", reml=True)
    table = profile_confint(fit, which="sigma")
    assert table.caption == "95 % intervals: profile (ML)"
    assert table.notes[0].startswith("The fit is by REML")
    assert table.loc["sigma"].tolist() == pytest.approx(FINE["sigma"], rel=1e-6)
    assert not profile_confint(fitted(SLOPES, "sleepstudy"), which="sigma").notes


def test_wrong_questions(slopes):
    with pytest.raises(lt.LMMError, match="did you mean `sd"):
        profile(slopes.origin.fit, "sd(Subject,Days)")
    with pytest.raises(lt.LMMError, match="level must lie between"):
        profile_confint(slopes.origin.fit, 95)
    with pytest.raises(lt.LMMError, match="takes a fit"):
        profile(3)
    with pytest.raises(lt.LMMError, match='use "zeta" or "pairs"'):
        slopes.plot("pie")
    with pytest.raises(lt.ModelError, match="takes a fit, or what profile returns"):
        lt.plots.profile_zeta(3)
    with pytest.raises(lt.ModelError, match="at least two"):
        profile(slopes.origin.fit, "sigma").plot("pairs")


def test_the_curve_has_points_at_steps_in_zeta_and_ends_on_its_bound():
    origin = Origin(fitted(SLOPES, "sleepstudy"))
    cor = next(p for p in origin.parameters if p.kind == "cor")
    points = curve(path_of(origin, cor), 3.2, 0.4)
    steps = np.diff([p.zeta for p in points])
    assert steps.max() < 0.8
    assert points[-1].value == 1.0


def test_lines_through_the_points(slopes):
    points = slopes.curves["sd(Subject, Days)"]
    ends = values_at(points, np.array([ndtri(0.025), ndtri(0.975)]))
    assert ends == pytest.approx(FINE["sd(Subject, Days)"], rel=1e-3)
    assert zetas_at(points, np.array([p.value for p in points])) == pytest.approx([p.zeta for p in points], abs=1e-9)


def test_a_contour_of_two_unrelated_parameters_is_a_circle_in_zeta(slopes):
    names = [p.name for p in slopes.origin.parameters]
    first, second = (slopes.curves[name] for name in ("Days", "sigma"))
    border = contour(first, second, (names.index("Days"), names.index("sigma")), 0.8)
    radius = np.hypot(zetas_at(first, border[:, 0]), zetas_at(second, border[:, 1]))
    assert radius == pytest.approx(np.full(len(radius), joint_cutoff(0.8)), rel=0.02)


@pytest.mark.parametrize("kind", ["zeta", "pairs"])
def test_pictures_say_what_they_show(slopes, singular, kind):
    for table in (slopes, singular):
        first, second = table.plot(kind), table.plot(kind)
        assert first == second
        assert first.label == f"fig-profile-{kind}"
        assert first.caption.endswith(".")
        assert "sigma" in first.alt


def test_pictures_go_where_they_are_told(slopes):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert slopes[slopes["parameter"] == "sigma"].plot(ax=ax) is ax


def test_a_start_on_the_line_through_two_points_never_takes_away_what_is_held():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(8), 4)
    data = pd.DataFrame({"g": g.astype(str), "t": np.tile(np.arange(4), 8)})
    data["y"] = rng.normal(size=8)[g] + rng.normal(size=32)
    origin = Origin(fitted("y ~ 1 + ar1(t | g)", data))
    path = path_of(origin, next(p for p in origin.parameters if p.kind == "sd"))
    near = tuple(path.at(share * path.estimate) for share in (0.5, 0.8))
    low = 0.05 * path.estimate  # beyond where the line is at zero
    assert path.at(low, near).deviance == pytest.approx(path.at(low).deviance, abs=1e-8)


def test_a_start_that_leads_nowhere_is_replaced(monkeypatch, slopes):
    path = path_of(slopes.origin, slopes.origin.parameters[-1])
    found, failed = path.on, []

    def on(branch, way, start, value):
        if not failed:
            failed.append(start)
            raise lt.ModelError("no way down")
        return found(branch, way, start, value)

    expected = path.at(30.0)
    monkeypatch.setattr(path, "on", on)
    assert path.at(30.0).deviance == pytest.approx(expected.deviance, abs=1e-8)
    assert failed


def test_a_bar_is_shown_where_the_first_parameter_shows_that_all_will_take_long(monkeypatch):
    from contextlib import contextmanager

    from lmmtools.profiles import value

    told = []

    @contextmanager
    def bar(n, what, progress):
        told.append((n, what, progress))
        yield told.append

    monkeypatch.setattr(value, "bar", bar)
    fit = fitted("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    profile_confint(fit)
    assert not told
    monkeypatch.setattr(value, "_LONG", 0.0)
    profile_confint(fit)
    assert told == [(3, "confint", None), 1, 1]


class Drawn:
    """A profile drawn by hand: |ζ| and its slope at each value, given the points that the search starts from."""

    name, scale, low_is_known, plateau, low, high, estimate = "psi", "plain", True, None, -np.inf, np.inf, 0.0
    high_is_known, has_gaps = True, False

    def __init__(self, draw, first):
        self.draw, self.first, self.looked = draw, first, 0
        self.origin = dataclasses.make_dataclass("Made", ["estimates"])(np.ones(1))

    def origin_point(self):
        return Point(0.0, 0.0, 0.0, 0.0, None, 0, np.zeros(1), ())

    def first_step(self, _):
        return self.first

    def at(self, value, near=()):
        self.looked += 1
        z, rate = self.draw(value, near or (self.origin_point(),))
        return Point(value, z * z, 2.0 * z * rate, z, None, 0, np.zeros(1), ())

    def elsewhere(self, _):
        return None


def test_a_limit_is_found_beyond_where_a_profile_falls_again():
    def draw(value, _):
        if value < 1.2:
            return value, 1.0
        return (2.4 - value, -1.0) if value < 1.6 else (value - 0.8, 1.0)

    path = Drawn(draw, 1.1)
    assert limit(path, 1.96, 1).value == pytest.approx(2.76)
    assert path.looked < 15


def test_a_limit_is_not_lost_to_a_minimum_that_the_search_never_leaves():
    def draw(value, near):
        far = value - near[0].value > 1.0 or any(n.zeta == 2.5 for n in near)
        return (2.5, 0.0) if far and value > 0.5 else (value, 1.0)

    path = Drawn(draw, 1.7)
    assert limit(path, 1.96, 1).value == pytest.approx(1.96)
    assert path.looked < 40


@pytest.mark.slow
def test_pairs_are_drawn_where_a_profile_has_a_plateau():
    fit = lt.fit_lmm("distance ~ age + (1 | Subject) + ar1(0 + factor(age) | Subject)", lt.load_dataset("Orthodont"))
    figure = lt.figure(lt.plots.profile_pairs, lt.profile(fit))
    assert figure.svg.startswith("<svg")
