"""Numbers of single groups that paths name: coefficients, conditional deviations, regressions within groups."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.groupwise import fit_groups
from lmmtools.inference.contrasts import two_sided
from lmmtools.replication.quantities.heads import Asked, Head, cell

__all__ = ["GROUPWISE"]

_REGRESSION = ("estimate", "std_error", "df", "statistic", "p_value", "low", "high")


def _ranef(asked: Asked) -> float:
    modes = asked.fit.ranef
    return cell(modes[asked.walk.name("grouping factor", modes)], asked, "level", "random effect")


def _ranef_sd(asked: Asked) -> float:
    """√ of the diagonal of Var(b | y)."""
    modes = asked.fit.ranef
    factor = asked.walk.name("grouping factor", modes)
    variances = np.diagonal(asked.fit.ranef_cov[factor], axis1=1, axis2=2)
    table = pd.DataFrame(np.sqrt(variances), index=modes[factor].index, columns=modes[factor].columns)
    return cell(table, asked, "level", "random effect")


def _ranef_cov(asked: Asked) -> float:
    """Var(b | y) of two effects of a level, at β̂ and θ̂."""
    modes = asked.fit.ranef
    factor = asked.walk.name("grouping factor", modes)
    levels, names = list(map(str, modes[factor].index)), list(modes[factor].columns)
    level = levels.index(str(asked.walk.name("level", levels)))
    i, j = (names.index(asked.walk.name("random effect", names)) for _ in range(2))
    return float(asked.fit.ranef_cov[factor][level, i, j])


def _group_coef(asked: Asked) -> float:
    """β̂ with the conditional modes of a group added, and with nested=yes those of the groups that it lies in."""
    fit = asked.fit
    nested = asked.one_of("nested", "no", ("no", "yes")) == "yes"
    factor = asked.walk.name("grouping factor", fit.ranef)
    levels = list(map(str, fit.ranef[factor].index))
    place = levels.index(str(asked.walk.name("level", levels)))
    factors = [factor, *(other for other in fit.ranef if nested and other != factor and _within(fit, factor, other))]
    names = list(dict.fromkeys([*fit.fixef.index, *(name for one in factors for name in fit.ranef[one])]))
    effect = str(asked.walk.name("coefficient", names))
    found = float(fit.fixef.get(effect, 0.0))
    for one in factors:
        if effect in fit.ranef[one]:
            found += float(fit.ranef[one][effect].iloc[place if one == factor else _above(fit, factor, one)[place]])
    return found


def _codes(fit: Any, factor: str) -> np.ndarray:
    return next(term.codes for term in fit.design.terms if term.factor == factor)


def _above(fit: Any, fine: str, coarse: str) -> np.ndarray:
    """The level of a coarser factor that the first row of each level of a finer one is in."""
    first = np.unique(_codes(fit, fine), return_index=True)[1]
    return _codes(fit, coarse)[first]


def _within(fit: Any, fine: str, coarse: str) -> bool:
    """Whether each level of one factor lies in one level of another."""
    return bool(np.all(_above(fit, fine, coarse)[_codes(fit, fine)] == _codes(fit, coarse)))


def _regressions(asked: Asked) -> Any:
    return fit_groups(asked.fit, factor=asked.call.options.get("factor"))


def _lmlist_table(asked: Asked) -> pd.DataFrame:
    pooled = asked.one_of("pooled", "yes", ("yes", "no")) == "yes"
    return _regressions(asked).intervals(asked.level, pooled=pooled)


def _lmlist(asked: Asked) -> float:
    """A least-squares coefficient of a group's own rows, and what belongs to it."""
    table, walk = asked.once(_lmlist_table), asked.walk
    level = walk.name("level", table["level"].unique())
    own = table[table["level"] == level]
    row = own[own["effect"] == walk.name("coefficient", own["effect"])].iloc[0]
    column = walk.name("column", _REGRESSION)
    statistic = row["estimate"] / row["std_error"]
    if column in ("statistic", "p_value"):
        return float(statistic if column == "statistic" else two_sided(np.array([statistic]), np.array([row["df"]]))[0])
    return float(row[column])


GROUPWISE = MappingProxyType({
    "ranef": Head(_ranef, {"ranef.GROUP.LEVEL.EFFECT": "conditional mode"}),
    "ranef_sd": Head(_ranef_sd, {"ranef_sd.GROUP.LEVEL.EFFECT": "its standard deviation given the data, θ and β"}),
    "ranef_cov": Head(_ranef_cov, {"ranef_cov.GROUP.LEVEL.EFFECT.EFFECT": "covariance of two of them, likewise"}),
    "group_coef": Head(
        _group_coef,
        {"group_coef.GROUP.LEVEL.NAME": "fixed effect plus conditional mode, as `coef` of lme4 and nlme",
         "group_coef(nested=yes).GROUP.LEVEL.NAME": "with the modes of the coarser groups that it lies in, as nlme"},
        ("nested",),
    ),
    "lmlist": Head(
        _lmlist,
        {"lmlist(pooled=yes, level=0.95).LEVEL.NAME.COLUMN": "regression of one group's rows on the columns of the "
         "random effects: estimate, std_error, df, statistic, p_value, low, high; of several factors the one that "
         "factor= names"},
        ("pooled", "level", "factor"),
    ),
    "lmlist_sigma": Head(
        lambda a: a.once(_regressions).pooled_sigma, {"lmlist_sigma": "their pooled residual sd"}, ("factor",)
    ),
    "lmlist_df": Head(lambda a: a.once(_regressions).pooled_df, {"lmlist_df": "its degrees of freedom"}, ("factor",)),
})  # fmt: skip
