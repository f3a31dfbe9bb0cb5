"""Tables of contrasts between marginal means, or between slopes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lmmtools.design.checks import check_memory
from lmmtools.errors import LMMError
from lmmtools.formats import counted, listed, quoted, visible
from lmmtools.frames import Frame, frame
from lmmtools.inference.contrasts import df_format, f_test, reference
from lmmtools.inference.means.adjust import WORDS, adjusted, half_width
from lmmtools.inference.means.families import contrast_coefficients, level_labels
from lmmtools.inference.means.rows import Estimates, Rows, estimates
from lmmtools.inference.means.shown import among, percent, shown_as

__all__ = ["Contrasts", "contrasts_of"]

_SUMS_TO_ZERO = 1e-9
_COPIES = 4  # of the contrasts' rows, on the way
_KINDS = {
    "pairwise": "Pairwise differences",
    "trt.vs.ctrl": "Differences from a control",
    "eff": "Deviations from the average",
    "consec": "Differences of consecutive levels",
    "poly": "Polynomial contrasts",
}
_F_BY = {
    "satterthwaite": "Satterthwaite's method (Fai and Cornelius)",
    "kenward-roger": "Kenward and Roger's method",
    "kenward-roger-observed": "Kenward and Roger's method, with the observed information, as SAS PROC MIXED and mmrm",
    "residual": "residual degrees of freedom",
    "normal": "χ² over its degrees of freedom",
}


class Contrasts(Frame):
    """Contrasts of marginal means, with tests and intervals; made by ``.contrasts()`` of those."""

    _metadata: ClassVar[list[str]] = [*Frame._metadata, "_rows", "_C", "_by"]
    _rows: Rows | None = None
    _C: np.ndarray | None = None
    _by: tuple[str, ...] = ()

    @property
    def _constructor(self) -> type[Contrasts]:
        return Contrasts

    def _whole(self, what: str) -> Rows:
        if self._rows is None or not self._described or len(self) != len(self._C):
            raise LMMError(f"{what}: this table is a part or a changed copy of what contrasts returned: ask the whole.")
        return self._rows

    @property
    def L(self) -> np.ndarray:
        """The linear functions of the fixed effects, shape (contrasts, p)."""
        return self._C @ self._whole("L").L

    def test(self) -> Frame:
        """F tests that all contrasts of one combination of `by` are zero together.

        Returns
        -------
        Frame
            `by`, then ``num_df, den_df, f_value, p_value``. Contrasts that are not estimable are left out; num_df is
            the rank of the others.
        """
        rows = self._whole("test")
        tested, L = estimates(rows, self._C).tested, self.L
        keys, found = [], []
        for key, places in groups_of(pd.DataFrame(self)[list(self._by)]):
            some = places[tested[places]]
            f = f_test(rows.fit, L[some], rows.ddf) if len(some) else None
            keys.append(key)
            found.append((f.num_df, f.den_df, f.f_value, f.p_value) if f else (0, np.nan, np.nan, np.nan))
        table = pd.DataFrame(keys, columns=list(self._by), index=range(len(keys)))
        table[["num_df", "den_df", "f_value", "p_value"]] = pd.DataFrame(found, index=table.index)
        gone = int((~tested).sum())
        return frame(
            table,
            caption=f"Joint tests of contrasts of {rows.what}{among(rows.levels.columns)}; F by {_F_BY[rows.ddf]}",
            label="tbl-contrasts-test",
            notes=(f"Without {counted(gone, 'contrast')} that cannot be tested.",) if gone else (),
            headings={"num_df": "df", "den_df": "denominator df", "f_value": "F", "p_value": "p"},
            formats={"num_df": "int", "den_df": df_format(table["den_df"]), "f_value": "fixed3", "p_value": "p"},
            index=False,
        )


def groups_of(keys: pd.DataFrame) -> list[tuple[tuple, np.ndarray]]:
    """Places of the rows of each combination of the columns, in order of appearance."""
    found: dict[tuple, list[int]] = {}
    for place, key in enumerate(keys.itertuples(index=False, name=None)):
        found.setdefault(key, []).append(place)
    return [(key, np.array(places)) for key, places in found.items()]


def contrasts_of(
    rows: Rows, method: Any, adjust: str, by: tuple[str, ...], ref: Any, notes: tuple[str, ...]
) -> Contrasts:
    """The table of one kind of contrast, within each combination of `by`; see `MarginalMeans.contrasts`."""
    own = [name for name in rows.levels if name not in by]
    keys, names, blocks, families = [], [], [], []
    groups = groups_of(rows.levels[list(by)])
    if isinstance(method, str) and method == "pairwise":
        pairs = sum(len(places) * (len(places) - 1) / 2 for _, places in groups)
        size = 8.0 * _COPIES * pairs * (len(rows) + rows.full.shape[1])
        check_memory(size, f"the {pairs:,.0f} pairwise differences", 'choose levels, or use "consec" or "trt.vs.ctrl"')
    for key, places in groups:
        levels = rows.levels.iloc[places]
        labels = level_labels({name: levels[name].tolist() for name in own}) if own else ["overall"] * len(places)
        called, C = contrast_coefficients(method, labels, list(levels[own].itertuples(index=False, name=None)), ref)
        block = np.zeros((len(C), len(rows)))
        block[:, places] = C
        families.append(np.arange(len(names), len(names) + len(called)))
        keys += [key] * len(called)
        names += called
        blocks.append(block)
    C = np.vstack(blocks)
    found = estimates(rows, C)
    table = pd.DataFrame(keys, columns=list(by), index=range(len(names)))
    table = table.assign(contrast=names, **_tested(found, C, families, adjust, rows.level))
    sizes = [int(found.tested[family].sum()) for family in families]
    used = adjust if max(sizes) > 1 else "none"
    said = (
        *_together(used, sizes, [_compared(C[f][found.tested[f]]) for f in families], rows, by),
        *_peculiar(found, C, _called(names, keys, by)),
        *notes,
    )
    caption = _caption(rows, method, used, by, len(names) > len(families))
    made = shown_as(table, rows, caption, "tbl-contrasts", said, Contrasts)
    made._rows, made._C, made._by = rows, C, by
    return made


def _tested(
    found: Estimates, C: np.ndarray, families: list[np.ndarray], adjust: str, level: float
) -> dict[str, np.ndarray]:
    """``estimate … ci_high``, p-values and intervals adjusted family by family."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(found.tested, found.estimate / found.std_error, np.nan)
    p_value, width = np.full(len(C), np.nan), np.full(len(C), np.nan)
    for family in families:
        means = _compared(C[family][found.tested[family]])
        p_value[family] = adjusted(statistic[family], found.df[family], adjust, means)
        width[family] = half_width(found.df[family], adjust, means, level)
    half = np.where(found.zero, 0.0, width * found.std_error)
    return {
        "estimate": found.estimate,
        "std_error": found.std_error,
        "df": found.df,
        "statistic": statistic,
        "p_value": p_value,
        "ci_low": found.estimate - half,
        "ci_high": found.estimate + half,
    }


