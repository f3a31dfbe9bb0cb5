"""Where a profile reaches a value of ζ, and points along it: root finding and steps in ζ.

Steps are Newton's on ζ, which is nearly straight, and Hermite's cubic through the last two points and their slopes,
with ζ for the abscissa; a bracket keeps them safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lmmtools.errors import ModelError
from lmmtools.profiles.ends import Limit, at_wall, endless, on_bound, on_plateau, word
from lmmtools.profiles.path import BelowTheFit, Path, Point

__all__ = ["Limit", "curve", "limit"]

# A root is found when one Newton step from so near in ζ leaves nothing, or its bracket is so narrow, or from not quite
# so near a step on the cubic through two points, whose error is the square of the product of their distances.
_NEAR, _NARROW, _NEAR_ENOUGH, _PRODUCT = 1e-5, 1e-13, 3e-4, 1e-5
_MOST = 100
# After so many points a bracket is halved, and its outer end looked at from the inner one.
_PATIENCE = 8
# No step is longer than so many times the way already gone, or shorter than this share of what a straight line says.
_LONGEST, _LEAST = 3.0, 1e-2
# Shares of the way to a bound, on the scale of ψ, beyond which the bound itself is looked at.
_NEAR_BOUND = 0.97
# Against the estimates, where a parameter without bound is taken to have none that the data give.
_FAR = 1e8
# Most times that a step which led too far in ζ is shortened.
_SHORTENED = 8
# A value so near to one without a model is the last that has one.
_AT_WALL = 1e-6
# A profile that has risen by no more than this in ζ, over a tenfold change of the parameter, stays level.
_LEVEL = 1e-4


@dataclass(frozen=True)
class _Scale:
    """Coordinates in which ζ is about straight."""

    to: Callable[[float], float]
    back: Callable[[float], float]
    rate: Callable[[float], float]


_SCALES = {
    "plain": _Scale(float, float, lambda _: 1.0),
    "log": _Scale(lambda x: float(np.log(x)) if x > 0 else -np.inf, lambda t: float(np.exp(t)), lambda x: 1.0 / x),
    "atanh": _Scale(
        lambda x: float(np.arctanh(x)) if abs(x) < 1 else float(np.sign(x) * np.inf),
        lambda t: float(np.tanh(t)),
        lambda x: 1.0 / (1.0 - x * x),
    ),
}


@dataclass(frozen=True)
class _Node:
    """A point seen from the estimate: t away from it, z = |ζ|, and dt/dz (NaN where not known)."""

    t: float
    z: float
    per_z: float
    point: Point


class _Side:
    """One side of a profile, in a coordinate that grows away from the estimate."""

    def __init__(self, path: Path, side: int, scale: str | None = None) -> None:
        self.path, self.side = path, side
        self.scale = _SCALES[scale or path.scale]
        self.bound = path.low if side < 0 else path.high
        self._from = self.scale.to(path.estimate)
        self.start = self.node(path.origin_point())
        self.wall = np.inf  # the least coordinate at which there turned out to be no model

    def node(self, point: Point) -> _Node:
        """A point on this side."""
        t = self.side * (self.scale.to(point.value) - self._from)
        rate = self.side * point.slope / (2.0 * abs(point.zeta)) if point.zeta else np.nan
        per_z = self.scale.rate(point.value) / rate if np.isfinite(rate) and rate > 0.0 and np.isfinite(t) else np.nan
        return _Node(t, abs(point.zeta), per_z, point)

    def value(self, t: float) -> float:
        """ψ at a coordinate."""
        return self.scale.back(self._from + self.side * t)

    def at(self, t: float, near: tuple[_Node, ...]) -> _Node:
        """The profile at a coordinate."""
        return self.node(self.path.at(self.value(t), tuple(n.point for n in near)))

    def beyond(self, t: float) -> bool:
        """Whether a coordinate is so near to a bound that the bound itself should be looked at."""
        if not np.isfinite(self.bound):
            return False
        way = self.bound - self.path.estimate
        return bool((self.value(t) - self.path.estimate) / way >= _NEAR_BOUND)

    def on_plateau(self, node: _Node) -> bool:
        """Whether a node is where every ψ goes."""
        return self.path.plateau is not None and node.z >= self.path.plateau.zeta - _LEVEL

    @property
    def edge(self) -> float:
        """A coordinate just beyond which the bound itself is looked at."""
        value = self.path.estimate + (_NEAR_BOUND + 1e-3) * (self.bound - self.path.estimate)
        return self.side * (self.scale.to(value) - self._from)

    @property
    def knows_bound(self) -> bool:
        """Whether there is a criterion on this side's bound."""
        known = self.path.high_is_known if self.side > 0 else self.path.low_is_known
        return bool(np.isfinite(self.bound)) and known

    @property
    def at_bound(self) -> bool:
        """Whether the estimate is on this side's bound."""
        return self.path.estimate == self.bound


