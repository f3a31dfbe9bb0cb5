"""An executed notebook becomes neutral blocks, and prose becomes HTML and Typst."""

import re
import xml.etree.ElementTree as ET
from html import unescape

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from lmmtools.prose.value import literal
from lmmtools.report.pages.blocks import Code, Error, Figure, Note, Prose, Record, Table, Text, blocks, labels_of
from lmmtools.report.pages.exporter import template_folder
from lmmtools.report.pages.markup import to_html, to_typst
from lmmtools.report.pages.page import make_page
from lmmtools.report.runs.execute import Failure
from lmmtools.report.runs.tidy import add_failure, tidy
from lmmtools.tables import Column
from lmmtools.tables import Table as OurTable
from tests.report.conftest import notebook


def shown(data, **metadata):
    return new_output("display_data", data, metadata={"lmmtools": metadata} if metadata else {})


def one(output):
    """The block of a single output."""
    (_, block) = blocks(notebook(new_code_cell("x", outputs=[output])))
    return block


def test_the_richest_form_of_an_output_is_chosen():
    data, metadata = OurTable((Column("a"),), ((1,),), caption="Cap", label="tbl-a")._repr_mimebundle_()
    block = one(new_output("execute_result", data, metadata=metadata, execution_count=1))
    assert isinstance(block, Table)
    assert (block.caption, block.label) == ("Cap", "tbl-a")
    assert block.typst.startswith("#figure(")
    figure = one(shown({"image/svg+xml": "<svg/>", "text/plain": "f"}, caption="C", label="fig-a", alt="A line"))
    assert figure == Figure("<svg/>", "", "C", "fig-a", "A line", 1)
    assert one(shown({"image/png": "aGk=\n", "text/plain": "f"})) == Figure("", "aGk=", "", "", "f")
    assert one(shown({"text/markdown": "*a*", "text/plain": "a"})) == Prose("*a*", marks=False)
    both = {"text/vnd.lmmtools.markdown": "[@bates2015]", "text/markdown": "(Bates et al., 2015)", "text/plain": "a"}
    assert one(shown(both)) == Prose("[@bates2015]")
    assert one(shown({"text/html": "<b>a</b>", "text/plain": "a"})) == Table("<b>a</b>", "", "a", "", "")
    assert one(shown({"text/plain": "7"})) == Text("7")
    record = {"status": "ok"}
    mime = "application/vnd.lmmtools.record+json"
    assert one(shown({mime: record, "text/html": "<p>", "text/plain": "r"})) == Record(record)


def test_warnings_are_notes_and_lose_the_line_that_raised_them():
    text = "<cell>:1: LMMWarning: few groups\n  fit = f()\n/a/b.py:7: UserWarning: second\nplain words\n"
    code, *rest = blocks(notebook(new_code_cell("f()", outputs=[new_output("stream", name="stderr", text=text)])))
    assert code == Code("f()")
    assert rest == [Note("warning", "few groups"), Note("warning", "second"), Text("plain words")]


