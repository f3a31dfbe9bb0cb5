"""Which of several models is preferred, by what, how clearly, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from lmmtools.comparison import is_plain
from lmmtools.errors import ModelError
from lmmtools.formats import counted, format_value, is_missing, listed, visible
from lmmtools.models import Models
from lmmtools.prose.value import Prose, alert, literal, told
from lmmtools.prose.warnings import singularity

__all__ = ["headline", "untested", "verdict"]

# Burnham & Anderson (2002), section 2.6: models this close have substantial support both.
_CLOSE = 2.0
_MOST_NAMED = 4
_CHOSEN = "No interval here allows for the model's having been chosen by the same data [@burnham2002]."


def verdict(models: Models, alpha: float = 0.05) -> Prose:
    """The preferred model with the reasons for it, and all that limits the comparison.

    Parameters
    ----------
    models : Models
    alpha : float
        Level at which likelihood-ratio tests are called significant.

    Returns
    -------
    Prose
        Paragraphs: the verdict, what criteria and tests say, how the models were compared; then boxes for singular,
        uncertified, equal and missing models.

    Raises
    ------
    ModelError
        If `models` is not what `fit_models` returns.

    Notes
    -----
    Preferred is the lowest AIC among the fits whose optimum is certified; a singular one is named as such.
    """
    if not isinstance(models, Models):
        raise ModelError(f"verdict: takes what fit_models returns; got {type(models).__name__}.")
    paragraphs = [
        " ".join(filter(None, [_preferred(models), *_margin(models)])),
        " ".join(filter(None, [_other_criteria(models), _leaning(models), *_tests(models, alpha), _untested(models)])),
        _method(models),
    ]
    boxes = [*_singular(models), *_uncertified(models), *_equal(models), *_left_out(models)]
    return Prose("\n\n".join([*filter(None, paragraphs), *boxes]))


def headline(models: Models) -> str:
    """The verdict in one plain sentence."""
    if len(models) == 1:
        return f"{visible(models.preferred)} is the only model that could be fitted."
    close = [visible(name) for name, _ in _rivals(models)]
    others = f"; hardly distinguishable from {_names(close)}" if close else ""
    aic = _fixed(_row(models)["aic"])
    return f"{visible(models.preferred)} is preferred among {len(models)} models: AIC {aic}{others}."


def _name(name: str) -> str:
    """A model's name within a sentence."""
    return f"*{literal(name.strip())}*"


def _row(models: Models) -> pd.Series:
    return pd.DataFrame(models.criteria).loc[models.preferred]


def _fixed(value: float) -> str:
    return format_value(float(value), "fixed2")


def _names(names: list[str]) -> str:
    """A few names, and how many more."""
    more = len(names) - _MOST_NAMED
    return listed([*names[:_MOST_NAMED], f"{more} more"] if more > 0 else names)


def _head(models: Models, name: str) -> str:
    """The name that stands for a model in the lattice."""
    return next(node.name for node in models.steps.nodes if name == node.name or name in node.same)


def _distances(models: Models) -> list[tuple[str, float]]:
    """Certified models other than the preferred one and its equals, with how far behind it their AIC is."""
    aic = models.criteria["aic"]
    head = _head(models, models.preferred)
    others = [n for n in (models.sound or models) if _head(models, n) == n != head]
    found = [(name, float(aic[name] - aic[models.preferred])) for name in others]
    return sorted(found, key=lambda pair: pair[1])


def _rivals(models: Models) -> list[tuple[str, float]]:
    return [pair for pair in _distances(models) if pair[1] <= _CLOSE]


def _preferred(models: Models) -> str:
    name, row = literal(models.preferred), _row(models)
    formula = literal(models[models.preferred].formula)
    if models[models.preferred].design.residual is not None:
        formula += f", residuals {literal(models[models.preferred].design.residual.text)}"
    if len(models) == 1:
        return f"**{name} is the only model that could be fitted**, so there is nothing to compare it with: {formula}."
    aic, weight = _fixed(row["aic"]), format_value(row["weight"], "fixed3")
    weight = "more than 0.999" if weight == "1.000" and row["weight"] < 1.0 else weight
    if not models.sound:
        whose, weighs = "; but no optimum is certified, so that this says little", ""
    elif len(models.sound) < len(models):
        whose, weighs = f" of the {len(models.sound)} whose optimum is certified", ""
    else:
        whose, weighs = "", f", with an Akaike weight of {weight}"
    return (
        f"**{name} is preferred** among {counted(len(models), 'model')}: {formula}. Its AIC [@akaike1974] is the "
        f"lowest{whose}: {aic}{weighs} (@tbl-compare)."
    )


