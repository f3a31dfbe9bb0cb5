"""The working model: the design in a basis where its cross-products lose no digits.

Cross-products of raw columns are useless when a mean is large against a standard deviation. So the columns of
X and Z are centred and scaled, y is replaced by its least-squares residual e, and everything is whitened by
√w before any product is formed. None of it changes the model:

* X = X̃R: β = R⁻¹β̃, and under REML log|X'V⁻¹X| = log|X̃'V⁻¹X̃| + 2 log|det R|;
* y = Xβ₀ + s·e with β₀ the least-squares estimate: the criterion profiles β out and so sees only e;
* weights are taken over their mean w̄, and √w̄ goes into K: the criterion does not depend on the scale of V;
* Z_k = Z̃K_k for each term k of a factor: ZTZ' = Z̃(ΣK_kΛ_kΛ_k'K_k')Z̃', so the factor K_kΛ_k is carried
  through, never T itself (which would lose twice the digits). The working columns of all factors stand side by
  side, R of them, and each K has its rows where its factor's columns are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from lmmtools.core.basis import Columns, fixed_basis, least_squares, random_basis
from lmmtools.core.covariance import combine, factor_basis, n_theta
from lmmtools.core.identify import Gram
from lmmtools.core.onefactor.products import one_factor, one_factor_within
from lmmtools.core.residual.around import about, groupings, structure_of, with_residual
from lmmtools.core.residual.products import structured_products
from lmmtools.core.solution import Products
from lmmtools.core.terms import Term, stack_maps, working_term
from lmmtools.errors import ModelError, TooLarge

__all__ = ["Basis", "Working", "basis_of", "working_model"]


# Arrays that are held at once, over the square of Z's columns for each parameter and each group.
_COPIES = 6
_LITTLE = 1e8  # bytes that any machine has
# Size of a residual against the response below which it is rounding.
_EXACT = 1e-14
# Size of what several factors leave of the response beside it, below which its square is lost in differences.
_LOST = 1e-7


@dataclass(frozen=True)
class Working:
    """Cross-products in the working basis and the maps back.

    Attributes
    ----------
    products : Products
        Cross-products of one factor, or of several.
    terms : tuple of Term
    homes : tuple of int
        Grouping factor of each term, in the order of the products' factors.
    levels : tuple of int
        Number of levels of each grouping factor.
    R : ndarray, shape (p, p)
        X = X̃R.
    beta_shift : ndarray, shape (p,)
        A β in the basis X̃ about which y is taken: e = (y − offset − X̃ beta_shift)/y_scale.
    y_scale : float
        Root mean square of the whitened residual.
    noise_scale : float
        Root of the mean weight w̄: the working weights are w/w̄, so that σ is √w̄ times the working one, and Λ the
        working one over √w̄ (which is part of each K).
    log_weights : float
        Σ log(w/w̄).
    residual : Term or None
        The parameters φ of a residual structure, as one more block of Λ̃; None where R = W⁻¹.
    """

    products: Products
    terms: tuple[Term, ...]
    homes: tuple[int, ...]
    levels: tuple[int, ...]
    R: np.ndarray
    beta_shift: np.ndarray
    y_scale: float
    noise_scale: float
    log_weights: float
    residual: Term | None = None

    @property
    def parts(self) -> tuple[Term, ...]:
        """The random terms, and φ where there is any."""
        return self.terms if self.residual is None else (*self.terms, self.residual)

    def constant(self, *, reml: bool) -> float:
        """What the working criterion lacks: scale of y, transform of X, weights."""
        n, p = self.products.n, self.products.p
        value = 2.0 * (n - p if reml else n) * np.log(self.y_scale) - self.log_weights
        if reml:
            value += 2.0 * np.linalg.slogdet(self.R)[1] if p else 0.0
        return float(value)

    @cached_property
    def places(self) -> tuple[slice, ...]:
        """Where the parameters of each part stand among [θ, φ]."""
        ends = np.cumsum([0, *(t.n_theta for t in self.parts)])
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each random term's parameters stand in θ."""
        return self.places[: len(self.terms)]

    def to_theta(self, working: np.ndarray) -> np.ndarray:
        """[θ, φ], θ in the terms' own columns (lme4's, where it has the structure), from working parameters."""
        return _joined([t.own(working[s]) for t, s in zip(self.parts, self.places, strict=True)])

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """Working parameters, from [θ, φ]."""
        return _joined([t.working(theta[s]) for t, s in zip(self.parts, self.places, strict=True)])

    def factors(self, working: np.ndarray) -> tuple[np.ndarray, ...]:
        """Λ of each term in its own columns."""
        return tuple(t.factor(working[s]) for t, s in zip(self.terms, self.slices, strict=True))

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of [θ, φ], each (m,); see `Term.bounds`."""
        bounds = [t.bounds if t.own_form is None else (t.own_form.lower, t.own_form.upper) for t in self.parts]
        lower, upper = zip(*bounds, strict=True) if bounds else ((), ())
        return _joined(lower), _joined(upper)

    @cached_property
    def linear(self) -> bool:
        """Whether Λ of every term is linear in θ, and there is no φ."""
        return bool(self.parts) and all(t.form is None for t in self.parts)

    def stacked(self, working: np.ndarray) -> np.ndarray:
        """Λ̃ of shape (R, Σq) at working parameters."""
        if self.linear:
            return combine(working, self.working_map)
        parts = zip(self.parts, self.places, strict=True)
        return _side_by_side([t.S @ t.working_factor(working[s]) for t, s in parts])

    def stacked_own(self, theta: np.ndarray) -> np.ndarray:
        """The same at [θ, φ] in the terms' own columns."""
        if self.linear:
            return combine(theta, self.theta_map)
        parts = zip(self.parts, self.places, strict=True)
        return _side_by_side([t.K @ t.own_factor(theta[s]) for t, s in parts])

    @cached_property
    def working_map(self) -> np.ndarray:
        """F with Λ̃(θ̃) = Σ θ̃_k F_k, shape (m, r, Σq), where all of Λ is linear."""
        return stack_maps([np.matmul(t.S, factor_basis(t.structure, t.q)) for t in self.terms])

    @cached_property
    def theta_map(self) -> np.ndarray:
        """F with Λ̃(θ) = Σ θ_k F_k for θ in the terms' own columns, shape (m, r, Σq), where all of Λ is linear."""
        return stack_maps([np.matmul(t.K, factor_basis(t.structure, t.q)) for t in self.terms])

    @cached_property
    def covariance_map(self) -> np.ndarray:
        """Directions in which T̃ can move, shape (m, r, r): where all of T is linear in them, T̃ = Σ t_k D_k."""
        return np.concatenate([t.S @ t.directions @ t.S.T for t in self.terms])

    @cached_property
    def gram(self) -> Gram:
        """Inner products of the directions in which V can move."""
        return self.products.gram(self.covariance_map)

    def own_factor(self, factors: tuple[np.ndarray, ...], phi: np.ndarray | None = None) -> np.ndarray:
        """Λ̃ of shape (R, Σq) from Λ of each term in its own columns, a factor's terms side by side, then φ if given."""
        order = sorted(range(len(self.terms)), key=lambda k: self.homes[k])
        blocks = [self.terms[k].K @ factors[k] for k in order]
        if self.residual is not None and phi is not None:
            blocks.append(self.residual.K @ np.diag(phi))
        return _side_by_side(blocks)

    def by_factor(self, factors: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        """Block-diagonal Λ of each grouping factor, its terms side by side."""
        found = []
        for home in range(len(self.levels)):
            mine = [L for L, f in zip(factors, self.homes, strict=True) if f == home]
            ends = np.cumsum([0, *(len(L) for L in mine)])
            found.append(np.zeros((ends[-1], ends[-1])))
            for L, (a, b) in zip(mine, pairwise(ends), strict=True):
                found[-1][a:b, a:b] = L
        return found


def working_model(design: Any) -> Working:
    """Whiten, centre and scale a design and form its cross-products.

    Parameters
    ----------
    design : Design
        Anything with `y`, `X`, `fixed_names`, `weights`, `offset` and `terms` (each with `matrix`, `names`,
        `structure`, `factor`, `codes`, `levels`); X of full column rank.

    Raises
    ------
    ModelError
        If the response is reproduced to rounding, by the fixed effects or within every group, or the products would
        not fit in memory.
    """
    basis = basis_of(design)
    columns, homes, weight = basis.columns, basis.homes, basis.weight
    y = design.y if design.offset is None else design.y - design.offset
    beta, e = least_squares(y, basis.X, basis.G, columns)
    whole = y if columns.root is None else columns.root * y
    digits = float(np.linalg.norm(e) / max(np.linalg.norm(whole), np.finfo(float).tiny))
    _refuse_exact(design, digits <= _EXACT, "the fixed effects reproduce")
    if not design.terms:
        products, scale = None, _unit(e)
    elif len(basis.z) == 1 and _known_root(design.terms[0]) is None:
        products, shift, scale = _one_factor(design, columns, basis.z[0], basis.x, e, digits)
        beta = beta if shift is None else beta + shift
    else:
        products, scale = _several(design, columns, basis.z, homes, basis.x, e, digits)
    residual, terms = None, _terms(design, basis)
    if structure := structure_of(design):
        around = e if not design.terms else about(y, columns.root, basis.X, beta)
        products = structured_products(products, structure, groupings(design, basis), [*basis.X, around / scale])
        residual, terms = with_residual(structure, terms)
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights / weight).sum())
    levels = tuple(len(design.terms[homes.index(f)].levels) for f in range(len(basis.z)))
    return Working(products, terms, homes, levels, basis.R, beta, scale, np.sqrt(weight), log_weights, residual)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if len(parts) else np.zeros(0)


