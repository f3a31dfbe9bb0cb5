"""The diagnostics notebook, and the model report's checks and influence, on models of every kind."""

import re

import pytest

from tests.test_notebook_inference import RECORD, labels, prose, run, text

ORTHODONT = {"formula": "distance ~ age * Sex + (age | Subject)"}
OVARY = "follicles ~ sin(6.283185307179586 * Time) + cos(6.283185307179586 * Time)"
MODELS = {
    "slopes": ORTHODONT,
    "by ML": ORTHODONT | {"reml": False},
    "singular": {"dataset": "Dyestuff2", "formula": "Yield ~ 1 + (1 | Batch)"},
    "no fixed effects": {"dataset": "Dyestuff", "formula": "Yield ~ 0 + (1 | Batch)"},
    "crossed": {"dataset": "Penicillin", "formula": "diameter ~ 1 + (1 | plate) + (1 | sample)"},
    "nested": {"dataset": "Pastes", "formula": "strength ~ 1 + (1 | batch/cask)"},
    "one correlation": {"dataset": "Machines", "formula": "score ~ Machine + cs(0 + Machine | Worker)"},
    "two terms of one factor": {"formula": "distance ~ age + (1 | Subject) + (0 + age | Subject)"},
    "a curve": {"formula": "distance ~ poly(age, 2) + (1 | Subject)"},
    "within and between": {"dataset": "MathAchieve", "formula": "MathAch ~ SES + (1 | School)"},
    "no random effects": {"formula": "distance ~ age * Sex", "residual": "us(age | Subject) * varident(age)"},
    "variances only": {"formula": "distance ~ age * Sex", "residual": "varident(Sex)"},
    "both": {"dataset": "Ovary", "formula": f"{OVARY} + (1 | Mare)", "residual": "car1(Time | Mare)"},
}  # fmt: skip
QUICK = ("no fixed effects", "variances only")
# Every model by one of the two notebooks, odd ones by both.
IN_SHORT = (*QUICK, "slopes", "nested", "one correlation", "by ML", "a curve")
IN_FULL = tuple(name for name in MODELS if name not in IN_SHORT or name in QUICK)


def each(names):
    return pytest.mark.parametrize(
        "model", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]
    )


def whole(shown):
    """No two things of one name, references lead somewhere, figures are told to who does not see them."""
    there = labels(shown)
    assert len(set(there)) == len(there)
    assert set(re.findall(r"(?<![\\\w])@((?:tbl|fig)-[\w-]+)", prose(shown))) <= set(there)
    assert all(len(about["alt"]) > 40 for _, about in shown if about.get("kind") == "figure")
    assert "nan" not in re.findall(r"\w+", prose(shown))
    assert shown[-1][0][RECORD]["status"] in ("ok", "singular")
    return set(there)


@each(IN_FULL)
def test_it_is_whole_for_every_model(model):
    shown = run("diagnostics_report", **{"simulations": 99, "folds": 4} | MODELS[model])
    there = whole(shown)
    asked = MODELS[model]
    random, groups = "|" in asked["formula"], model != "variances only"
    assert {"tbl-checks", "fig-residual-panels", "fig-observed-fitted", "tbl-quantile-residuals"} <= there
    assert {"tbl-influence", "tbl-scores", "fig-validation-pit"} <= there
    assert ("fig-caterpillar" in there) == random and ("## Random effects" in prose(shown)) == random
    assert ("tbl-influence-by" in there) == ("tbl-scores-by" in there) == groups
    assert ("fig-influence-bubble" in there) == (model != "no fixed effects")
    assert ("tbl-shrinkage-summary" in there) == (random and not asked.get("residual"))
    assert ("fig-prediction" in there) == ("~ 1 +" not in asked["formula"] and "~ 0 +" not in asked["formula"])
    assert ("tbl-mundlak" in there) == (model in ("within and between", "both"))


@each(IN_SHORT)
def test_the_model_report_has_its_checks_for_every_model(model):
    there = whole(run("model_report", **MODELS[model], check=False))
    assert {"tbl-checks", "fig-checks", "fig-influence-index"} <= there
    assert ("tbl-influence-by" in there) == (model != "variances only") != ("tbl-influence" in there)
    assert ("fig-qq-ranef" in there) == ("fig-caterpillar" in there) == ("|" in MODELS[model]["formula"])


@pytest.fixture(scope="module")
def orthodont():
    return run("diagnostics_report", **ORTHODONT, simulations=99, folds=3, factor="Subject", covariate="age")


def test_what_is_asked_for_is_shown(orthodont):
    said = prose(orthodont)
    assert "what the rest of the model leaves of the response for age to explain" in said
    assert "the model already has what would be added" in said  # all children have the same ages
    assert "in 3 parts, rows are missed by" in said and "Whole levels of Subject, left out in 3 parts" in said
    assert "averaged over the levels of Sex" in said or "fig-prediction" in labels(orthodont)
    assert text(orthodont, "tbl-influence-by").splitlines()[3].split()[0] == "M13"  # as in Pinheiro & Bates, Fig. 4.15
    assert len(text(orthodont, "tbl-influence").split("\n\n")[0].splitlines()) >= 8


def test_a_check_decides_nothing(orthodont):
    said = prose(orthodont)
    assert "A check suggests where to look" in said and "none to drop them" in said
    assert not re.search(r"\b(assumption is violated|is met|is rejected|significant)\b", said)


def test_the_methods_cite_what_is_shown(orthodont):
    keys = set(re.findall(r"@([a-z]+\d{4})", prose(orthodont)))
    assert {"pierce1982", "cook1977", "dunn1996", "gneiting2007"} <= keys
    assert not keys & {"mundlak1978", "bates1988", "davison1997"}


def test_the_same_seed_gives_the_same_report():
    asked = {**MODELS["no fixed effects"], "simulations": 99, "folds": 3}
    one, other = (run("diagnostics_report", **asked, seed=3) for _ in range(2))
    assert [data for data, _ in one[:-1]] == [data for data, _ in other[:-1]]


def test_the_same_seed_gives_the_same_model_report():
    asked = {**MODELS["no fixed effects"], "check": False}
    one, other = (run("model_report", **asked, seed=3) for _ in range(2))
    assert [data for data, _ in one[:-1]] == [data for data, _ in other[:-1]]
