"""A study is checked as a whole: every mistake is listed at once, with its key and the nearest valid name."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from lmmtools import StudyError, build_design, load_dataset
from lmmtools.report.asked.expand import expand, safe_name
from lmmtools.report.asked.schema import Study, json_schema
from lmmtools.report.asked.study import read_study, study_of
from lmmtools.toml.mistakes import Mistake, find_mistakes, key_text
from lmmtools.toml.positions import line_of, positions

RESOURCES = Path(__file__).resolve().parents[2]

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


DATA = "y,x,g,when\n1,2,a,1\n2,3,b,2\n3,4,a,3\n4,7,b,4\n"
RICH = """
notebook = "toy2.ipynb"
methods = ["ML"]
[[variants]]
name = "all"
formula = "y ~ x + (1 | g)"
[[include]]
name = "some"
dataset = "o*"
formula = "y ~ 1 + (1 | g)"
filter = "x < 7"
outputs = ["html"]
timeout = 9
[[exclude]]
dataset = "two"
variant = "own"
method = "REML"
[[datasets]]
name = "one"
file = "data.csv"
filter = "y > 1"
focal = "x"
columns = { g = { kind = "factor", levels = ["b", "a"], noun = ["group", "groups"] }, x = { unit = "mm" } }
[[datasets]]
name = "two"
file = "data.csv"
[[datasets.variants]]
name = "own"
formula = "y ~ x * g + (1 | g)"
methods = ["REML", "ML"]
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
        'datasets[1].variants[1].methods[2]: "REMLL" is not valid here; did you mean "REML"?',
    ),
    "no methods": ('["REML", "ML"]', "[]", "datasets[1].variants[1].methods: empty; at least one is needed"),
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
    "two runs with one name": (
        'name = "two words"',
        'name = "Batch"',
        'would both write "dyestuff-batch-reml"; rename one',
    ),
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
    found = [line.partition("study.toml:")[2].split(": ")[:2] for line in message.splitlines()[1:]]
    assert found == [["2", "x"], ["4", "tiemout"], ["14", "datasets[1].variants[1].methods[1]"]]


def test_mistakes_of_form_and_of_meaning_are_listed_together(study_file):
    """What can be read of a study with mistakes is checked too, and nothing is said that only follows from them."""
    text = GOOD.replace("timeout = 5", 'timeout = "5"').replace('name = "Dyestuff"', 'name = "Dyestuff"\nfilter = "a"')
    text = text.replace('formula = "Yield ~ 1 + (1 | Batch)"\nmethods', "formula = 3\nmethods").replace(
        "two words", "2"
    )
    text = (
        text.replace('title = "With a title"\nformula = "Yield', 'formula = "Yeild')
        + "[[exclude]]\nvariant = 'batch'\n"
    )
    with pytest.raises(StudyError) as caught:
        read_study(study_file(text))
    lines = [line.partition("study.toml:")[2] for line in str(caught.value).splitlines()[1:]]
    assert len(lines) == 5
    assert lines[0].startswith("4: timeout: expected a number")
    assert lines[1].startswith("9: datasets[1].filter: the filter `a` names `a`")
    assert lines[2] == "9: datasets[1].filter: toy.ipynb has no parameter filter"
    assert lines[3].startswith("14: datasets[1].variants[1].formula: expected text")
    assert lines[4] == '18: datasets[1].variants[2].formula: Dyestuff has no column "Yeild"; did you mean "Yield"?'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "datasets: missing"),
        ("datasets = []", "datasets: empty; at least one is needed"),
        ("datasets = 3", "datasets: "),
        (
            "[[datasets]]\nname = 'Rail'\nvariants = []",
            'datasets[1]: "Rail" has no variants, the study has none for it',
        ),
        ("\n= 3", "study.toml:2: this is not valid TOML"),
    ],
)
def test_a_study_that_is_none(study_file, text, expected):
    with pytest.raises(StudyError, match="othing was run") as caught:
        read_study(study_file(text))
    assert expected in str(caught.value)