def _compared(C: np.ndarray) -> int:
    """How many means take part in contrasts."""
    return int(C.any(axis=0).sum())


def _caption(rows: Rows, method: Any, adjust: str, by: tuple[str, ...], several: bool) -> str:
    kind = _KINDS.get(method, "Contrasts") if isinstance(method, str) else "Contrasts"
    own = [name for name in rows.levels if name not in by]
    how = f", adjusted by {WORDS[adjust]}" if adjust != "none" else ", not adjusted for their number" if several else ""
    return (
        f"{kind} of {rows.what}{among(own)}{among(by, 'within')}{how}, with {percent(rows.level)} intervals; "
        f"reference: {reference(rows.fit, rows.ddf)}"
    )


def _together(adjust: str, sizes: list[int], means: list[int], rows: Rows, by: tuple[str, ...]) -> tuple[str, ...]:
    """What the adjustment promises."""
    if adjust == "none":
        return ()
    within = f" within each level of {listed(f'`{name}`' for name in by)}" if len(by) == 1 else ""
    within = f" within each combination of {listed(f'`{name}`' for name in by)}" if len(by) > 1 else within
    number = listed(sorted(set(means if adjust == "tukey" else sizes)))
    if adjust == "tukey":
        return (f"The p-values and {percent(rows.level)} intervals hold for all differences of {number} means{within} "
                "together.",)  # fmt: skip
    if adjust == "holm":
        return (f"The p-values are Holm's for {number} contrasts{within}; his method has no intervals, those shown "
                f"are Bonferroni's, which hold together at {percent(rows.level)}.",)  # fmt: skip
    return (f"The p-values and {percent(rows.level)} intervals hold for {number} contrasts{within} together.",)


def _called(names: list[str], keys: list[tuple], by: tuple[str, ...]) -> list[str]:
    """Contrasts with the combination of `by` that they are in."""
    if not by:
        return names
    return [
        f"{name} ({', '.join(f'{variable} = {level}' for variable, level in zip(by, key, strict=True))})"
        for name, key in zip(names, keys, strict=True)
    ]


def _peculiar(found: Estimates, C: np.ndarray, names: list[str]) -> tuple[str, ...]:
    """Contrasts that are none, cannot be estimated, or are zero."""

    def those(which: Iterable[bool]) -> str:
        return quoted(visible(name) for name, it in zip(names, which, strict=True) if it)

    loose = np.abs(C.sum(axis=1)) > _SUMS_TO_ZERO * np.abs(C).sum(axis=1)
    zero, said = found.zero & found.known, []
    if loose.any():
        said.append(f"The coefficients of {those(loose)} do not sum to zero: that is no comparison of levels, but a "
                    "combination whose value depends on where the response has its zero.")  # fmt: skip
    if not found.known.all():
        said.append(f"Not estimable: {those(~found.known)}.")
    if zero.any():
        said.append(f"Zero by the model, whatever the data: {those(zero)}.")
    return tuple(said)