def _side_by_side(blocks: list[np.ndarray]) -> np.ndarray:
    return np.hstack(blocks) if blocks else np.zeros((0, 0))


@dataclass(frozen=True)
class Basis:
    """The columns of a design, whitened, centred and scaled: all of a working model but the response.

    Attributes
    ----------
    columns : Columns
    weight : float
        The mean weight w̄.
    R : ndarray, shape (p, p)
        X = X̃R.
    x : list of int
        Which of the whitened columns are those of X̃.
    X : list of ndarray, shape (n,)
        These columns.
    G : ndarray, shape (p, p)
        Their cross-products.
    homes : tuple of int
        Number of each term's grouping factor.
    z : list of list of int
        Which of the whitened columns are those of each factor's Z̃.
    K : list of list of ndarray
        Of each factor's terms, over its own columns.
    """

    columns: Columns
    weight: float
    R: np.ndarray
    x: list[int]
    X: list[np.ndarray]
    G: np.ndarray
    homes: tuple[int, ...]
    z: list[list[int]]
    K: list[list[np.ndarray]]


def basis_of(design: Any) -> Basis:
    """The working basis of a design's columns.

    Raises
    ------
    TooLarge
        If derivatives of so many parameters would not fit in memory.
    """
    weight = 1.0 if design.weights is None else float(np.mean(design.weights))
    root = None if design.weights is None else np.sqrt(design.weights / weight)
    columns = Columns(len(design.y), root)
    R, x_index, Xw, G = fixed_basis(design, columns)
    homes = _homes(design.terms)
    _refuse_many(design.terms, homes)
    bases = [
        random_basis([t for t, h in zip(design.terms, homes, strict=True) if h == f], columns)
        for f in range(max(homes, default=-1) + 1)
    ]
    return Basis(columns, weight, R, x_index, Xw, G, homes, [z for z, _ in bases], [K for _, K in bases])