def test_studies_fit_the_schema_that_editors_use():
    check = jsonschema.Draft202012Validator(json.loads(json_schema()))
    shipped = RESOURCES / "notebooks" / "studies" / "default.toml"
    examples = re.findall(
        r"```toml\n(.*?)```", (RESOURCES / "docs" / "studies.md").read_text(encoding="utf-8"), re.DOTALL
    )
    whole = [text for text in (*examples, RICH, shipped.read_text(encoding="utf-8")) if "[[datasets]]" in text]
    assert len(whole) >= 5
    for text in whole:
        check.validate(tomllib.loads(text))
    assert not check.is_valid({"datasets": [{"name": "Rail", "variant": []}]})
    assert not check.is_valid({"datasets": []})


def test_mistakes_do_not_carry_what_a_terminal_would_obey(study_file):
    text = GOOD.replace('"Dyestuff"', '"\\u001b[2J\\u202e"').replace("toy.ipynb", "x" * 5000)
    with pytest.raises(StudyError) as caught:
        read_study(study_file(text))
    message = str(caught.value)
    assert "\x1b" not in message and "\u202e" not in message and r"\x1b[2J\u202e" in message
    assert max(map(len, message.splitlines())) < 700


@pytest.mark.parametrize("content", [None, b"title = 1", b"title =", b"\xff"])
def test_neither_does_the_name_of_the_file(tmp_path, content):
    path = tmp_path / "\x1b[31mred.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_study(path)
    assert "\x1b" not in str(caught.value) and r"\x1b[31mred.toml" in str(caught.value)


def test_every_key_of_a_study_has_its_line():
    for text in POSITIONS:
        assert set(positions(text)) == set(paths(tomllib.loads(text)))


