"""Every verdict of the cross-check, from fits that deserve it and from doctored fits that must not pass."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.crosscheck import CrossCheck, side_by_side
from lmmtools.crosscheck.ridge import open_covariances
from lmmtools.crosscheck.statsmodels import estimate_seconds
from lmmtools.crosscheck.verdicts import MEANINGS
from lmmtools.formats import shown
from tests.reference.lme4_fits import fitted
from tests.reference.other_fits import refitted


def verdicts(check):
    return dict(zip(check["quantity"], check["verdict"], strict=True))


def doctored(fit, **changes):
    return dataclasses.replace(fit, **changes)


@pytest.fixture(scope="module")
def sleep():
    return lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))


@pytest.fixture(scope="module")
def unbalanced():
    return fitted("sleepstudy__unbal_rs_reml")


def test_lists_every_number_side_by_side(sleep):
    check = lt.cross_check(sleep)
    assert isinstance(check, CrossCheck)
    assert list(check.columns) == ["quantity", "ours", "theirs", "difference", "verdict", "explanation"]
    assert list(check["quantity"]) == [
        "fixed effect Intercept",
        "fixed effect Days",
        "standard error Intercept",
        "standard error Days",
        "variance Subject Intercept",
        "covariance Subject Intercept, Days",
        "variance Subject Days",
        "residual variance",
        "log-likelihood",
        "log-likelihood at our parameters",
        "log-likelihood at their parameters",
    ]
    np.testing.assert_array_equal(check["difference"], check["theirs"] - check["ours"])
    assert check.ok
    assert check.engine.startswith("statsmodels ")
    assert check.caption and check.notes


def test_sleepstudy_is_equal_or_a_rounding_short(sleep):
    """Balanced: both definitions of standard errors agree, so only statsmodels' tolerance is left."""
    found = verdicts(lt.cross_check(sleep))
    assert found["fixed effect Days"] == "equal"
    assert found["log-likelihood"] == "equal"
    assert found["log-likelihood at our parameters"] == "equal"
    assert "joint Hessian" not in found.values()


def test_selection_and_copies_stay_a_cross_check(sleep):
    check = lt.cross_check(sleep)
    part = check[check["verdict"] == "equal"]
    assert isinstance(part, CrossCheck)
    assert part.ok
    assert part.engine == check.engine


def test_joint_hessian_is_recognised_by_computing_it():
    """MathAchieve's school model: statsmodels' standard errors are up to 14 % larger, to the last digit of it."""
    fit = lt.fit_lmm("MathAch ~ MEANSES + Sector + cses + (cses | School)", lt.load_dataset("MathAchieve"))
    check = lt.cross_check(fit).set_index("quantity")
    for name, excess in {"cses": 2.8e-4, "Sector[T.Catholic]": 0.142}.items():
        row = check.loc[f"standard error {name}"]
        assert row["verdict"] == "joint Hessian"
        assert row["theirs"] / row["ours"] - 1 == pytest.approx(excess, rel=0.02)
        assert f"{shown(row['theirs'], 8)} at theirs" in row["explanation"]


def test_a_run_far_short_is_repeated_and_both_are_reported():
    """From its default start statsmodels gives up 201 deviance short on MathAchieve with a random slope."""
    check = lt.cross_check(fitted("MathAchieve__cses_rs_reml"))
    said = " ".join(check.notes)
    assert "stopped 200.8 deviance short" in said
    assert "is the one shown" in said
    theirs = check.set_index("quantity").loc["log-likelihood"]
    assert abs(theirs["difference"]) < 1e-6
    assert check.ok