def _margin(models: Models) -> Iterator[str]:
    """How far behind the others are."""
    distances, rivals = _distances(models), _rivals(models)
    if not distances:
        return
    if not rivals:
        name, behind = distances[0]
        yield f"No other comes within 2 of it: the next, {_name(name)}, is {_fixed(behind)} behind."
        return
    said = [f"{_name(name)} ({_fixed(behind)} behind)" for name, behind in rivals]
    yield (
        f"It is hardly distinguishable from {_names(said)}, since differences in AIC of 2 or less say little "
        "[@burnham2002]."
    )
    head = _head(models, models.preferred)
    above, below = _reach(models, head, back=False), _reach(models, head, back=True)
    smaller = [_name(name) for name, _ in rivals if name in below]
    larger = [_name(name) for name, _ in rivals if name in above]
    if smaller:
        one = len(smaller) == 1
        special, them = ("is a special case", "it") if one else ("are special cases", "them")
        yield f"{listed(smaller)} {special} of it: who wants a simpler model loses little with {them}."
    if larger:
        contain = "contains it and fits" if len(larger) == 1 else "contain it and fit"
        yield f"{listed(larger)} {contain} hardly better with more parameters."


def _reach(models: Models, start: str, back: bool) -> set[str]:
    """Names reached from one along the steps."""
    ends = ("larger", "smaller") if back else ("smaller", "larger")
    found, ahead = set(), [start]
    while ahead:
        here = ahead.pop()
        new = [row[ends[1]] for row in pd.DataFrame(models.steps).to_dict("records") if row[ends[0]] == here]
        ahead += [name for name in new if name not in found]
        found.update(new)
    return found


def _other_criteria(models: Models) -> str:
    """Whether BIC and AICc choose the same model."""
    if len(models) == 1:
        return ""
    table = pd.DataFrame(models.criteria).loc[list(models.sound or models)]
    head = _head(models, models.preferred)
    lowest = {key: str(table[key].idxmin()) for key in ("bic", "aicc")}
    agrees = {key: _head(models, name) == head for key, name in lowest.items()}
    cites = {"bic": "BIC [@schwarz1978]", "aicc": "AICc [@hurvich1989]"}
    if all(agrees.values()):
        return f"{cites['bic']} and {cites['aicc']} prefer the same model."
    more = np.log(models.nobs) > 2.0 and not agrees["bic"]
    why = "; BIC asks more of each further parameter than AIC does" if more else ""
    if not any(agrees.values()) and _head(models, lowest["bic"]) == _head(models, lowest["aicc"]):
        return f"{cites['bic']} and {cites['aicc']} prefer {_name(lowest['bic'])}{why}."
    said = [
        f"{cites[key]} prefers {'the same model as AIC' if agrees[key] else _name(lowest[key])}"
        for key in ("bic", "aicc")
    ]
    return f"{listed(said)}{why}."


def _leaning(models: Models) -> str:
    """What AIC does where models differ in variances, which cannot be negative."""
    if len({tuple((str(t.structure), t.factor, t.names) for t in fit.design.terms) for fit in models.values()}) < 2:
        return ""
    return "Among models that differ in their random effects, AIC leans towards those with fewer [@greven2010]."


def _tests(models: Models, alpha: float) -> Iterator[str]:
    """The tests of the steps to the preferred model and beyond it, and whether they agree with AIC."""
    if len(models) == 1:
        return
    head = _head(models, models.preferred)
    # What is not certified is not recommended either way, so that its tests settle nothing.
    able = {_head(models, name) for name in (models.sound or models)}
    rows = [r for r in pd.DataFrame(models.steps).to_dict("records") if {r["smaller"], r["larger"]} <= able]
    down, up = ([row for row in rows if row[end] == head] for end in ("larger", "smaller"))
    if not down and not up:
        other = "other model" if len(models.sound) in (0, len(models)) else "other certified model"
        yield f"No likelihood-ratio test applies to it: no {other} is a special case of it or contains it."
        return
    said = [*(f"{_test(r)} for the step from {_name(r['smaller'])} to it" for r in down),
            *(f"{_test(r)} for the step from it to {_name(r['larger'])}" for r in up)]  # fmt: skip
    test = "test next to it (@fig-lattice) gives" if len(said) == 1 else "tests next to it (@fig-lattice) give"
    yield f"The likelihood-ratio {test} {'; '.join(said)}."
    known = [[row for row in way if not is_missing(row["p_value"])] for way in (down, up)]
    if any(known):
        yield _agreement(*known, alpha)
    if any(not is_plain(row["reference"], row["df"]) for way in known for row in way):
        yield (
            "Where a step sets a variance to zero, marked by a dagger there, the test is at the boundary of what is "
            "possible: LR is the likelihood ratio, and p that of a mixture of χ² distributions, which holds for many "
            "groups [@self1987; @stram1994]."
        )
    if sum(map(len, known)) < len(said):
        yield (
            "A step has no p-value where neither χ² nor such a mixture holds, as from a model with a variance at zero: "
            "`bootstrap_lrt` simulates one."
        )


def _test(row: Mapping[str, Any]) -> str:
    name = f"χ²({row['df']})" if is_plain(row["reference"], row["df"]) else "LR"
    if is_missing(row["p_value"]):
        return f"{name} = {_fixed(row['chisq'])}, without a p-value,"
    p = format_value(row["p_value"], "p")
    return f"{name} = {_fixed(row['chisq'])}, p {literal(p) if p.startswith('<') else '= ' + p}"