def paths(value, path=()):
    """The paths of all keys and items of what TOML gives."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths(one, (*path, key))


POSITIONS = [
    "",
    "# only a comment\n",
    "a = 1",
    'a = """\n[x]\nb = 2\n"""\nc = 3\n',
    "a.'b.c'.\"d e\" = 0x1F\n[t]\nd = 1979-05-27T07:32:00Z\n[[t.u]]\nq = [\n 1, # c\n [2, 3],\n {a = 1, b.c = 2},\n]\n",
    "[a.b.c]\nx = 1\n[a]\ny = 2\n[a.d]\nz = 3\n",
    "[[a]]\n[[a.b]]\n[a.b.c]\nq = 1\n[[a.b]]\n[a.b.c]\nq = 2\n[[a]]\n[[a.b]]\nk = 1\n",
    "a = {}\nb = []\nc = [[], {}]\n",
    '"\\n" = 2\n[""]\n"ʎ 😀" = "é"\n',
    RICH,
]


def test_a_study_with_a_name_that_is_almost_right(study_file):
    path = study_file(GOOD)
    with pytest.raises(StudyError, match='did you mean "study.toml"'):
        read_study(path.with_name("studi.toml"))
    with pytest.raises(StudyError, match="is a folder; name the study file in it"):
        read_study(path.parent)


def test_no_such_study(tmp_path):
    with pytest.raises(StudyError, match="There is no study file"):
        read_study(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Orthodont", "slope by sex", "REML"), "orthodont-slope-by-sex-reml"),
        (("a/../b", "..\\c", "ML"), "a-b-c-ml"),
        (("<script>", "v1.2", "ML"), "script-v1.2-ml"),
        ((".hidden", "x", ""), "hidden-x"),
    ],
)
def test_file_names_are_readable(parts, name):
    assert safe_name(*parts) == name


HOSTILE = [
    "../../x", "CON", "con.txt", "index", "模型", "モデル", "😀", "😎", "\u202eevil", '"', "'", "a\nb",
    "x" * 300, "y" * 300, "x" * 299 + "z", "...", "-", "Größe", "$#[]", "$$", "@fig-x", "[@key]", "<script>",
    "\0", " ", "a😀", "a😎",
]  # fmt: skip


def test_hostile_names_give_safe_and_distinct_stems():
    stems = [safe_name("Rail", name, "ML") for name in HOSTILE] + [safe_name(name) for name in HOSTILE]
    assert len(set(stems)) == len(stems)
    assert all(map(is_safe, stems))
    assert safe_name("crosscheck") != "crosscheck" and safe_name("run", "") != "run"


def is_safe(stem):
    """Whether no system gives a file name another meaning, and no folder is left."""
    devices = {"con", "prn", "aux", "nul", "com1", "lpt1"}
    words = stem.replace("-", "").replace(".", "")
    plain = words.isascii() and words.isalnum() and stem == stem.lower() and ".." not in stem
    return (
        plain
        and len(stem) <= 120
        and stem.split(".")[0] not in devices
        and stem[0] not in ".-"
        and stem[-1] not in ".-"
    )


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_any_name_gives_a_safe_stem(parts):
    assert is_safe(safe_name(*parts))
    assert safe_name(*parts) == safe_name(*parts)


TOML_LEAF = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.datetimes(), st.times(),
    st.sampled_from(["REML", "html", "Rail", "model_report.ipynb", "Rail ~ 1", "travel > 3", ""]),
)  # fmt: skip
TOML_KEY = st.one_of(
    st.sampled_from([
        "datasets", "variants", "include", "exclude", "name", "file", "formula", "formulas", "names", "methods",
        "title", "timeout", "outputs", "focal", "filter", "parameters", "columns", "templates", "html", "kind",
        "levels", "noun", "compare", "explore", "seed", "dataset", "variant", "notebook",
    ]),
    st.text(max_size=5),
)  # fmt: skip
TOML = st.recursive(
    TOML_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TOML_KEY, inner, max_size=5), max_leaves=20
)


@given(TOML)
def test_whatever_toml_gives_is_judged_and_nothing_raises(value):
    for mistake in find_mistakes(Study, value):
        assert isinstance(mistake, Mistake) and mistake.text and isinstance(key_text(mistake.path), str)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TOML_KEY, TOML, max_size=6))
def test_whatever_a_study_holds_it_is_read_or_refused_in_sentences(content):
    try:
        study_of(content, RESOURCES, name="x", place=lambda one: (0, key_text(one.path)))
    except StudyError as error:
        assert "nothing was run" in str(error)


def test_lines_are_those_of_the_keys():
    text = """\
a.b = 1
"q\\u00e9 x" = { c = [1,
  # a comment
  {d = 2}], 'e'.f = 3 }

