"""The two readings of the paper's ResNet explainer, R2 (tap layer4.0) and R3 (tap layer3), side by side.

Command:   python benchmarks/resnet_readings.py ROOT [--keep]
Data:      ROOT holds CUB_200_2011, negatives and weights/resnet50_v1_to_layer3.safetensors (ImageNet, up to layer3).
Expected:  about 20 minutes on one thread.

layer4 and a bird-or-not score are trained first, on layer3's features of the training photographs; then one explainer
a reading is built and trained for the same number of steps on the same photographs. Printed: weights of the encoder,
floating point operations an image, seconds a step, the error of the rebuilt last target (FVU on other photographs) at
the start, after training, and from the parts alone.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import torchvision
from kept import keep
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from partscope.data import PhotoSet, load_photos
from partscope.performers import Performer
from partscope.settings import DataSettings, ExplainerSettings, FitSettings
from partscope.training import (
    FeatureSource,
    FeatureStore,
    Labels,
    Learner,
    build_explainer,
    compute_features,
    measure_means,
    start_magnitudes,
    survey,
)

READINGS = {"R2": "layer4.0", "R3": "layer3"}
TRAIN, TEST, BATCH = 160, 64, 16
RATE = 1e-4
"""Step size of everything: at 1e-3 R2's loss leaps by orders of magnitude on layers of 2048 channels."""
MEAN, STD = (123.68 / 255, 116.779 / 255, 103.939 / 255), (0.229, 0.224, 0.225)


def half_resnet(root: Path) -> nn.Module:
    """ResNet-50 with ImageNet weights up to layer3, in the form that these weights need."""
    torch.manual_seed(0)
    net = torchvision.models.resnet50(num_classes=1)
    for stage in (net.layer2, net.layer3):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    state = load_file(root / "weights" / "resnet50_v1_to_layer3.safetensors")
    net.load_state_dict(state, strict=False)
    return net.eval()


def rows_of(photos: PhotoSet, count: int) -> list[int]:
    """Birds and other photographs, two to one, evenly over the set."""
    category = [photos.category_of(i) for i in range(len(photos))]
    found = []
    for wanted, share in ((True, 2 * count // 3), (False, count - 2 * count // 3)):
        rows = [i for i, c in enumerate(category) if (c >= 0) == wanted]
        found += [rows[k * len(rows) // share] for k in range(share)]
    return found


def train_top(net: nn.Module, images: Tensor, truth: Tensor, epochs: int = 6) -> None:
    """Train layer4 and the score on layer3's features."""
    body = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3)
    normal = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        features = torch.cat([body(part) for part in normal.split(BATCH)])
    top = nn.Sequential(net.layer4, net.avgpool, nn.Flatten(), net.fc).train()
    optimiser = torch.optim.AdamW(top.parameters(), lr=1e-3, weight_decay=1e-2)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        losses = []
        for rows in torch.randperm(len(features), generator=generator).split(BATCH):
            loss = functional.binary_cross_entropy_with_logits(top(features[rows])[:, 0], truth[rows])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(float(loss))
        print(f"layer4: epoch {epoch + 1}, loss {sum(losses) / len(losses):.3f}", flush=True)
    net.eval()


def store_of(performer: Performer, images: Tensor) -> FeatureStore:
    """The performer's features, in memory."""
    source = FeatureSource("photographs", len(images), lambda start: iter(images[start:].split(BATCH)))
    *_, store = compute_features(performer, source, None, len(images))
    assert isinstance(store, FeatureStore)
    return store


def errors(learner: Learner, store: FeatureStore, silenced: Any = None) -> float:
    """FVU of the last target on other photographs."""
    explainer = learner.explainer.eval()
    with torch.no_grad():
        features = store.rows(range(len(store)))
        interpretable, ordinary = zip(*(explainer.encode(part) for part in features.tap.split(BATCH)), strict=True)
        maps = (torch.cat([i.output for i in interpretable]), torch.cat([o.output for o in ordinary]))
        rebuilt = explainer.decode(*maps, silenced)[-1].relu()
    truth = features.targets[-1].relu()
    return float((rebuilt - truth).square().sum() / (truth - truth.mean(0)).square().sum())


def measure(net: nn.Module, tap: str, train: Tensor, truth: Tensor, test: Tensor, steps: int) -> dict[str, Any]:
    """Build and train one explainer."""
    performer = Performer.for_model(net, 224, MEAN, STD, tap=tap, targets=("layer4.1", "layer4.2"), name="resnet50")
    store, other = store_of(performer, train), store_of(performer, test)
    category = truth.long() - 1
    constants = survey(performer, store, category >= 0)
    explainer = build_explainer(performer, store, constants.gain, ExplainerSettings(initial_p=0.5), 0)
    start_magnitudes(explainer, store, category >= 0)
    labels = Labels(("bird",), category, torch.tensor([True]))
    epochs = -(-steps // -(-len(train) // BATCH))
    fit = FitSettings(
        labels="single",
        batch_size=BATCH,
        epochs=epochs,
        learning_rate=RATE,
        decoder_learning_rate=RATE,
        p_learning_rate=RATE,
    )
    learner = Learner(explainer, store, labels, constants, fit)
    convs = (
        explainer.interpretable.conv_interp_1,
        explainer.interpretable.conv_interp_2,
        explainer.ordinary.conv_ordin,
    )
    weights = sum(conv.weight.numel() for conv in convs)
    before, seconds = errors(learner, other), []
    started = time.perf_counter()
    for record in learner:
        seconds.append(time.perf_counter() - started)
        print(f"{tap}: step {record.step}, loss {record.loss:.3f}, {seconds[-1]:.1f} s", flush=True)
        started = time.perf_counter()
    measure_means(explainer, store)
    return {
        "tap": tap,
        "units": performer.tap_shape[1],
        "encoder_weights": weights,
        "gflop": 2 * weights * performer.tap_shape[1] ** 2 / 1e9,
        "fvu_start": before,
        "fvu": errors(learner, other),
        "fvu_parts_only": errors(learner, other, "ordinary"),
        "seconds": sorted(seconds)[len(seconds) // 2],
        "steps": len(seconds),
    }


def main() -> None:
    """Measures and prints one row a reading."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    asked = parser.parse_args()
    settings = DataSettings(
        kind="cub200",
        root=str(asked.root),
        folder="CUB_200_2011",
        single_category="bird",
        negatives="negatives",
    )
    images, truths = [], []
    for split, count in (("train", TRAIN), ("test", TEST)):
        photos = load_photos(settings, 224, split)
        rows = rows_of(photos, count)
        images.append(torch.stack([photos[i].image for i in rows]))
        truths.append(torch.tensor([float(photos.category_of(i) >= 0) for i in rows]))
    net = half_resnet(asked.root)
    train_top(net, images[0], truths[0])
    performer = Performer.for_model(net, 224, MEAN, STD)
    wrong = float(
        ((torch.cat([performer.scores(p) for p in images[1].split(BATCH)])[:, 0] > 0) != truths[1].bool())
        .float()
        .mean()
    )
    rows = {name: measure(net, tap, images[0], truths[0], images[1], asked.steps) for name, tap in READINGS.items()}
    for name, row in rows.items():
        print(name, row)
    if asked.keep:
        facts = {"train": TRAIN, "test": TEST, "batch": BATCH, "performer_error": wrong}
        keep("resnet_readings", "python benchmarks/resnet_readings.py ROOT --keep", {"rows": rows, **facts})


if __name__ == "__main__":
    main()
