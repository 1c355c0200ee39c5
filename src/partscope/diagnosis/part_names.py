"""Names of parts: landmarks that belong together."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor, tensor

from partscope.errors import SettingsError

CUB_PARTS: dict[str, tuple[str, ...]] = {
    "head": ("beak", "crown", "forehead", "left eye", "right eye"),
    "neck": ("nape", "throat"),
    "torso": ("back", "belly", "breast", "left wing", "right wing"),
    "legs": ("left leg", "right leg"),
    "tail": ("tail",),
}
"""The 15 landmarks of CUB-200-2011 as parts; head, neck and torso are the paper's (Fig. 5)."""
_SIDES = ("left", "right")


class PartNames(NamedTuple):
    """Parts and the landmarks of each."""

    names: tuple[str, ...]
    """Of the parts."""
    columns: tuple[int, ...]
    """Landmarks that belong to one of them, by their place among all."""
    group: Int[Tensor, " K"]
    """Number of the part of each of these landmarks."""


def name_parts(landmarks: Sequence[str], parts: Mapping[str, Sequence[str]]) -> PartNames:
    """Groups landmarks into parts.

    Args:
        landmarks: names of all landmarks.
        parts: landmarks of each part, by the part's name; empty takes each landmark for a part, left and right
            ones together, and CUB-200-2011's by `CUB_PARTS`.

    Raises:
        SettingsError: a landmark is unknown or stands in two parts.

    >>> name_parts(["tail", "left eye", "right_eye"], {}).names
    ('tail', 'eye')
    """
    if not parts:
        known = {name for group in CUB_PARTS.values() for name in group}
        whole = len(landmarks) > 1 and set(landmarks) <= known and {"nape", "crown", "throat"} & set(landmarks)
        parts = CUB_PARTS if whole else _sides_together(landmarks)
        parts = {name: [mark for mark in group if mark in landmarks] for name, group in parts.items()}
        parts = {name: group for name, group in parts.items() if group}
    place: dict[str, int] = {}
    for number, (part, group) in enumerate(parts.items()):
        for mark in group:
            _check(mark, part, landmarks, place)
            place[mark] = number
    columns = tuple(k for k, mark in enumerate(landmarks) if mark in place)
    return PartNames(tuple(parts), columns, tensor([place[landmarks[k]] for k in columns]))


def _sides_together(landmarks: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mark in landmarks:
        words = [word for word in mark.replace("_", " ").replace("-", " ").split() if word.lower() not in _SIDES]
        found.setdefault(" ".join(words) or mark, []).append(mark)
    return found


def _check(mark: str, part: str, landmarks: Sequence[str], place: Mapping[str, int]) -> None:
    doing = f"grouping the landmarks of the part '{part}'"
    if mark in place:
        raise SettingsError(doing, f"'{mark}' stands in two parts", "give each landmark to one part in --parts")
    if mark not in landmarks:
        near = difflib.get_close_matches(mark, landmarks, 1, 0.0)
        hint = f"did you mean '{near[0]}'? The images carry {', '.join(landmarks)}" if near else "the images carry none"
        raise SettingsError(doing, f"there is no landmark '{mark}'", hint)
