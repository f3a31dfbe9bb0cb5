"""Both exporters on a small hand-made notebook: structure by parsers, pages by Chromium and poppler."""

import io
import subprocess
from html.parser import HTMLParser

import pikepdf
import pytest
from matplotlib.image import imread
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lmmtools.report.export_html import LmmHtmlExporter
from lmmtools.report.export_pdf import LmmPdfExporter
from lmmtools.report.page import make_page
from lmmtools.report.parameters import Parameter
from lmmtools.report.pdf import compile_pdf
from lmmtools.tables import Column, Table
from tests.report.conftest import notebook

SVG = (
    '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" width="100" height="50">'
    '<rect width="50" height="30" fill="#0072b2"/><text x="5" y="45">label</text></svg>'
)
HOSTILE = '<script>alert("1")</script> $#[] \\ 漢 😀'


def table(level="A"):
    columns = (Column("batch", "Batch", header=True), Column("mean", "Mean (g)", "estimate"))
    rows = ((level, 1505.0), ("B", 1528.0))
    return Table(columns, rows, caption=f"Yield of {level}", label="tbl-yield", notes=("A note.",))


def example(level="A"):
    data, metadata = table(level)._repr_mimebundle_()
    about = {"kind": "figure", "caption": "Two bars", "label": "fig-bars", "alt": "A blue bar of 1505 g"}
    return notebook(
        new_markdown_cell("# Batches\n\nOne paragraph with $\\hat\\beta_j$[^1].\n\n[^1]: A footnote."),
        new_markdown_cell("## Table\n\n> [!WARNING]\n> Few groups.\n\n$$\ny = X\\beta + \\varepsilon\n$$"),
        new_code_cell("show(table)", outputs=[new_output("display_data", data, metadata=metadata)]),
        new_markdown_cell("## Figure\n\n![elsewhere](https://example.org/a.png)"),
        new_code_cell(
            "figure(bars)",
            outputs=[
                new_output("display_data", {"image/svg+xml": SVG, "text/plain": "f"}, metadata={"lmmtools": about})
            ],
        ),
        new_code_cell(
            "f()",
            outputs=[
                new_output("stream", name="stdout", text=f"printed {level}"),
                new_output("error", ename="ValueError", evalue="bad", traceback=["line 1", "line 2"]),
            ],
        ),
    )


def settings(level="A"):
    return {
        "lmmtools_page": make_page(
            example(level),
            title=f"Report on {level}",
            status="flat direction",
            reasons=(f"{level} is flat.",),
            parameters=((Parameter("reml", "bool", True, "REML or ML"), True, False),),
        )
    }


def html_of(level="A"):
    return LmmHtmlExporter().from_notebook_node(example(level), settings(level))[0]


def pdf_of(level="A"):
    pdf, made = LmmPdfExporter().from_notebook_node(example(level), settings(level))
    return pdf, made["lmmtools_warnings"]