def _towards(nodes: list[_Node], z: float) -> float | None:
    """t at which |ζ| = z, by inverse interpolation through the two nearest nodes; None where nothing is known."""
    a, b = (sorted(nodes, key=lambda n: abs(n.z - z)) + [None])[:2]
    if b is None:
        return None if np.isnan(a.per_z) else a.t + (z - a.z) * a.per_z
    h = b.z - a.z
    if abs(h) < 1e-9:
        return a.t + (z - a.z) * a.per_z
    u, chord = (z - a.z) / h, (b.t - a.t) / h
    if np.isnan(a.per_z) and np.isnan(b.per_z):
        return a.t + (z - a.z) * chord
    first = 2.0 * chord - b.per_z if np.isnan(a.per_z) else a.per_z
    last = 2.0 * chord - a.per_z if np.isnan(b.per_z) else b.per_z
    return float(a.t + h * u * (first + u * (3 * chord - 2 * first - last) + u * u * (first + last - 2 * chord)))


def limit(path: Path, cutoff: float, side: int, known: tuple[Point, ...] = ()) -> Limit:
    """Where ζ reaches a cutoff on one side of the estimate.

    Parameters
    ----------
    path : Path
    cutoff : float
        Of |ζ|.
    side : int
        −1 below the estimate, 1 above.
    known : tuple of Point
        Points of the profile on this side that are known already.

    Returns
    -------
    Limit
    """
    s = _Side(path, side)
    if s.at_bound:
        return Limit(path.estimate, False, on_bound(path, side))
    nodes = [s.start, *(s.node(p) for p in known if np.sign(p.value - path.estimate) == side)]
    try:
        if path.plateau is not None and path.plateau.zeta < cutoff:
            return Limit(s.bound, False, on_plateau(path))
        return _search(s, cutoff, nodes)
    except BelowTheFit:
        raise
    except ModelError as error:
        return Limit(np.nan, False, f"the {word(side)} limit of {path.name} was not found: {str(error).rstrip('.')}")