[t."x.y"]
[[ds]]
name = "a"
[[ds.variants]]
[[ds.variants]]
n = \'\'\'
two lines\'\'\'
[ds.parameters]
k = 3
[[ds]]
[[ds.variants]]
q = 3
"""
    found = positions(text)
    paths = {
        ("a", "b"): 1, ("qé x", "c", 0): 2, ("qé x", "c", 1, "d"): 4, ("qé x", "e", "f"): 4, ("t", "x.y"): 6,
        ("ds", 0, "name"): 8, ("ds", 0, "variants", 1): 10, ("ds", 0, "parameters", "k"): 14, ("ds", 1): 15,
        ("ds", 1, "variants", 0, "q"): 17,
    }  # fmt: skip
    assert {path: found[path] for path in paths} == paths
    assert line_of(("ds", 0, "variants", 1, "missing"), found) == 10
    assert line_of(("nowhere",), found) == 1


@pytest.fixture
def rich(study_file, tmp_path):
    """A function that writes a study of a data file, with a notebook that takes everything a study sets."""

    def write(text):
        cell = (
            'dataset: str = ""\nfilter: str = ""\ncolumns: dict = {}\nformula: str = ""\nreml: bool = True\n'
            'focal: str = ""\ntitle: str = ""  # what it is called\nlevel: float = 0.9\n'
        )
        cells = [new_code_cell(cell, metadata={"tags": ["parameters"]})]
        nbformat.write(new_notebook(cells=cells), tmp_path / "toy2.ipynb")
        (tmp_path / "data.csv").write_text(DATA, encoding="utf-8")
        return study_file(text)

    return write


def test_include_exclude_and_inherited_keys(rich, tmp_path):
    runs = expand(*read_study(rich(RICH)))
    assert [run.name for run in runs] == ["one-all-ml", "one-some-ml", "two-all-ml", "two-own-ml"]
    values = [{one.name: value for one, value, given in run.parameters if given} for run in runs]
    assert values[0]["columns"] == {
        "g": {"kind": "factor", "levels": ["b", "a"], "noun": ["group", "groups"]},
        "x": {"unit": "mm"},
    }
    assert [value.get("filter", "") for value in values] == ["y > 1", "(y > 1) and (x < 7)", "", ""]
    assert [value["dataset"] for value in values] == ["data.csv"] * 4
    assert all(run.source == tmp_path / "data.csv" for run in runs)
    assert [run.outputs for run in runs] == [("html", "pdf"), ("html",), ("html", "pdf"), ("html", "pdf")]
    assert [run.timeout for run in runs] == [600, 9, 600, 600]
    assert [run.focal for run in runs] == ["x", "", "", ""]  # the second model has no x
    assert "focal" not in values[1] and values[0]["focal"] == "x"


RICH_MISTAKES = {
    "exclude fits nothing": (
        'variant = "own"',
        'variant = "onw"',
        '[1]: fits no run; no variant is called "onw": did you mean "own"?',
    ),
    "exclude fits nothing together": (
        'variant = "own"',
        'variant = "some"',
        "patterns fit runs one by one but none together",
    ),
    "exclude is empty": (
        'dataset = "two"\nvariant = "own"\nmethod = "REML"',
        "",
        "exclude[1]: is empty",
    ),
    "exclude leaves nothing": (
        'dataset = "two"\nvariant = "own"\nmethod = "REML"',
        'dataset = "*"',
        "exclude: no run is left",
    ),
    "include fits nothing": (
        'dataset = "o*"',
        'dataset = "oen"',
        'include[1].dataset: no data set is called "oen"; did you mean "one"?',
    ),
    "include without data sets": (
        'dataset = "o*"',
        "",
        'include[1]: has neither "datasets" nor "dataset"',
    ),
    "no such file": (
        '"data.csv"\nfilter',
        '"dta.csv"\nfilter',
        "(did you mean `data.csv`?)",
    ),
    "column that is not there": (
        "x = { unit",
        "xx = { unit",
        "datasets[1].columns.xx: the data have no column `xx`",
    ),
    "level that is not declared": (
        '["b", "a"]',
        '["b"]',
        "datasets[1].columns.g: `g` holds `a`, which its declared levels",
    ),
    "filter of a column that is not there": (
        "y > 1",
        "z > 1",
        "datasets[1].filter: the filter `z > 1` names `z`",
    ),
    "filter that keeps nothing": (
        "x < 7",
        "x < 0",
        "include[1].filter: one: the filter `x < 0` keeps none of the 4 rows",
    ),
    "filters that keep nothing together": (
        "x < 7",
        "x < 3",
        "include[1].filter: one: the filter `(y > 1) and (x < 3)` keeps",
    ),
    "formula of a column that is not there": (
        "y ~ x * g",
        "y ~ x * gg",
        'variants[1].formula: two has no column "gg"; did',
    ),
    "focal coefficient of no model": (
        'focal = "x"',
        'focal = "xx:y"',
        'datasets[1].focal: no model here has a coefficient "xx:y"',
    ),
    "focal level that is not there": (
        'formula = "y ~ x * g + (1 | g)"',
        'formula = "y ~ x + g + (1 | g)"\nfocal = "g[A]"',
        'datasets[2].variants[1].focal: no model here has a coefficient "g[A]"; did you mean "g[T.b]"?',
    ),
    "noun without a plural": (
        '["group", "groups"]',
        '["group"]',
        "datasets[1].columns.g.noun: expected a list of 2, got 1",
    ),
    "weights that are no column": (
        'name = "own"',
        'name = "own"\nnotebook = "model_report.ipynb"\nparameters = { weights = "xy" }',
        'variants[1].parameters.weights: two has no column "xy"; did you mean "y"?',
    ),
    "model without random effects": (
        'formula = "y ~ x * g + (1 | g)"',
        'notebook = "model_report.ipynb"\nformula = "y ~ x"',
        "variants[1].formula: y ~ x has no random effects; add at least one",
    ),
    "residual structure that cannot be read": (
        'name = "own"',
        'name = "own"\nnotebook = "model_report.ipynb"\nresidual = "ar2(x | g)"',
        "variants[1].residual: `ar2` is not a residual structure",
    ),
    "residual structure of a column that is not there": (
        'name = "own"',
        'name = "own"\nnotebook = "model_report.ipynb"\nresidual = "ar1(xx | g)"',
        'variants[1].residual: two has no column "xx"; did you mean "x"?',
    ),
    "residual structure among the parameters": (
        'name = "own"',
        'name = "own"\nnotebook = "model_report.ipynb"\nparameters = { residual = "cs(g)" }',
        "variants[1].parameters.residual: is not set here but by the key residual",
    ),
    "residual structure for a notebook that has none": (
        'name = "own"',
        'name = "own"\nresidual = "cs(g)"',
        "variants[1].residual: ",
    ),
    "name that is empty": (
        'name = "own"',
        'name = ""',
        "datasets[2].variants[1].name: is empty",
    ),
    "timeout that never ends": (
        "timeout = 9",
        "timeout = inf",
        "include[1].timeout: expected a number of seconds, got inf",
    ),
    "template folder that is not there": (
        "[[variants]]",
        'templates.html = "mine"\n[[variants]]',
        'there is no folder "mine"',
    ),
    "template folder without a template": (
        "[[variants]]",
        'templates.pdf = "."\n[[variants]]',
        "has no index.typ.j2",
    ),
    "comparison of one model": (
        'file = "data.csv"\nfilter',
        'file = "data.csv"\ncompare = true\nfilter',
        "datasets[1].compare: the variants have different filters",
    ),
    "formulas for one model": (
        'formula = "y ~ x * g + (1 | g)"',
        'formulas = ["y ~ x"]',
        'has no parameter formulas; it takes the key "formula"',
    ),
    "output of no kind": (
        '["html"]',
        '["htm"]',
        '"htm" is not valid here; did you mean "html"?',
    ),
    "a notebook that is none": (
        '"toy2.ipynb"',
        '"study.toml"',
        "study.toml cannot be read as a notebook",
    ),
}


@pytest.mark.parametrize("mistake", RICH_MISTAKES)
def test_each_mistake_of_a_rich_study_has_its_sentence(rich, mistake):
    old, new, expected = RICH_MISTAKES[mistake]
    assert old in RICH
    with pytest.raises(StudyError) as caught:
        expand(*read_study(rich(RICH.replace(old, new))))
    assert expected in str(caught.value)


TEMPLATES = {
    '{% extends "lmm_html/index.html.j2" %}\n{% block logo %}': "house/index.html.j2, line 2: ",
    '{% extends "lmm_htm/index.html.j2" %}': 'no template "lmm_htm/index.html.j2"; did you mean "lmm_html/index.h',
    '{% include "mine.j2" %}': 'house/index.html.j2: there is no template "mine.j2"; ',
    "\udcff": "house/index.html.j2 cannot be read (",
}


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_that_cannot_be_read_is_found_before_anything_runs(study_file, tmp_path, text):
    (tmp_path / "house").mkdir()
    page = tmp_path / "house" / "index.html.j2"
    page.write_bytes(text.encode("utf-8", "surrogateescape"))
    study = study_file(GOOD.replace('title = "Toy"', 'title = "Toy"\ntemplates.html = "house"'))
    with pytest.raises(StudyError) as caught:
        read_study(study)
    assert "toml:3: templates.html: " in str(caught.value) and TEMPLATES[text] in str(caught.value)
    page.write_text('{% extends "lmm_html/index.html.j2" %}{% for i in [1] %}{% break %}{% endfor %}')
    assert read_study(study)[1].templates == {"html": tmp_path / "house"}


def test_models_are_compared_with_the_weights_that_all_have(study_file):
    text = """