def test_tags_decide_what_is_shown():
    output = new_output("stream", name="stdout", text="out")
    cells = [
        new_code_cell("a = 1", metadata={"tags": ["parameters"]}),
        new_code_cell("a = 2", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("b", metadata={"tags": ["hide-input"]}, outputs=[output]),
        new_code_cell("c", metadata={"tags": ["remove"]}, outputs=[output]),
        new_markdown_cell("gone", metadata={"tags": ["remove"]}),
        new_markdown_cell("  "),
    ]
    assert blocks(notebook(*cells)) == (Text("out"),)


def test_code_that_is_to_be_read_is_open_and_joined_to_no_other():
    cells = [new_code_cell(text, metadata={"tags": ["show-input"] if text.isupper() else []}) for text in "ABcdE"]
    assert blocks(notebook(*cells)) == (Code("A\n\nB", open=True), Code("c\n\nd"), Code("E", open=True))


def test_nothing_follows_the_cell_where_a_notebook_stopped():
    trace = ["\x1b[31mValueError\x1b[0m", "at /tmp/ipykernel_12/345.py"]
    error = new_output("error", ename="ValueError", evalue="bad", traceback=trace)
    made = notebook(
        new_markdown_cell("<b>papermill says</b>", metadata={"tags": ["papermill-error-cell-tag"]}),
        new_code_cell("f()", outputs=[error]),
        new_markdown_cell("As the table shows"),
        new_code_cell("g()"),
    )
    tidied, last = tidy(made)
    add_failure(tidied, last, Failure("error", "bad"))
    assert tidied.metadata["lmmtools"] == {"stopped_at": 0}
    assert blocks(tidied) == (
        Code("f()"),
        Error("ValueError", "bad", "ValueError\nat <cell>"),
        Note("note", "The notebook stopped here; 1 later cell was not run."),
    )


def test_a_dead_kernel_is_written_where_it_died():
    cell = new_code_cell("os._exit(1)")
    cell.metadata["papermill"] = {"start_time": "2020-01-01T00:00:00", "exception": None, "status": "completed"}
    tidied, last = tidy(notebook(new_code_cell("1"), cell, new_code_cell("2")))
    add_failure(tidied, last, Failure("kernel died", "It died."))
    assert tidied.metadata["lmmtools"] == {"stopped_at": 1}
    assert Error("kernel died", "It died.", "") in blocks(tidied)
    assert "papermill" not in tidied.cells[1].metadata


def test_the_notebook_s_title_moves_to_the_title_block():
    page = make_page(notebook(new_markdown_cell("# A title\n\nWords."), new_markdown_cell("## Next")))
    assert page.title == "A title"
    assert page.blocks == (Prose("Words."), Prose("## Next"))
    page = make_page(notebook(new_markdown_cell("# A title")), title="The run's")
    assert (page.title, page.subtitle, page.blocks) == ("The run's", "A title", ())


def warned(*texts):
    text = "".join(f"<cell>:1: LMMWarning: {text}\n  f()\n" for text in texts)
    return new_code_cell("f()", outputs=[new_output("stream", name="stderr", text=text)])


def test_a_warning_that_the_page_gives_elsewhere_is_not_repeated():
    prose = new_output(
        "display_data", {"text/markdown": "> [!NOTE]\n> The slope of x\\_1 (in g) is flat.", "text/plain": ""}
    )
    page = make_page(
        notebook(
            warned(
                "it differs.", "the slope of x_1 (in g) is flat.", "The slope of x_1 (in g) is flat.", "mind", "mind"
            ),
            new_code_cell("g()"),
            new_code_cell("show()", outputs=[prose]),
        ),
        reasons=("it differs.", "It differs."),
    )
    assert page.reasons == ("It differs.",)
    notes = [one.text for one in page.blocks if isinstance(one, Note)]
    assert notes == ["the slope of x_1 (in g) is flat.", "mind"]  # the first is not word for word the prose's


def test_code_is_joined_across_a_warning_that_was_left_out():
    page = make_page(notebook(warned("twice"), new_code_cell("g()")), reasons=("twice",))
    assert page.blocks == (Code("f()\n\ng()"),)


LABELS = {"tbl-coef": "Table 3", "fig-qq": "Figure 2"}


def to_prose(parts):
    return [Prose(part) if isinstance(part, str) else part for part in parts]


def html(*parts):
    return to_html(to_prose(parts), template_folder("lmm_html"), LABELS).parts


def typst(*parts):
    return to_typst(to_prose(parts), template_folder("lmm_pdf"), LABELS).parts


def test_captioned_tables_and_figures_are_numbered_apart_and_labels_are_given_once():
    def table(caption, label):
        data, metadata = OurTable((Column("a"),), ((1,),), caption, label)._repr_mimebundle_()
        return new_output("display_data", data, metadata=metadata)

    figure = shown({"image/svg+xml": "<svg/>", "text/plain": ""}, caption="F", label='fig "a" <b>')
    outputs = [table("A", "tbl-a"), figure, table("", "tbl-b"), table("C", "tbl-a"), table("D", "tbl-d")]
    content = blocks(notebook(new_code_cell("x", outputs=outputs)))
    assert [(one.number, one.label) for one in content[1:]] == [
        (1, "tbl-a"), (1, "fig-a-b"), (0, "tbl-b"), (2, ""), (3, "tbl-d"),
    ]  # fmt: skip
    assert labels_of(content) == {"tbl-a": "Table 1", "fig-a-b": "Figure 1", "tbl-d": "Table 3"}


def test_parts_stay_apart():
    parts = ["# One", "Two\n\nwords", "- three"]
    assert html(*parts) == ('<h1 id="sec-one">One</h1>', "<p>Two</p>\n<p>words</p>", "<ul>\n<li>three</li>\n</ul>")
    assert len(typst(*parts)) == 3
    assert html() == typst() == ()


def test_an_unclosed_fence_swallows_nothing_of_the_next_part():
    first, second = html("```\ncode without an end", "*next*")
    assert "code without an end" in first
    assert second == "<p><em>next</em></p>"


def test_headings_of_one_name_have_ids_of_their_own():
    assert [part.split('"')[1] for part in html("## Notes", "## Notes\n", "## Notes")] == [
        "sec-notes", "sec-notes-1", "sec-notes-2",
    ]  # fmt: skip


def test_footnotes_are_numbered_across_the_page():
    made = to_html(to_prose(["a[^1]\n\n[^1]: first", "b[^1]\n\n[^1]: second"]), template_folder("lmm_html"))
    assert [re.findall(r"<sup>(.)</sup>", part) for part in made.parts] == [["1"], ["2"]]
    assert made.footnotes.index("first") < made.footnotes.index("second")
    assert 'id="sec-fn2"' in made.footnotes


def test_cross_references_are_links():
    assert html("See @tbl-coef, (@fig-qq).") == (
        '<p>See <a class="reference" href="#tbl-coef">Table 3</a>, '
        '(<a class="reference" href="#fig-qq">Figure 2</a>).</p>',
    )
    (made,) = typst("See @tbl-coef.")
    assert 'label("tbl-coef")' in made
    assert "[Table 3]" in made


def test_a_mark_that_names_nothing_is_seen_and_told():
    parts = to_prose(["See @tbl-coef, @fig-none, [@nobody] and @tbl-gone; [@bates2015; @nobody].", "@fig-none"])
    for convert, folder in ((to_html, "lmm_html"), (to_typst, "lmm_pdf")):
        made = convert(parts, template_folder(folder), LABELS)
        assert made.missing == ("@fig-none", "@nobody", "@tbl-gone")
        assert made.parts[0].count("??") == 4
        assert made.parts[1].count("??") == 1
    (made,) = html('[@{a"><b>}]')
    assert made == '<p><strong class="missing" title="@a&quot;&gt;&lt;b&gt;">??</strong></p>'


def test_citations_are_links_to_a_list_of_references():
    parts = to_prose(["One [@bates2015, p. 3; @akaike1974].", "As @bates2015 say"])
    made = to_html(parts, template_folder("lmm_html"))
    words = [re.sub("<[^>]+>", "", part) for part in made.parts]
    assert words == ["One (Bates et al., 2015, p. 3; Akaike, 1974).", "As Bates et al. (2015) say"]
    assert made.references.count('class="csl-entry"') == 2
    targets = set(re.findall(r'href="#([^"]+)"', "".join(made.parts)))
    assert targets == set(re.findall(r'id="(sec-ref-[^"]+)"', made.references))
    assert to_html(to_prose(["none"]), template_folder("lmm_html")).references == ""
    made = to_typst(parts, template_folder("lmm_pdf"))
    assert "<ref-bates2015>" in made.references
    assert "#link(<ref-bates2015>)" in made.parts[0]
    assert to_typst(to_prose(["none"]), template_folder("lmm_pdf")).references == ""


@pytest.mark.parametrize("text", ["@fig-qq", "[@bates2015]", "a@b.c [@x; @y, p. 3]", "\\@fig-qq", "@", "-@bates2015"])
def test_marks_in_code_and_in_text_from_data_are_text(text):
    escaped = f"before {literal(text)} after"
    prose = [Prose(f"`{text}`"), Prose(f"```\n{text}\n```"), Prose(escaped), Prose(escaped, marks=False)]
    made = to_html(prose, template_folder("lmm_html"), LABELS)
    words = [unescape(re.sub("<[^>]+>", "", part)) for part in made.parts]
    assert words == [text, text, f"before {text} after", f"before {text} after"]
    set_in_typst = to_typst(prose, template_folder("lmm_pdf"), LABELS)
    for converted in (made, set_in_typst):
        assert converted.missing == ()
        assert converted.references == ""
    assert "#context" not in "".join(set_in_typst.parts)


def test_marks_in_markdown_from_elsewhere_are_text():
    assert html(Prose("@fig-qq [@bates2015] a@b.c", marks=False)) == ("<p>@fig-qq [@bates2015] a@b.c</p>",)


def test_mathematics_becomes_mathml_and_typst_with_its_tex_as_words():
    (made,) = html(r"$\hat\beta_j$")
    math = ET.fromstring(made.removeprefix("<p>").removesuffix("</p>"))
    assert math.get("alttext") == r"\hat\beta_j"
    (over,) = math.iter("{http://www.w3.org/1998/Math/MathML}mover")
    assert over.get("accent") == "true"  # where browsers read it; pandoc puts it on the hat
    assert 'alt: "\\\\hat\\\\beta_j"' in typst(r"$\hat\beta_j$")[0]


def test_relations_at_the_start_of_an_aligned_column_keep_their_spaces():
    (made,) = html("$$\n\\begin{aligned}\nb &\\sim N \\\\\ny &= x\n\\end{aligned}\n$$")
    assert made.startswith('<p><span class="scroll equation" tabindex="0"><math ')
    assert made.count('<mo form="infix">') == 2


def test_alerts_are_callouts():
    alert = "> [!WARNING]\n> Few *groups*."
    assert '<div class="warning">' in html(alert)[0]
    assert typst(alert)[0].startswith('#callout("warning")[')


def test_text_from_data_is_never_markup():
    hostile = "Level <script>alert(1)</script> <img src='https://x.org/a.png'> here"
    assert "<script" not in html(hostile)[0]
    assert "<img" not in html(hostile)[0]
    assert "script" in html(hostile)[0]
    assert "#panic" not in typst("a #panic() b")[0].replace("\\#panic", "")


def test_a_picture_elsewhere_becomes_a_link():
    assert "<img" not in html("![words](https://x.org/a.png)")[0]
    assert "words</a>" in html("![words](https://x.org/a.png)")[0]
    assert "#image" not in typst("![words](https://x.org/a.png)")[0]
