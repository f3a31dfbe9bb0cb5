"""Ledgers: what they hold, that every mistake is placed, and that none costs more than the number it is in."""

import json
import pickle
from pathlib import Path

import msgspec
import pytest

import lmmtools as lt
from lmmtools.errors import StudyError
from lmmtools.replication.computing.groups import grouped
from lmmtools.replication.ledger.reading import read_ledger
from lmmtools.replication.ledger.schema import Source
from lmmtools.toml import find_mistakes

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "data" / "published").glob("*.toml"))

GOOD = """\
title = "A paper"
citation = "Somebody (2000). A paper."
read = "the paper itself"

[models.fm1]
printed = "lmer(travel ~ 1 + (1 | Rail))"
data = "Rail"
formula = "travel ~ 1 + (1 | Rail)"

[models.fm2]
data = "Orthodont"
growth = "distance ~ age | Subject"
between = "~ Sex"
within = "~ age"

[[tables]]
place = "Table 1"
page = "12"
model = "fm1"
numbers = [
  { quantity = "criterion", printed = "122.2", path = "criterion" },
  { quantity = "σ", printed = "4.0208", path = "sigma", line = "7" },
]

[[tables]]
place = "Table 2"
numbers = [
  { quantity = "deviance", printed = "221", path = "deviance", model = "fm2" },
]
"""


@pytest.fixture
def ledger(tmp_path):
    """Reads a text as a ledger."""

    def read(text=GOOD, **changes):
        for old, new in changes.values():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        return read_ledger(path)

    return read


def faults(found):
    return [entry.fault for entry in found.entries]


def test_what_a_ledger_says_is_read(ledger):
    found = ledger()
    assert (found.name, found.title, found.read) == ("own", "A paper", "the paper itself")
    assert list(found.models) == ["fm1", "fm2"]
    assert found.problems == ()
    assert faults(found) == ["", "", ""]
    first, second, third = found.entries
    assert (first.place, first.page, first.model, first.path, first.at) == ("Table 1", "12", "fm1", "criterion", 21)
    assert (second.where, second.line, second.number.digits) == ("own.toml:22", "7", 5)
    assert (third.place, third.page, third.model, third.table) == ("Table 2", "", "fm2", 1)


def test_a_ledger_can_be_sent_to_another_process_and_not_be_changed(ledger):
    found = ledger()
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(TypeError):
        found.models["fm3"] = found.models["fm1"]
    with pytest.raises(AttributeError):
        found.models["fm1"].data = "sleepstudy"


# what is changed, the numbers it costs, and what the first of them says
COSTLY = [
    ('printed = "122.2"', 'printed = "about 122"', {0},
     'own.toml:21: tables[1].numbers[1].printed: "about 122" is not a number as printed'),
    ('printed = "122.2"', 'printed = "about 122"', {0}, "is not a number as printed: digits with a point"),
    ('printed = "122.2"', "printed = 122.2", {0}, "own.toml:21: tables[1].numbers[1].printed: expected text, got"),
    ('printed = "4.0208", ', "", {1}, "own.toml:22: tables[1].numbers[2].printed: missing"),
    ('path = "sigma"', 'paths = "sigma"', {1}, 'tables[1].numbers[2].paths: unknown key; did you mean "path"?'),
    ('path = "sigma"', 'path = ""', {1}, "tables[1].numbers[2].path: is empty"),
    ('model = "fm2"', 'model = "fm3"', {2}, 'own.toml:28: tables[2].numbers[1].model: there is no model "fm3"; did'),
    ('model = "fm1"', 'model = "fmm"', {0, 1}, 'of its table: there is no model "fmm"; did you mean "fm'),
    (', model = "fm2"', "", {2}, "neither it nor its table names a model; valid here: fm1, fm2"),
    ('model = "fm1"', "model = 3", {0, 1}, "tables[1].numbers[1]: the model of its table is not a text"),
    ('path = "sigma"', 'path = " "', {1}, "tables[1].numbers[2].path: holds nothing but blanks"),
    ('data = "Rail"', 'dataset = "Rail"', {0, 1}, "its model is malformed: own.toml:7: models.fm1.dataset: unknown k"),
    ('data = "Rail"', 'data = "Rail"\nsigma = "free"', {0, 1}, "models.fm1.sigma: a mixed model has none"),
    ('data = "Rail"', 'data = "Rail"\nmethod = "RELM"', {0, 1}, 'models.fm1.method: "RELM" is not valid here; did yo'),
    ('within = "~ age"', "", {2}, "models.fm2.within: missing; a growth curve has growth, between and within"),
    ('growth = "distance ~ age | Subject"', "", {2}, "it has neither formula nor growth"),
    ('between = "~ Sex"', 'between = "~ Sex"\nformula = "y ~ x + (1 | g)"', {2}, "it has both formula and growth"),
    ('between = "~ Sex"', 'between = "~ Sex"\nmethod = "ML"', {2}, "models.fm2.method: a growth curve has none"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "costs", "said"), COSTLY)