def test_stopped_short_is_measured_in_both_likelihoods(monkeypatch, unbalanced):
    """Their optimiser stopped early on purpose: every number that moved is put down to it, with its size."""
    model_fit = side_by_side.fit_there

    def lazy(design, *, reml, start=None):
        other = model_fit(design, reml=reml)
        law = side_by_side.grouped_model(design, reml=reml)
        T = other.T * 1.02
        point = law.at_covariance(T)
        joint = np.diag(np.linalg.inv(point.joint_information()))[:2]
        return dataclasses.replace(
            other, T=T, beta=point.beta, variances=joint, sigma2=point.sigma2, loglik=-0.5 * point.criterion
        )

    monkeypatch.setattr(side_by_side, "fit_there", lazy)
    check = lt.cross_check(unbalanced)
    found = verdicts(check)
    assert check.ok
    for quantity in ("fixed effect Days", "variance Subject Days", "residual variance", "log-likelihood"):
        assert found[quantity] == "statsmodels stopped short"
    assert found["standard error Days"] == "joint Hessian"
    short = -2 * check.set_index("quantity").loc["log-likelihood", "difference"]
    assert f"by {shown(short, 2)} deviance" in check.set_index("quantity").loc["residual variance", "explanation"]


def test_singular_fit():
    """Dyestuff2: our variance is zero, where statsmodels' own likelihood would be infinite."""
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    check = lt.cross_check(fit)
    table = check.set_index("quantity")
    assert check.ok
    assert table.loc["variance Batch Intercept", "ours"] == 0
    assert table.loc["log-likelihood at our parameters", "verdict"] == "equal"
    assert np.isfinite(table.loc["log-likelihood at our parameters", "theirs"])
    assert any("statsmodels said" in note for note in check.notes)


def test_an_infinite_likelihood_is_never_its_win(monkeypatch):
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2"))
    run = side_by_side.fit_there
    monkeypatch.setattr(
        side_by_side,
        "fit_there",
        lambda *a, **k: dataclasses.replace(run(*a, **k), T=np.zeros((1, 1)), loglik=np.inf),
    )
    row = lt.cross_check(fit).set_index("quantity").loc["log-likelihood"]
    assert "infinite at a singular covariance" in row["explanation"]
    assert row["verdict"] != "unexplained"


def test_flat_directions_are_told_from_disagreements():
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("score ~ Machine + (Machine || Worker)", lt.load_dataset("Machines"), reml=False)
    check = lt.cross_check(fit)
    found = verdicts(check)
    assert check.ok
    assert found["variance Worker Intercept"] == "flat direction"
    assert found["fixed effect Intercept"] == "equal"
    assert found["log-likelihood at our parameters"] == "equal"


@pytest.mark.parametrize("reml", [True, False])
def test_flat_directions_claim_what_they_move_and_no_more(reml):
    """The split of one V into two terms: standard errors, residual variance and likelihood rest on V alone."""
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("score ~ Machine + (Machine || Worker)", lt.load_dataset("Machines"), reml=reml)
    check = lt.cross_check(fit)
    flat = set(check.loc[check["verdict"] == "flat direction", "quantity"])
    assert check.ok
    assert len(flat) == 7
    assert flat == {q for q in check["quantity"] if q.startswith(("variance", "covariance"))}
    others = check[~check["quantity"].isin(flat)]
    assert set(others["verdict"]) <= {"equal", "statsmodels stopped short"}


def test_a_split_intercept_leaves_its_slope_determined():
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("Reaction ~ Days + (1 | Subject) + (Days | Subject)", lt.load_dataset("sleepstudy"))
    np.testing.assert_array_equal(open_covariances(fit), np.diag([True, True, False]))
    assert not open_covariances(lt.fit_lmm("Reaction ~ Days + (1 | Subject)", lt.load_dataset("sleepstudy"))).any()


def test_flat_by_data_moves_fixed_effects_and_standard_errors_too():
    """Fixed effects that contain the groups: V itself moves, and what rests on it moves along."""
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("Reaction ~ Subject + Days + (1 | Subject)", lt.load_dataset("sleepstudy"))
    check = lt.cross_check(fit)
    found = verdicts(check)
    assert check.ok
    assert found["variance Subject Intercept"] == "flat direction"
    assert found["standard error Intercept"] == "flat direction"
    assert found["standard error Days"] == "equal"
    assert found["residual variance"] == "equal"


