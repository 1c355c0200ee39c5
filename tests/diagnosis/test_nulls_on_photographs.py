"""Location instability of predictors that see no image, on photographs' landmarks: published landmark files' values."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from partscope.data import load_photos
from partscope.maths import ReceptiveField, location_instability, null_best_fixed, null_center, null_random, unit_points
from partscope.settings import DataSettings

pytestmark = pytest.mark.real_data
SIDE = 224
VGG16 = ReceptiveField(7.5, 16.0, 196.0)
GRID = unit_points(torch.arange(14 * 14), 14, VGG16, VGG16)
# Measured on the authors' own landmark files of Pascal-Part and on all of CUB-200-2011's images.
EXPECTED = {
    "cat": (0.076, 0.140, 0.042),
    "dog": (0.078, 0.140, 0.045),
    "horse": (0.069, 0.153, 0.051),
    "bird": (0.059, 0.170, 0.058),
}


def animals(real_data: Path, name: str) -> tuple[Tensor, Tensor]:
    """Head, neck and torso of every crop of one animal, both splits."""
    content = json.loads((real_data / "voc_part" / "annotations.json").read_text())
    category = next(c["id"] for c in content["categories"] if c["name"] == name)
    points = torch.tensor([a["keypoints"] for a in content["annotations"] if a["category_id"] == category]).float()
    points = points.reshape(len(points), -1, 3)[:, :3]
    return points[..., [1, 0]], points[..., 2] > 0


def birds(real_data: Path) -> tuple[Tensor, Tensor]:
    """Back, forehead and tail of every bird, both splits."""
    found = []
    for split in ("train", "test"):
        photos = load_photos(DataSettings(kind="cub200", root=str(real_data / "CUB_200_2011")), SIDE, split)
        of = [photos.landmark_names.index(n) for n in ("back", "forehead", "tail")]
        samples = [photos[i] for i in range(len(photos))]
        found += [(s.landmarks[of], s.present[of]) for s in samples]
    return torch.stack([f[0] for f in found]), torch.stack([f[1] for f in found])


@pytest.mark.parametrize("name", list(EXPECTED))
def test_nulls_reproduce(real_data: Path, name: str) -> None:
    landmarks, present = birds(real_data) if name == "bird" else animals(real_data, name)
    size = (SIDE, SIDE)
    centre, random, head = EXPECTED[name]
    slack = 0.008 if name == "bird" else 0.004  # other images of CUB: 32 of 200 species

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    found = null_center(landmarks, present, size=size, generator=generator()).item()
    assert found == pytest.approx(centre, abs=slack)
    assert null_random(landmarks, present, GRID, size=size, generator=generator()).item() == pytest.approx(
        random, abs=slack
    )
    best = null_best_fixed(landmarks, present, GRID, size=size, generator=generator()).item()
    assert best <= found + 0.002
    which = 1 if name == "bird" else 0
    own, shown = landmarks[:, which, None], present[:, which, None]
    score = torch.rand(len(own), 20, generator=generator())
    at_head = location_instability(
        own.expand(-1, 20, 2), score, shown.expand(-1, 20), landmarks, present, diagonal=math.hypot(*size), top=100
    )
    assert at_head.mean().item() == pytest.approx(head, abs=slack)
