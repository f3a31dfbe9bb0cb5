"""docs/replication.md: its example is a ledger that runs as the page says, and its tables name what there is."""

import json
import re
from pathlib import Path

import pytest

import lmmtools as lt
from lmmtools.replication.quantities import path_forms
from lmmtools.replication.verdicts import STATUSES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "replication.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """Cells of the first table after a text of the page."""
    lines = PAGE[PAGE.index(title) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|---"))
    table = []
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return table


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The ledger of the page, run."""
    path = tmp_path_factory.mktemp("own") / "dyestuff.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[1], encoding="utf-8")
    return lt.replicate(path, jobs=1)


def test_the_example_runs_as_the_page_says(example):
    said = PAGE.index("What the run says of the file above")
    shown = re.search(r"```text\n(.*?)```", PAGE[said:], flags=re.DOTALL)[1]
    table = repr(example.table("dyestuff")[["quantity", "printed", "computed", "verdict"]])
    remarks = [f"{one.quantity}: {one.remark}" for one in example.entries if one.remark]
    assert shown.split() == " ".join([table, *remarks]).split()
    assert example.good


def test_the_python_of_the_page_prints_what_stands_below_it(capsys):
    code, shown = re.search(r"```python\n(.*?)```\n+```text\n(.*?)```", PAGE, flags=re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out.split() == shown.split()


def test_every_verdict_is_explained():
    assert [cells[0].strip("`") for cells in rows("## Verdicts")] == list(STATUSES)


@pytest.mark.parametrize(
    ("title", "kind"),
    [("At the top of the file:", "Source"), ("Of a model, `[", "Model"), ("Of a place, `[", "Table"),
     ("Of a number, `{", "Number"), ("Of a variant, `[", "Variant")],
)  # fmt: skip
def test_every_key_is_explained_as_editors_explain_it(title, kind):
    schema = json.loads(lt.ledger_schema())["$defs"][kind]
    table = rows(title)
    assert [cells[0].strip("`") for cells in table] == list(schema["properties"])
    assert [key for key, _, needed in table for key in [key.strip("`")] if needed] == schema["required"]
    for (_, meaning, _), about in zip(table, schema["properties"].values(), strict=True):
        assert meaning == about.get("description", meaning)


@pytest.mark.parametrize("kind", ["mixed model", "growth curve"])
def test_every_path_is_listed(kind):
    assert {cells[0].strip("`"): cells[1] for cells in rows(f"Of a {kind} (")} == path_forms()[kind]


def test_the_json_has_the_keys_that_the_page_names(example):
    found = json.loads(example.to_json())
    [source] = found["sources"]
    [place] = source["places"]
    missed = next(one for one in place["entries"] if one["search"])
    parts = {"": found, "sources": source, "sources[].models": source["models"]["dye"], "sources[].places": place,
             "sources[].places[].entries": missed, "…entries[].search": missed["search"]}  # fmt: skip
    table = rows("## The numbers as JSON")
    said = {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[1])) - {"null"} for cells in table}
    assert [key for key in said if "[]" not in key] == list(found)
    for key, value in parts.items():
        if key:
            assert said[key] - {"at", "text"} >= set(value) - {"at", "text"}, key
    assert {"name", "stated", "says", "computed", "prints"} == set(missed["search"]["alternatives"][0])
    assert place["place"] == "Table 3.2"
    assert missed["verdict"] == "variant"
    assert 0 < missed["search"]["chance"] < 0.05
