"""The profile of a fit as a table that knows its intervals and its pictures, and intervals without the table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.arguments import check_level
from lmmtools.errors import LMMError
from lmmtools.formats import effect_unit, interval_format, listed, nearest
from lmmtools.frames import Frame, frame
from lmmtools.profiles.limits import curve, limit
from lmmtools.profiles.parameters import Origin
from lmmtools.profiles.path import Path, Point
from lmmtools.profiles.paths import path_of
from lmmtools.resampling.blocks import bar

__all__ = ["Profile", "profile", "profile_confint"]

# |ζ| to which curves go, beyond the 3.03 of two parameters' joint 99 % region, and how far apart their points are.
_FURTHEST, _STEP = 3.2, 0.4
# Seconds that all parameters are expected to take, above which a bar is shown.
_LONG = 10.0
_REFITTED = (
    "The fit is by REML. What is profiled is the ML criterion of the same model, since REML criteria with different "
    "fixed effects cannot be compared; ML's variances are the smaller ones, so that with few groups intervals of fixed "
    "effects are too short: coef_table allows for that."
)


class Profile(Frame):
    """The profile of a fit, a row a point: ``parameter, value, zeta``.

    Attributes
    ----------
    origin : Origin
        The fit by ML.
    curves : Mapping[str, tuple of Point]
        The points by parameter, in increasing order of its value.
    reml : bool
        Whether the fit that was given is by REML.
    asked : tuple of str
        The parameters asked for, those without a curve among them.
    """

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "origin", "curves", "reml", "asked"]
    origin: Origin | None = None
    curves: Mapping[str, tuple[Point, ...]] = MappingProxyType({})
    reml: bool = False
    asked: tuple[str, ...] = ()

    @property
    def _constructor(self) -> type[Profile]:
        return Profile

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters profiled that this table has rows of."""
        here = set(self["parameter"]) if "parameter" in self.columns else set(self.curves)
        return tuple(name for name in self.curves if name in here)

    @property
    def estimates(self) -> pd.Series:
        """The ML estimates of the parameters profiled."""
        paths = _paths(self.origin, self.names)
        return pd.Series({path.name: path.estimate for path in paths}, name="estimate", dtype=float)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the parameters profiled, where the data know them."""
        design, found = self.origin.fit.design, {}
        for p in self.origin.parameters:
            if p.name not in self.names or p.kind in ("cor", "residual"):
                continue
            effect = design.terms[p.term].names[p.places[0]] if p.kind == "sd" else "Intercept"
            if p.kind == "coefficient":  # an interaction with indicators has the units of its covariate's slope
                effect = ":".join(part for part in p.name.split(":") if "[" not in part) or p.name
            found[p.name] = effect_unit(design.units, design.response, effect)
        return {name: unit for name, unit in found.items() if unit}

    @property
    def traces(self) -> pd.DataFrame:
        """Every parameter at every point, a column each, with the columns ``parameter`` and ``zeta`` before them."""
        names = [p.name for p in self.origin.parameters]
        parts = []
        for name in self.names:
            points = self.curves[name]
            part = pd.DataFrame([p.parameters for p in points], columns=names)
            part.insert(0, "zeta", [p.zeta for p in points])
            part.insert(0, "parameter", name)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def confint(self, level: float = 0.95) -> Frame:
        """Intervals ``low, high``, where |ζ| is the normal quantile; exact, not read off the points.

        Raises
        ------
        LMMError
            If the level does not lie between 0 and 1.
        """
        whole = len(self.names) == len(self.curves)  # then also what was asked for and has no curve
        asked = self.asked if whole else self.names
        return _intervals(_paths(self.origin, asked), level, self.reml, self.curves)

    def plot(self, kind: str = "zeta", ax: Any = None) -> Any:
        """A picture: ``"zeta"`` curves, a panel a parameter, or ``"pairs"`` of parameters with traces and contours.

        Returns
        -------
        Figure, or what was drawn on where `ax` is given

        Raises
        ------
        LMMError
            If there is no such kind.
        """
        import lmmtools  # pictures stand on a floor above; by their public names

        if kind not in ("zeta", "pairs"):
            raise LMMError(f'Profile.plot: kind={kind!r} is unknown; use "zeta" or "pairs".')
        draw = lmmtools.plots.profile_zeta if kind == "zeta" else lmmtools.plots.profile_pairs
        return lmmtools.figure(draw, self) if ax is None else draw(self, ax=ax)


def profile(fit: Any, which: str | Sequence[str] | None = None) -> Profile:
    """How the ML criterion rises as each parameter moves away from its estimate.

    Parameters
    ----------
    fit : LMMFit
        One by REML is refitted by ML.
    which : str or sequence of str, optional
        Parameters by the names of `confint`'s rows: coefficients, ``sd(g, x)``, ``cor(g, x, z)``, ``sigma``, and those
        of the residual structure as `residual_params` names them; all by default.

    Returns
    -------
    Profile
        A frame ``parameter, value, zeta``; its ``confint(level)`` gives intervals, its ``plot()`` a picture.

    Raises
    ------
    LMMError
        If `fit` is no fit, or has no such parameter.
    ModelError
        If a point of a profile lies below the fit, which then is not the optimum.

    Notes
    -----
    ζ(ψ) = sign(ψ − ψ̂)√(d(ψ) − d(ψ̂)), d(ψ) the least −2 log-likelihood with ψ held, all other parameters re-estimated.
    Where ζ is a straight line a Wald interval on this scale would do; where it bends the interval is asymmetric.

    References
    ----------
    Bates & Watts (1988), Nonlinear Regression Analysis and Its Applications, ch. 6; Venzon & Moolgavkar (1988), Appl.
    Statist. 37, 87–94; Bates, Mächler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sec. 5.1.

    Examples
    --------
    >>> import lmmtools as lt
    >>> from lmmtools.profiles import profile
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"), reml=False)
    >>> profile(fit, "sd(Subject, Days)").confint().round(3).loc["sd(Subject, Days)"].tolist()
    [3.801, 8.753]
    """
    origin, reml = _origin(fit)
    asked = _asked(origin, which)
    paths = _paths(origin, asked)
    same, curves = {}, {}
    for path in _one_by_one(paths, "profile"):
        if not path.why_not():
            same[path.key] = same.get(path.key) or curve(path, _FURTHEST, _STEP)
            curves[path.name] = same[path.key]
    rows = [(name, p.value, p.zeta) for name, points in curves.items() for p in points]
    made = frame(
        pd.DataFrame(rows, columns=["parameter", "value", "zeta"]),
        caption=f"profile (ML) of {listed(curves) if len(curves) <= 4 else f'{len(curves)} parameters'}",
        label="tbl-profile",
        notes=(
            "ζ is the signed root of what the criterion rises by when the parameter has this value and all others "
            "are re-estimated.",
            *((_REFITTED,) if reml else ()),
            *(path.why_not() for path in paths if path.why_not()),
            *_flat(paths),
            *_ends(paths, curves),
        ),
        headings={"parameter": "Parameter", "value": "Value", "zeta": "ζ"},
        formats={"value": "estimate", "zeta": "fixed2"},
        index=False,
        cls=Profile,
    )
    made.origin, made.curves, made.reml, made.asked = origin, curves, reml, asked
    return made


def profile_confint(fit: Any, level: float = 0.95, which: str | Sequence[str] | None = None) -> Frame:
    """Profile-likelihood intervals, by finding their limits alone.

    Parameters
    ----------
    fit : LMMFit
        One by REML is refitted by ML.
    level : float
    which : str or sequence of str, optional
        Parameters by name; all by default.

    Returns
    -------
    Frame
        ``low, high``, rows as in `profile`. Where ζ does not reach the cutoff before a bound of the parameter the
        bound is the limit, where there is none the interval is open (infinite), and where there is no profile both are
        NaN; the notes say which and why.

    Raises
    ------
    LMMError
        If `fit` is no fit, has no such parameter, or the level does not lie between 0 and 1.
    ModelError
        If a point of a profile lies below the fit, which then is not the optimum.
    """
    check_level(level)
    origin, reml = _origin(fit)
    return _intervals(_paths(origin, _asked(origin, which)), level, reml, {})


def _origin(fit: Any) -> tuple[Origin, bool]:
    if not (hasattr(fit, "varcorr") and hasattr(fit, "refit")):
        raise LMMError(f"profile: takes a fit made by fit_lmm; got {type(fit).__name__}.")
    return Origin(fit.refit(reml=False) if fit.reml else fit), bool(fit.reml)


def _asked(origin: Origin, which: str | Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(p.name for p in origin.parameters)
    if which is None:
        return names
    asked = (which,) if isinstance(which, str) else tuple(which)
    for name in asked:
        if name not in names:
            raise LMMError(f"profile: there is no parameter {name!r}{nearest(str(name), names)}")
    return tuple(name for name in names if name in asked)


def _paths(origin: Origin, names: Sequence[str]) -> list[Path]:
    return [path_of(origin, p) for p in origin.parameters if p.name in names]


def _intervals(paths: Sequence[Path], level: float, reml: bool, known: Mapping[str, tuple[Point, ...]]) -> Frame:
    from scipy.special import ndtri

    cutoff = float(ndtri(0.5 + check_level(level) / 2.0))
    rows, notes, same = {}, [], {}
    for path in _one_by_one(paths, "confint"):
        if why := path.why_not():
            rows[path.name] = (np.nan, np.nan)
            notes.append(why)
            continue
        if path.key not in same:
            same[path.key] = [limit(path, cutoff, side, known.get(path.name, ())) for side in (-1, 1)]
            notes += [f"{end.why}." for end in same[path.key] if end.why]
        rows[path.name] = tuple(end.value for end in same[path.key])
    notes += _flat(paths)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["low", "high"])
    return frame(
        table,
        caption=f"{100 * level:g} % intervals: profile (ML)",
        label="tbl-confint",
        notes=(*((_REFITTED,) if reml else ()), *dict.fromkeys(notes)),
        headings={"low": "Low", "high": "High"},
        formats=dict.fromkeys(table.columns, interval_format(table["low"], table["high"])),
    )


def _one_by_one(paths: Sequence[Path], what: str) -> Iterator[Path]:
    """The parameters, on a terminal with a bar that counts them where the first ones show that all will take long."""
    start, advance = time.perf_counter(), None
    with ExitStack() as stack:
        for done, path in enumerate(paths):
            if advance:
                advance(1)
            elif done and (time.perf_counter() - start) * len(paths) / done > _LONG:
                advance = stack.enter_context(bar(len(paths), what, None))
                advance(done)
            yield path


def _flat(paths: Sequence[Path]) -> list[str]:
    """What the data do not determine, and what its profile is then; and what else is held."""
    if not paths:
        return []
    fit = paths[0].origin.fit
    flat, residual = fit.certificate.flat, fit.design.residual
    told = [f"Not determined by the data, so that a profile stays level: {'; '.join(flat)}."] if flat else []
    if residual is not None and any(part.fitted for part in residual.variances):
        told.append("The fitted values that the residuals' variances depend on are held at those of the fit.")
    return told


def _ends(paths: Sequence[Path], curves: Mapping[str, tuple[Point, ...]]) -> list[str]:
    """Sentences on curves that end on a bound before they have gone far."""
    short = [
        path.name
        for path in paths
        for k in (0, -1)
        if path.name in curves and curves[path.name][k].value in (path.low, path.high)
    ]
    return [f"{listed(dict.fromkeys(short))}: the curve ends on a bound of the parameter."] if short else []
