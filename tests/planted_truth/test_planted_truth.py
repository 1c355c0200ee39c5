"""The fast subset of the planted-truth suite: small performers that use parts only, texture only, or colour only.

The two that take minutes to train lie beside this file, half-precision, as `benchmarks/planted.py` made them (ResNet,
seed 100); the third learns here.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from planted_truth.networks import MEAN, STD, network
from planted_truth.performers import learn
from planted_truth.scenes import CARRIERS, CLASSES, MIXTURES, Scenes, bank, scenes_of, shown
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from partscope.diagnosis.number import Number
from partscope.diagnosis.part_share import SHARE, contrast, part_share_numbers
from partscope.performers import Performer
from partscope.training import FeatureSource, FeatureStore, compute_features

HERE = Path(__file__).parent
ANIMALS = 40


def kept(name: str) -> torch.nn.Module:
    module = network("resnet", CLASSES, 0)
    module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(HERE / name).items()})
    return module.eval()


def images_of(mixture: str, count: int = 120) -> Tensor:
    scenes, _ = scenes_of(np.random.default_rng(9), MIXTURES[mixture], count)
    return torch.from_numpy(shown(scenes, bank("test", ANIMALS)))


def share_of(module: torch.nn.Module, mixture: str) -> Number:
    performer = Performer.for_model(module, 64, MEAN, STD)
    images = images_of(mixture)
    source = FeatureSource(mixture, len(images), lambda first: iter([images[first:]]))
    *_, store = compute_features(performer, source, None, 1000)
    assert isinstance(store, FeatureStore)
    return part_share_numbers(contrast(performer, store))[SHARE]


def effects_of(module: torch.nn.Module) -> dict[str, float]:
    """Mean fall of the margin when one carrier of contradicting scenes changes its class."""
    rng = np.random.default_rng(10)
    scenes, _ = scenes_of(rng, (), 100)
    found = {}
    with torch.no_grad():
        before = module((torch.from_numpy(shown(scenes, bank("test", ANIMALS))) - MEAN[0]) / STD[0])
        for carrier in ("parts", "texture"):
            own, other = scenes.classes[carrier], (scenes.classes[carrier] + 1) % CLASSES
            swapped = shown(Scenes({**scenes.classes, carrier: other}, scenes.seed), bank("test", ANIMALS), carrier)
            fall = before - module((torch.from_numpy(swapped) - MEAN[0]) / STD[0])
            found[carrier] = float((fall[range(100), own] - fall[range(100), other]).mean())
    return found


def test_a_performer_that_uses_parts_alone() -> None:
    module = kept("parts-only.safetensors")
    effects = effects_of(module)
    assert effects["parts"] > 10 * abs(effects["texture"])
    assert share_of(module, "parts only").value >= 0.85


def test_a_performer_that_uses_texture_alone() -> None:
    module = kept("texture-only.safetensors")
    effects = effects_of(module)
    assert effects["texture"] > 10 * abs(effects["parts"])
    assert share_of(module, "texture only").value <= 0.10


def test_a_performer_that_learns_colour_alone() -> None:
    scenes, _ = scenes_of(np.random.default_rng(1), (), 300)
    images = torch.from_numpy((shown(scenes, bank("test", ANIMALS)) * 255).round().astype(np.uint8))
    target = F.one_hot(torch.from_numpy(scenes.classes["colour"]), CLASSES).float()
    module = learn(network("resnet", CLASSES, 0), images, [(1.0, target)], 60, 4e-3, 0)
    assert share_of(module, "colour only").value <= 0.10


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_swap_changes_one_carrier_and_leaves_the_rest(carrier: str) -> None:
    scenes, _ = scenes_of(np.random.default_rng(2), (), 12)
    before = shown(scenes, bank("test", ANIMALS))
    assert np.array_equal(before, shown(scenes, bank("test", ANIMALS)))
    other = {**scenes.classes, carrier: (scenes.classes[carrier] + 1) % CLASSES}
    changed = np.abs(shown(Scenes(other, scenes.seed), bank("test", ANIMALS), carrier) - before).max(1) > 0.02
    everywhere = carrier in ("texture", "colour", "background")
    assert (changed.mean((1, 2)) > (0.3 if everywhere else 0)).all()
    assert everywhere or changed.mean() < 0.4


def test_evidence_agrees_with_the_label_and_all_else_does_not() -> None:
    scenes, label = scenes_of(np.random.default_rng(3), MIXTURES["3/6 parts"], 300)
    agreement = {c: float((scenes.classes[c] == label).mean()) for c in CARRIERS}
    assert agreement["parts"] == agreement["texture"] == 1.0
    assert all(0.2 < agreement[c] < 0.47 for c in ("colour", "background", "position", "blob"))
