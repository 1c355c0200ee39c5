"""The four animals: articulated poses as lists of shapes, back to front (x forward, y down, about 1 long)."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from partscope.data.creature_paint import BLACK, WHITE, Paint, coat_shapes, mixed
from partscope.data.creature_shapes import Colour, Shape, Tube, blob, ray, smooth, turned

PARTS = ("head", "torso", "tail", "wing", "front leg", "hind leg", "back fin", "belly fin", "antenna")
"""Names of all parts, the landmarks of the set."""


def _eye(head: NDArray[np.float64], place: tuple[float, float], size: float, angle: float) -> list[Shape]:
    """An eye at a place given in the frame of a head that is turned by `angle`."""
    centre = head + turned(np.array([place]), angle)[0]
    pupil = centre + turned(np.array([[0.2 * size, 0.0]]), angle)[0]
    glint = pupil + np.array([-0.25, -0.3]) * size
    return [
        Shape(blob(_xy(centre), (size, size)), "head", WHITE, False),
        Shape(blob(_xy(pupil), (0.68 * size, 0.72 * size)), "head", BLACK, False),
        Shape(blob(_xy(glint), (0.26 * size, 0.26 * size)), "head", WHITE, False),
    ]


def _xy(point: NDArray[np.float64]) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _leg(
    rng: Generator, hip: tuple[float, float], swing: float, lengths: tuple[float, float], radii: list[float]
) -> Tube:
    """Two segments down from a hip: the upper one swings by `swing` radians forward, the knee bends back."""
    upper = np.pi / 2 - swing
    knee = np.asarray(hip) + ray(upper, lengths[0])
    foot = knee + ray(upper + rng.uniform(0.0, 0.45), lengths[1])
    return Tube.through([np.asarray(hip), knee, foot], radii)


def bird(rng: Generator, paint: Paint) -> list[Shape]:
    """A songbird from the side: head with beak, torso, raised or folded wing, fanned tail, two legs."""
    torso = Tube.through([(-0.36, 0.1), (-0.14, 0.05), (0.1, 0.0), (0.28, -0.08)], [0.06, 0.21, 0.24, 0.13])
    shapes: list[Shape] = []
    for side, colour in enumerate((mixed(paint.accent, BLACK, 0.3), paint.accent)):
        hip = (0.06 - 0.09 * side, 0.2)
        leg = _leg(rng, hip, rng.uniform(-0.45, 0.4), (0.13, 0.15), [0.045, 0.024, 0.02])
        foot = leg.centre[-1]
        for toe in (-0.25, 0.25, np.pi):
            tip = foot + ray(toe, 0.09 if toe < 3 else 0.06)
            shapes.append(Shape(Tube.through([foot, tip], [0.02, 0.012]).outline(), "hind leg", colour))
        shapes.append(Shape(leg.outline(), "hind leg", colour))
    lift = rng.uniform(-0.5, 0.35)
    for k, spread in enumerate((-0.24, 0.0, 0.24)):
        root = np.array([-0.32, 0.08])
        angle = np.pi + lift + spread
        feather = Tube.through([root, root + ray(angle, 0.2), root + ray(angle, 0.42)], [0.04, 0.07, 0.035])
        shapes.append(Shape(feather.outline(), "tail", (paint.far, paint.main, paint.accent)[k]))
    turn = rng.uniform(-0.35, 0.45)
    neck = np.array([0.27, -0.1])
    head = neck + ray(rng.uniform(-1.25, -0.55), 0.19)
    beak = smooth(np.array([[0.1, -0.055], [0.2, -0.02], [0.3, 0.035], [0.2, 0.06], [0.1, 0.075]]))
    gape = rng.uniform(0.0, 0.3)
    lower = turned(beak * [0.85, 0.7], gape)
    shapes.append(Shape(turned(lower, turn) + head, "head", mixed(paint.accent, BLACK, 0.25)))
    shapes.append(Shape(turned(beak, turn) + head, "head", paint.accent))
    crest = rng.uniform(0.1, 0.2)
    for k in range(3):
        angle = turn - 1.75 - 0.33 * k
        feather = Tube.through(
            [head, head + ray(angle, 0.12), head + ray(angle - 0.25, 0.12 + crest)], [0.05, 0.04, 0.01]
        )
        shapes.append(Shape(feather.outline(), "head", paint.main))
    shapes.append(Shape(torso.outline(), "torso", paint.main))
    shapes.append(Shape(torso.crescent(0.12, 0.97, 0.1, 0.97), "torso", paint.light, False))
    shapes += coat_shapes(rng, paint, torso, "torso", 0.8)
    shapes.append(Shape(blob(_xy(head), (0.17, 0.165), turn), "head", paint.main))
    shapes.append(
        Shape(
            blob(_xy(head + turned(np.array([[0.04, 0.06]]), turn)[0]), (0.1, 0.08), turn),
            "head",
            paint.light,
            False,
        )
    )
    shapes += _eye(head, (0.05, -0.035), 0.055, turn)
    shapes += _wing(rng, paint)
    return shapes


def _wing(rng: Generator, paint: Paint) -> list[Shape]:
    shoulder = np.array([0.12, -0.06])
    angle = rng.choice([rng.uniform(-0.25, 0.2), rng.uniform(0.55, 1.25)])
    shape = np.array(
        [
            [0.06, 0.02],
            [-0.02, -0.09],
            [-0.2, -0.1],
            [-0.42, -0.03],
            [-0.5, 0.06],
            [-0.38, 0.07],
            [-0.4, 0.13],
            [-0.27, 0.12],
            [-0.26, 0.18],
            [-0.12, 0.15],
            [0.0, 0.1],
        ]
    )
    tone = mixed(paint.main, paint.line, 0.22)
    wing = [Shape(turned(smooth(shape), angle) + shoulder, "wing", tone)]
    for k, (reach, drop) in enumerate(((-0.37, 0.03), (-0.27, 0.075), (-0.15, 0.1))):
        feather = Tube.through([(-0.03, 0.0 + 0.02 * k), (reach / 2, drop * 0.6), (reach, drop)], [0.02, 0.016, 0.01])
        wing.append(Shape(turned(feather.outline(), angle) + shoulder, "wing", paint.light, False))
    return wing


def fish(rng: Generator, paint: Paint) -> list[Shape]:
    """A fish from the side: head with gill, bending body, forked tail, back fin and belly fins."""
    bend = rng.uniform(-0.12, 0.12)
    deep = rng.uniform(0.85, 1.12)
    body = Tube.through(
        [(-0.42, bend), (-0.18, 0.3 * bend), (0.1, 0.0), (0.32, 0.0), (0.46, 0.01)],
        [0.055, 0.16 * deep, 0.235 * deep, 0.17 * deep, 0.06],
    )
    fin = mixed(paint.accent, paint.main, 0.15)
    ray_tone = mixed(fin, paint.line, 0.35)
    sweep = rng.uniform(-0.45, 0.45)
    fork = np.array(
        [
            [0.06, -0.05],
            [-0.1, -0.13],
            [-0.27, -0.25],
            [-0.24, -0.1],
            [-0.17, 0.0],
            [-0.24, 0.1],
            [-0.27, 0.25],
            [-0.1, 0.13],
            [0.06, 0.05],
        ]
    )
    root = np.array([-0.42, bend])
    shapes = [Shape(turned(smooth(fork), sweep) + root, "tail", fin)]
    for angle in (-0.62, -0.3, 0.0, 0.3, 0.62):
        reach = 0.16 + 0.14 * abs(angle)
        line = Tube.through([ray(np.pi + angle, 0.05), ray(np.pi + angle, reach)], [0.006, 0.009])
        shapes.append(Shape(turned(line.outline(), sweep) + root, "tail", ray_tone, False))
    height, lean = rng.uniform(1.1, 1.75), rng.uniform(-0.06, 0.08)
    start, stop = 0.34, 0.74
    base = body.at(np.linspace(stop, start, 6), -0.8)
    crown = body.at(
        np.linspace(start - 0.04, stop - 0.02, 5),
        -1.0 - np.array([0.3, 0.75, 0.9, 0.8, 0.2]) * (height - 0.4),
    )
    shapes.append(Shape(smooth(np.concatenate([base, crown - (lean + 0.04, 0.0)])), "back fin", fin))
    for along in (0.44, 0.54, 0.64):
        spine = [body.at(along, -0.9), body.at(along - 0.02, -1.0 - 0.6 * (height - 0.4)) - (lean, 0.0)]
        shapes.append(Shape(Tube.through(spine, [0.008, 0.006]).outline(), "back fin", ray_tone, False))
    shapes.append(Shape(_fin(body.at(0.42, 0.9), rng.uniform(1.7, 2.3), 0.25), "belly fin", fin))
    shapes.append(Shape(body.outline(), "torso", paint.main))
    shapes.append(Shape(body.crescent(0.04, 0.98, 0.25, 0.97), "torso", paint.light, False))
    shapes += coat_shapes(rng, paint, body, "torso", 0.9)
    gill = 0.72
    cheek = np.linspace(gill, 1.0, 10)
    arc = body.at(gill - 0.05 + 0.05 * np.linspace(-1, 1, 9) ** 2, np.linspace(0.99, -0.99, 9))
    face = np.concatenate([body.at(cheek, -1.0), body.cap(-1)[::-1], body.at(cheek[::-1], 1.0), arc])
    shapes.append(Shape(face, "head", mixed(paint.main, paint.light, 0.45)))
    mouth = Tube.through([body.at(1.0, 0.4), body.at(0.94, 0.5), body.at(0.9, 0.38)], [0.012, 0.01, 0.006])
    shapes.append(Shape(mouth.outline(), "head", paint.line, False))
    shapes += _eye(body.at(0.86, -0.28), (0.0, 0.0), 0.055, 0.0)
    shapes.append(Shape(_fin(body.at(0.62, 0.35), rng.uniform(2.1, 3.3), 0.27), "belly fin", fin))
    return shapes


def _fin(root: NDArray[np.float64], angle: float, length: float) -> NDArray[np.float64]:
    leaf = np.array([[0.0, -0.16], [0.5, -0.34], [1.0, -0.2], [0.92, 0.12], [0.6, 0.34], [0.0, 0.18]])
    return turned(smooth(leaf * length), angle) + root


def fox(rng: Generator, paint: Paint) -> list[Shape]:
    """A fox-like quadruped from the side: head with ears, torso, bushy tail, front and hind legs."""
    torso = Tube.through([(-0.34, -0.02), (-0.12, 0.02), (0.12, 0.02), (0.3, -0.03)], [0.13, 0.145, 0.15, 0.13])
    shapes: list[Shape] = []
    angle = np.pi + rng.uniform(-0.35, 1.0)
    curl = rng.uniform(-0.7, 0.7)
    tail_root = np.array([-0.4, -0.06])
    bend = tail_root + ray(angle, 0.16)
    tail = Tube.through([tail_root, bend, bend + ray(angle + curl, 0.24)], [0.045, 0.105, 0.03])
    shapes.append(Shape(tail.outline(), "tail", paint.main))
    zigzag = tail.at(np.array([0.68, 0.76, 0.68, 0.76, 0.68]), np.array([-1.0, -0.5, 0.0, 0.5, 1.0]))
    tip = np.concatenate(
        [
            zigzag,
            tail.at(np.linspace(0.75, 1.0, 5), 1.0),
            tail.cap(-1),
            tail.at(np.linspace(1.0, 0.75, 5), -1.0),
        ]
    )
    shapes.append(Shape(tip, "tail", paint.light, False))
    shapes += _paws(rng, paint, 0.05, paint.far)
    neck = np.array([0.28, -0.06])
    head = neck + ray(rng.uniform(-1.2, -0.45), 0.26)
    turn = rng.uniform(-0.3, 0.5)
    collar = Tube.through([neck - (0.03, -0.04), (neck + head) / 2, head], [0.14, 0.12, 0.1])
    shapes.append(Shape(collar.outline(), "torso", paint.main))
    shapes.append(Shape(torso.outline(), "torso", paint.main))
    shapes.append(Shape(torso.crescent(0.1, 0.97, 0.35, 0.97), "torso", paint.light, False))
    shapes += coat_shapes(rng, paint, torso, "torso", 0.75)
    shapes += _paws(rng, paint, 0.0, paint.main)
    shapes.append(Shape(collar.crescent(0.05, 0.95, 0.2, 0.9), "torso", paint.light, False))
    ear = smooth(np.array([[-0.075, 0.0], [-0.06, -0.13], [-0.02, -0.24], [0.03, -0.14], [0.06, -0.01]]))
    prick = rng.uniform(-0.25, 0.25)
    for base, lean, colour in (((0.045, -0.07), 0.3, paint.far), ((-0.06, -0.07), -0.15, paint.main)):
        flap = turned(ear, lean + prick) + base
        shapes.append(Shape(turned(flap, turn) + head, "head", colour))
        if colour == paint.main:
            inner = turned(ear * 0.55 + [0, -0.03], lean + prick) + base
            shapes.append(Shape(turned(inner, turn) + head, "head", paint.light, False))
    face = np.array(
        [
            [-0.14, -0.04],
            [-0.07, -0.13],
            [0.06, -0.12],
            [0.15, -0.04],
            [0.29, 0.03],
            [0.3, 0.075],
            [0.14, 0.11],
            [0.0, 0.14],
            [-0.12, 0.1],
        ]
    )
    shapes.append(Shape(turned(smooth(face), turn) + head, "head", paint.main))
    cheek = np.array(
        [[-0.09, 0.1], [-0.03, 0.03], [0.1, 0.045], [0.2, 0.035], [0.285, 0.065], [0.14, 0.1], [0.0, 0.13]]
    )
    shapes.append(Shape(turned(smooth(cheek), turn) + head, "head", paint.light, False))
    nose = turned(np.array([[0.295, 0.04]]), turn)[0] + head
    shapes.append(Shape(blob(_xy(nose), (0.035, 0.03), turn), "head", BLACK, False))
    shapes += _eye(head, (0.05, -0.03), 0.042, turn)
    return shapes


def _paws(rng: Generator, paint: Paint, forward: float, colour: Colour) -> list[Shape]:
    """A front and a hind leg with their paws."""
    sock = mixed(paint.accent, BLACK, 0.35) if forward else paint.accent
    shapes = []
    for part, x, thick in (("hind leg", -0.32, 0.105), ("front leg", 0.24, 0.085)):
        swing = rng.uniform(-0.5, 0.5)
        leg = _leg(rng, (x + 2 * forward, 0.05), swing, (0.2, 0.2), [thick, 0.055, 0.042])
        foot = leg.centre[-1] + (0.025, 0.0)
        shapes.append(Shape(blob(_xy(foot), (0.065, 0.042)), part, sock))
        shapes.append(Shape(leg.outline(), part, colour))
        if not forward:
            root = leg.centre[0] - (0.0, 0.4 * thick)
            shapes.append(Shape(blob(_xy(root), (1.16 * thick, 0.9 * thick)), part, colour, False))
        shapes.append(Shape(leg.band(0.72, 1.0, -1.0, 1.0), part, sock, False))
        shapes.append(Shape(blob(_xy(foot), (0.062, 0.04)), part, sock, False))
    return shapes


def beetle(rng: Generator, paint: Paint) -> list[Shape]:
    """A beetle from above: head with antennae, thorax, wing cases that may open, three pairs of legs."""
    shapes: list[Shape] = []
    for side in (-1, 1):
        for part, x, heading in (
            ("hind leg", -0.16, 2.25),
            ("hind leg", 0.04, 1.75),
            ("front leg", 0.24, 0.95),
        ):
            angle = heading + rng.uniform(-0.28, 0.28)
            knee = np.array([x, 0.16]) + ray(angle, 0.2)
            foot = knee + ray(angle + (0.7 if heading > 1.5 else -0.5) + rng.uniform(-0.2, 0.2), 0.17)
            leg = Tube.through(np.array([(x, 0.1), knee, foot]) * [1, side], [0.045, 0.034, 0.016])
            shapes.append(Shape(leg.outline(), part, paint.main))
    turn = rng.uniform(-0.3, 0.3)
    head = np.array([0.33, 0.0]) + ray(turn, 0.1)
    for side in (-1, 1):
        sway = rng.uniform(-0.25, 0.25)
        first = head + ray(turn + side * (0.5 + sway), 0.14)
        tip = first + ray(turn + side * (0.95 + 1.5 * sway), 0.17)
        feeler = Tube.through([head, first, tip], [0.02, 0.018, 0.018])
        shapes.append(Shape(feeler.outline(), "antenna", paint.far))
        shapes.append(Shape(blob(_xy(tip), (0.042, 0.042)), "antenna", paint.accent))
    face = smooth(np.array([[-0.1, -0.13], [0.03, -0.12], [0.11, -0.05], [0.11, 0.05], [0.03, 0.12], [-0.1, 0.13]]))
    shapes.append(Shape(turned(face, turn) + head, "head", mixed(paint.main, paint.light, 0.3)))
    for side in (-1, 1):
        shapes += _eye(head, (0.045, 0.085 * side), 0.038, turn)
    abdomen = Tube.through([(-0.42, 0.0), (-0.1, 0.0), (0.2, 0.0)], [0.1, 0.2, 0.16])
    shapes.append(Shape(abdomen.outline(), "torso", paint.far))
    spread = max(0.0, rng.uniform(-0.25, 0.5))
    for side in (-1, 1):
        shapes += _wing_case(rng, paint, side, spread)
    thorax = np.array(
        [
            [0.14, -0.2],
            [0.28, -0.19],
            [0.37, -0.11],
            [0.38, 0.0],
            [0.37, 0.11],
            [0.28, 0.19],
            [0.14, 0.2],
            [0.17, 0.0],
        ]
    )
    shapes.append(Shape(smooth(thorax), "torso", mixed(paint.main, paint.light, 0.3)))
    shapes.append(Shape(blob((0.28, -0.06), (0.035, 0.05)), "torso", paint.light, False))
    return shapes


def _wing_case(rng: Generator, paint: Paint, side: int, spread: float) -> list[Shape]:
    """One half of the back, hinged at the thorax, and the hind wing that shows when it opens."""
    hinge = np.array([0.17, 0.05 * side])
    shapes = []
    if spread > 0.12:
        hind = smooth(np.array([[0.0, -0.02], [-0.25, -0.06], [-0.5, 0.02], [-0.56, 0.11], [-0.4, 0.16], [-0.15, 0.1]]))
        shapes.append(Shape(turned(hind, -0.45 * spread) * [1, side] + hinge, "wing", paint.light))
    case = np.array(
        [
            [0.02, -0.05],
            [-0.2, -0.052],
            [-0.45, -0.05],
            [-0.58, -0.02],
            [-0.5, 0.1],
            [-0.28, 0.195],
            [-0.06, 0.17],
            [0.02, 0.1],
        ]
    )
    outline = turned(smooth(case), -spread)
    shapes.append(Shape(outline * [1, side] + hinge, "wing", paint.main))
    mid = turned(Tube.through([(-0.52, 0.01), (-0.26, 0.06), (0.0, 0.03)], [0.03, 0.12, 0.07]).centre, -spread)
    halves = Tube.through(mid[::5] * [1, side] + hinge, [0.03, 0.12, 0.07])
    return shapes + coat_shapes(rng, paint, halves, "wing", 0.7)


KINDS: dict[str, Callable[[Generator, Paint], list[Shape]]] = {
    "beetle": beetle,
    "bird": bird,
    "fish": fish,
    "fox": fox,
}
"""The kinds of animal, in the order of their category."""