[[datasets]]
name = "Orthodont"
compare = true
[[datasets.variants]]
name = "level"
formula = "distance ~ 1 + (1 | Subject)"
parameters.weights = "age"
[[datasets.variants]]
name = "line"
formula = "distance ~ age + (1 | Subject)"
parameters.weights = "age"
"""
    comparison = expand(*read_study(study_file(text)))[-1]
    assert {one.name: value for one, value, _ in comparison.parameters}["weights"] == "age"
    with pytest.raises(StudyError, match=r"toml:4: datasets\[1\].compare: the variants have different weights; only"):
        read_study(study_file(text.removesuffix('parameters.weights = "age"\n')))


def test_models_with_residual_structures_of_their_own_are_compared(study_file):
    text = """
[[datasets]]
name = "Orthodont"
compare = true
explore = true
residual = "cs(Subject)"
[[datasets.variants]]
name = "all alike"
formula = "distance ~ age"
[[datasets.variants]]
name = "pairs"
formula = "distance ~ age"
residual = "us(age | Subject)"
[[datasets.variants]]
name = "again"
formula = "distance ~ age"
residual = "us(age | Subject)"
[[datasets.variants]]
name = "effects"
formula = "distance ~ age + (1 | Subject)"
residual = ""
"""
    runs = {run.variant: run for run in expand(*read_study(study_file(text)))}
    given = {name: {one.name: value for one, value, _ in run.parameters} for name, run in runs.items()}
    assert [given[name].get("residual") for name in ("all alike", "pairs", "effects")] == [
        "cs(Subject)", "us(age | Subject)", "",
    ]  # fmt: skip
    compared = given["comparison"]
    assert compared["names"] == ["all alike", "pairs", "effects"] and compared["residual"] == ""
    assert compared["residuals"] == ["cs(Subject)", "us(age | Subject)", ""]
    assert runs["pairs"].formula == "distance ~ age, residuals us(age | Subject)"
    with pytest.raises(StudyError, match=r"variants\[4\].formula: distance ~ age has no random effects"):
        read_study(study_file(text.replace("distance ~ age + (1 | Subject)", "distance ~ age")))
    several = """