def _homes(terms: Any) -> tuple[int, ...]:
    """Number of each term's grouping factor; one with a known covariance of its levels stands apart."""
    keys: dict[tuple[str, int], int] = {}
    return tuple(keys.setdefault((t.factor, id(_known_root(t))), len(keys)) for t in terms)


def _refuse_many(terms: Any, homes: tuple[int, ...]) -> None:
    """Refuse more parameters, or wider blocks of one factor's levels, than memory holds."""
    if not terms:
        return
    width, levels = sum(len(t.names) for t in terms), len(terms[0].levels) if max(homes) == 0 else 0
    m = sum(n_theta(t.structure, len(t.names)) for t in terms)
    needed = 8.0 * _COPIES * width**2 * (m + levels)
    if needed <= _LITTLE:
        return
    from lmmtools.core.several.sizes import memory_limit

    limit = memory_limit()
    if needed <= limit:
        return
    widest = max(terms, key=lambda t: len(t.names))
    advice = f"Leave out effects, or write diag(…) or cs(…) before the bar for fewer parameters than {m:,}."
    raise TooLarge(
        f"the random effects have {width:,} columns, most of them in {widest.label}, with {m:,} (co)variance "
        f"parameters: their derivatives need about {needed / 1e9:.0f} GB of memory, where {limit / 1e9:.1f} GB can be "
        f"used. {advice}"
    )


