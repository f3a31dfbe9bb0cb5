"""The bibliography: complete entries, citations as text, and a way to the nearest key."""

import json
import re

import pytest

from lmmtools.bibliography import BIBLIOGRAPHY, cite, references
from lmmtools.errors import LMMError

ENTRIES = json.loads(BIBLIOGRAPHY.read_text(encoding="utf-8"))
BY_KEY = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["id"] for entry in ENTRIES])


def test_keys_are_sorted_and_unique():
    keys = [entry["id"] for entry in ENTRIES]
    assert keys == sorted(set(keys))
    assert list(references()) == keys


@BY_KEY
def test_an_entry_has_all_that_a_reference_list_prints(entry):
    needed = {
        "article-journal": {"container-title", "volume", "page", "DOI"},
        "paper-conference": {"container-title", "page", "DOI"},
        "book": {"publisher", "publisher-place"},
    }
    assert needed[entry["type"]] | {"id", "author", "issued", "title"} <= set(entry)
    assert all(author["family"] and author["given"] for author in entry["author"])


@BY_KEY
def test_a_key_is_the_first_author_and_the_year(entry):
    year = entry["issued"]["date-parts"][0][0]
    assert entry["id"] == f"{entry['author'][0]['family'].lower()}{year}"


@BY_KEY
def test_pages_and_dois_are_written_as_csl_wants_them(entry):
    assert re.fullmatch(r"10\.\d{4,}/\S+", entry.get("DOI", "10.1000/none"))
    first, _, last = entry.get("page", "").partition("-")
    assert not last or int(first) < int(last)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("bates2015",), "Bates et al. (2015)"),
        (("@laird1982",), "Laird & Ware (1982)"),
        (("harville1977",), "Harville (1977)"),
        (("patterson1971", "harville1977"), "Patterson & Thompson (1971); Harville (1977)"),
    ],
)
def test_names_in_running_text(keys, text):
    assert cite(*keys) == text


def test_names_in_brackets():
    assert cite("laird1982", "bates2015", parenthetical=True) == "(Laird & Ware, 1982; Bates et al., 2015)"


def test_an_unknown_key_is_told_with_the_nearest():
    with pytest.raises(LMMError, match=r"no reference `bates2014` \(did you mean `bates2015`\?\)"):
        cite("bates2014")


def test_no_key_is_a_mistake():
    with pytest.raises(LMMError, match="no key was given"):
        cite()


def test_entries_cannot_be_changed():
    with pytest.raises(TypeError):
        references()["bates2015"]["title"] = "another"


def test_every_entry_is_cited_somewhere():
    root = BIBLIOGRAPHY.parent.parent
    sources = [*root.glob("lmmtools/prose/*.py"), *root.glob("notebooks/*.ipynb")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [entry["id"] for entry in ENTRIES if f"@{entry['id']}" not in text] == []
