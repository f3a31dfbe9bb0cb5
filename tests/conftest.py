"""What every test shares: how hypothesis searches, and where the programs that look at pages are."""

import os
import shutil

import pytest
from hypothesis import settings

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)  # the same cases every run
settings.load_profile("ci" if os.environ.get("CI") else "local")


def _program(names: tuple[str, ...], package: str) -> str:
    """Return the path of the first program found; else skip, or fail where the run asks for pages seen."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    sentence = f"{names[0]} is not installed (package {package}), so the pages were not looked at"
    if os.environ.get("LMMTOOLS_REQUIRE_BROWSER"):
        pytest.fail(f"{sentence}, and LMMTOOLS_REQUIRE_BROWSER asks for it")
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that runs headless."""
    return _program(("chromium", "chromium-browser", "google-chrome"), "chromium")


@pytest.fixture(scope="session")
def pdftoppm() -> str:
    """Path of poppler's pdftoppm, which turns the pages of a PDF into pictures."""
    return _program(("pdftoppm",), "poppler-utils")


@pytest.fixture(scope="session")
def pdftotext() -> str:
    """Path of poppler's pdftotext, which takes the text out of a PDF."""
    return _program(("pdftotext",), "poppler-utils")
