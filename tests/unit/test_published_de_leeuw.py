"""The ledger of de Leeuw (2004): every number of his tables and text, and what becomes of each."""

from collections import Counter

import pytest

import lmmtools as lt

ODD = {
    "diagonal, free: deviance": ("-inf", "no estimate"),
    "free, free: deviance": ("-inf", "no estimate"),
    "random, equal: deviance": ("240", "truncated"),
    "random, free: deviance": ("-inf", "variant"),
    "σ², B free and Σ scalar": ("0.85", "truncated"),
}


@pytest.fixture(scope="module")
def found():
    return lt.replicate("de_leeuw", jobs=1)


def test_all_is_good_and_what_is_not_reproduced_is_known(found):
    assert found.good
    odd = {one.quantity: (one.printed, one.verdict) for one in found.entries if one.verdict != "reproduced"}
    assert odd == ODD


def test_every_printed_number_is_there_once(found):
    places = Counter(one.place.split(",")[0] for one in found.entries)
    assert places["Table 1"] == 24 and places["Table 2"] == 10 and len(found.entries) == 36
    assert len({one.quantity for one in found.entries}) == 36
    cells = [one.printed for one in found.entries if one.place.startswith("Table 1")]
    assert [f"{deviance}({count})" for deviance, count in zip(cells[::2], cells[1::2], strict=True)] == [
        "307(3)", "280(5)", "91(55)", "305(6)", "279(8)", "-inf(58)",
        "233(12)", "221(14)", "-inf(64)", "240(6)", "229(8)", "-inf(58)",
    ]  # fmt: skip