[[datasets]]
name = "Orthodont"
[[datasets.variants]]
name = "both"
notebook = "model_comparison.ipynb"
formulas = ["distance ~ age", "distance ~ age"]
residuals = ["cs(Subject)", ""]
"""
    (run,) = expand(*read_study(study_file(several)))
    assert run.formula == "distance ~ age, residuals cs(Subject); distance ~ age"
    with pytest.raises(StudyError, match="residuals: 1 residual structure for 2 formulas"):
        read_study(study_file(several.replace(', ""]', "]")))
    with pytest.raises(StudyError, match=r"residuals\[2\]: Orthodont has no column"):
        read_study(study_file(several.replace(', ""]', ', "cs(Subjct)"]')))


def test_models_that_are_compared_have_names_of_their_own(study_file):
    text = """
[[datasets]]
name = "Orthodont"
compare = true
[[datasets.variants]]
name = "line"
formula = "distance ~ 1 + (1 | Subject)"
[[datasets.variants]]
name = "line"
methods = ["ML"]
formula = "distance ~ age + (1 | Subject)"
"""
    with pytest.raises(StudyError, match=r'toml:4: datasets\[1\].compare.names: "line" names more than one model;'):
        read_study(study_file(text))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("my data.csv", b"y,x\n1,2\n", "my data.csv' --formula 'y ~ x + (x | g)'. Nothing was run."),
        ("study.toml", b'title = "a"\n# \xe4\n', "study.toml:2: this is not UTF-8; save the file as UTF-8."),
    ],
)
def test_a_file_that_is_no_study(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_study(tmp_path / name)
    assert expected in str(caught.value)


FOCAL = {
    ("age * Sex", "age:Sex[T.Female]"): "age:Sex[T.Female]",
    ("age * Sex", "Sex[T.Female]:age"): "age:Sex[T.Female]",
    ("age * Sex", "Sex[Female]"): "Sex[T.Female]",
    ("age * Sex", "SexFemale"): "Sex[T.Female]",
    ("age * Sex", "(Intercept)"): "Intercept",
    ("age", "age"): "age",
    ("0 + Sex + age:Sex", "Sex[Male]"): "Sex[Male]",
    ("poly(age, 2) * Sex", "poly(age, 2)[2]:Sex[T.Female]"): "poly(age, 2)[2]:Sex[T.Female]",
    ("I(age^2)", "I(age^2)"): "I(age ** 2)",
    ("C(Sex, contr.sum) * age", "C(Sex, contr.sum)[S.Male]:age"): "C(Sex, contr.sum)[S.Male]:age",
    ("factor(age)", "factor(age)[T.10]"): "C(age)[T.10]",
    ("offset(age) + Sex", "Sex[T.Female]"): "Sex[T.Female]",
}


@pytest.mark.parametrize(("fixed", "asked"), FOCAL)
def test_the_focal_coefficient_is_called_as_in_the_fit(study_file, fixed, asked):
    head = f'[[datasets]]\nname = "Orthodont"\n[[datasets.variants]]\nname = "v"\nfocal = "{asked}"\n'
    formula = f"distance ~ {fixed} + (1 | Subject)"
    (run,) = expand(*read_study(study_file(f'{head}formula = "{formula}"\n')))
    assert run.focal == FOCAL[fixed, asked]
    assert {one.name: value for one, value, _ in run.parameters}["focal"] == run.focal
    assert run.focal in build_design(formula, load_dataset("Orthodont")).fixed_names


@pytest.mark.parametrize("asked", ["Sex[T.Male]", "Sex", "Subject", "age:Subject", "sex[T.Female]"])
def test_a_focal_coefficient_that_no_model_has(study_file, asked):
    head = f'focal = "{asked}"\n[[datasets]]\nname = "Orthodont"\n[[datasets.variants]]\nname = "v"\n'
    with pytest.raises(StudyError, match=r'toml:1: focal: no model here has a coefficient "') as caught:
        read_study(study_file(head + 'formula = "distance ~ age * Sex + (1 | Subject)"\n'))
    assert "Sex[T.Female]" in str(caught.value)


def test_a_focal_coefficient_is_asked_only_of_models_that_have_it(study_file):
    text = """
