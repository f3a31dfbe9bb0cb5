"""The published numbers that come with the package: all computed, and each that is not reproduced looked at."""

import json
from collections import Counter

import pytest

import lmmtools as lt

pytestmark = pytest.mark.slow

# Of each source: how many numbers were read in it to begin with, and how many of all that it has are not accounted for.
READ = {
    "bates_2015": (38, 6),
    "de_leeuw": (24, 0),
    "mixedmodels_jl": (39, 8),
    "mlmsoftrev": (52, 22),
    "pbkrtest": (12, 0),
    "pinheiro_bates_1": (113, 3),
    "pinheiro_bates_4_5": (102, 0),
    "star_data": (17, 0),
}


@pytest.fixture(scope="module")
def found():
    """All of them, computed once for all tests here."""
    return lt.replicate(jobs=1)


def test_every_number_has_a_verdict_and_none_is_an_error(found):
    assert [source.name for source in found.sources] == list(READ)
    assert [(one.where, one.remark) for one in found.entries if one.verdict == "error"] == []
    assert [source.problems for source in found.sources if source.problems] == []
    failed = {f"{one.name}: {m.name}" for one in found.sources for m in one.models.values() if m.message}
    assert failed == {"de_leeuw: diagonal_free", "de_leeuw: free_free"}  # as printed: their likelihood has no maximum


@pytest.mark.parametrize("name", READ)
def test_what_is_not_reproduced_is_little_and_has_been_looked_at(found, name):
    least, misses = READ[name]
    entries = found.source(name).entries
    assert len(entries) >= least
    assert sum(not one.good for one in entries) <= misses
    assert [one.where for one in entries if not one.looked_at] == []
    assert [one.where for one in entries if one.reason and one.verdict == "reproduced"] == []
    places = found.source(name).places  # nor does a table give a reason that none of its numbers needs
    assert [one.place for one in places if one.entries[0].table_reason and not one.remark] == []


def test_a_miss_tells_what_was_tried(found):
    for one in found.entries:
        well = one.verdict in ("reproduced", "truncated") or (one.verdict == "no estimate" and one.good)
        assert (one.search is None) == well, one.where
        assert one.remark or well, one.where


def test_every_fit_is_certified(found):
    fits = Counter(model.status for source in found.sources for model in source.models.values() if not model.message)
    assert set(fits) <= {"certified", "certified at the boundary", ""}, fits


def test_the_json_is_complete(found):
    json_ = json.loads(found.to_json())
    assert sum(len(place["entries"]) for source in json_["sources"] for place in source["places"]) == len(found.entries)
    assert json_["good"]
    assert found.summary.loc["all", "numbers"] == len(found.entries) >= 397
