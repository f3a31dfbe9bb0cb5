"""Power by simulation: studies drawn from a plan, each fitted and tested as it will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from lmmtools.arguments import check_count
from lmmtools.core.criterion import Criterion
from lmmtools.errors import LMMError, ModelError
from lmmtools.estimable import refuse_confounded, refuse_confounded_residual
from lmmtools.formats import listed
from lmmtools.planning.decisions import Decision, Ratio, Wald
from lmmtools.planning.hypothesis import Hypothesis, read_test
from lmmtools.planning.model import Planned
from lmmtools.planning.result import Power, Studies, power_frame
from lmmtools.planning.sizes import Size, read_sizes, sizes_note
from lmmtools.planning.statement import planned
from lmmtools.resampling.blocks import check_rng, replicate
from lmmtools.resampling.copies import impossible, unseen
from lmmtools.simulate import simulate

__all__ = ["power"]

_OF_A_FIT = (
    "The parameters are a fit's estimates, effect included: power at an estimate says no more than its p-value about "
    "the study it is from (Hoenig & Heisey 2001), and of a new one it says too much where the estimate was picked for "
    "being large. State the smallest effect that matters: planned(fit, fixef={…})."
)


def power(
    model: Any,
    test: Any,
    *,
    sizes: Mapping[str, Any] | None = None,
    n: int = 1000,
    alpha: float = 0.05,
    ddf: str = "satterthwaite",
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
    progress: bool | None = None,
) -> Power:
    """Power of a test in a planned study, for one or several sizes of it, by simulation.

    Parameters
    ----------
    model : Planned, LMMFit, or Mapping of names to these
        What the studies are drawn from, and fitted by; several to compare, such as several effects or designs.
    test : str, Mapping, sequence, array_like, LMMFit or Planned
        The name of a coefficient, for its t test, or of a term, for its F test of type III (a name of both is the
        coefficient's); a smaller model's formula, or a fit of it to the same rows, for the likelihood-ratio test with
        the distributions of `lrt`; or linear functions of the coefficients as `fit.test` takes them, all together.
    sizes : Mapping[str, int or sequence of int], optional
        Numbers of levels of a grouping factor, ``{"Subject": [10, 20, 40]}``; of rows in each of its levels,
        ``{"rows per Subject": [5, 10]}``; of levels within each level of another, ``{"pupil per school": [5, 10]}``; of
        ``"rows"`` where nothing groups them. Several make a grid of all combinations.
    n : int
        Studies simulated of each design.
    alpha : float
        A study rejects where p ≤ α.
    ddf : str
        Of t and F tests, as of `coef_table`.
    rng : numpy.random.Generator or int
        A design has random numbers of its own, which hang on this and on its sizes alone: it has the same power in
        whatever grid it stands. Those of several models are common.
    workers : int
        Processes; the result is the same whatever their number.
    progress : bool, optional
        Whether a bar is shown for each design; by default where standard error is a terminal.

    Returns
    -------
    Power
        A Frame with a row a design: its sizes, then ``rows, power, low, high, mc_error, n, failed, singular``; for a
        test of one function also ``type_s, type_m``. `low` and `high` are exact 95 % limits (Clopper & Pearson) of the
        power, for the simulation's error; `failed` studies have no optimum or no p-value, and count as studies that
        do not reject; `singular` ones count like all others. `type_s` is the share of the rejecting studies whose
        estimate has the wrong sign, `type_m` by how much the estimate is too large in them on average (Gelman & Carlin
        2014).

    Raises
    ------
    LMMError
        If an argument is not what it should be, or names what is not in the model.
    FormulaError, DataError
        If the smaller model's formula cannot be read, or does not fit the plan.
    ModelError
        If the smaller model is not nested, or a design cannot estimate the model: that design is named, and nothing is
        simulated.

    Notes
    -----
    Levels that are added are copies of the old ones with all their rows, one after the other and then from the first
    again, with new random effects; levels of factors nested in them are new as well, those of crossed factors stay. Of
    fewer levels than there are the first are kept. Their order is the data's, but such that levels of different kinds
    (arms of a trial) keep their proportions. Rows per level are its first so many in the order of the data, and then
    copies from the first on: the same values of all covariates, and new residuals. What is known of the rows
    (polynomials, scales) stays as it was learnt from the plan. For other times of measurement, plan a frame of its own.

    Where the weights of a likelihood ratio's mixture of χ² are simulated, they are from 2,000 draws for each study.

    References
    ----------
    Green, P., MacLeod, C. J. (2016). SIMR: an R package for power analysis of generalized linear mixed models by
    simulation. Methods Ecol. Evol. 7.
    Clopper, C. J., Pearson, E. S. (1934). The use of confidence or fiducial limits illustrated in the case of the
    binomial. Biometrika 26.
    Gelman, A., Carlin, J. (2014). Beyond power calculations: assessing type S (sign) and type M (magnitude) errors.
    Perspect. Psychol. Sci. 9.
    Hoenig, J. M., Heisey, D. M. (2001). The abuse of power: the pervasive fallacy of power calculations for data
    analysis. Am. Stat. 55.

    Examples
    --------
    >>> import lmmtools as lt
    >>> fit = lt.fit_lmm("Reaction ~ Days + (Days | Subject)", lt.load_dataset("sleepstudy"))
    >>> plan = lt.planned(fit, fixef={"Days": 5})
    >>> found = lt.power(plan, "Days", sizes={"Subject": [6, 18]}, n=50, rng=1)
    >>> found["power"].is_monotonic_increasing, int(found["failed"].sum())
    (True, 0)
    """
    check_count(n, "power: n, the number of simulated studies,", at_least=10)
    alpha = _check_alpha(alpha)
    seed = _seed(check_rng(rng, "power"))
    plans = _plans(model)
    work: list[tuple[str, tuple[int, ...], Planned, Wald | Ratio, Hypothesis]] = []
    varied: tuple[Size, ...] = ()
    for name, plan in plans.items():
        hypothesis = read_test(plan, test, ddf)
        varied, numbers = read_sizes(sizes, plan.design)
        for combination in numbers:
            work.append((name, combination, *_study(hypothesis, varied, combination, name), hypothesis))
    studies = []
    for name, combination, plan, test_there, hypothesis in work:
        own = _own_seed(seed, varied, combination)
        run = Run(plan, test_there)
        found = replicate(run, n, own, nobs=plan.nobs, workers=workers, progress=progress, what="power")
        studies.append(Studies(name, combination, plan.nobs, hypothesis.effect, tuple(found)))
    told = [note for *_, one in work for note in one.notes]
    told += [sizes_note(varied, plan.design) for plan in plans.values()] if varied else []
    told += [_OF_A_FIT] if any(_is_fit(one) for one in _models(model).values()) else []
    return power_frame(studies, varied, work[0][-1].words, alpha, tuple(dict.fromkeys(told)))


def _check_alpha(alpha: Any) -> float:
    number = isinstance(alpha, float | np.floating) and 0.0 < alpha < 1.0
    if not number:
        raise LMMError(f"power: alpha must lie between 0 and 1 (0.05 for 5 %); got {alpha!r}.")
    return float(alpha)


def _models(model: Any) -> dict[str, Any]:
    return {str(name): one for name, one in model.items()} if isinstance(model, Mapping) else {"": model}


def _is_fit(model: Any) -> bool:
    return not isinstance(model, Planned)


def _plans(model: Any) -> dict[str, Planned]:
    """The plans by their names; one alone has an empty name."""
    found = {}
    for name, one in _models(model).items():
        if not (hasattr(one, "design") and hasattr(one, "Lambda")):
            raise LMMError(
                f"power: takes a plan made by planned, or a fit made by fit_lmm or fit_gls; got {type(one).__name__}."
            )
        found[name] = one if isinstance(one, Planned) else planned(one)
    if not found:
        raise LMMError("power: an empty mapping has no models: give one or more.")
    return found


def _study(
    hypothesis: Hypothesis, varied: tuple[Size, ...], numbers: tuple[int, ...], name: str
) -> tuple[Planned, Wald | Ratio]:
    """The plan of one size and the test in it.

    Raises
    ------
    ModelError
        If such a study cannot be fitted.
    """
    try:
        plan, test = hypothesis.at(zip(varied, numbers, strict=True))
        _require_estimable(plan)
    except ModelError as error:
        sizes = [size.counted(number) for size, number in zip(varied, numbers, strict=True)]
        what = listed(sizes) if sizes else ""
        where = " of ".join(part for part in (what, f"`{name}`" if name else "") if part)
        raise ModelError(f"power: with {where}, {error}" if where else str(error)) from error
    return plan, test


def _require_estimable(plan: Planned) -> None:
    if reason := impossible(plan.design) or unseen(plan.design):
        raise ModelError(reason)
    criterion = Criterion(plan.design, reml=plan.reml, working=plan.working)
    if plan.design.terms:
        refuse_confounded(criterion)
    if plan.design.residual is not None:
        refuse_confounded_residual(criterion)


def _seed(rng: np.random.Generator | np.random.SeedSequence) -> np.random.SeedSequence:
    """One seed for all designs; a Generator moves on by four numbers."""
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence([int(x) for x in rng.integers(2**32, size=4)])
    return rng


def _own_seed(
    seed: np.random.SeedSequence, varied: tuple[Size, ...], numbers: tuple[int, ...]
) -> np.random.SeedSequence:
    """The seed of one design, whichever others there are and in whatever order."""
    words = "; ".join(sorted(f"{size.name} = {number}" for size, number in zip(varied, numbers, strict=True)))
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, crc32(words.encode())))


@dataclass(frozen=True, eq=False)
class Run:
    """What is done with a block of studies."""

    plan: Planned
    test: Wald | Ratio

    def __call__(self, rng: np.random.Generator, m: int) -> list[Decision]:
        """What m studies decide."""
        return list(self.test.decisions(simulate(self.plan, m, rng)))