def _agreement(down: list[dict[str, Any]], up: list[dict[str, Any]], alpha: float) -> str:
    one = len(down) + len(up) == 1
    weak = [_name(row["smaller"]) for row in down if row["p_value"] >= alpha]
    strong = [_name(row["larger"]) for row in up if row["p_value"] < alpha]
    if not weak and not strong:
        clauses = [*(["each step to it is significant"] if down else []), *(["none beyond it is"] if up else [])]
        clauses = clauses if down else ["no step beyond it is significant"]
        clauses = ["the step to it is significant", *clauses[1:]] if len(down) == 1 else clauses
        return f"{'It agrees' if one else 'They agree'} with AIC: at a level of {alpha:g} {listed(clauses)}."
    found = [*([f"the step from {listed(weak)} is not significant"] if weak else []),
             *([f"the step to {listed(strong)} is"] if strong else [])]  # fmt: skip
    if strong and not weak:
        found = [f"the step to {listed(strong)} is significant"]
    disagree = "It does not agree" if one else "They do not all agree"
    return f"{disagree} with AIC: at a level of {alpha:g} {listed(found)}."


def _untested(models: Models) -> str:
    n = len(models.steps.apart) - sum(comb(len(node.same) + 1, 2) for node in models.steps.nodes)
    if not n:
        return ""
    return (
        f"{counted(n, 'pair')} of models {'is' if n == 1 else 'are'} compared by the criteria alone, since no test "
        "applies (@tbl-apart)."
    )


def untested(models: Models) -> Prose:
    """Which models no likelihood-ratio test compares, and which are not here at all.

    Parameters
    ----------
    models : Models
    """
    if len(models.steps.apart):
        said = "No likelihood-ratio test compares the pairs of @tbl-apart; they are left to the information criteria."
    elif len(models) > 1:
        said = "Likelihood-ratio tests, one or several steps of them, lead from each model to every other."
    else:
        said = "There is one model, so there is nothing to compare it with."
    gone = list(models.failures)
    if gone:
        said += f" Left out are {listed([_name(name) for name in gone])}, for the reasons under @tbl-models."
    return Prose(said)


def _method(models: Models) -> str:
    chosen = _name(models.preferred)
    if len(models) == 1:
        return "It is fitted by REML below."
    if models.method == "REML":
        return (
            "All models are fitted by REML, which can compare them since their fixed effects span the same space. "
            f"{_CHOSEN}"
        )
    differ = len({fit.design.fixed_names for fit in models.values()}) > 1
    why = ", since restricted likelihoods of models with different fixed effects are not comparable" if differ else ""
    return (
        f"The models are compared by maximum likelihood{why}. The numbers of {chosen}, and the intervals of all "
        "models, are by REML, which estimates variances with less bias [@patterson1971; @harville1977]. "
        f"{_CHOSEN}"
    )


def _singular(models: Models) -> Iterator[str]:
    """Boxes: the preferred model if it is singular, then the others that are."""
    singular = [name for name, fit in models.items() if fit.is_singular]
    if models.preferred in singular:
        zero = told(singularity(models[models.preferred]))
        gone = "a variance at zero" if models[models.preferred].zero_effects else "a covariance at its bound"
        text = (
            f"**The preferred model is singular:** {zero}. AIC counts {gone} as a parameter like any other, so a "
            "model that does without is to be preferred where it is among those compared and fits as well."
        )
        other = [(name, behind) for name, behind in _distances(models) if name not in singular]
        if other:
            text += f" The best that is not singular is {_name(other[0][0])}, {_fixed(other[0][1])} behind in AIC."
        yield alert("WARNING", text)
    others = [name for name in singular if name != models.preferred]
    if others:
        said = [f"{_name(name)} ({told(singularity(models[name]))})" for name in others]
        fits = "fit" if len(said) == 1 else "fits"
        means = "Steps from there that add random effects have no p-value."
        yield alert("NOTE", f"**Singular {fits}:** {'; '.join(said)}. {means}")


def _uncertified(models: Models) -> Iterator[str]:
    for name, fit in models.items():
        if name not in models.sound:
            text = f"**Not recommended, whatever its AIC: {literal(name)}:** {told(fit.certificate.sentence)}"
            yield alert("WARNING", text)


def _equal(models: Models) -> Iterator[str]:
    for node in models.steps.nodes:
        if node.same:
            names = listed([_name(name) for name in (node.name, *node.same)])
            text = f"{names} are the same model, written differently; Akaike weights count it once for each name."
            yield alert("NOTE", text)


def _left_out(models: Models) -> Iterator[str]:
    for message in models.messages:
        yield alert("NOTE", told(message[:1].upper() + message[1:]))
    for name, why in models.failures.items():
        yield alert("WARNING", f"**{literal(name)} is left out:** {told(why)}")
