"""One value, three renderings: the same strings everywhere, escaped by each medium's own rules."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lmmtools.errors import LMMError
from lmmtools.tables import Column, Table, identifier, typst_string

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
HOSTILE = (
    "<script>alert(1)</script>",
    "$x$ #panic() [b] *c* _d_",
    "$$",
    "\"'\\",
    "two\nlines",
    "&amp;",
    "<!--",
    "@tbl-a",
)


@pytest.fixture
def coefficients():
    columns = (
        Column("term", "Term", header=True),
        Column("estimate", "Estimate", "estimate"),
        Column("p", "p", "p"),
    )
    rows = (("Intercept", 16.7611, 1e-30), ("age", -0.66019, 0.0421), ('Sex["F"] & $', None, float("nan")))
    return Table(columns, rows, "Fixed effects", "tbl-coef", ("z tests.", "n = 108."))


@pytest.fixture
def hostile():
    rows = tuple((text, 1.0) for text in HOSTILE)
    return Table((Column(HOSTILE[0], header=True), Column(HOSTILE[1], format="fixed1")), rows, HOSTILE[2], "x", HOSTILE)


@pytest.mark.parametrize(("name", "render"), [("html", Table.html), ("typ", Table.typst), ("txt", Table.text)])
def test_snapshot(coefficients, name, render):
    assert render(coefficients) + "\n" == (SNAPSHOTS / f"coefficients.{name}").read_text(encoding="utf-8")


class Cells(HTMLParser):
    """What a browser would make of the table: its tags, and the text of its cells."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag, {}))

    def handle_data(self, data):
        if self.cells and self.tags[-1][0] in ("td", "th") and data.strip():
            self.cells[-1] += data


def typst_cells(source):
    """String literals of a Typst table, unescaped by Typst's rules."""
    literals = re.findall(r'"((?:[^"\\]|\\.)*)"', source)
    return [re.sub(r"\\(.)", r"\1", text) for text in literals]


def test_the_three_renderings_show_the_same_strings(coefficients, hostile):
    for table in (coefficients, hostile):
        shown = [column.title for column in table.columns] + [text for row in table.cells for text in row]
        assert Cells(table.html(style=False)).cells[: len(shown)] == shown
        assert typst_cells(table.typst())[: len(shown)] == shown
        assert all(text in table.text() for text in shown)


def test_hostile_text_is_text_in_html(hostile):
    found = Cells(hostile.html(style=False))
    assert {tag for tag, _ in found.tags if tag[0] != "/"} == {
        "table",
        "caption",
        "thead",
        "tbody",
        "tfoot",
        "tr",
        "th",
        "td",
        "p",
    }
    assert "$" not in hostile.html(style=False)  # or MathJax would set what stands between two


def test_hostile_text_is_text_in_typst(hostile):
    import typst

    source = hostile.typst()
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", source)
    assert not re.search(r"[$@*_\\\[\]]|panic|script", outside)
    assert typst.compile({"main": source.encode()}, ignore_system_fonts=True).startswith(b"%PDF")


def test_text_has_one_line_for_each_row(hostile):
    assert len(hostile.text().splitlines()) == 1 + 2 + len(HOSTILE) + 1 + len(HOSTILE)


def test_text_aligns_wide_letters():
    lines = Table((Column("a"), Column("b", format="int")), (("日本", 1), ("abcd", 2))).text().splitlines()
    assert lines[-2].index("1") == lines[-1].index("2") - 2  # two letters that take four columns


def test_html_is_accessible_and_still(coefficients):
    found = Cells(coefficients.html())
    scopes = [attrs["scope"] for tag, attrs in found.tags if tag == "th"]
    assert scopes == ["col"] * 3 + ["row"] * 3
    assert ("table", {"class": "lmm-table", "id": "tbl-coef"}) in found.tags
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert "script" not in coefficients.html()
    assert coefficients.html() == coefficients.html()


def test_numbers_are_of_a_class_and_words_are_not(coefficients):
    classes = [attrs.get("class") for tag, attrs in Cells(coefficients.html()).tags if tag in ("th", "td")]
    assert classes[:3] == [None, "lmm-num", "lmm-num"]


def test_its_css_gives_way_to_the_page_and_names_no_colour(coefficients):
    style = coefficients.html().partition("</style>")[0]
    rules = [line for line in style.splitlines() if "{" in line]
    assert all(rule.startswith((":where(", ".jp-RenderedHTMLCommon ")) for rule in rules)
    assert not re.search(r"#[0-9a-fA-F]{3}|black|white[^-]", style)


def test_mime_bundle(coefficients):
    data, metadata = coefficients._repr_mimebundle_()
    assert list(data) == ["text/html", "text/vnd.typst", "text/plain"]
    assert metadata == {"lmmtools": {"kind": "table", "caption": "Fixed effects", "label": "tbl-coef", "alt": ""}}


def test_typst_sets_caption_label_and_notes(coefficients):
    source = coefficients.typst()
    assert source.endswith('  kind: table,\n  caption: "Fixed effects",\n) <tbl-coef>')
    assert '"z tests." + parbreak() + "n = 108."' in source


def test_labels_hold_what_ids_and_typst_can_hold():
    assert identifier("tbl-ranef recipe:replicate <x>") == "tbl-ranef-recipe-replicate-x"
    assert "<" not in Table((), (), label="").typst()


def test_typst_string():
    assert typst_string('a"b\\c\n') == '"a\\"b\\\\c\\\\n"'


def test_an_empty_table_has_its_head():
    table = Table((Column("a"), Column("b", format="estimate")), (), caption="None")
    assert table.text() == "None\na  b\n────"
    assert html.unescape(table.html()).count("<th") == 2 + 1  # and <thead>


def test_a_row_of_the_wrong_length_is_named():
    with pytest.raises(LMMError, match="row 1 of the table has 1 values for 2 columns"):
        Table((Column("a"), Column("b")), (("x", "y"), ("z",)))


def test_sentences_are_marked_and_short_texts_are_not():
    table = Table((Column("a", header=True), Column("b"), Column("c")), (("x", "y ~ a + (1 | g)", "A sentence. " * 5),))
    assert '<th scope="row">x</th><td>y ~ a + (1 | g)</td><td class="lmm-long">A sentence.' in table.html()
