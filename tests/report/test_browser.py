"""The HTML page in Chromium: no request, no message, its switches work, axe finds nothing, paper and phones hold it."""

import importlib.util
from pathlib import Path

import pytest

from tests.report.pages import HOSTILE, html_of

AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
PHONE, DESK = 390, 1280

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, level in (("plain", "A"), ("hostile", HOSTILE)):
        (folder / f"{name}.html").write_text(html_of(level), encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser, files):
    """A function that opens a page; at the end nothing may have been asked for or said."""
    contexts, heard = [], []

    def opened(name="plain", width=DESK, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        address = (files / f"{name}.html").as_uri()
        within = ("data:", address)
        page.on("request", lambda asked: asked.url.startswith(within) or heard.append(asked.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard == []


def ground(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("name", ["plain", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_axe_finds_nothing(visit, name, scheme, width):
    page = visit(name, width, color_scheme=scheme)
    for details in page.query_selector_all("details"):
        details.evaluate("one => { one.open = true; }")
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    result = page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
    assert len(result["passes"]) > 25
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in result["violations"]] == []


@pytest.mark.parametrize("name", ["plain", "hostile"])
@pytest.mark.parametrize("width", [DESK, PHONE, 320])
def test_the_page_is_never_wider_than_the_screen(visit, name, width):
    page = visit(name, width)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


BOX = "one => { const box = one.getBoundingClientRect(); return [box.left, box.right, box.width, box.height]; }"


@pytest.mark.parametrize("width", [DESK, 1440])
def test_on_a_desk_the_contents_stand_next_to_the_text(visit, width):
    page = visit(width=width)
    _, end, _, _ = page.eval_on_selector(".contents", BOX)
    start, _, measure, _ = page.eval_on_selector("main > p", BOX)
    assert 16 <= start - end <= 64
    letter = page.eval_on_selector(
        "main > p",
        """one => {
      const words = document.createElement("span");
      words.textContent = "where they follow the points closely, the groups have much to say";
      words.style.whiteSpace = "nowrap";
      one.append(words);
      return words.getBoundingClientRect().width / words.textContent.length;
    }""",
    )
    assert 66 <= measure / letter <= 76


def test_folded_code_takes_no_line_of_a_desk_and_opens_by_keyboard(visit):
    page = visit()
    code = page.locator("details.code").nth(1)
    assert code.evaluate(BOX)[3] == 0
    code.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.locator("pre").is_visible()
    assert code.evaluate(BOX)[3] > 40
    boxes = page.eval_on_selector_all("details.code:not([open]) > summary", f"all => all.map({BOX})")
    text = page.eval_on_selector("main > p", BOX)
    assert all(start >= text[1] for start, _, _, _ in boxes)  # beside the text, never on it


@pytest.mark.parametrize("width", [PHONE, 320])
def test_letters_of_figures_can_be_read_on_a_phone(visit, width):
    page = visit(width=width)
    frame = page.locator(".drawing").first
    seen, own = frame.locator("svg").evaluate("one => [one.getBoundingClientRect().width, one.viewBox.baseVal.width]")
    assert seen / own >= 0.8 * 96 / 72  # letters of 9 points or more keep 9 pixels
    assert frame.evaluate("one => one.scrollWidth > one.clientWidth")
    assert frame.evaluate("one => one.tabIndex") == 0


def test_a_small_table_is_no_wider_than_it_needs_to_be_and_its_caption_is(visit):
    page = visit()
    page.evaluate("document.querySelector('#tbl-yield caption span').append(' and more words'.repeat(9))")
    table = page.eval_on_selector("#tbl-yield", BOX)
    caption = page.eval_on_selector("#tbl-yield caption span", BOX)
    assert table[2] < 400 < caption[2] <= 592


def test_light_and_dark_follow_the_system_until_one_is_chosen(visit):
    page = visit(color_scheme="dark")
    dark = ground(page)
    page.emulate_media(color_scheme="light")
    light = ground(page)
    assert light == "rgb(255, 255, 255)" != dark
    page.get_by_label("Dark").check()
    assert ground(page) == dark
    page.reload()
    assert ground(page) == dark  # kept in this browser
    page.get_by_label("Auto").check()
    assert ground(page) == light
    assert page.evaluate("Object.entries(localStorage).flat()") == ["lmmtools-theme", ""]


def test_marks_and_letters_of_figures_follow_the_page(visit):
    page = visit(color_scheme="light")
    mark = "getComputedStyle(document.querySelector('svg.lmm-figure use[style*=\"0072b2\"]')).fill"
    letter = "getComputedStyle(document.querySelector('svg.lmm-figure text')).fill"
    light = page.evaluate(mark), page.evaluate(letter)
    page.get_by_label("Dark").check()
    dark = page.evaluate(mark), page.evaluate(letter)
    assert light == ("rgb(0, 114, 178)", "rgb(27, 31, 36)")
    assert dark == ("rgb(69, 165, 230)", "rgb(228, 232, 236)")


def test_a_picture_of_many_marks_is_turned_to_light_on_dark_and_back_on_paper(visit):
    look = """scheme => {
      const root = document.documentElement;
      scheme ? root.setAttribute("data-theme", scheme) : root.removeAttribute("data-theme");
      const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
      document.querySelector("svg.lmm-figure").append(image);
      return getComputedStyle(image).filter !== "none";
    }"""
    page = visit(color_scheme="dark")
    assert [page.evaluate(look, scheme) for scheme in ("", "dark", "light")] == [True, True, False]
    page.emulate_media(color_scheme="light")
    assert [page.evaluate(look, scheme) for scheme in ("", "dark", "light")] == [False, True, False]
    page.evaluate(look, "dark")
    page.emulate_media(color_scheme="dark", media="print")
    assert [page.evaluate(look, scheme) for scheme in ("", "dark", "light")] == [False, False, False]


def column(page, number):
    return page.eval_on_selector_all(
        f"#tbl-yield tbody tr > :nth-child({number})", "cells => cells.map(one => one.textContent)"
    )


def test_tables_sort_by_number_and_by_word(visit):
    page = visit()
    button = page.locator("#tbl-yield thead").get_by_role("button", name="Mean (g)")
    head = page.locator("#tbl-yield thead th").nth(1)
    given = column(page, 1)
    button.click()
    assert column(page, 1) == ["C", "A", "B", "D"]  # what is missing comes last
    assert head.get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert column(page, 1) == ["B", "A", "C", "D"]
    assert head.get_attribute("aria-sort") == "descending"
    button.click()
    assert column(page, 1) == given
    assert head.get_attribute("aria-sort") is None
    page.locator("#tbl-yield thead").get_by_role("button", name="p").click()
    assert column(page, 1) == ["A", "C", "B", "D"]  # both shown as < 0.001
    page.locator("#tbl-yield thead").get_by_role("button", name="Note").click()
    assert column(page, 4) == ["first", "none", "second", "third"]


def test_code_is_folded_and_unfolds_one_by_one_or_all(visit):
    page = visit()
    codes, opened = page.locator("details.code"), page.locator("details.code[open]")
    assert codes.count() >= 5
    assert opened.count() == 0
    button = page.get_by_role("button", name="Show all code")
    button.click()
    assert opened.count() == codes.count()
    assert button.get_attribute("aria-pressed") == "true"
    codes.first.locator("summary").click()
    assert opened.count() == codes.count() - 1
    page.wait_for_selector(".unfold[aria-pressed=false]")
    button.click()
    button.click()
    assert opened.count() == 0


def test_links_lead_to_what_they_name(visit):
    page = visit()
    page.locator("a.reference", has_text="Table 1").click()
    assert page.evaluate("document.querySelector(':target').id") == "tbl-yield"
    page.locator("a[href='#sec-ref-laird1982']").first.click()
    assert "Laird" in page.locator(":target").text_content()


def test_without_script_all_is_there_to_be_read(visit):
    page = visit(java_script_enabled=False)
    assert page.get_by_role("button").count() == 0
    assert page.locator(".switches").is_hidden()
    assert page.get_by_text("1505").is_visible()
    code = page.locator("details.code").first
    assert not code.locator("pre").is_visible()
    code.locator("summary").click()
    assert code.locator("pre").is_visible()


def test_the_embedded_fonts_are_used(visit):
    page = visit()
    page.evaluate("document.fonts.ready.then(() => 0)")
    used = page.evaluate("[...document.fonts].filter(one => one.status === 'loaded').map(one => one.family)")
    assert {name.strip('"') for name in used} == {"Libertinus Serif", "Report Sans", "STIX Two Math"}


def test_paper_has_no_switches_no_code_and_whole_tables(visit):
    page = visit(color_scheme="dark")
    page.get_by_label("Dark").check()
    page.emulate_media(media="print")
    for hidden in (".switches", ".contents", ".skip", "details.code >> nth=0"):
        assert page.locator(hidden).is_hidden(), hidden
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert ground(page) == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('tr')).breakInside") == "avoid"
    # a button is not printed again where a table goes on, its words are
    assert page.evaluate("getComputedStyle(document.querySelector('.sort')).display") == "contents"
    assert page.get_by_text("REML or ML").is_visible()  # the parameters, folded on the screen


def test_paper_is_a4(visit, tmp_path):
    import pikepdf

    page = visit()
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    with pikepdf.open(tmp_path / "page.pdf") as made:
        assert [round(float(side)) for side in made.pages[0].MediaBox[2:]] == [595, 842]