focal = "Sex[T.Female]"
[[variants]]
name = "all"
formula = "distance ~ age + Sex + (1 | Subject)"
[[variants]]
name = "alike"
formula = "distance ~ age + (1 | Subject)"
[[datasets]]
name = "Orthodont"
"""
    assert [run.focal for run in expand(*read_study(study_file(text)))] == ["Sex[T.Female]", ""]


def test_a_comparison_and_an_exploration_are_runs_of_their_own(study_file):
    text = """
    focal = "age"
    [[datasets]]
    name = "Orthodont"
    filter = "Sex == 'Male'"
    compare = true
    explore = true
    [[datasets.variants]]
    name = "a"
    formula = "distance ~ 1 + (1 | Subject)"
    [[datasets.variants]]
    name = "b"
    formula = "distance ~ age + (1 | Subject)"
    methods = ["REML", "ML"]
    [[datasets.variants]]
    name = "b again"
    formula = "distance ~ age + (1 | Subject)"
    [[datasets.variants]]
    name = "c"
    formula = "distance ~ age + (age | Subject)"
    """
    runs = {run.name: run for run in expand(*read_study(study_file(text)))}
    names = ["exploration", "a-reml", "b-reml", "b-ml", "b-again-reml", "c-reml", "comparison"]
    assert list(runs) == [f"orthodont-{name}" for name in names]
    compared = {one.name: value for one, value, given in runs["orthodont-comparison"].parameters if given}
    assert compared == {
        "dataset": "Orthodont",
        "filter": "Sex == 'Male'",
        "formulas": [
            "distance ~ 1 + (1 | Subject)",
            "distance ~ age + (1 | Subject)",
            "distance ~ age + (age | Subject)",
        ],
        "names": ["a", "b", "c"],
        "title": "Orthodont: models compared",
        "focal": "age",
    }
    explored = {one.name: value for one, value, given in runs["orthodont-exploration"].parameters if given}
    assert explored["formula"] == "distance ~ age + (age | Subject)"
    assert (
        runs["orthodont-exploration"].method == ""
        and runs["orthodont-exploration"].notebook.name == "exploration.ipynb"
    )


def test_the_schema_in_the_docs_is_the_one_that_is_printed():
    text = (RESOURCES / "docs" / "study.schema.json").read_text(encoding="utf-8")
    assert text == json_schema()
    assert json.loads(text)["$defs"]["Variant"]["required"] == ["name"]


def test_every_study_in_the_docs_is_valid(tmp_path):
    """Examples that are studies are read as they stand; fragments are completed by the first of them."""
    text = (RESOURCES / "docs" / "studies.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) >= 4
    (tmp_path / "growth.csv").write_bytes((RESOURCES / "data" / "Orthodont.csv").read_bytes())
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "index.html.j2").write_text("", encoding="utf-8")
    for number, example in enumerate(examples):
        whole = example if example.startswith("#:schema") or "[[datasets]]" in example else example + examples[0]
        path = tmp_path / f"study{number}.toml"
        path.write_text(whole, encoding="utf-8")
        assert expand(*read_study(path)), example


def test_structures_of_a_covariance_report_are_read_before_it_runs(study_file):
    text = """
