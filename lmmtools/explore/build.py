"""From a formula and a frame to an `Exploration`, one question after the other."""

from __future__ import annotations

from lmmtools.arguments import check_level
from lmmtools.explore import crossing, missing, structure
from lmmtools.explore.candidates import candidate_table
from lmmtools.explore.lines import Lines, lines_of, regression_table, slope_table
from lmmtools.explore.response import deviations, other_scale, outlier_table, response_table
from lmmtools.explore.value import Exploration
from lmmtools.explore.variables import Variable, Variables, read_variables
from lmmtools.explore.variation import Split, variation_table, varies_within
from lmmtools.formats import counted, listed, quoted, shown

__all__ = ["explore_data"]

# Fewer levels than this say little about a variance between them; see lmmtools.estimable.
_FEW_LEVELS = 5
# Where this share of the rows is replicated by design, equal rows are no surprise.
_REPLICATED = 0.1


def explore_data(data: object, formula: str, *, level: float = 0.95) -> Exploration:
    """What there is to know of the data before a model is fitted.

    Parameters
    ----------
    data : data frame
        pandas, polars, pyarrow, or another eager frame that narwhals reads.
    formula : str
        The widest model in mind, in R's notation. Several grouping factors are welcome, crossed or nested; without
        any, the tables about groups are empty.
    level : float
        Of the intervals of the lines, group by group.

    Returns
    -------
    Exploration
        Frozen: tables, messages, and the numbers that plots draw. Each table uses the rows that have what it needs;
        how many, it says.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the data lack a column or have no rows, or the response is not numeric, missing throughout or constant.
    LMMError
        If `level` does not lie between 0 and 1.

    Examples
    --------
    >>> import lmmtools as lt
    >>> found = lt.explore_data(lt.load_dataset("Orthodont"), "distance ~ age * Sex + (age | Subject)")
    >>> found.summary()["share_within"]["Subject"]["age"], found.candidates["verdict"].iloc[1]
    (1.0, 'estimable')
    """
    level = check_level(level)
    variables = read_variables(formula, data)
    variation, splits = variation_table(variables)
    lines = _lines(variables, splits, level)
    main = _main_group(variables)
    first = next((one for one in lines if main is not None and one.factor == main.name), None)
    within = deviations(variables, main, first, variables.response.values)
    pairs = crossing.crossings(variables)
    candidates = candidate_table(variables, splits)
    outliers = outlier_table(variables, within, main)
    groups = structure.group_table(variables)
    facts = {
        "replicates": structure.replicates(variables),
        "scales": other_scale(variables, main, first),
        "icc": dict(zip(groups["factor"], groups["icc"], strict=True)),
    }
    messages = (
        *_about_rows(variables), *_about_groups(variables), *_about_pairs(variables, pairs),
        *_about_lines(lines), *_about_response(variables, outliers, facts),
    )  # fmt: skip
    return Exploration(
        variables.parsed.text, structure.structure_table(variables), missing.missing_table(variables),
        missing.missing_response_table(variables), groups, structure.balance_table(variables),
        structure.design_table(variables), crossing.crossing_table(pairs), variation, slope_table(lines),
        regression_table(lines, variables, level), candidates, response_table(variables, within), outliers, messages,
        level, facts, variables, pairs, lines, splits, within,
    )  # fmt: skip


def _main_group(variables: Variables) -> Variable | None:
    """The grouping factor of most levels that has rows to spare: within its groups a response is looked at."""
    able = [group for group in variables.groups if 0 < len(group.levels) <= group.present.sum() / 2]
    return max(able, key=lambda group: len(group.levels), default=None)


def _lines(variables: Variables, splits: dict[tuple[str, str], Split], level: float) -> tuple[Lines, ...]:
    """Lines for each factor and each number that varies within its groups."""
    found = (
        lines_of(variables.response, covariate, group, level)
        for group in variables.groups
        for covariate in variables.covariates_of(group.name)
        if covariate.is_number and varies_within(splits[group.name, covariate.name])
    )
    return tuple(one for one in found if len(one.table))  # the response may be missing where a line would be


def _about_rows(variables: Variables) -> list[str]:
    n, complete = len(variables.index), int(variables.complete.sum())
    if complete == n:
        return []
    counts = [f"`{name}` ({int(mask.sum())})" for name, mask in variables.missing.items() if mask.any()]
    if complete == 0:
        return [f"None of the {counted(n, 'row')} is complete; values are missing in {listed(counts)}."]
    return [f"{n - complete} of {counted(n, 'row')} have missing values, in {listed(counts)}; a fit leaves them out."]


def _about_groups(variables: Variables) -> list[str]:
    found = []
    for group in variables.groups:
        sizes = structure.group_sizes(group)
        single, levels = group.levels[sizes == 1], len(sizes)
        if levels < 2:
            what = "1 level" if levels else "no level: every value is missing"
            found.append(f"`{group.name}` has {what}, so nothing can differ between its groups; a fit refuses it.")
        elif levels < _FEW_LEVELS:
            found.append(
                f"`{group.name}` has {counted(levels, 'level')}: a variance between them is hardly estimated; consider "
                "it as a fixed effect."
            )
        if 0 < len(single) < levels:
            found.append(f"{counted(len(single), 'level')} of `{group.name}` seen in one row: {quoted(single)}.")
        elif levels and len(single) == levels:
            found.append(f"every level of `{group.name}` has one row, so nothing is repeated within it.")
    for covariate in variables.covariates:
        if not covariate.is_number and len(covariate.levels):
            single = covariate.levels[structure.group_sizes(covariate) == 1]
            if len(single):
                found.append(f"`{covariate.name}` has one row only in {quoted(single)}.")
    return found


def _about_pairs(variables: Variables, pairs: tuple[crossing.Crossing, ...]) -> list[str]:
    names = set(variables.parsed.groups)
    return [
        f"every level of `{pair.first}` occurs with every level of `{pair.second}`. If the labels of one were merely "
        f"used again within each level of the other (cask a of one batch being another cask than a of the next), it is "
        f"nested, and the formula says so: (1 | {pair.second}/{pair.first}) or (1 | {pair.first}/{pair.second})."
        for pair in pairs
        if crossing.may_be_reused(pair, names)
    ]


def _about_lines(lines: tuple[Lines, ...]) -> list[str]:
    return [
        f"{counted(len(one.without), 'level')} of `{one.factor}` with fewer than two values of `{one.covariate}`, so "
        f"without a line: {quoted(one.without)}."
        for one in lines
        if one.without
    ]


def _about_response(variables: Variables, outliers: object, facts: dict) -> list[str]:
    found = []
    if len(outliers):
        found.append(
            f"{counted(len(outliers), 'row')} where `{variables.response.name}` stands apart from the others: "
            f"{quoted(outliers['row'])}."
        )
    scales = dict(facts["scales"])
    if scales:
        own = scales.pop("own")
        best = min(scales, key=lambda name: abs(scales[name]))
        found.append(
            f"within groups `{variables.response.name}` is skewed ({shown(own)}); its {best} is less so "
            f"({shown(scales[best])}) and may suit a linear model better."
        )
    same = facts["replicates"]
    if same["identical"] and same["rows"] < _REPLICATED * len(variables.index):
        found.append(
            f"{counted(same['identical'], 'row')} equal to an earlier row in every column: check that no "
            "row was entered twice."
        )
    return found
