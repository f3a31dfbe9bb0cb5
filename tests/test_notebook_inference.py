"""The inference notebook, and the model report's part of it, on models of every kind."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

import lmmtools as lt
from lmmtools.prose.value import MARKED

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RECORD = "application/vnd.lmmtools.record+json"
ORTHODONT = {"formula": "distance ~ age * Sex + (age | Subject)"}
DYESTUFF = {"dataset": "Dyestuff2", "formula": "Yield ~ 1 + (1 | Batch)"}
MODELS = {
    "slopes by group": ORTHODONT | {"trend": "age"},
    "by ML": ORTHODONT | {"reml": False},
    "no factor": {"dataset": "sleepstudy", "formula": "Reaction ~ Days + (Days | Subject)"},
    "nested": {"dataset": "cake", "formula": "angle ~ recipe + temp + (1 | recipe:replicate)", "means": "recipe"},
    "crossed, a mean only": {"dataset": "Penicillin", "formula": "diameter ~ 1 + (1 | plate) + (1 | sample)"},
    "a standard deviation": DYESTUFF | {"dataset": "Dyestuff", "focal": "sd(Batch, Intercept)"},
    "no fixed effects": {"dataset": "Dyestuff", "formula": "Yield ~ 0 + (1 | Batch)"},
    "singular": DYESTUFF,
    "refused by Kenward and Roger": {
        "dataset": "Machines", "formula": "score ~ Machine + cs(0 + Machine | Worker)", "replicates": 0,
    },
}  # fmt: skip
QUICK = ("singular", "no fixed effects", "a standard deviation")


def run(name, **values):
    """What the cells of a notebook show, run in this process: Markdown, and bundles with their facts."""
    names, shown = {}, []
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "markdown":
            shown.append(({MARKED: cell.source}, {}))
            continue
        *before, last = ast.parse(cell.source).body
        tail = isinstance(last, ast.Expr)
        exec(compile(ast.Module(before if tail else [*before, last], []), cell.id, "exec"), names)
        value = eval(compile(ast.Expression(last.value), cell.id, "eval"), names) if tail else None
        if value is not None:
            data, about = value._repr_mimebundle_()
            shown.append((data, about["lmmtools"]))
        if "parameters" in cell.metadata.get("tags", []):
            names.update(values)
    return shown


def prose(shown):
    return "\n".join(data[MARKED] for data, _ in shown if MARKED in data)


def labels(shown):
    return [about["label"] for _, about in shown if about.get("label")]


def text(shown, label):
    return next(data["text/plain"] for data, about in shown if about.get("label") == label)


@pytest.fixture(scope="module")
def orthodont():
    return run("inference_report", **ORTHODONT, replicates=100)


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
)
def test_it_is_whole_for_every_model(model):
    shown = run("inference_report", **{"replicates": 40} | MODELS[model])
    there = labels(shown)
    assert len(set(there)) == len(there)
    assert set(re.findall(r"(?<![\\\w])@((?:tbl|fig)-[\w-]+)", prose(shown))) <= set(there)
    assert {"tbl-triangulation", "fig-by-method", "tbl-confint", "fig-profile-zeta", "tbl-ranova"} <= set(there)
    assert shown[-1][0][RECORD]["status"] in ("ok", "singular")
    assert all(len(about["alt"]) > 40 for _, about in shown if about.get("kind") == "figure")


@pytest.mark.parametrize("model", ["singular", "no factor", "no fixed effects"])
def test_what_a_model_does_not_have_is_said(model):
    shown = run("inference_report", **MODELS[model], replicates=0)
    said = prose(shown)
    assert "No bootstrap was asked for." in said
    assert "tbl-contrasts" not in labels(shown)
    assert "The fixed part has no factor whose levels could be compared." in said
    assert ("tbl-means" in labels(shown)) == (model == "no factor")
    assert ("so there are none to test" in said) == (model != "no factor")
    assert ("tbl-anova" in labels(shown)) == (model == "no factor")


def test_shares_of_variance_of_weighted_models_say_for_which_weight(tmp_path):
    data = lt.load_dataset("sleepstudy")
    data.assign(w=1.0 + data["Days"] % 3).to_csv(tmp_path / "w.csv", index=False)
    shown = run(
        "inference_report", dataset=str(tmp_path / "w.csv"), formula="Reaction ~ Days + (1 | Subject)", weights="w",
        replicates=0,
    )  # fmt: skip
    assert {"tbl-icc", "tbl-r2"} <= set(labels(shown))
    assert "an observation of weight 1" in text(shown, "tbl-r2")


def test_the_bootstrap_is_made_once(orthodont):
    first, again = (next(data for data, about in orthodont if about.get("label") == name)["text/plain"]
                    for name in ("tbl-triangulation", "tbl-confint-bootstrap"))  # fmt: skip
    row = re.search(r"Percentile bootstrap +\S+ +\S+ +— +— +(\S+) +(\S+)", first)
    limits = re.search(r"age:Sex\[T\.Female\] +(\S+) +(\S+)", again)
    assert [float(x.replace("−", "-")) for x in row.groups()] == pytest.approx(
        [float(x.replace("−", "-")) for x in limits.groups()], abs=1e-3
    )


def test_the_methods_cite_what_is_shown_and_nothing_else(orthodont):
    keys = set(re.findall(r"@([a-z]+\d{4})", prose(orthodont)))
    shown = {"kuznetsova2017", "searle1980", "bates1988", "self1987", "stram1994", "davison1997", "efron1987"}
    shown |= {"wald1943", "satterthwaite1946", "giesbrecht1985", "kenward1997", "halekoh2014", "pustejovsky2018"}
    assert shown <= keys
    assert not keys & {"kramer1956", "greven2008", "crainiceanu2004", "seabold2010"}  # two levels need no Tukey


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report():
    one, other = (run("inference_report", **ORTHODONT, replicates=60, seed=3) for _ in range(2))
    assert [data for data, _ in one[:-1]] == [data for data, _ in other[:-1]]


def test_the_model_report_says_how_sure_it_is():
    shown = run("model_report", **ORTHODONT, check=False)
    assert {"tbl-anova", "tbl-confint", "fig-by-method"} <= set(labels(shown))
    assert "tbl-triangulation" not in labels(shown)
    assert "All 6 methods agree that `age:Sex[T.Female]` differs from 0 at the 5 % level (p from 0.020 to 0.033; " \
        "@fig-by-method)." in prose(shown)  # fmt: skip
    keys = set(re.findall(r"@([a-z]+\d{4})", prose(shown)))
    assert {"bates1988", "kenward1997", "pustejovsky2018"} <= keys
    assert not keys & {"davison1997", "efron1987", "self1987", "searle1980"}
