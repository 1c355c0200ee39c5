"""Curves and tubes of which the drawn creatures are made (unit lengths, x forward, y down)."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Colour = tuple[int, int, int]

_STEPS = 5
NO_PART = ""
"""Part of a shape that belongs to no animal."""


def _catmull_rom_basis(steps: int) -> NDArray[np.float64]:
    t = np.arange(steps) / steps
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )


_BASIS = _catmull_rom_basis(_STEPS)


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
    if closed:
        around = np.concatenate([points[-1:], points, points[:2]])
    else:
        first, last = 2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1]
        around = np.concatenate([first, points, last])
    control = sliding_window_view(around, 4, axis=0)
    curve = (control @ _BASIS.T).transpose(0, 2, 1).reshape(-1, points.shape[1])
    return curve if closed else np.concatenate([curve, points[-1:]])


def blob(centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> NDArray[np.float64]:
    """An ellipse; the angle in radians turns it clockwise on the screen."""
    return turned(_CIRCLE * radii, angle) + centre


def turned(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Points turned about the origin, clockwise on the screen, by radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


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
_CAP = np.linspace(0, np.pi, 7)[1:-1]


class Tube(NamedTuple):
    """A curved centre line with a radius at each of its points."""

    centre: NDArray[np.float64]
    normal: NDArray[np.float64]
    radius: NDArray[np.float64]

    @classmethod
    def through(
        cls,
        joints: Sequence[tuple[float, float] | NDArray[np.float64]] | NDArray[np.float64],
        radii: list[float],
    ) -> Self:
        """The tube whose smooth centre line and radius pass through the given ones."""
        control = np.empty((len(radii), 3))
        control[:, :2], control[:, 2] = joints, radii
        curve = smooth(control, closed=False)
        centre, radius = curve[:, :2], np.maximum(curve[:, 2], 0.004)
        along = np.empty_like(centre)
        along[1:-1] = centre[2:] - centre[:-2]
        along[0], along[-1] = centre[1] - centre[0], centre[-1] - centre[-2]
        along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
        return cls(centre, along[:, ::-1] * [-1.0, 1.0], radius)

    def outline(self) -> NDArray[np.float64]:
        """Closed outline with round ends."""
        offset = self.normal * self.radius[:, None]
        return np.concatenate(
            [self.centre + offset, self._cap(-1), (self.centre - offset)[::-1], self._cap(0)]
        )

    def _cap(self, end: int) -> NDArray[np.float64]:
        normal = self.normal[end] if end == -1 else -self.normal[end]
        tangent = np.array([normal[1], -normal[0]])
        arc = np.cos(_CAP)[:, None] * normal + np.sin(_CAP)[:, None] * tangent
        return np.asarray(self.centre[end] + arc * self.radius[end])

    def at(
        self, along: NDArray[np.float64] | float, across: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
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
