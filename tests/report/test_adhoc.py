"""Reports without a study file: the same checks, with the option a mistake is in."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lmmtools import StudyError, load_dataset
from lmmtools.__main__ import _say, app
from lmmtools.report.asked.adhoc import adhoc_study
from lmmtools.report.asked.expand import expand
from lmmtools.report.runs.make import Made
from lmmtools.report.runs.outcome import Outcome

SLOPE = "distance ~ age + (age | Subject)"
LEVEL = "distance ~ age + (1 | Subject)"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """``my.csv`` in the working folder."""
    load_dataset("Orthodont").to_csv(tmp_path / "my.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return "my.csv"


def given(run):
    """What a run sets of its notebook's parameters."""
    return {one.name: value for one, value, said in run.parameters if said}


def test_one_formula_is_one_run(data, tmp_path):
    (run,) = expand(*adhoc_study(data, [SLOPE], ml=True, filter="age > 8"))
    assert run.name == "my-model-ml" and run.source == tmp_path / "my.csv"
    assert given(run) == {
        "dataset": "my.csv",
        "filter": "age > 8",
        "formula": SLOPE,
        "reml": False,
        "title": f"my: {SLOPE}",
    }


def test_more_formulas_are_compared_too_and_equal_ones_are_one(data):
    runs = expand(*adhoc_study(data, [SLOPE, LEVEL, SLOPE]))
    assert [run.name for run in runs] == ["my-model-1-reml", "my-model-2-reml", "my-comparison"]
    assert given(runs[2])["formulas"] == [SLOPE, LEVEL] and given(runs[2])["names"] == ["model 1", "model 2"]


def test_each_formula_is_fitted_with_each_residual_structure(data):
    us, cs = "us(age | Subject)", "cs(Subject)"
    one, two, compared = expand(*adhoc_study(data, ["distance ~ age"], residuals=[us, cs, us]))
    assert given(one)["residual"] == us and given(one)["title"] == f"my: distance ~ age, residuals {us}"
    assert two.formula == f"distance ~ age, residuals {cs}"
    assert given(compared)["formulas"] == ["distance ~ age"] * 2 and given(compared)["residuals"] == [us, cs]
    assert "residual" not in given(compared)


@pytest.mark.parametrize(
    ("residuals", "expected"),
    [
        (["cs(Subjekt)"], '--residual: my has no column "Subjekt"; did you mean "Subject"?'),
        (["cs(Subject", "cs(Subject)"], "--residual 'cs(Subject': "),
        ([], "--formula: distance ~ age has no random effects; add at least one, such as (1 | group), or a"),
    ],
)
def test_mistakes_of_residual_structures_have_their_option(data, residuals, expected):
    with pytest.raises(StudyError) as caught:
        adhoc_study(data, ["distance ~ age"], residuals=residuals)
    assert expected in str(caught.value)


def test_shipped_data_need_no_file():
    (run,) = expand(*adhoc_study("Orthodont", [SLOPE]))
    assert run.name == "orthodont-model-reml" and run.source is None


def test_every_mistake_has_its_option(data):
    with pytest.raises(StudyError) as caught:
        adhoc_study(data, ["distnce ~ age + (1 | Subject)", "distance ~ age + (1 | Subject"], filter="Agee > 8")
    lines = str(caught.value).splitlines()
    assert lines[0] == "The request has 3 mistakes; nothing was run."
    assert any(line.startswith("  --filter: the filter `Agee > 8` names `Agee`") for line in lines)
    assert (
        '  --formula \'distnce ~ age + (1 | Subject)\': my has no column "distnce"; did you mean "distance"?' in lines
    )
    assert any(line.startswith("  --formula 'distance ~ age + (1 | Subject': this parenthesis") for line in lines)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("Orthodon", "did you mean `Orthodont`?"), ("mi.csv", "did you mean `my.csv`?"), ("", "--data")],
)
def test_data_that_are_not_there(data, source, expected):
    with pytest.raises(StudyError, match="--data: ") as caught:
        adhoc_study(source, [SLOPE])
    assert expected in str(caught.value)


REQUESTS = [
    ([], "There is nothing to report: name a study file"),
    (["--formula", SLOPE], "--formula without --data"),
    (["--ml", "--filter", "age > 8"], "--ml, --filter without --data"),
    (["--data", "my.csv"], "--data needs a model: add --formula"),
    (["study.toml", "--data", "my.csv"], "--data: a study file says this itself"),
    (["study.toml", "--ml"], "--ml: a study file says this itself"),
    (["study.toml"], "There is no study file study.toml"),
    (["--data", "my.csv", "--formula", "distance ~ agee"], '--formula: my has no column "agee"; did you mean "age"?'),
    (["--data", "my.csv", "--formula", SLOPE, "--only", "your-*"], 'No run of the study is called "your-*"'),
]


@pytest.mark.parametrize(("arguments", "expected"), REQUESTS)
def test_a_wrong_request_runs_nothing(data, tmp_path, arguments, expected):
    done = CliRunner().invoke(app, ["report", *arguments, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2 and expected in done.stderr and "othing was run" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--data", "--formula", "--filter"])
def test_bytes_that_are_no_text_are_refused_before_a_report_would_hold_them(data, option):
    given = {"--data": data, "--formula": SLOPE, "--filter": "age > 8"} | {option: "bad\udcff.csv"}
    with pytest.raises(
        StudyError, match=rf"^{option}: bad\\udcff.csv holds bytes that are not UTF-8.* Nothing was run"
    ):
        adhoc_study(given["--data"], [given["--formula"]], filter=given["--filter"])


def test_what_was_never_made_is_not_called_out_of_date(data, capsys):
    one, two, three = expand(*adhoc_study(data, [SLOPE, LEVEL]))
    outcomes = (
        Outcome(one, "ok", (), {}, ("a.html",)),
        Outcome(two, "ok", (), {}, ("b.html",), current=False),
        Outcome(three, "ok", (), {}, (), current=False),
    )
    _say(Made(outcomes, Path("index.html"), 1.0, frozenset({one.name}), (one.name,)))
    assert capsys.readouterr().out == "1 made, 0 kept, 1 out of date, 1 not made yet, 0 failed in 1 s: index.html\n"


@pytest.mark.slow
def test_a_request_makes_its_reports_and_says_so(data, tmp_path):
    arguments = ["report", "--data", data, "--formula", LEVEL, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "1 made, 0 kept, 0 failed in " in done.stdout and "index.html" in done.stdout
    assert {"my-model-reml.html", "my-model-reml.pdf"} <= {one.name for one in (tmp_path / "out").iterdir()}
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0 and "0 made, 1 kept, 0 failed in " in again.stdout
