"""Pictures of residual dependence show the table they are of, say what lies outside, and read in grey and dark."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import lmmtools as lt
from lmmtools.plots.groups import _rows_by_group
from tests.unit.test_dependence import longitudinal, orthodont

SVG = "{http://www.w3.org/2000/svg}"


def texts(figure):
    return ["".join(node.itertext()) for node in ET.fromstring(figure.svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def fit():
    return lt.fit_gls("distance ~ Sex * age", orthodont(), residual="ar1(age | Subject)")


def points_of(ax):
    """Marks without a line: x and y."""
    return next(line.get_xydata() for line in ax.lines if line.get_linestyle() == "None")


@pytest.mark.parametrize("name", ["semivariogram", "autocorrelation"])
def test_a_fit_and_its_table_give_the_same_picture(fit, name):
    plot, compute = getattr(lt.plots, name), getattr(lt, name)
    for kind in ("normalized", "pearson"):
        found = compute(fit, kind, n=39)
        assert lt.figure(plot, fit, kind=kind, n=39) == lt.figure(plot, found)
        x, y = ("distance", "semivariance") if name == "semivariogram" else ("lag", "autocorrelation")
        assert points_of(plot(found)) == pytest.approx(found[[x, y]].to_numpy())


def test_the_semivariogram_has_its_line_and_its_envelope(fit):
    found = lt.semivariogram(fit, "pearson")
    ax = lt.plots.semivariogram(found)
    curve = next(line for line in ax.lines if line.get_linestyle() == "--")
    assert curve.get_ydata() == pytest.approx(1 - fit.phi[0] ** np.arange(1.0, 7.0))
    band = ax.collections[0].get_paths()[0].vertices
    assert {round(y, 9) for y in found["low"]} <= {round(y, 9) for y in band[:, 1]}
    none = lt.plots.semivariogram(fit, n=0)
    assert not none.collections
    assert [line.get_ydata().tolist() for line in none.lines if line.get_linestyle() == "--"] == [[1.0, 1.0]]


def test_what_is_outside_is_said(fit):
    found = lt.semivariogram(fit)
    figure = lt.figure(lt.plots.semivariogram, found)
    assert "2 of 3 lie outside the envelope: 1.25 at 2.00 (above), 0.526 at 4.00 (below)." in figure.alt
    assert "95 % of 199 responses drawn from the fitted model" in figure.caption
    assert "the other covariance parameters kept" in figure.caption
    assert "Distance in age (years)" in texts(figure)
    assert "no envelope" in lt.figure(lt.plots.semivariogram, fit, n=0).alt
    assert "Grey" not in lt.figure(lt.plots.semivariogram, fit, n=0).caption


def test_single_pairs_are_drawn_on_request(fit):
    plain, cloud = (lt.plots.semivariogram(fit, cloud=cloud, n=0) for cloud in (False, True))
    assert len(cloud.lines) == len(plain.lines) + 1
    assert "Small: 162 single pairs." in lt.figure(lt.plots.semivariogram, fit, cloud=True, n=0).caption


def test_strata_have_curves_of_their_own():
    by = lt.fit_gls("distance ~ Sex * age", orthodont(), residual="ar1(age | Subject, by=Sex)")
    ax = lt.plots.semivariogram(by, kind="pearson", n=0)
    assert len({line.get_linestyle() for line in ax.lines if line.get_color() == "#D55E00"}) == 2
    assert "of Male and Female" in lt.figure(lt.plots.semivariogram, by, kind="pearson", n=0).caption


def test_limits_and_fitted_correlations_of_the_autocorrelation(fit):
    found = lt.autocorrelation(fit, "pearson", n=0)
    ax = lt.plots.autocorrelation(found)
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    assert sorted(line[0] for line in dashed) == pytest.approx([-found["limit"].iloc[0], found["limit"].iloc[0]])
    squares = next(line for line in ax.lines if line.get_marker() == "s")
    assert squares.get_ydata() == pytest.approx(fit.phi[0] ** np.array([2.0, 4.0, 6.0]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "4", "6"]


def test_one_lag_is_a_picture_too():
    data = longitudinal(times=2, keep=1.0)
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    for plot in (lt.plots.autocorrelation, lt.plots.semivariogram):
        assert lt.figure(plot, fit).svg.count("<svg") == 1


def test_correlations_are_written_into_their_cells(fit):
    found = lt.covariance_match(fit)
    figure = lt.plots.covariance_match(found)
    empirical, fitted, difference, deviations = [ax for ax in figure.axes if ax.axison]
    for ax, name, form in ((empirical, "empirical_cor", "{:.2f}"), (fitted, "fitted_cor", "{:.2f}")):
        matrix = found.matrix(name).to_numpy()
        shown = {text.get_position(): text.get_text() for text in ax.texts}
        assert shown == {(j, i): form.format(matrix[i, j]) for i in range(4) for j in range(4) if i != j}
    z = found.matrix("z").to_numpy()
    assert {t.get_position(): float(t.get_text().replace("−", "-")) for t in difference.texts} == pytest.approx(
        {(j, i): round(z[i, j], 1) for i in range(4) for j in range(4)}, abs=0.051
    )
    filled = points_of(deviations)[:, 1]
    variance = found[found["first"] == found["second"]]["empirical"]
    assert filled == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize(("times", "numbers"), [(12, True), (13, False), (30, False)])
def test_many_occasions_stay_readable(times, numbers):
    data = longitudinal(times=times, keep=0.9)
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    figure = lt.plots.covariance_match(fit)
    empirical, _, difference, _ = [ax for ax in figure.axes if ax.axison]
    written = {text.get_text() for text in empirical.texts}
    assert (len(empirical.texts) == times * (times - 1)) == numbers
    assert numbers or written <= {"−"}
    assert numbers or {text.get_text() for text in difference.texts} <= {"+", "−"}
    assert len(empirical.get_xticks()) <= 15
    said = lt.figure(lt.plots.covariance_match, fit)
    assert ("Signs: beyond 2." in said.caption) != numbers
    assert f"over {times} occasions" in said.alt


def test_cells_are_transparent_so_that_a_page_may_be_dark(fit):
    figure = lt.plots.covariance_match(fit)
    pixels = figure.axes[1].images[0].get_array()
    assert pixels.shape[2] == 4
    assert pixels[..., 3].max() <= 0.62
    svg = lt.figure(lt.plots.covariance_match, fit).svg
    assert "currentColor" in svg
    assert not re.search(r"fill: ?(#fff|white)", svg)


def test_pairs_never_seen_are_dots():
    data = longitudinal(keep=1.0)
    data = data[~((data["id"] % 2 == 0) & (data["t"] == 0)) & ~((data["id"] % 2 == 1) & (data["t"] == 5))]
    fit = lt.fit_gls("y ~ x", data, residual="ar1(t | id)")
    figure = lt.plots.covariance_match(fit)
    assert [text.get_position() for text in figure.axes[1].texts if text.get_text() == "·"] == [(5, 0), (0, 5)]
    assert "Dots: 1 pair never seen together." in lt.figure(lt.plots.covariance_match, fit).caption


def test_hostile_names_are_text():
    data = longitudinal().rename(columns={"t": "<t> $x$", "id": "@id [y] #"})
    data["`"] = 1.0
    fit = lt.fit_gls("y ~ x", data, residual="ar1(`<t> $x$` | `@id [y] #`)")
    for plot in (lt.plots.semivariogram, lt.plots.autocorrelation, lt.plots.covariance_match):
        figure = lt.figure(plot, fit)
        assert any("<t> $x$" in text for text in texts(figure))


def test_the_same_bytes_every_time(fit):
    for plot in (lt.plots.semivariogram, lt.plots.autocorrelation, lt.plots.covariance_match):
        assert lt.figure(plot, fit) == lt.figure(plot, fit)


def test_something_else_is_refused():
    for plot in (lt.plots.semivariogram, lt.plots.autocorrelation, lt.plots.covariance_match):
        with pytest.raises(lt.LMMError, match="takes a fit; got DataFrame"):
            plot(pd.DataFrame())


@pytest.mark.parametrize(
    ("residual", "x"),
    [
        ("car1(Time | Mare)", "Time (cycles)"),
        ("ar1(factor(Time) | Mare)", "sin(6.283185307179586 * Time)"),
        ("exp(Time | Mare, nugget=True)", "Time (cycles)"),
    ],
)
def test_data_by_group_are_drawn_over_the_time_that_residuals_have(residual, x):
    ovary = lt.load_dataset("Ovary")
    fit = lt.fit_gls("follicles ~ sin(6.283185307179586 * Time)", ovary, residual=residual)
    assert _rows_by_group(fit).labels["x"] == x


def test_occasions_of_an_unstructured_correlation_are_times():
    fit = lt.fit_gls("distance ~ Sex", lt.load_dataset("Orthodont"), residual="us(age | Subject)")
    assert sorted(set(_rows_by_group(fit).table["x"])) == [8.0, 10.0, 12.0, 14.0]