def test_explanations_are_set_like_the_tables():
    """No power of ten, product or Greek letter in ASCII, in any text that a reader sees."""
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("score ~ Machine + (Machine || Worker)", lt.load_dataset("Machines"))
    check = lt.cross_check(fit)
    ours = [*check["explanation"], *check.notes, *MEANINGS.values()]
    said = " ".join(text for text in ours if not text.startswith("statsmodels said"))
    assert "×10⁻" in said
    assert not re.search(r"\de[-+]\d|sigma|\^|\d x \d|n eps", said)


def test_a_crash_over_there_is_quoted():
    with pytest.warns(lt.LMMWarning):
        fit = lt.fit_lmm("distance ~ Sex * I(age - 11) + (0 + Sex | Subject)", lt.load_dataset("Orthodont"))
    check = lt.cross_check(fit)
    assert check.ok
    assert verdicts(check) == {"log-likelihood at our parameters": "equal", "the fit": "not run"}
    assert "LinAlgError" in check["explanation"].iloc[-1]


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days + (Days || Subject)",
        "Reaction ~ Days + diag(Days | Subject)",
        "Reaction ~ Days + homdiag(Days | Subject)",
        "Reaction ~ Days + offset(Days) + (1 | Subject)",
    ],
)
def test_structures_and_offsets_are_expressed(formula):
    check = lt.cross_check(lt.fit_lmm(formula, lt.load_dataset("sleepstudy"), reml=False))
    assert check.ok
    assert verdicts(check)["log-likelihood"] == "equal"


def test_diag_fit_there_keeps_its_zero_covariance(sleep):
    fit = lt.fit_lmm("Reaction ~ Days + diag(Days | Subject)", lt.load_dataset("sleepstudy"))
    rows = [quantity for quantity in lt.cross_check(fit)["quantity"] if quantity.startswith("covariance")]
    assert rows == []
    with_it = verdicts(lt.cross_check(sleep))
    assert "covariance Subject Intercept, Days" in with_it


def test_weights_are_not_expressible(monkeypatch):
    monkeypatch.setattr(side_by_side, "fit_there", _must_not_run)
    check = lt.cross_check(fitted("sleepstudy__weights_reml"))
    assert check.ok
    assert list(check["verdict"]) == ["not expressible there"]
    assert "weights" in check["explanation"].iloc[0]


def test_slow_models_are_not_run(monkeypatch, sleep):
    monkeypatch.setattr(side_by_side, "fit_there", _must_not_run)
    check = lt.cross_check(sleep, seconds=0.001)
    assert check.ok
    assert list(check["verdict"]) == ["not run"]
    assert "it would take about" in check["explanation"].iloc[0]


def _must_not_run(*args, **kwargs):
    raise AssertionError("statsmodels was run")


@pytest.mark.parametrize(
    ("rows", "groups", "effects", "measured"),
    [(7185, 160, 2, 1.0), (20_000, 2_000, 1, 0.9), (20_000, 2_000, 2, 2.7), (10**6, 10_000, 2, 87.0)],
)
def test_time_estimate_is_within_a_factor_of_three_of_measurements(rows, groups, effects, measured):
    assert measured / 3 < estimate_seconds(rows, groups, effects) < measured * 3


def test_125_000_groups_are_beyond_the_default_limit():
    assert estimate_seconds(375_000, 125_000, 1) > 30


def wrong_stderr(fit):
    return doctored(fit, beta_cov=fit.beta_cov * (1 + 1e-6))


def wrong_fixef(fit):
    return doctored(fit, beta=fit.beta + np.array([0.0, 1e-6]) * fit.stderr.to_numpy())


def wrong_sigma(fit):
    return doctored(fit, sigma=fit.sigma * (1 + 1e-6))


def wrong_covariance(fit):
    return doctored(fit, Lambda=tuple(factor * (1 + 1e-6) for factor in fit.Lambda))