def test_a_mistake_is_placed_and_costs_only_the_numbers_that_need_it(ledger, old, new, costs, said):
    found = ledger(one=(old, new))
    assert {place for place, text in enumerate(faults(found)) if text} == costs
    assert said in found.entries[min(costs)].fault
    assert found.entries[min(costs)].where.startswith("own.toml:")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('citation = "Somebody (2000). A paper."\n', "", 1, "citation: missing"),
        ('read = "the paper itself"', "read = 3", 3, "read: expected text, got an integer"),
        ('title = "A paper"', 'title = "A paper"\ntitel = "x"', 2, 'titel: unknown key; did you mean "title"?'),
        ('place = "Table 2"\n', "", 25, "tables[2].place: missing"),
        ('place = "Table 2"', 'place = "Table 2"\npages = "3"', 27, 'tables[2].pages: unknown key; did you mean "page'),
        ('page = "12"', "page = 12", 18, "tables[1].page: expected text, got an integer"),
    ],
)  # fmt: skip
def test_a_mistake_in_no_number_costs_none(ledger, old, new, line, said):
    found = ledger(one=(old, new))
    assert faults(found) == ["", "", ""]
    assert [at for at, _ in found.problems] == [line]
    assert found.problems[0][1].startswith(f"own.toml:{line}: {said}")


VARIANT = """
[[variants]]
name = "ML for REML"
models = ["fm1"]
change = { method = "ML" }
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"ML" }', '"LM" }', 'variants[1].change.method: "LM" is not valid here; valid here: REML, ML'),
        ("method =", "methods =", 'variants[1].change.methods: unknown key of a model; did you mean "method"?'),
        ('["fm1"]', '["fm9"]', 'variants[1].models[1]: there is no model "fm9"; did you mean "fm'),
        ('change = { method = "ML" }', "", "variants[1].change: missing"),
        ('{ method = "ML" }', "{}", "variants[1].change: "),
    ],
)
def test_a_malformed_variant_is_not_tried(ledger, old, new, said):
    text = GOOD + VARIANT
    assert [one.name for one in ledger(text).variants] == ["ML for REML"]
    found = ledger(text, one=(old, new))
    assert found.variants == ()
    assert faults(found) == ["", "", ""]
    assert any(said in text for _, text in found.problems)


@pytest.mark.parametrize("text", ["", "tables = 3", "models = []", "[[tables]]", "tables = [1, [2]]", "models.a = 1",
                                  'tables = [{ numbers = [1, "a", {}] }]', "variants = [3, {}]"])  # fmt: skip
def test_whatever_the_file_holds_its_mistakes_are_listed(ledger, text):
    found = ledger(text)
    assert found.title == "own"
    assert found.problems
    assert all(entry.fault for entry in found.entries)


def test_what_is_no_toml_is_refused_by_its_line(ledger, tmp_path):
    with pytest.raises(StudyError, match=r"own\.toml:2: this is not valid TOML"):
        ledger("title = 'A'\nnumbers = [")
    with pytest.raises(StudyError, match=r'There is no ledger .*ownn\.toml \(did you mean "own.toml"\?\)'):
        read_ledger(tmp_path / "ownn.toml")


def test_models_that_numbers_need_together_are_computed_together(ledger):
    text = (
        GOOD
        + """
[models.fm3]
data = "Rail"
formula = "travel ~ 1 + (1 | Rail)"
printed = "the first once more"

[models.fm4]
data = "Rail"
formula = "travel ~ 1 + (1 | Rail)"
method = "ML"

[[tables]]
place = "Table 3"
model = "fm4"
numbers = [{ quantity = "LR", printed = "1.0", path = "lrt(fm4, fm5).chisq" }]

[models.fm5]
data = "Orthodont"
formula = "distance ~ age + (1 | Subject)"
"""
    )
    groups = grouped([ledger(text)])
    assert [{name for _, name in group.models} for group in groups] == [{"fm1", "fm3"}, {"fm2"}, {"fm4", "fm5"}]
    assert [[j for _, j in group.entries] for group in groups] == [[0, 1], [2], [3]]
    both = grouped([ledger(text), ledger(text)])
    assert [len(group.models) for group in both] == [4, 2, 4]  # the same in another ledger is fitted once


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_ledgers_that_come_with_the_package_have_no_mistakes(path):
    found = read_ledger(path)
    assert found.problems == ()
    assert [entry.fault for entry in found.entries if entry.fault] == []
    assert all(entry.read or found.read for entry in found.entries)
    used = {entry.model for entry in found.entries} | {n for e in found.entries for n in found.models if n in e.path}
    assert set(found.models) == used, "a model that no number needs"


def test_the_ledgers_that_come_with_the_package_are_listed():
    found = lt.published()
    assert list(found.index) == [one.stem for one in SHIPPED]
    assert found["numbers"].min() >= 12


def test_the_schema_in_the_docs_is_the_one_that_is_printed():
    text = (ROOT / "docs" / "ledger.schema.json").read_text(encoding="utf-8")
    assert text == lt.ledger_schema()
    assert json.loads(text)["$defs"]["Number"]["required"] == ["quantity", "printed", "path"]


def test_every_key_is_explained_to_editors():
    """Completion in an editor is where most people will read what a key means."""
    for name, kind in json.loads(lt.ledger_schema())["$defs"].items():
        about = kind["properties"]
        bare = [key for key in about if "description" not in str(about[key]) and "$ref" not in about[key]]
        assert set(bare) <= {"page", "line", "tables", "models"}, name


def test_the_types_agree_with_the_check_of_mistakes(ledger):
    import tomllib

    content = tomllib.loads(GOOD + VARIANT)
    assert find_mistakes(Source, content) == []
    assert msgspec.convert(content, Source).models["fm1"].data == "Rail"