class Elements(HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text, self.inside = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def of(self, *tags):
        return [attrs for tag, attrs in self.found if tag in tags]


def test_html_asks_nothing_of_the_network():
    page = Elements(html_of())
    assert not page.of("script", "link", "iframe", "object", "embed")
    for tag, attributes in page.found:
        for name in ("src", "srcset", "poster", "data", "action", "xlink:href"):
            assert not attributes.get(name, "").startswith(("http", "//")), (tag, attributes)
    assert "@import" not in html_of()
    assert "url(" not in html_of()
    (policy,) = [one for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy["content"].startswith("default-src 'none'")


def test_html_holds_every_block_with_its_words():
    page = Elements(html_of())
    text = " ".join("".join(page.text).split())
    for words in ("Report on A", "Batches", "flat direction", "A is flat.", "REML or ML", "Few groups.",
                  "Yield of A", "1505", "Two bars", "printed A", "bad", "A footnote.", "A note."):  # fmt: skip
        assert words in text, words
    assert [one["scope"] for one in page.of("th") if "scope" in one].count("row") >= 2
    (svg,) = page.of("svg")
    assert svg["aria-label"] == "A blue bar of 1505 g"
    assert page.of("math")
    assert len(page.of("details")) >= 4  # parameters, contents, and the code of each cell
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [one["href"][1:] for one in page.of("a") if one.get("href", "").startswith("#")]
    assert {"sec-table", "sec-figure"} <= set(targets) <= set(ids)
    headings = [int(tag[1]) for tag, _ in page.found if tag in ("h1", "h2", "h3")]
    assert headings[0] == 1
    assert headings.count(1) == 1


def test_hostile_text_is_text_everywhere():
    page = Elements(html_of(HOSTILE))
    assert not page.of("script")
    assert page.text.count("Report on " + HOSTILE) == 2  # title and heading
    pdf, warnings = pdf_of(HOSTILE)
    text = pdf_text(pdf)
    assert "<script>" in text.replace("\n", "")
    assert "$#[]" in text
    assert "U+6F22" in text
    assert warnings == ["The PDF's fonts lack U+6F22; the code stands in place of the character."]


def pdf_text(pdf):
    """Text of a PDF by its ToUnicode maps; enough for what our own pages hold."""
    texts = []
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            fonts = {name: to_unicode(font) for name, font in page.Resources.Font.items()}
            current = {}
            for operands, operator in pikepdf.parse_content_stream(page):
                if str(operator) == "Tf":
                    current = fonts[str(operands[0])]
                elif str(operator) in ("Tj", "TJ"):
                    parts = operands[0] if str(operator) == "TJ" else [operands[0]]
                    raw = b"".join(bytes(part) for part in parts if isinstance(part, pikepdf.String))
                    texts.append("".join(current.get(raw[i : i + 2], "") for i in range(0, len(raw), 2)))
    return " ".join(texts)


def to_unicode(font):
    lines = font.ToUnicode.read_bytes().decode("latin-1").splitlines()
    pairs = {}
    for line in lines:
        words = line.split()
        if len(words) == 2 and all(word.startswith("<") for word in words):
            code, value = (bytes.fromhex(word.strip("<>")) for word in words)
            pairs[code] = value.decode("utf-16-be")
    return pairs


def test_pdf_is_tagged_titled_and_dated_with_nothing_random():
    pdf, warnings = pdf_of()
    assert warnings == []
    assert pdf == pdf_of()[0]
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert 1 <= len(document.pages) <= 3
        assert document.Root.MarkInfo.Marked
        assert str(document.Root.Lang) == "en"
        with document.open_metadata() as metadata:
            assert metadata["pdfuaid:part"] == "1"
            assert metadata["dc:title"] == "Report on A"
        with document.open_outline() as outline:
            assert [item.title for item in outline.root] == ["Table", "Figure", "Code"]
        kinds, alts = structure(document.Root.StructTreeRoot)
        assert {"/Table", "/TH", "/Figure", "/Formula", "/H1"} <= kinds
        assert {"A blue bar of 1505 g", r"\hat\beta_j"} <= alts


def structure(tree):
    """Kinds of structure elements, and their alternative texts."""
    kinds, alts, left = set(), set(), [tree]
    while left:
        node = left.pop()
        if isinstance(node, pikepdf.Array):
            left.extend(node)
        elif isinstance(node, pikepdf.Dictionary):
            if "/S" in node:
                kinds.add(str(node.S))
            if "/Alt" in node:
                alts.add(str(node.Alt))
            if "/K" in node:
                left.append(node.K)
    return kinds, alts


def test_pdf_holds_the_words():
    text = pdf_text(pdf_of()[0])
    for words in ("Report on A", "flat direction", "1505", "printed A", "Two bars", "A footnote."):
        assert words in text, words


def test_a_date_can_be_given(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with pikepdf.open(io.BytesIO(pdf_of()[0])) as document:
        assert str(document.docinfo["/CreationDate"]).startswith("D:20231114")


def test_a_page_that_cannot_be_set_is_printed_plain():
    pdf, given_up = compile_pdf(lambda plain: "plain words" if plain else "#missing()", {})
    assert "plain words" in pdf_text(pdf)
    assert len(given_up) == 2
    assert "unknown variable: missing" in given_up[1]


def test_an_exporter_needs_no_run_around_it():
    html, _ = LmmHtmlExporter().from_notebook_node(example())
    assert "<title>Batches</title>" in html


@pytest.mark.slow
def test_chromium_draws_the_page_in_light_and_dark(chromium, tmp_path):
    (tmp_path / "page.html").write_text(html_of(), encoding="utf-8")
    corners = {}
    for scheme, setting in (("light", 1), ("dark", 0)):
        picture = tmp_path / f"{scheme}.png"
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                   f"--blink-settings=preferredColorScheme={setting}", f"--screenshot={picture}",
                   "--window-size=900,600", f"file://{tmp_path}/page.html"]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        corners[scheme] = imread(picture)[5, 5, :3].mean()
    assert corners["light"] > 0.95
    assert corners["dark"] < 0.15


def test_poppler_reads_the_pdf(pdftotext, pdftoppm, tmp_path):
    path = tmp_path / "page.pdf"
    path.write_bytes(pdf_of()[0])
    done = subprocess.run([pdftotext, str(path), "-"], check=True, capture_output=True, text=True)
    assert "Report on A" in done.stdout
    assert done.stderr == ""
    subprocess.run([pdftoppm, "-r", "40", "-png", str(path), str(tmp_path / "p")], check=True, timeout=60)
    assert list(tmp_path.glob("p-*.png"))


@pytest.mark.parametrize("exporter", [LmmHtmlExporter, LmmPdfExporter])
def test_one_block_can_be_overridden(exporter, tmp_path):
    """A user's template inherits from ours and says only what differs."""
    name = exporter._template
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "conf.json").write_text(f'{{"base_template": "{name}"}}')
    extension = ".html.j2" if exporter is LmmHtmlExporter else ".typ.j2"
    block = "{% block provenance %}House style{% endblock %}"
    (folder / f"index{extension}").write_text(f'{{% extends "{name}/index{extension}" %}}{block}')
    made = exporter(template_name="house", extra_template_basedirs=[str(tmp_path), *exporter().extra_template_basedirs])
    output, _ = made.from_notebook_node(example())
    text = output if isinstance(output, str) else pdf_text(output)
    assert "House style" in text
    assert "1505" in text