def wrong_criterion(fit):
    return doctored(fit, criterion=fit.criterion - 1e-4)


def not_the_optimum(fit):
    """Everything consistent, but at another theta: only the other engine can tell."""
    theta = fit.theta * 1.01
    law = side_by_side.grouped_model(fit.design, reml=fit.reml)
    point = law.at(side_by_side.relative_factor(fit.design, theta))
    return doctored(
        fit,
        theta=theta,
        Lambda=tuple(factor * 1.01 for factor in fit.Lambda),
        beta=point.beta,
        beta_cov=point.vcov,
        sigma=float(np.sqrt(point.sigma2)),
        criterion=point.criterion,
    )


@pytest.mark.parametrize("engine", ["statsmodels", "dense"])
@pytest.mark.parametrize(
    ("doctor", "suspects"),
    [
        (wrong_stderr, {"standard error Intercept", "standard error Days"}),
        (wrong_fixef, {"fixed effect Days"}),
        (wrong_sigma, {"residual variance"}),
        (wrong_criterion, {"log-likelihood at our parameters", "criterion"}),
        (not_the_optimum, {"log-likelihood", "lowest criterion nearby"}),
    ],
)
def test_a_doctored_fit_is_unexplained(engine, doctor, suspects, unbalanced):
    check = lt.cross_check(doctor(unbalanced), engine=engine)
    failed = {quantity for quantity, verdict in verdicts(check).items() if verdict == "unexplained"}
    assert not check.ok
    assert failed & suspects
    if doctor in (wrong_stderr, wrong_fixef):
        assert failed - {"fitted values"} == suspects  # which follow the fixed effects


def test_doctored_covariances_are_unexplained(unbalanced):
    check = lt.cross_check(wrong_covariance(unbalanced))
    failed = [quantity for quantity, verdict in verdicts(check).items() if verdict == "unexplained"]
    assert failed == [q for q in check["quantity"] if q.startswith(("variance", "covariance"))]


def test_doctored_modes_are_unexplained(unbalanced):
    moved = (unbalanced.modes[0] + 1e-6,)
    check = lt.cross_check(doctored(unbalanced, modes=moved), engine="dense")
    found = verdicts(check)
    assert found["conditional modes Subject"] == "unexplained"
    assert found["their covariances Subject"] == "equal"
    off = tuple(c * (1 + 1e-6) for c in unbalanced.mode_cov)
    check = lt.cross_check(doctored(unbalanced, mode_cov=off), engine="dense")
    assert verdicts(check)["their covariances Subject"] == "unexplained"


def test_unexplained_when_theirs_is_wrong(monkeypatch, unbalanced):
    run = side_by_side.fit_there

    def wrong(design, *, reml, start=None):
        other = run(design, reml=reml)
        return dataclasses.replace(other, variances=other.variances * 1.001)

    monkeypatch.setattr(side_by_side, "fit_there", wrong)
    found = verdicts(lt.cross_check(unbalanced))
    assert found["standard error Days"] == "unexplained"
    assert found["fixed effect Days"] != "unexplained"


@pytest.mark.parametrize(
    "name",
    ["sleepstudy__wt_off_reml", "Dialyzer__rs2_ml", "Soybean__log_rs_reml", "cake__int_ml", "Pastes__sample_only_ml"],
)
def test_dense_engine_finds_nothing(name):
    check = lt.cross_check(fitted(name), engine="dense")
    assert set(check["verdict"]) == {"equal"}
    assert "lowest criterion nearby" in set(check["quantity"])


def test_dense_engine_has_a_limit():
    check = lt.cross_check(fitted("MathAchieve__null_ml"), engine="dense")
    assert list(check["verdict"]) == ["not run"]
    assert "7185 × 7185" in check["explanation"].iloc[0]


