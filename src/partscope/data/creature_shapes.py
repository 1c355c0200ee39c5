"""Curves and tubes of which the drawn creatures are made (unit lengths, x forward, y down)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Joints = Sequence[tuple[float, float] | NDArray[np.float64]] | NDArray[np.float64]

_STEPS = 5
NO_PART = ""
"""Part of a shape that belongs to no animal."""


@lru_cache(maxsize=64)
def _spline(count: int, *, closed: bool) -> NDArray[np.float64]:
    """The matrix that takes control points to the points of their Catmull-Rom curve."""
    t = np.arange(_STEPS) / _STEPS
    basis = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    eye = np.eye(count)
    if closed:
        around = np.concatenate([eye[-1:], eye, eye[:2]])
    else:
        around = np.concatenate([2 * eye[:1] - eye[1:2], eye, 2 * eye[-1:] - eye[-2:-1]])
    curve = np.concatenate([basis @ around[k : k + 4] for k in range(len(around) - 3)])
    return curve if closed else np.concatenate([curve, eye[-1:]])


@lru_cache(maxsize=64)
def _spline_direction(count: int) -> NDArray[np.float64]:
    """The matrix that takes control points to the directions, of any length, along their open curve."""
    curve = _spline(count, closed=False)
    return np.concatenate([curve[1:2] - curve[:1], curve[2:] - curve[:-2], curve[-1:] - curve[-2:-1]])


class Shape(NamedTuple):
    """A filled outline that belongs to a part."""

    points: NDArray[np.float64]
    """(n, 2) closed outline (x, y)."""
    part: str
    colour: Colour
    outlined: bool = True
    """Whether a dark line surrounds it; spots, eyes and the like have none."""


def smooth(points: NDArray[np.float64], *, closed: bool = True) -> NDArray[np.float64]:
    """Catmull-Rom curve through the points, five for each span."""
    return np.asarray(_spline(len(points), closed=closed) @ points)


def blob(centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> NDArray[np.float64]:
    """An ellipse; the angle in radians turns it clockwise on the screen."""
    return np.asarray(turned(_CIRCLE * radii, angle) + centre)


def turned(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Points turned about the origin, clockwise on the screen, by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def ray(angle: float, length: float) -> NDArray[np.float64]:
    """The vector of that length which points at `angle` radians clockwise from forward."""
    return np.array([np.cos(angle), np.sin(angle)]) * length


def widened(outlines: list[NDArray[np.float64]], width: float) -> list[NDArray[np.float64]]:
    """Closed outlines moved outwards by `width`; a sharp corner moves by at most twice that."""
    if not outlines:
        return []
    sizes = np.array([len(outline) for outline in outlines])
    stops = np.cumsum(sizes)
    starts = stops - sizes
    points = np.concatenate(outlines)
    after = np.concatenate([points[1:], points[:1]])
    after[stops - 1] = points[starts]
    side = after - points
    area = np.add.reduceat(points[:, 0] * after[:, 1] - after[:, 0] * points[:, 1], starts)
    side /= np.maximum(np.hypot(side[:, 0], side[:, 1]), 1e-6)[:, None]
    before = np.concatenate([side[-1:], side[:-1]])
    before[starts] = side[stops - 1]
    tangent = side + before
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)
    reach = np.repeat(np.sign(area), sizes) * width * np.minimum(2.0 / length, 2.0) / length
    moved = points + tangent[:, ::-1] * [1.0, -1.0] * reach[:, None]
    return [moved[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]


_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_CAP_ANGLES = np.linspace(0, np.pi, 7)[1:-1]
_CAP = np.stack([np.cos(_CAP_ANGLES), np.sin(_CAP_ANGLES)], axis=1)
_LEFT_TURN = np.array([-1.0, 1.0])


class Tube(NamedTuple):
    """A curved centre line with a radius at each of its points."""

    centre: NDArray[np.float64]
    normal: NDArray[np.float64]
    radius: NDArray[np.float64]

    @classmethod
    def through(cls, joints: Joints, radii: list[float]) -> "Tube":
        """The tube whose smooth centre line and radius pass through the given ones."""
        control = np.empty((len(radii), 3))
        control[:, :2], control[:, 2] = joints, radii
        curve = smooth(control, closed=False)
        along = _spline_direction(len(radii)) @ control[:, :2]
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
        return cls(curve[:, :2], along[:, ::-1] * _LEFT_TURN, np.maximum(curve[:, 2], 0.004))

    def outline(self) -> NDArray[np.float64]:
        """Closed outline with round ends."""
        offset = self.normal * self.radius[:, None]
        return np.concatenate([self.centre + offset, self.cap(-1), (self.centre - offset)[::-1], self.cap(0)])

    def cap(self, end: Literal[0, -1]) -> NDArray[np.float64]:
        """Half circle that rounds the start (0) or the end (-1), seen from outside."""
        x, y = (self.normal[end] * (self.radius[end] if end else -self.radius[end])).tolist()
        return np.asarray(self.centre[end] + _CAP @ np.array([[x, y], [y, -x]]))

    def at(self, along: NDArray[np.float64] | float, across: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Points at a share of the length (0 to 1) and of the radius (-1 to 1; 1 is right of travel)."""
        along, across = np.broadcast_arrays(np.asarray(along, float), np.asarray(across, float))
        place = along * (len(self.centre) - 1)
        low = np.minimum(place.astype(int), len(self.centre) - 2)
        rest = (place - low)[..., None]
        offset = self.normal * self.radius[:, None]
        centre = self.centre[low] * (1 - rest) + self.centre[low + 1] * rest
        side = offset[low] * (1 - rest) + offset[low + 1] * rest
        return np.asarray(centre + side * across[..., None])

    def band(self, start: float, stop: float, low: float, high: float) -> NDArray[np.float64]:
        """Outline of the patch between two shares of the length and two of the radius."""
        along = np.linspace(start, stop, 9)
        return np.concatenate([self.at(along, low), self.at(along[::-1], high)])

    def crescent(self, start: float, stop: float, low: float, high: float) -> NDArray[np.float64]:
        """As `band`, its ends drawn to a point at `high`."""
        along = np.linspace(start, stop, 11)
        inner = high + (low - high) * np.sin(np.linspace(0, np.pi, 11)) ** 0.7
        return np.concatenate([self.at(along, inner), self.at(along[::-1], high)])
