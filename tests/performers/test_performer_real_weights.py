"""Published weights give the figures of the loaders they were converted from, on one photograph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hand_made import trained_head
from PIL import Image
from torch import Tensor

from partscope.performers import load_performer, with_head
from partscope.settings import PerformerSettings

pytestmark = pytest.mark.real_data


def photograph(root: Path, side: int) -> Tensor:
    with Image.open(root / "det_animalpart" / "images" / "giant_panda" / "0001.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR), np.float32) / 255
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]


def figures(value: Tensor) -> list[float]:
    half = value.shape[1] // 2
    return [float(f) for f in (value.norm(), value.max(), value[0, :half].mean(), value[0, half:].mean())]


def test_squeezenet(real_data: Path) -> None:
    path = real_data / "weights" / "squeezenet1_0.safetensors"
    performer = load_performer(PerformerSettings(name="squeezenet1_0", weights=str(path)))
    image = photograph(real_data, 224)
    scores = performer.scores(image)
    # 1 %: the weights are stored in fp16, and torchvision's last layer lacks a border (0.4 % of the scores)
    assert figures(scores) == pytest.approx([144.508, 17.0781, 4.68554, 2.27521], rel=0.01)
    assert scores.argmax() == 388  # giant panda
    features = performer.features(image)
    assert features.tap.shape == (1, 384, 27, 27) and performer.top_shape == (512, 13, 13)
    for start in ("tap", 0, 1):
        assert torch.allclose(performer.resume(features, start), scores, rtol=0, atol=1e-5 * float(scores.abs().max()))


def test_alexnet_bvlc_with_a_new_head(real_data: Path) -> None:
    path = real_data / "weights" / "alexnet_bvlc_features.safetensors"
    performer = load_performer(PerformerSettings(name="alexnet_bvlc", weights=str(path), head="train", head_width=16))
    image = photograph(real_data, 227)
    features = performer.features(image)
    assert features.tap.shape == (1, 384, 13, 13)
    assert figures(performer.top_map(features).relu()) == pytest.approx([1321.04, 113.544, 1.72672, 1.1636], rel=0.01)
    assert performer.field[:2] == (17.0, 16.0)
    top = performer.top_output(performer.features(torch.cat([image, image.flip(3)])).tap)
    _, head = trained_head(top, torch.tensor([0, 1]), outputs=1, hidden=16, epochs=1)
    assert with_head(performer, head).scores(image).shape == (1, 1)