@pytest.mark.parametrize("far", [1e7, 1e9])
def test_raw_columns_without_digits_are_nobodys_fault(far):
    """A mean of 10^9 standard deviations: ours centres, the definition and statsmodels cannot."""
    frame = lt.load_dataset("sleepstudy").assign(Days=lambda d: d["Days"] + far)
    fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", frame)
    check = lt.cross_check(fit, engine="dense")
    assert check.ok
    assert verdicts(check)["deviance left to gain"] == "ill-conditioned there"
    assert lt.cross_check(fit).ok


def test_a_stationary_point_that_is_no_minimum_is_unexplained():
    """A variance of zero where the data have some: the slope in theta is zero there, and so is a Newton step."""
    fit = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    theta = np.zeros(1)
    point = side_by_side.grouped_model(fit.design, reml=True).at(np.zeros((1, 1)))
    wrong = doctored(fit, theta=theta, Lambda=(np.zeros((1, 1)),), beta=point.beta, beta_cov=point.vcov,
                     sigma=float(np.sqrt(point.sigma2)), criterion=point.criterion)  # fmt: skip
    assert verdicts(lt.cross_check(wrong, engine="dense"))["lowest criterion nearby"] == "unexplained"


@pytest.mark.parametrize("what", ["x", None, 3.0])
def test_only_fits_are_checked(what):
    with pytest.raises(lt.ModelError, match=rf"cross_check: takes a fit made by fit_lmm; got {type(what).__name__}\."):
        lt.cross_check(what)


def test_unknown_engine(sleep):
    with pytest.raises(lt.LMMError, match='no engine \'stan\'; use "statsmodels" or "dense"'):
        lt.cross_check(sleep, engine="stan")


def test_renders_in_every_medium(sleep):
    data, metadata = lt.cross_check(sleep)._repr_mimebundle_()
    assert {"text/html", "text/vnd.typst", "text/plain"} <= set(data)
    assert metadata["lmmtools"]["label"] == "tbl-crosscheck"


def test_no_fixed_effects_are_not_expressible():
    frame = pd.DataFrame({"y": np.arange(12.0) % 5, "g": list("aabbccddeeff")})
    check = lt.cross_check(lt.fit_lmm("y ~ 0 + (1 | g)", frame, reml=False))
    assert list(check["verdict"]) == ["not expressible there"]


FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ x + z + (1 | g)",
    "y ~ x + (x || g)",
    "y ~ x*z + (1 + x + z | g)",
    "y ~ x + homdiag(0 + x + z | g)",
    "y ~ z + (0 + x | g)",
)


def awkward(seed):
    """Unbalanced groups, a column with mean/sd to 1e4, units over seven orders, variances that may be zero."""
    rng = np.random.default_rng(seed)
    levels, n = int(rng.integers(4, 15)), int(rng.integers(25, 90))
    g, x, z = rng.integers(0, levels, n), rng.normal(size=n), rng.normal(size=n)
    b = rng.normal(size=(levels, 2)) * [rng.choice([0, 1, 3]), rng.choice([0, 0.5])]
    y = 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=n)
    far = 10.0 ** rng.integers(-2, 5) * rng.integers(0, 2)
    frame = pd.DataFrame({"y": y * 10.0 ** rng.integers(-4, 5), "z": z, "g": g.astype(str)})
    return frame.assign(x=(far + x) * 10.0 ** rng.integers(-3, 4))


@pytest.mark.parametrize("seed", range(24))
def test_awkward_designs_leave_nothing_unexplained(seed):
    fit = lt.fit_lmm(FORMULAS[seed % len(FORMULAS)], awkward(seed), reml=seed % 4 < 2)
    for engine in ("statsmodels", "dense"):
        check = lt.cross_check(fit, engine=engine)
        assert check.ok, check[check["verdict"] == "unexplained"].to_string()