[[datasets]]
name = "Orthodont"
[[datasets.variants]]
name = "covariance"
notebook = "covariance_report.ipynb"
formula = "distance ~ age"
residual = "cs(Subject)"
parameters = { time = "agee", group = "Subject", structures = ["independent", "cs(Subj)", "foo(age)"] }
"""
    with pytest.raises(StudyError) as caught:
        read_study(study_file(text))
    for said in (
        'parameters.time: Orthodont has no column "agee"; did you mean "age"?',
        'parameters.structures: Orthodont has no column "Subj"; did you mean "Subject"?',
        "parameters.structures: `foo` is not a residual structure",
        "residual: `cs(Subject)` is not among the structures compared",
    ):
        assert said in str(caught.value)
    right = text.replace("agee", "age").replace('"cs(Subj)", "foo(age)"', '"cs(Subject)"')
    assert expand(*read_study(study_file(right)))


def test_a_covariance_report_is_no_model_to_compare_unless_its_structure_is_given(study_file):
    text = """
[[datasets]]
name = "Orthodont"
compare = true
[[datasets.variants]]
name = "level"
formula = "distance ~ age + (1 | Subject)"
[[datasets.variants]]
name = "line"
formula = "distance ~ age + (age | Subject)"
[[datasets.variants]]
name = "covariance"
notebook = "covariance_report.ipynb"
formula = "distance ~ age"
"""
    for more, names in (("", ["level", "line"]), ('residual = "cs(Subject)"\n', ["level", "line", "covariance"])):
        comparison = expand(*read_study(study_file(text + more)))[-1]
        assert {one.name: value for one, value, _ in comparison.parameters}["names"] == names
