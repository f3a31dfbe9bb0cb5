"""A run record: the worst that is true of a run, its numbers, and nothing that differs between two runs."""

import json
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.records import RECORD_MIME, STATUSES


@pytest.fixture(scope="module")
def fit():
    return lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))


def with_certificate(fit, **changes):
    """The fit with another certificate, for what a sound optimiser does not give."""
    return replace(fit, certificate=replace(fit.certificate, **changes))


def check(verdict, ok):
    """What cross_check returns, as far as a record reads it."""
    rows = pd.DataFrame(
        {
            "quantity": ["sigma", "loglik"],
            "ours": [1.0, 2.0],
            "theirs": [1.0, float("nan")],
            "difference": [0.0, float("nan")],
            "verdict": ["equal", verdict],
            "explanation": ["", "because"],
        }
    )
    return SimpleNamespace(ok=ok, engine="other 1.0", columns=rows.columns, reset_index=rows.reset_index)


def test_a_good_fit(fit):
    made = lt.record(fit, dataset="Dyestuff", title="Batches", seed=7)
    assert (made.status, made.reasons, made.method) == ("ok", (), "REML")
    assert (made.kind, made.to_dict()["schema"]) == ("model", 2)
    numbers = made.to_dict()["numbers"]
    assert numbers["coefficients"] == ["Intercept"]
    assert numbers["fixef"] == {"Intercept": float(fit.fixef.iloc[0])}
    assert numbers["criterion"] == fit.criterion
    assert numbers["ngroups"] == {"Batch": 6}
    assert numbers["icc"]["Batch"]["adjusted"] == pytest.approx(0.4185, abs=5e-5)  # lme4's, as printed
    assert [row["grp"] for row in numbers["varcorr"]] == ["Batch", "Residual"]
    assert numbers["varcorr"][1]["var1"] is None
    assert set(made.provenance["versions"]) == {
        "lmmtools", "python", "numpy", "scipy", "pandas", "formulaic", "statsmodels",
    }  # fmt: skip
    assert made.provenance["seed"] == 7
    assert made.certificate["status"] == "certified"


def test_intervals_are_the_coefficient_tables(fit):
    numbers = lt.record(fit, level=0.9).to_dict()["numbers"]
    table = fit.coef_table(level=0.9)
    assert numbers["intervals"] == {
        "level": 0.9,
        "reference": "satterthwaite",
        "low": {"Intercept": table["ci_low"]["Intercept"]},
        "high": {"Intercept": table["ci_high"]["Intercept"]},
    }


def test_it_is_json_and_comes_back_the_same(fit):
    made = lt.record(fit, check("equal", True))
    assert json.loads(made.to_json()) == made.to_dict()
    data, metadata = made._repr_mimebundle_()
    assert data[RECORD_MIME] == made.to_dict()
    assert data["text/plain"] == "ok: Yield ~ 1 + (1 | Batch) (REML)"
    assert metadata == {"lmmtools": {"kind": "record"}}


def test_two_fits_of_one_request_give_the_same_bytes(fit):
    again = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff"))
    assert lt.record(again).to_json() == lt.record(fit).to_json()


def test_the_hash_is_of_the_rows_used(fit):
    data = lt.load_dataset("Dyestuff")
    same = pd.concat([data, data.tail(1).assign(Yield=float("nan"))])
    dropped = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", same)
    other = lt.fit_lmm("Yield ~ 1 + (1 | Batch)", data.assign(Yield=data["Yield"].where(data.index != 3, 1.0)))

    def digest(one):
        return lt.record(one).provenance["data_sha256"]

    assert digest(dropped) == digest(fit) != digest(other)


def test_it_cannot_be_changed(fit):
    made = lt.record(fit)
    with pytest.raises(FrozenInstanceError):
        made.status = "ok"
    with pytest.raises(TypeError):
        made.numbers["sigma"] = 0.0


def test_singular():
    made = lt.record(lt.fit_lmm("Yield ~ 1 + (1 | Batch)", lt.load_dataset("Dyestuff2")))
    assert made.status == "singular"
    assert made.reasons == ("The fit is singular: the variance of Intercept by Batch is estimated as zero.",)


