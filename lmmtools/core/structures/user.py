"""A covariance structure that the user supplies: what it must answer, and how the engine asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from lmmtools.core.covariance import lower_factor
from lmmtools.core.structures.differences import differences
from lmmtools.errors import ModelError

__all__ = ["Structure", "UserForm"]

# A relative singular value of T's factor below this is zero.
_ZERO = 1e-6
# Relative difference from finite differences, themselves good to 1e-8 or so, at which a derivative is called wrong.
_WRONG = 1e-5


class Structure(Protocol):
    """A covariance structure of one random-effects term, as a user writes it.

    Give an object with these methods as the term's structure. No base class is needed: any object that has them
    will do. The q effects of a level (the columns of the bar's left side) then have Var(b) = σ²T(θ), T = ΛΛ', with
    θ estimated within the box that `bounds` gives, together with all other parameters.

    Notes
    -----
    T(θ) must be smooth (two derivatives) inside the box and up to its bounds; Λ(θ) need not be: √(1 − ρ²) is fine.
    Columns are not rescaled behind the structure's back, so θ means what the structure says; standard deviations are
    relative to σ. Parameters of order one are found most easily.

    Where T does not move to first order, as at a standard deviation of zero, the engine looks at the second order.

    Examples
    --------
    A random intercept and slope of which the slope's standard deviation is a fixed share of the intercept's:

    >>> import numpy as np
    >>> class Proportional:
    ...     def __init__(self, share):
    ...         self.share = share
    ...     def n_theta(self, q):
    ...         return 1
    ...     def names(self, effects):
    ...         return ("sd",)
    ...     def bounds(self, q):
    ...         return [(0.0, np.inf)]
    ...     def start(self, q):
    ...         return [1.0]
    ...     def factor(self, theta, q):
    ...         return theta[0] * np.diag([1.0, self.share])
    """

    def n_theta(self, q: int) -> int:
        """Number m of parameters over q effects, at least one."""

    def names(self, effects: tuple[str, ...]) -> Sequence[str]:
        """Name of each parameter, given those of the effects; reported as ``Subject.name``."""

    def bounds(self, q: int) -> Sequence[tuple[float, float]]:
        """Lower and upper bound of each parameter, −inf and inf where there is none; bounds themselves are allowed."""

    def start(self, q: int) -> Sequence[float]:
        """Parameters to start from, within the bounds."""

    def factor(self, theta: np.ndarray, q: int) -> np.ndarray:
        """Λ with T = ΛΛ', shape (q, s) for any s; it need not be triangular.

        Parameters
        ----------
        theta : ndarray, shape (m,)
            Always within the bounds.
        q : int
        """

    def derivatives(self, theta: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
        """dΛ/dθ_k, shape (m, q, s), and d²Λ/dθ_k dθ_l, shape (m, m, q, s).

        Optional: without this method T is differentiated numerically, from values inside the bounds, which is
        accurate to about 1e-9 but costs 7m + 49m(m − 1)/2 factors at each step. Where it is given it is checked
        once against those numbers; where it is not finite, as dΛ may be on a bound, those numbers serve.
        """

    def upright(self, theta: np.ndarray, q: int) -> np.ndarray:
        """The θ with the same T that is reported where several have it, as when signs have no meaning.

        Optional: without this method the estimate is reported as it was found.
        """


class UserForm:
    """A user's `Structure` over given effects, every answer checked.

    Parameters
    ----------
    structure : Structure
    effects : tuple of str, length q
    label : str
        The term, for errors.

    Raises
    ------
    ModelError
        Where the object does not answer as `Structure` says, or its derivatives are not those of its factor.
    """

    def __init__(self, structure: Any, effects: tuple[str, ...], label: str = "") -> None:
        self._of, self.q = structure, len(effects)
        self.name = type(structure).__name__
        self._where = f"the covariance structure {self.name}" + (f" of `{label}`" if label else "")
        for method in ("n_theta", "names", "bounds", "start", "factor"):
            if not callable(getattr(structure, method, None)):
                raise ModelError(f"{self._where} lacks the method `{method}`: lmmtools.Structure says what it needs.")
        self.n_theta = self._whole(self._ask("n_theta", self.q))
        self.labels = self._labels(self._ask("names", tuple(effects)))
        self.lower, self.upper = self._box(self._ask("bounds", self.q))
        self._start = self._inside(self._ask("start", self.q))
        self._own = callable(getattr(structure, "derivatives", None))
        self._last: tuple[bytes, tuple[np.ndarray, np.ndarray]] | None = None
        self.covariance(self._start)
        if self._own:
            self._check_derivatives(self.generic())

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._of, method)(*arguments)
        except Exception as error:  # whatever a user's code raises is said with where it came from
            raise ModelError(
                f"{self._where}: `{method}({', '.join(map(_written, arguments))})` failed with "
                f"{type(error).__name__}: {error}."
            ) from error

    def _whole(self, m: Any) -> int:
        if not isinstance(m, int | np.integer) or m < 1:
            raise ModelError(f"{self._where}: `n_theta({self.q})` must be a whole number of at least 1; got {m!r}.")
        return int(m)

    def _labels(self, names: Any) -> tuple[str, ...]:
        found = tuple(names) if not isinstance(names, str) else (names,)
        if len(found) != self.n_theta or not all(isinstance(name, str) for name in found):
            raise ModelError(f"{self._where}: `names` must give {self.n_theta} names; got {names!r}.")
        return found

    def _box(self, bounds: Any) -> tuple[np.ndarray, np.ndarray]:
        try:
            box = np.asarray(bounds, dtype=float)
        except (TypeError, ValueError):
            box = np.empty(0)
        if box.shape != (self.n_theta, 2) or not np.all(box[:, 0] < box[:, 1]):
            raise ModelError(
                f"{self._where}: `bounds` must give {self.n_theta} pairs (lower, upper), lower below upper; "
                f"got {bounds!r}."
            )
        return box[:, 0].copy(), box[:, 1].copy()

    def _inside(self, start: Any, method: str = "start") -> np.ndarray:
        try:
            theta = np.array(start, dtype=float)
        except (TypeError, ValueError):
            theta = np.empty(0)
        if theta.shape != (self.n_theta,) or not np.all((theta >= self.lower) & (theta <= self.upper)):
            raise ModelError(
                f"{self._where}: `{method}` must give {self.n_theta} numbers within the bounds; got {start!r}."
            )
        return theta

    def _factor(self, theta: np.ndarray) -> np.ndarray:
        given = self._ask("factor", theta.copy(), self.q)
        try:
            Lambda = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            Lambda = np.empty(0)
        if Lambda.ndim != 2 or len(Lambda) != self.q or not Lambda.shape[1]:
            shape = getattr(given, "shape", type(given).__name__)
            raise ModelError(
                f"{self._where}: `factor` must give an array of shape ({self.q}, s), a row for each effect; got "
                f"{shape} at theta = {_written(theta)}."
            )
        if not np.all(np.isfinite(Lambda)):
            raise ModelError(f"{self._where}: `factor` is not finite at theta = {_written(theta)}.")
        return Lambda

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """T, shape (q, q)."""
        Lambda = self._factor(theta)
        return Lambda @ Lambda.T

    def factor(self, theta: np.ndarray) -> np.ndarray:
        """Lower-triangular Λ with a non-negative diagonal, shape (q, q)."""
        Lambda = lower_factor(self._factor(theta))
        return np.hstack([Lambda, np.zeros((self.q, self.q - Lambda.shape[1]))])

    def _derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """dT and d²T, kept for the point last asked for."""
        key = theta.tobytes()
        if self._last is None or self._last[0] != key:
            found = self._analytic(theta) if self._own else None
            self._last = key, found or self._numeric(theta)
        return self._last[1]

    def _numeric(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return differences(self.covariance, theta, self.lower, self.upper)

    def _analytic(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """dT and d²T from dΛ and d²Λ; None where these are not finite, as they may be on a bound."""
        Lambda = self._factor(theta)
        with np.errstate(all="ignore"):
            given = self._ask("derivatives", theta.copy(), self.q)
        m, shape = self.n_theta, Lambda.shape
        try:
            first, second = (np.asarray(part, dtype=float) for part in given)
        except (TypeError, ValueError):
            first = second = np.empty(0)
        if first.shape != (m, *shape) or second.shape != (m, m, *shape):
            raise ModelError(
                f"{self._where}: `derivatives` must give arrays of shape {(m, *shape)} and {(m, m, *shape)}; "
                f"got {first.shape} and {second.shape}."
            )
        if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
            return None
        half = first @ Lambda.T
        bends = second @ Lambda.T + np.einsum("kas,lbs->klab", first, first)
        return half + half.transpose(0, 2, 1), bends + bends.transpose(0, 1, 3, 2)

    def _check_derivatives(self, theta: np.ndarray) -> None:
        """Compare the derivatives given with finite differences of the factor, once."""
        analytic = self._analytic(theta)
        if analytic is None:
            raise ModelError(f"{self._where}: `derivatives` are not finite at theta = {_written(theta)}.")
        for given, numeric, order in zip(analytic, self._numeric(theta), ("", "second "), strict=True):
            size = max(1.0, float(np.abs(numeric).max()))
            worst = np.unravel_index(int(np.argmax(np.abs(given - numeric))), given.shape)
            if abs(given[worst] - numeric[worst]) > _WRONG * size:
                named = " and ".join(f"`{self.labels[k]}`" for k in worst[: given.ndim - 2])
                raise ModelError(
                    f"{self._where}: the {order}derivative that `derivatives` gives with respect to {named} is wrong: "
                    f"it makes that of T[{worst[-2]}, {worst[-1]}] at theta = {_written(theta)} {given[worst]:.6g}, "
                    f"but finite differences of `factor` give {numeric[worst]:.6g}. Correct it, or leave out "
                    "`derivatives`."
                )

    def first(self, theta: np.ndarray) -> np.ndarray:
        """dT along each parameter, shape (m, q, q)."""
        return self._derivatives(theta)[0]

    def bend(self, theta: np.ndarray, G: np.ndarray) -> np.ndarray:
        """⟨G, d²T⟩ along each pair of parameters, shape (m, m)."""
        return np.einsum("klab,ab->kl", self._derivatives(theta)[1], G)

    def second_along(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """½ Σ d_k d_l d²T_kl, shape (q, q)."""
        return 0.5 * np.einsum("k,l,klab->ab", direction, direction, self._derivatives(theta)[1])

    def names(self, factor: str, effects: tuple[str, ...]) -> tuple[str, ...]:
        """``g.name`` for each name that the structure gives."""
        return tuple(f"{factor}.{name}" for name in self.labels)

    def column_scale(self, size: np.ndarray) -> np.ndarray:
        """None: θ means what the structure says."""
        return np.ones(self.q)

    def parameter_scale(self, scale: np.ndarray) -> np.ndarray:
        """None."""
        return np.ones(self.n_theta)

    def moment_basis(self) -> np.ndarray:
        """One direction, T where the structure starts: only the other terms' moments are of use."""
        T = self.covariance(self._start)
        return (T if np.abs(T).max() > 0.0 else np.eye(self.q))[None]

    def start(self, T: np.ndarray, floor: float) -> np.ndarray:
        """Where the structure says."""
        return self._start.copy()

    def other_starts(self, sizes: list[float]) -> list[np.ndarray]:
        """Where the structure says, and points to either side within the bounds."""
        shares = (0.0, 0.3, -0.3, 0.7)
        return [self._moved(shares[k % 4]) for k in range(len(sizes))]

    def _moved(self, share: float) -> np.ndarray:
        """The start moved by a share of the way to a bound, or of its size where there is none."""
        bound = self.upper if share > 0 else self.lower
        way = np.where(np.isfinite(bound), np.abs(bound - self._start), np.maximum(1.0, np.abs(self._start)))
        return np.clip(self._start + share * way, self.lower, self.upper)

    def same_covariance(self, theta: np.ndarray) -> list[np.ndarray]:
        """θ alone: nothing is known of others."""
        return [theta]

    def generic(self) -> np.ndarray:
        """A little to the side of the start, away from bounds and from equal values."""
        theta = np.array([self._moved(0.1 + 0.01 * k)[k] for k in range(self.n_theta)])
        on_top = theta >= self.upper
        return np.where(on_top, self._moved(-0.1), theta)

    def inert(self, theta: np.ndarray) -> np.ndarray:
        """Parameters along which T does not move, to first or second order."""
        first, second = self._derivatives(theta)
        size = np.abs(second).max(axis=(1, 2, 3))
        return (np.abs(first).max(axis=(1, 2)) <= 1e-9) & (size <= 1e-7)

    def snap(self, theta: np.ndarray) -> np.ndarray:
        """θ with what lies on a bound to rounding set there, in the way the structure writes it."""
        if callable(getattr(self._of, "upright", None)):
            theta = self._inside(self._ask("upright", theta.copy(), self.q), "upright")
        for bound in (self.lower, self.upper):
            near = np.isfinite(bound) & (np.abs(theta - bound) <= _ZERO * np.maximum(1.0, np.abs(bound)))
            theta = np.where(near, bound, theta)
        return theta

    def on_bound(self, theta: np.ndarray) -> np.ndarray:
        """−1 where a parameter is on its lower bound, 1 on its upper one, else 0."""
        return (theta >= self.upper).astype(int) - (theta <= self.lower)

    def singular(self, theta: np.ndarray) -> bool:
        """Whether T has a null space, against its largest element or one."""
        s = np.linalg.svd(self._factor(theta), compute_uv=False)
        return bool(len(s) < self.q or s[-1] <= _ZERO * max(s[0], 1.0))


def _written(value: Any) -> str:
    return np.array2string(value, precision=6, separator=", ") if isinstance(value, np.ndarray) else repr(value)
