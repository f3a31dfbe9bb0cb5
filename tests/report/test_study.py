"""A study is checked as a whole: every mistake is listed at once, with its key and the nearest valid name."""

import pytest

from lmmtools import StudyError
from lmmtools.report.expand import expand, safe_name
from lmmtools.report.study import read_study

GOOD = """
title = "Toy"
notebook = "toy.ipynb"
timeout = 5
[parameters]
level = 0.9
[[datasets]]
name = "Dyestuff"
[datasets.parameters]
mode = "good"
[[datasets.variants]]
name = "batch"
formula = "Yield ~ 1 + (1 | Batch)"
methods = ["REML", "ML"]
[[datasets.variants]]
name = "two words"
title = "With a title"
formula = "Yield ~ 1 + (1 | Batch)"
[datasets.variants.parameters]
mode = "warn"
"""


def test_a_study_becomes_its_runs(study_file):
    runs = expand(*read_study(study_file(GOOD)))
    assert [run.name for run in runs] == ["dyestuff-batch-reml", "dyestuff-batch-ml", "dyestuff-two-words-reml"]
    values = {one.name: (value, given) for one, value, given in runs[2].parameters}
    assert values == {
        "dataset": ("Dyestuff", True),
        "formula": ("Yield ~ 1 + (1 | Batch)", True),
        "reml": (True, True),
        "title": ("With a title", True),
        "level": (0.9, True),
        "mode": ("warn", True),  # the variant's own, not its data set's
    }
    assert runs[1].title == "Dyestuff, batch"
    assert runs[1].timeout == 5.0


def test_parameters_not_given_keep_the_notebook_s_default(study_file):
    (run, *_) = expand(*read_study(study_file(GOOD.replace("level = 0.9", "").replace('mode = "good"', ""))))
    assert {(one.name, value) for one, value, given in run.parameters if not given} == {
        ("level", 0.95),
        ("mode", "good"),
    }


# (what to replace, by what, what the message must say)
MISTAKES = {
    "unknown key at the top": ('title = "Toy"', 'titel = "Toy"', 'titel: unknown key; did you mean "title"?'),
    "unknown key of a variant": (
        'methods = ["REML", "ML"]',
        'method = ["REML"]',
        'datasets[1].variants[1].method: unknown key; did you mean "methods"?',
    ),
    "unknown method": (
        '["REML", "ML"]',
        '["REML", "REMLL"]',
        "datasets[1].variants[1].methods[1]: invalid enum value 'REMLL'; did you mean \"REML\"?",
    ),
    "no methods": ('["REML", "ML"]', "[]", "datasets[1].variants[1].methods: expected a list of length >= 1"),
    "wrong type": ("timeout = 5", 'timeout = "5"', "timeout: expected a number, got text"),
    "negative timeout": ("timeout = 5", "timeout = -5", "timeout: expected a number > 0"),
    "missing formula": (
        'title = "With a title"\nformula = "Yield ~ 1 + (1 | Batch)"',
        "",
        "datasets[1].variants[2].formula: missing",
    ),
    "unknown data set": (
        'name = "Dyestuff"',
        'name = "Dyestuf"',
        'datasets[1].name: there is no data set "Dyestuf"; did you mean "Dyestuff"?',
    ),
    "formula with a typo": (
        'title = "With a title"\nformula = "Yield ~ 1 + (1 | Batch)"',
        'formula = "Yield ~ 1 + (1 | Batch"',
        "datasets[1].variants[2].formula: ",
    ),
    "unknown parameter": (
        "level = 0.9",
        "levle = 0.9",
        'parameters.levle: toy.ipynb has no such parameter; did you mean "level"?',
    ),
    "parameter of the wrong type": ("level = 0.9", "level = true", "parameters.level: expected a number, got True"),
    "text parameter given a number": (
        'mode = "warn"',
        "mode = 1",
        "datasets[1].variants[2].parameters.mode: expected text, got 1",
    ),
    "parameter with a key of its own": (
        "level = 0.9",
        "reml = true",
        "parameters.reml: is not set here but by the key methods",
    ),
    "seed without a parameter for it": ('title = "Toy"', "seed = 1", "seed: toy.ipynb has no parameter seed"),
    "no such notebook": (
        '"toy.ipynb"',
        '"toi.ipynb"',
        'notebook: there is no notebook "toi.ipynb"; did you mean "toy.ipynb"?',
    ),
    "notebook of the wrong type": ('"toy.ipynb"', "3", "notebook: expected text, got an integer"),
    "two runs with one name": ('name = "two words"', 'name = "Batch"', 'both would write "dyestuff-batch-reml"'),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_its_sentence(study_file, mistake):
    old, new, expected = MISTAKES[mistake]
    assert old in GOOD
    path = study_file(GOOD.replace(old, new))
    with pytest.raises(StudyError) as caught:
        expand(*read_study(path))
    assert expected in str(caught.value)
    assert "othing was run" in str(caught.value)


def test_all_mistakes_are_listed_at_once(study_file):
    text = GOOD.replace("timeout", "tiemout").replace('["REML", "ML"]', '["rml"]').replace('title = "Toy"', "x = 1")
    with pytest.raises(StudyError) as caught:
        read_study(study_file(text))
    message = str(caught.value)
    assert "study.toml has 3 mistakes" in message
    assert all(key in message for key in ("tiemout: ", "x: unknown key", "variants[1].methods"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "datasets: missing"),
        ("datasets = []", "datasets: empty; at least one is needed"),
        ("datasets = 3", "datasets: "),
        ("[[datasets]]\nname = 'Rail'\nvariants = []", "datasets[1].variants: empty"),
        ("= 3", "is not valid TOML"),
    ],
)
def test_a_study_that_is_none(study_file, text, expected):
    with pytest.raises(StudyError, match="othing was run") as caught:
        read_study(study_file(text))
    assert expected in str(caught.value)


def test_no_such_study(tmp_path):
    with pytest.raises(StudyError, match="There is no study file"):
        read_study(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Orthodont", "slope by sex", "REML"), "orthodont-slope-by-sex-reml"),
        (("a/../b", "..\\c", "ML"), "a-..-b-..-c-ml"),
        (("<script>", "Größe", "ML"), "script-groe-ml"),
        (("x" * 300, "y", "ML"), "x" * 120),
        ((".hidden", "", "ML"), "hidden-ml"),
    ],
)
def test_file_names_are_safe(parts, name):
    made = safe_name(*parts)
    assert made == name
    assert made.replace("-", "").replace(".", "").isalnum()