def test_singular_does_not_depend_on_units():
    data = lt.load_dataset("Orthodont").assign(seconds=lambda d: d["age"] * 365.25 * 86400)
    made = [lt.fit_lmm(f"distance ~ {x} + (0 + {x} | Subject)", data) for x in ("age", "seconds")]
    assert [lt.record(one).status for one in made] == ["ok", "ok"]
    assert made[1].varcorr["sdcor"].iloc[0] < 1e-5 * made[1].sigma  # small in these units only


def test_variables_of_any_name_are_recorded():
    data = lt.load_dataset("sleepstudy").rename(columns={"Days": "nan", "Subject": "None"})
    rows = lt.record(lt.fit_lmm("Reaction ~ nan + (nan | None)", data)).numbers["varcorr"]
    assert [(row["grp"], row["var1"], row["var2"]) for row in rows] == [
        ("None", "Intercept", None), ("None", "nan", None), ("None", "Intercept", "nan"), ("Residual", None, None),
    ]  # fmt: skip


def test_not_an_optimum_is_failed(fit):
    made = lt.record(with_certificate(fit, status="not an optimum", sentence="It is not."))
    assert (made.status, made.reasons) == ("failed", ("It is not.",))


def test_a_flat_direction_is_named(fit):
    flat = with_certificate(fit, status="flat direction", sentence="Long.", flat=("a", "b", "c"), flat_by="design")
    made = lt.record(flat)
    assert made.status == "flat direction"
    (reason,) = made.reasons
    assert reason.startswith("The data do not determine a, nor 2 other combinations;")
    assert (made.certificate["flat"], made.certificate["flat_by"]) == (("a", "b", "c"), "design")


def test_where_standard_errors_mean_nothing_the_reason_says_so(fit):
    made = lt.record(with_certificate(fit, status="flat direction", sentence="Long.", flat=("a",), flat_by="data"))
    assert made.reasons == ("The data say nothing about a; standard errors that rest on it mean nothing either.",)


def test_an_unexplained_difference_is_the_status_and_is_named(fit):
    made = lt.record(fit, check("unexplained", False))
    assert made.status == "unexplained"
    assert "loglik" in made.reasons[0]
    (summary,) = made.to_dict()["cross_checks"]
    assert summary["counts"] == {"equal": 1, "unexplained": 1}
    assert summary["equal"] == ["sigma"]
    (row,) = summary["rows"]
    assert (row["quantity"], row["theirs"], row["difference"]) == ("loglik", None, None)


def test_an_explained_difference_is_no_failure(fit):
    made = lt.record(fit, (check("joint Hessian", True), check("equal", True)))
    assert made.status == "ok"
    assert [len(one["rows"]) for one in made.cross_checks] == [1, 0]


def test_the_worst_counts(fit):
    bad = with_certificate(fit, status="not an optimum", sentence="It is not.")
    made = lt.record(bad, check("unexplained", False))
    assert made.status == STATUSES[-1] == "failed"
    assert len(made.reasons) == 2


def test_a_real_cross_check(fit):
    made = lt.record(fit, lt.cross_check(fit))
    (summary,) = made.to_dict()["cross_checks"]
    assert summary["ok"]
    assert summary["engine"].startswith("statsmodels")
    assert sum(summary["counts"].values()) >= 6


def test_what_is_no_cross_check_is_refused(fit):
    with pytest.raises(lt.LMMError, match="pass check=cross_check"):
        lt.record(fit, "statsmodels")


GROWTH = ["distance ~ age + (1 | Subject)", "distance ~ age * Sex + (1 | Subject)", "distance ~ age + (age | Subject)"]


@pytest.fixture(scope="module")
def models():
    return lt.fit_models(GROWTH, lt.load_dataset("Orthodont"), names=["a", "b", "c"])


