"""The HTML page, read by a parser: what is there, that it asks for nothing, and that data stays text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from lmmtools.errors import LMMError
from lmmtools.formats import visible
from lmmtools.report.locate import resource_dir
from lmmtools.report.pages.export_html import LmmHtmlExporter
from lmmtools.report.pages.foreign import plain_html
from lmmtools.report.pages.terms import formula_html
from lmmtools.report.pages.webfonts import web_fonts
from tests.report.pages import HOSTILE, example, html_of

DOCS = Path(__file__).parents[2] / "docs" / "reports.md"


class Elements(HTMLParser):
    """Elements with their attributes, the text, and what was left open."""

    VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.open, self.crossed = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def of(self, *tags):
        return [attrs for tag, attrs in self.found if tag in tags]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def plain():
    return Elements(html_of())


@pytest.fixture(scope="module")
def hostile():
    return Elements(html_of(HOSTILE))


def test_it_asks_nothing_of_the_network(plain, hostile):
    for read in (plain, hostile):
        assert not read.of("link", "iframe", "object", "embed", "base")
        for tag, attributes in read.found:
            for name in ("src", "srcset", "poster", "data", "action", "xlink:href"):
                assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    text = html_of()
    assert "@import" not in text
    assert set(re.findall(r"url\((.{6})", text)) <= {"data:f", "#fig-l", "#again"}


def test_its_policy_allows_its_own_script_alone(plain):
    (policy,) = [one["content"] for one in plain.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", html_of(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]


def test_a_template_with_another_script_has_a_policy_for_that(tmp_path):
    text = house(tmp_path, "{% block script %}{{ super() }}console.log(1){% endblock %}")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script.endswith("console.log(1)")
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in text


def test_it_holds_every_block_with_its_words(plain):
    for words in ("Report on A", "Batches", "flat direction", "A is flat.", "REML or ML", "Of A.", "Table 1. Yield of",
                  "1505", "Figure 1. A line for A", "printed A", "bad A", "A footnote: A.", "A note.", "mind A",
                  "Figure 3. From elsewhere: A", "plain A", "elsewhere"):  # fmt: skip
        assert words in plain.words, words
    assert [one["scope"] for one in plain.of("th") if "scope" in one].count("row") >= 6
    alts = [one["aria-label"] for one in plain.of("svg")] + [one["alt"] for one in plain.of("img")]
    assert alts == ["Three points of A"] * 2 + ["A picture of A", "A"]
    assert len(plain.of("math")) == 2


def test_it_is_well_formed(plain, hostile):
    for read in (plain, hostile):
        assert read.crossed == []
        assert read.open == []
        ids = [attributes["id"] for _, attributes in read.found if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[A-Za-z][\w.:-]*", name) for name in ids)
        targets = {one["href"][1:] for one in read.of("a") if one.get("href", "").startswith("#")}
        assert {"tbl-yield", "fig-line", "sec-ref-bates2015", "sec-fn1", "sec-model", "sec-reference-list"} <= targets
        assert targets <= set(ids)


def test_a_random_term_stays_on_one_line_and_is_text():
    assert formula_html("y ~ x + (1 + x | g)") == 'y ~ x + <span class="term">(1 + x | g)</span>'
    assert formula_html("y ~ (1 || <b>)") == 'y ~ <span class="term">(1 || &lt;b&gt;)</span>'
    assert formula_html("C(x) ~ <i>(") == "C(x) ~ &lt;i&gt;("


def test_headings_go_down_one_step_at_a_time(plain):
    levels = [int(tag[1]) for tag, _ in plain.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_say_how_they_sort(plain):
    values = [one.get("data-value") for one in plain.of("td") if one.get("class") == "lmm-num"]
    assert values == ["1505", "1e-12", "1528", "0.5", "-3.25", "1e-07", None, None]


def test_hostile_text_is_text_everywhere(hostile, plain):
    kinds = [tag for tag, _ in plain.found if tag != "span"]  # code is coloured as it is
    assert [tag for tag, _ in hostile.found if tag != "span"] == kinds
    assert not any(name.startswith("on") for _, attributes in hostile.found for name in attributes)
    shown = " ".join(visible(HOSTILE).split())
    for before in ("Yield of", "A line for", "From elsewhere:", "Table 2. Frame of"):
        assert f"{before} {shown}" in hostile.words
    for before in ("Report on", "printed", "bad", "mind", "The model of", "paragraph on", "Of", "plain", "footnote:"):
        assert f'{before} <script>alert("1")</script> </style></title> $#[]' in hostile.words, before
    assert "{{ 7 * 7 }} @fig-line [@bates2015]" in hostile.words


def test_the_same_notebook_gives_the_same_bytes():
    assert html_of(HOSTILE) == html_of(HOSTILE)


def test_what_names_nothing_is_a_warning():
    from nbformat.v4 import new_markdown_cell

    from tests.report.conftest import notebook

    text, made = LmmHtmlExporter().from_notebook_node(notebook(new_markdown_cell("See @tbl-none.")), {})
    assert ">??</strong>" in text
    assert made["lmmtools_warnings"] == [
        "@tbl-none is no table, figure or paper that this report knows; ?? stands in its place."
    ]


def test_an_exporter_needs_no_run_around_it():
    text, _ = LmmHtmlExporter().from_notebook_node(example())
    assert "<title>Batches</title>" in text


def test_code_that_is_to_be_read_is_not_folded():
    from nbformat.v4 import new_code_cell

    from tests.report.conftest import notebook

    cells = new_code_cell("alpha()", metadata={"tags": ["show-input"]}), new_code_cell("beta()")
    text, _ = LmmHtmlExporter().from_notebook_node(notebook(*cells))
    listing = re.search(r'<div class="listing">(.*?)<details class="code">(.*?)</details>', text, flags=re.DOTALL)
    assert ["alpha" in part for part in listing.groups()] == [True, False]
    assert "beta" in listing[2] and 'tabindex="0"' in listing[1]


def test_html_from_elsewhere_keeps_its_structure_and_words_alone():
    assert plain_html("<p onclick='x'>a<script>b</script> <b>c <i>d</b> &lt;e&gt; <a href='https://x'>f</a>") == (
        "<p>a <b>c <i>d</i></b> &lt;e&gt; f</p>"
    )
    assert plain_html("</div><table><tr><td colspan='2'>1<td colspan='x'>2") == (
        '<table><tr><td colspan="2">1<td>2</td></td></tr></table>'
    )
    assert plain_html("<thead><th>a</thead><tr><th>b") == (
        '<thead><th scope="col">a</th></thead><tr><th scope="row">b</th></tr>'
    )


# --- colours ------------------------------------------------------------------------------------------


def colours():
    """Each colour of the style sheet: its light and its dark value."""
    sheet = (resource_dir("templates") / "lmm_html" / "style.css").read_text(encoding="utf-8")
    found = re.findall(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", sheet)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *((name, ground) for name in ("ink", "quiet", "accent", "note", "tip", "important", "caution", "bad")
      for ground in ("paper", "shade")),
    *((name, "shade") for name in ("keyword", "string", "number", "comment")),
    *((name, f"{name}-shade") for name in ("good", "caution", "bad")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ground"), TEXT_ON)
def test_text_can_be_read_on_its_ground(name, ground):
    for text, behind in zip(colours()[name], colours()[ground], strict=True):
        assert contrast(text, behind) >= 4.5


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_the_fonts_fit_a_page():
    assert len(web_fonts()) < 350_000
    assert web_fonts().count("@font-face") == 6
    assert 'font-family:"STIX Two Math"' in web_fonts()


# --- templates of one's own ---------------------------------------------------------------------------


def house(folder, body, **files):
    """The page in a template of one's own."""
    own = folder / "house"
    own.mkdir()
    (own / "index.html.j2").write_text(f'{{% extends "lmm_html/index.html.j2" %}}\n{body}', encoding="utf-8")
    for name, content in files.items():
        (own / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return html_of(folder=own)


def test_the_example_in_the_documentation_works(tmp_path):
    example_text = re.search(r"```jinja\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len(example_text.splitlines()) <= 5
    (tmp_path / "index.html.j2").write_text(example_text, encoding="utf-8")
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    read = Elements(html_of(folder=tmp_path))
    (logo,) = [one for one in read.of("img") if one.get("class") == "logo"]
    assert logo["src"].startswith("data:image/svg+xml;base64,")
    assert logo["alt"]
    assert "--accent: light-dark(" in read.words
    assert "1505" in read.words


def test_a_folder_may_be_named_like_ours(tmp_path):
    (tmp_path / "lmm_html").mkdir()
    (tmp_path / "lmm_html" / "index.html.j2").write_text(
        '{% extends "lmm_html/index.html.j2" %}{% block provenance %}House style{% endblock %}'
    )
    assert "House style" in html_of(folder=tmp_path / "lmm_html")


def test_a_template_that_forgets_to_escape_forgets_nothing(tmp_path):
    text = '{% extends "lmm_html/index.html.j2" %}{% block logo %}{{ page.title }}{% endblock %}'
    (tmp_path / "index.html.j2").write_text(text)
    assert "<script>alert(" not in html_of(HOSTILE, folder=tmp_path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{% block logo %}\n{{ page.titel }}{% endblock %}", "line 3: .*titel"),
        ("{% block logo %}{{ page.title {% endblock %}", "line 2"),
        ("{% block logo %}\n\n{% nonsense %}{% endblock %}", "line 4: .*nonsense"),
        ("{% block logo %}{{ page.title | shout }}{% endblock %}", "line 2: .*shout"),
    ],
)
def test_an_error_in_a_template_names_file_and_line(tmp_path, body, words):
    with pytest.raises(LMMError, match=rf"house/index\.html\.j2 has an error in {words}"):
        house(tmp_path, body)


def test_a_file_that_a_template_lacks_is_named(tmp_path):
    with pytest.raises(LMMError, match="the file logo.png, which is not in house and lmm_html"):
        house(tmp_path, '{% block logo %}{{ "logo.png" | data_uri }}{% endblock %}')
