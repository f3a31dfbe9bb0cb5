"""The index and its cross-check page in Chromium: sorting, filters, keyboard, paper, and a thousand runs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmmtools.report.overview.index import index_files
from tests.report.outcomes import many, varied

PAGES = ("index.html", "crosscheck.html")

# Milliseconds until what some code changed is laid out.
TOOK = """code => {
  const act = new Function(code), start = performance.now();
  act();
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a study leaves it, its clock times with it."""
    folder = tmp_path_factory.mktemp("index")
    for name, text in index_files("A study", varied()).items():
        (folder / name).write_bytes(text.encode())
    (folder / "run.json").write_text('{"seconds": 46.84}\n')
    return folder


@pytest.fixture
def page(browser):
    """A page at 1280 pixels that fails the test over anything it says, and notes what it asks for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    assert not page.said
    context.close()


def names(page):
    return page.eval_on_selector_all(
        "[data-f]:not([hidden])", "all => all.map(one => (one.rows ? one.rows[0] : one).id)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_for(page, folder, name):
    page.goto(f"file://{folder}/{name}")
    assert page.asked == [f"file://{folder}/{name}"]
    assert page.title()


@pytest.mark.slow
def test_sorting_by_mouse_and_by_keyboard(page, folder):
    page.goto(f"file://{folder}/index.html")
    order = names(page)
    page.get_by_role("button", name="Estimate").click()
    assert names(page)[0] == "dye-singular"  # −3, as a number
    assert page.locator("th", has_text="Estimate").first.get_attribute("aria-sort") == "ascending"
    missing = names(page)[-5:]
    page.keyboard.press("Enter")  # the button has the focus still
    assert names(page)[0] == "orthodont-slope-ml"
    assert names(page)[-5:] == missing  # what is missing comes last either way
    assert page.url.endswith("#sort=-4")
    page.keyboard.press("Space")
    assert names(page) == order
    assert page.locator("[aria-sort=none]").count() == 8
    page.get_by_role("button", name="Status").click()
    assert names(page)[-1] == "unmade"


@pytest.mark.slow
def test_filtering_and_its_address(page, folder):
    page.goto(f"file://{folder}/index.html")
    said = page.get_by_role("status")
    assert said.inner_text() == "10 of 10 runs shown"
    page.get_by_label("Search").fill("SINGULAR dye")
    assert names(page) == ["dye-singular"]
    assert said.inner_text() == "1 of 10 runs shown"
    page.get_by_label("Search").fill("")
    page.get_by_label("Data set").select_option("Dyestuff")
    assert names(page) == ["dye-singular", "dye-bad"]
    assert page.locator(".chip", has_text="singular").inner_text().split() == ["1", "singular"]
    assert page.locator(".chip", has_text="failed").inner_text().split() == ["0", "failed"]
    page.locator(".chip input[value=singular]").focus()
    page.keyboard.press("Space")
    assert names(page) == ["dye-singular"]
    address = page.url
    assert address.endswith("#data=Dyestuff&status=singular")
    page.get_by_role("button", name="Reset").click()
    assert len(names(page)) == 10
    assert "#" not in page.url
    page.goto("about:blank")
    page.goto(address)
    assert names(page) == ["dye-singular"]
    page.get_by_label("Search").fill("no such run")
    page.get_by_role("button", name="Show all runs").click()
    assert len(names(page)) == 10
    page.goto(f"file://{folder}/index.html#sort=99&q=%&data=None")  # an address mended by hand
    assert page.get_by_label("Search").input_value() == "%"


@pytest.mark.slow
def test_the_axis_is_labelled_where_a_scale_begins(page, folder):
    page.goto(f"file://{folder}/index.html")
    labelled = "all => all.map(one => one.closest('tr').id)"
    assert page.eval_on_selector_all("tr.first .ticks", labelled) == [
        "orthodont-slope-reml",
        "dye-singular",
        "compared",
    ]
    page.get_by_label("Search").fill("orthodont-slope-ml")
    assert page.eval_on_selector_all("tr.first:not([hidden]) .ticks", labelled) == ["orthodont-slope-ml"]
    drawn = page.locator("tr[id=orthodont-slope-ml] circle").bounding_box()
    cell = page.locator("tr[id=orthodont-slope-ml] td.forest").bounding_box()
    assert cell["x"] + cell["width"] / 2 < drawn["x"] < cell["x"] + cell["width"]


@pytest.mark.slow
def test_a_reason_has_the_room_of_the_numbers_that_are_missing(page, folder):
    page.goto(f"file://{folder}/index.html")
    for name in ("dye-failed", "old", "unmade"):
        row = page.locator(f"tr[id={name}]")
        state, said, files = (row.locator(one).bounding_box() for one in (".state", ".estimate", ".links"))
        assert state["width"] == said["width"] > 350
        assert state["y"] + state["height"] <= said["y"] + 1
        assert files["y"] <= state["y"]
        assert files["x"] > 1000  # in its own column still


@pytest.mark.slow
def test_the_first_stop_leads_to_the_table(page, folder):
    for name in PAGES:
        page.goto(f"file://{folder}/{name}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.className") == "sortable"


@pytest.mark.slow
def test_dark_and_light_by_hand(page, folder):
    page.goto(f"file://{folder}/crosscheck.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_label("Dark").check(force=True)
    assert page.evaluate(ground) != before
    page.goto(f"file://{folder}/index.html")  # the other page remembers
    assert page.evaluate(ground) != before


@pytest.mark.slow
def test_clock_times_are_loaded_when_they_are_asked_for(page, folder):
    page.goto(f"file://{folder}/index.html")
    assert len(page.asked) == 1
    page.get_by_text("How long the runs took").click()
    page.frame_locator("iframe").get_by_text("46.84").wait_for()
    assert page.asked[1:] == [f"file://{folder}/run.json"]


@pytest.mark.slow
def test_filters_of_the_cross_check_page(page, folder):
    page.goto(f"file://{folder}/crosscheck.html")
    page.locator(".chip input[value=unexplained]").check(force=True)
    assert names(page) == ["dye-bad"]
    assert page.get_by_role("cell", name="theirs should be 0.66 there").is_visible()
    page.locator(".chip input[value=unexplained]").uncheck(force=True)
    page.get_by_role("button", name="Verdict").click()
    assert names(page)[0] == "dye-bad"
    page.goto(f"file://{folder}/crosscheck.html#explored")
    assert page.locator("tr[id=explored]").bounding_box()["y"] < 900


@pytest.mark.slow
def test_without_script_the_pages_are_plain_complete_tables(browser, folder):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{folder}/index.html")
    assert page.locator("tbody tr:visible").count() == 10
    assert page.locator("form:visible").count() == 0
    assert page.get_by_role("link", name="HTML of orthodont-slope-ml").is_visible()
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser, folder, name, scheme, width):
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"file://{folder}/{name}")
    page.evaluate(script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert not [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.slow
def test_a_thousand_runs_are_usable(page, tmp_path, capsys):
    start = time.perf_counter()
    texts = index_files("Large", many(1000))
    made = time.perf_counter() - start
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    assert len(texts["index.html"].encode()) < 2_000_000
    start = time.perf_counter()
    page.goto(f"file://{tmp_path}/index.html")
    loaded = time.perf_counter() - start
    assert page.get_by_role("status").inner_text() == "1000 of 1000 runs shown"
    sort = page.evaluate(TOOK, "document.querySelector('button.sort').click()")
    search = "document.querySelector('form.controls').dispatchEvent(new Event('input'))"
    found = page.evaluate(TOOK, f"document.getElementById('by_q').value = 'growth run-0123'; {search}")
    assert names(page) == ["run-0123"]
    page.goto(f"file://{tmp_path}/crosscheck.html")
    assert page.get_by_role("status").inner_text() == "1000 of 1000 checks shown"
    sizes = {name: len(text.encode()) // 1000 for name, text in texts.items()}
    times = f"made in {made:.2f} s, loaded in {loaded:.2f} s, sorted in {sort:.0f} ms, filtered in {found:.0f} ms"
    with capsys.disabled():
        sys.stdout.write(f"\n1,000 runs: {times}; kB {sizes}\n")


@pytest.mark.slow
def test_paper_shows_every_row_and_no_control(browser, folder, pdftotext, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"file://{folder}/index.html")
    page.pdf(path=tmp_path / "index.pdf", prefer_css_page_size=True)
    text = subprocess.run(
        [pdftotext, "-layout", tmp_path / "index.pdf", "-"], capture_output=True, text=True, check=True
    )
    assert "Reset" not in text.stdout
    assert all(outcome.run.name in text.stdout for outcome in varied())
    context.close()