def _known_root(term: Any) -> np.ndarray | None:
    return getattr(term, "known_root", None)


def _unit(e: np.ndarray) -> float:
    return float(np.sqrt(e @ e / len(e))) or 1.0


def _one_factor(
    design: Any, columns: Columns, z: list[int], x_index: list[int], e: np.ndarray, digits: float
) -> tuple[Products, np.ndarray | None, float]:
    """Products, what to add to β, and the scale of the response's residual."""
    codes, n_groups = design.terms[0].codes, len(design.terms[0].levels)
    xy = [*x_index, len(columns.whitened)]
    scale = _unit(e)
    products, within = one_factor([*columns.whitened, e / scale], z, xy, codes, n_groups)
    if within is None:
        return products, None, scale
    shift = scale * within
    e = e - sum(b * columns.whitened[i] for b, i in zip(shift, x_index, strict=True))
    scale = _unit(e)
    products = one_factor_within([*columns.whitened, e / scale], z, xy, codes, n_groups)
    left, dof = products.within_residual()
    _refuse_exact(design, dof > 0 and left <= (_EXACT / digits) ** 2 * products.n, "the model reproduces")
    return products, shift, scale


def _several(
    design: Any, columns: Columns, z: list[list[int]], homes: tuple[int, ...], x_index: list[int], e: np.ndarray,
    digits: float,
) -> tuple[Products, float]:  # fmt: skip
    """Products and the scale of the response's residual."""
    from lmmtools.core.several import FactorColumns, several_products

    scale = _unit(e)
    owners = [design.terms[homes.index(f)] for f in range(len(z))]
    factors = tuple(
        FactorColumns(order, t.codes, len(t.levels), _known_root(t)) for order, t in zip(z, owners, strict=True)
    )
    names = [t.factor for t in owners]
    xy = [*x_index, len(columns.whitened)]
    products = several_products([*columns.whitened, e / scale], factors, xy, names)
    left, dof = products.within_residual()
    exact = dof > 0 and left <= max(_EXACT / digits, _LOST) ** 2 * products.n
    _refuse_exact(design, exact, "the model reproduces")
    return products, scale


def _terms(design: Any, basis: Basis) -> tuple[Term, ...]:
    """Every term with its K among the working columns of all factors."""
    starts = np.cumsum([0, *map(len, basis.z)])
    taken = [iter(K) for K in basis.K]
    terms = []
    for term, f in zip(design.terms, basis.homes, strict=True):
        K = np.zeros((starts[-1], term.matrix.shape[1]))
        K[starts[f] : starts[f + 1]] = np.sqrt(basis.weight) * next(taken[f])
        terms.append(working_term(term, K))
    return tuple(terms)


def _refuse_exact(design: Any, exact: bool, what: str) -> None:
    if exact:
        raise ModelError(
            f"{what} the response `{design.response}` exactly, to the last digit of its numbers, so no residual "
            "variance is left to estimate and the likelihood grows without bound. Check whether the response was "
            "computed from the other columns, or carries a constant so large that its digits are lost; otherwise "
            "leave out fixed or random effects."
        )