def test_a_comparison_has_the_numbers_of_the_model_it_chose(models):
    made = lt.record(models, dataset="Orthodont", seed=3)
    own = lt.record(models.chosen, dataset="Orthodont", seed=3).to_dict()
    found = made.to_dict()
    assert (made.kind, made.status, made.reasons) == ("comparison", "ok", ())
    assert (made.formula, made.method) == (GROWTH[1], "REML")
    for key, value in own["numbers"].items():
        assert found["numbers"][key] == value
    assert found["certificate"] == own["certificate"]
    assert json.loads(made.to_json()) == found
    assert str(made) == f"ok: chosen: {GROWTH[1]} (REML)"


def test_a_comparison_lists_its_models_and_its_steps(models):
    numbers = lt.record(models).to_dict()["numbers"]
    table = lt.compare(models)
    assert (numbers["chosen"], numbers["compared_by"]) == ("b", "ML")
    assert numbers["verdict"].startswith("b is preferred among 3 models: AIC ")
    assert [(row["name"], row["formula"]) for row in numbers["models"]] == list(zip("abc", GROWTH, strict=True))
    for row in numbers["models"]:
        assert (row["status"], row["reason"]) == ("ok", None)
        for key in ("npar", "loglik", "aic", "aicc", "bic", "delta", "weight"):
            assert row[key] == table[key][row["name"]]
    steps = [(row["smaller"], row["larger"], row["df"]) for row in numbers["steps"]]
    assert steps == [("a", "b", 2), ("a", "c", 2)]


def test_a_variant_that_fails_is_a_reason_and_no_failure():
    wrong = "distance ~ nope + (1 | Subject)"
    made = lt.record(lt.fit_models([*GROWTH, wrong], lt.load_dataset("Orthodont")))
    assert made.status == "ok"
    (reason,) = made.reasons
    assert reason.startswith("M4: the data have no column `nope`")
    last = made.to_dict()["numbers"]["models"][-1]
    assert (last["name"], last["formula"], last["status"], last["aic"]) == ("M4", wrong, "failed", None)


def test_a_variant_without_an_optimum_is_a_reason_and_a_singular_one_is_none(models):
    bad = with_certificate(models["a"], status="not an optimum", sentence="It is not.")
    made = lt.record(lt.models.Models({**models.fits, "a": bad}, models.formulas, {}, ()))
    assert (made.status, made.reasons) == ("ok", ("a: It is not.",))
    cornered = replace(models["c"], Lambda=tuple(0.0 * L for L in models["c"].Lambda))
    made = lt.record(lt.models.Models({**models.fits, "c": cornered}, models.formulas, {}, ()))
    assert (made.status, made.reasons) == ("ok", ())
    assert made.to_dict()["numbers"]["models"][2]["status"] == "singular"


def test_a_comparison_has_the_status_of_its_choice_and_of_its_check(models):
    made = lt.record(models, check("unexplained", False))
    assert made.status == "unexplained"
    singular = lt.fit_models(["Yield ~ 1 + (1 | Batch)"], lt.load_dataset("Dyestuff2"))
    assert lt.record(singular).status == "singular"


def test_the_hash_of_a_comparison_is_of_all_its_models(models):
    fewer = lt.fit_models(GROWTH[:2], lt.load_dataset("Orthodont"))
    digests = {lt.record(one).provenance["data_sha256"] for one in (models, fewer, models.chosen)}
    assert len(digests) == 3


def test_an_exploration_is_recorded_by_what_it_says_of_itself():
    found = SimpleNamespace(
        kind="exploration", formula="", design_sha256="", messages=("one",), summary=lambda: {"rows": 3, "share": 0.5}
    )
    made = lt.record(found, dataset="sleepstudy", seed=1)
    assert (made.kind, made.status, made.reasons, made.formula, made.method) == ("exploration", "ok", (), "", None)
    assert made.to_dict()["numbers"] == {"rows": 3, "share": 0.5}
    assert (made.messages, made.provenance["data_sha256"]) == (("one",), None)
    assert str(made) == "ok: explored: sleepstudy"


def test_what_is_none_of_these_is_refused():
    with pytest.raises(lt.LMMError, match=r"takes a fit, what fit_models returns, or an exploration; got dict"):
        lt.record({})