def test_a_pseudo_inverse_over_there_is_not_held_against_anyone():
    """A slope on a large column has a tiny relative variance: below 1e-10 statsmodels takes it for zero."""
    frame = lt.load_dataset("sleepstudy").assign(far=lambda d: 1e6 * d["Days"])
    fit = lt.fit_lmm("Reaction ~ Days + (0 + far | Subject)", frame)
    check = lt.cross_check(fit)
    assert check.ok
    assert "ill-conditioned there" in set(check["verdict"])
    assert verdicts(check)["log-likelihood at our parameters"] == "equal"


def test_nested_factors_are_variance_components_there():
    check = lt.cross_check(fitted("Pixel__pb_reml"))  # correlated slopes of the dog, an intercept of its sides
    table = check.set_index("quantity")
    assert check.ok
    assert {"equal", "statsmodels stopped short", "joint Hessian"} == set(check["verdict"])
    assert table.loc["log-likelihood at our parameters", "verdict"] == "equal"
    assert table.loc["variance Dog:Side Intercept", "theirs"] == pytest.approx(282.9, rel=1e-3)
    assert "covariance Dog Intercept, day" in table.index


def test_a_nested_singular_fit():
    """Wafer's double bars: statsmodels takes each as a variance, ours at zero among them."""
    check = lt.cross_check(fitted("Wafer__pdDiag_reml"))
    assert check.ok
    assert "not run" not in set(check["verdict"])


def test_crossed_factors_are_one_group_there():
    check = lt.cross_check(fitted("Penicillin__crossed_ml"))
    assert check.ok
    assert verdicts(check)["log-likelihood at our parameters"] == "equal"
    assert {"variance plate Intercept", "variance sample Intercept"} <= set(check["quantity"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Wafer__rs2_reml", "uncorrelated effects only for a second factor; here Wafer:Site"),
        ("ScotsSec__crossed_rs_reml", "beside factors that it crosses, has 2 correlated ones"),
    ],
)
def test_correlated_slopes_of_a_second_factor_cannot_be_said_there(name, why):
    check = lt.cross_check(fitted(name))
    assert verdicts(check) == {"the model": "not expressible there"}
    assert why in check["explanation"].iloc[0]


def test_structures_and_known_matrices_cannot_be_said_there():
    machines = refitted("Machines__tmb_cs_reml")
    assert "no covariance structure cs" in lt.cross_check(machines)["explanation"].iloc[0]
    names = [str(i) for i in range(6)]
    known = pd.DataFrame(0.5 * np.eye(6) + 0.5, index=names, columns=names)
    rng = np.random.default_rng(2)
    g = rng.integers(0, 6, 60)
    frame = pd.DataFrame({"y": rng.normal(size=6)[g] + rng.normal(size=60), "g": g.astype(str)})
    fit = lt.fit_lmm("y ~ 1 + (1 | g)", frame, known={"g": known})
    assert "no known covariance" in lt.cross_check(fit)["explanation"].iloc[0]
    assert lt.cross_check(fit, engine="dense").ok


def test_many_crossed_levels_are_not_run():
    check = lt.cross_check(fitted("ScotsSec__crossed_reml"), seconds=0.1)
    assert verdicts(check) == {"the model": "not run"}


DENSE_OTHERS = ("Machines__tmb_cs_reml", "Oats__lme_cs_ml", "sleepstudy__tmb_ar1_reml", "Wafer__lme_diag_reml")


@pytest.mark.parametrize("name", DENSE_OTHERS)
def test_dense_engine_takes_every_structure(name):
    fit = refitted(name)
    check = lt.cross_check(fit, engine="dense")
    assert check.ok
    assert set(check["verdict"]) == {"equal"}
    wrong = doctored(fit, beta=fit.beta * (1 + 1e-6))
    assert not lt.cross_check(wrong, engine="dense").ok


@pytest.mark.parametrize("name", ["Penicillin__crossed_reml", "Wafer__rs2_ml", "TVbo__tv_ml", "Glucose2__nested_reml"])
def test_dense_engine_takes_several_factors(name):
    check = lt.cross_check(fitted(name), engine="dense")
    assert set(check["verdict"]) == {"equal"}