def _search(s: _Side, cutoff: float, nodes: list[_Node]) -> Limit:
    """The root between the outermost node below the cutoff and the first one above, or beyond all nodes."""
    high = min((n for n in nodes if n.z >= cutoff), key=lambda n: n.t, default=None)
    low = max((n for n in nodes if n.z < cutoff and (high is None or n.t < high.t)), key=lambda n: n.t)
    if high is not None and not np.isfinite(high.t):
        s, nodes, low, high = _plain(s, nodes, low, high)
    for k in range(_MOST):
        t = _propose(s, nodes, cutoff, low, high, k)
        if high is None and (s.beyond(low.t) or (s.beyond(t) and s.knows_bound)):
            found = _bound(s, cutoff, low)
            if isinstance(found, Limit):
                return found
            s, nodes, low, high = _plain(s, [*nodes, found], low, found)
            continue
        if high is None and s.beyond(t):
            t = s.edge
        if high is None and t >= s.wall:
            t = 0.5 * (low.t + s.wall)
            if s.wall - low.t <= _AT_WALL * max(1.0, s.wall):
                return Limit(s.value(low.t), False, at_wall(s.path))
        if not np.isfinite(s.value(t)) or abs(s.value(t)) > _FAR * _size(s.path):
            return Limit(s.side * np.inf, False, endless(s.path, s.side))
        if high is not None and k % _PATIENCE == _PATIENCE - 1:
            # so slow an end may lie in another minimum's range, found from too far
            seen = s.node(s.path.at(high.point.value, (low.point,)))
            if seen.z < high.z - _LEVEL:
                nodes = [*(n for n in nodes if n.t < high.t), seen]
                low, high = (low, seen) if seen.z >= cutoff else (seen, None)
                continue
        node = _attempt(s, t, nodes, high is None)
        if node is None:
            continue
        if node.z >= cutoff and (k >= _PATIENCE // 2 or s.on_plateau(node)):
            # a search that starts from a point in another minimum's range, as on the plateau, may stay there
            node = min(node, s.at(t, (low,)), key=lambda n: n.z)
        t = _landed(node, nodes, cutoff)
        if t is not None:
            lower = s.path.elsewhere(node.point)
            if lower is None:
                return Limit(s.value(t), True)
            # another minimum, in which the interval goes on
            low, high = s.node(lower), None
            nodes = [low]
            continue
        nodes.append(node)
        if node.z < cutoff:
            low = node if node.t > low.t else low
        else:
            high = node
        if high is not None and abs(high.t - low.t) <= _NARROW * max(1.0, abs(high.t)):
            return Limit(s.value(high.t), True)
    return Limit(np.nan, False, f"the {word(s.side)} limit of {s.path.name} was not found")


def _attempt(s: _Side, t: float, nodes: list[_Node], outwards: bool) -> _Node | None:
    """The profile at a coordinate; None, and a wall there, where there is no model so far out."""
    try:
        return s.at(t, _nearest(nodes, t))
    except BelowTheFit:
        raise
    except ModelError:
        if not (outwards and s.path.has_gaps):
            raise
        s.wall = t
        return None


def _plain(s: _Side, nodes: list[_Node], low: _Node, high: _Node) -> tuple[_Side, list[_Node], _Node, _Node]:
    """The same on the scale of ψ itself, on which a bound is not infinitely far."""
    s = _Side(s.path, s.side, "plain")
    return s, [s.node(n.point) for n in nodes], s.node(low.point), s.node(high.point)


def _landed(node: _Node, nodes: list[_Node], cutoff: float) -> float | None:
    """The root's t where a node is so near that what a step leaves is nothing; else None."""
    gap = abs(node.z - cutoff)
    if not np.isfinite(node.per_z) or gap > _NEAR_ENOUGH:
        return None
    if gap <= _NEAR:
        return node.t + (cutoff - node.z) * node.per_z
    second = min(nodes, key=lambda n: abs(n.z - cutoff))
    both = np.isfinite(second.per_z) and gap * abs(second.z - cutoff) <= _PRODUCT
    return _towards([node, second], cutoff) if both else None


def _propose(s: _Side, nodes: list[_Node], cutoff: float, low: _Node, high: _Node | None, k: int) -> float:
    t = _towards([n for n in nodes if np.isfinite(n.t)], cutoff)
    known = t is not None and np.isfinite(t)
    if high is None:
        ahead = known and t - low.t > _LEAST * low.t * (1.0 - low.z / cutoff)  # not where the profile falls again
        t = t if ahead else low.t + max(low.t, s.path.first_step(cutoff))
        return t if low.t <= 0.0 or (s.knows_bound and s.beyond(t)) else min(t, (1.0 + _LONGEST) * low.t)
    width = high.t - low.t
    inside = known and (low.t + 1e-3 * width <= t <= high.t - 1e-3 * width or (low.t < t < high.t and k < 12))
    return t if inside and k % _PATIENCE != _PATIENCE - 1 else low.t + 0.5 * width


def _nearest(nodes: list[_Node], t: float) -> tuple[_Node, ...]:
    finite = [n for n in nodes if np.isfinite(n.t)]
    return tuple(sorted(finite, key=lambda n: abs(n.t - t))[:2])


def _bound(s: _Side, cutoff: float, low: _Node) -> _Node | Limit:
    """The profile on its bound; the bound as limit where ζ does not reach the cutoff before."""
    node = _on(s, low)
    if node.z >= cutoff:
        return node
    return Limit(s.bound, False, on_bound(s.path, s.side))


def _on(s: _Side, low: _Node) -> _Node:
    if s.knows_bound:
        return _Side(s.path, s.side, "plain").node(s.path.at(s.bound, (low.point,)))
    return _towards_bound(s, low)


def _towards_bound(s: _Side, low: _Node) -> _Node:
    """Where there is no criterion on the bound: its limit, where the profile stays level over tenfold nearer values."""
    node = low
    for _ in range(12):
        value = s.bound + (node.point.value - s.bound) / 10.0
        try:
            further = s.at(s.side * (s.scale.to(value) - s._from), (node,))
        except BelowTheFit:
            raise
        except ModelError:
            if not s.path.has_gaps:
                raise
            return node
        if abs(further.z - node.z) <= _LEVEL:
            return further
        node = further
    return node


def _size(path: Path) -> float:
    size = np.abs(path.origin.estimates[~np.isnan(path.origin.estimates)])
    return float(max(size.max(), 1e-300))


def curve(path: Path, furthest: float, step: float) -> tuple[Point, ...]:
    """Points of a profile about `step` apart in ζ, to |ζ| just beyond `furthest`, bounds included where met."""
    return (*reversed(_half(path, -1, furthest, step)), path.origin_point(), *_half(path, 1, furthest, step))


def _half(path: Path, side: int, furthest: float, step: float) -> list[Point]:
    s = _Side(path, side)
    nodes, found = [s.start], []
    if s.at_bound:
        return []
    for _ in range(_MOST):
        last = nodes[-1]
        if last.z >= furthest:
            break
        if s.on_plateau(last):
            return [n.point for n in nodes[1:-1]] + _corner(s, nodes)
        try:
            if s.beyond(last.t):
                found.append(_on(s, last).point)
                break
            node = _step(s, nodes, step)
        except BelowTheFit:
            raise
        except ModelError:
            break
        if node is None:
            break
        nodes.append(node)
    return _checked(path, [n.point for n in nodes[1:]]) + found


def _checked(path: Path, points: list[Point]) -> list[Point]:
    """The points, those replaced that lie above another minimum; looked for at the last and followed inwards."""
    lower = path.elsewhere(points[-1]) if points else None
    if lower is None:
        return points
    found = [lower]
    for point in reversed(points[:-1]):
        below = path.at(point.value, (found[-1],))
        if below.deviance >= point.deviance:
            break
        found.append(below)
    return [*points[: len(points) - len(found)], *reversed(found)]


def _corner(s: _Side, nodes: list[_Node]) -> list[Point]:
    """Where a curve meets its plateau, and the plateau's end."""
    flat = replace(s.path.plateau, zeta=s.side * s.path.plateau.zeta, slope=0.0)
    corner = _search(s, s.path.plateau.zeta - _LEVEL, nodes)
    ends = [corner.value, s.bound] if corner.reached else [s.bound]
    return [replace(flat, value=end) for end in ends]


def _step(s: _Side, nodes: list[_Node], step: float) -> _Node | None:
    last = nodes[-1]
    t = _towards(nodes[-2:], last.z + step)
    if len(nodes) == 1:
        t = s.path.first_step(step)
    else:
        way = last.t - nodes[-2].t
        ahead = t is not None and np.isfinite(t) and t > last.t  # not where the profile is level
        t = float(np.clip(t, last.t + 0.1 * way, last.t + _LONGEST * way)) if ahead else last.t + 2.0 * way
    if s.beyond(t):
        t = min(t, s.edge)
    if not np.isfinite(s.value(t)) or abs(s.value(t)) > _FAR * _size(s.path):
        return None
    for _ in range(_SHORTENED):
        node = s.at(t, tuple(reversed(nodes[-2:])))
        if node.z - last.z <= 2.0 * step:
            break
        t = last.t + (t - last.t) * (step / (node.z - last.z)) ** 2
    return node
