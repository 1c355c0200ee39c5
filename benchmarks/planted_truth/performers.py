"""Planted performers: trained once, kept on disk, and their causal shares by counterfactual swaps."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from partscope.files import write_json, write_whole
from partscope.performers import Performer
from planted_truth.networks import MEAN, STD, network
from planted_truth.scenes import CARRIERS, CLASSES, MIXTURES, ODDS, Scenes, bank, scenes_of, shown

SCHOOL_STEPS, STEPS, BATCH, POOL = 800, 40, 64, 6000
ANIMALS = {"train": 700, "test": 150, "dev": 150}
EMPHASIS = {"parts": 2.0}
"""Weights of the tasks in school, where not 1: shapes are the hardest to learn."""


class Planted(NamedTuple):
    """A trained performer and what is known of it."""

    performer: Performer
    mixture: str
    architecture: str
    seed: int
    truth: dict[str, Any]
    """`causal`: share of each carrier; `effect`: change of the class margin in nats; `accuracy`."""


def normalised(images: NDArray[Any]) -> Tensor:
    """As the performer normalises them, laid out for speed."""
    pixels = torch.from_numpy(images)
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    return ((pixels - MEAN[0]) / STD[0]).contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=1)
def pool(work: Path, count: int = POOL) -> tuple[Tensor, dict[str, Tensor]]:
    """Scenes of conflicting classes to learn from, (n, 3, 64, 64) uint8, painted once, and their classes."""
    file = work / f"pool-{count}.safetensors"
    if not file.exists():
        rng, animals, images, classes = np.random.default_rng(5), bank("train", ANIMALS["train"]), [], []
        for _ in range(count // 200):
            scenes, _ = scenes_of(rng, (), 200)
            images.append(torch.from_numpy((shown(scenes, animals) * 255).round().astype(np.uint8)))
            classes.append({c: torch.from_numpy(k) for c, k in scenes.classes.items()})
        found = {"images": torch.cat(images)} | {c: torch.cat([k[c] for k in classes]) for c in CARRIERS}
        work.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda temporary: save_file(found, temporary))
    found = load_file(file)
    return found.pop("images"), found


def learn(
    module: nn.Module, images: Tensor, targets: list[tuple[float, Tensor]], steps: int, rate: float, seed: int
) -> nn.Module:
    """Steps of AdamW on the weighted cross-entropies of groups of outputs with their target distributions."""
    generator = torch.Generator().manual_seed(seed)
    module = module.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        outputs = module(normalised(images[rows].numpy())).split(CLASSES, 1)
        loss = torch.stack([w * F.cross_entropy(o, t[rows]) for o, (w, t) in zip(outputs, targets, strict=True)]).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    return module.eval().to(memory_format=torch.contiguous_format)


def schooled(architecture: str, seed: int, work: Path) -> nn.Sequential:
    """A network that tells the classes of all carriers apart, each on outputs of its own."""
    module = network(architecture, CLASSES * len(CARRIERS), seed)
    file = work / f"schooled-{architecture}-{seed}.safetensors"
    if not file.exists():
        images, classes = pool(work)
        tasks = [(EMPHASIS.get(c, 1.0), F.one_hot(classes[c], CLASSES).float()) for c in CARRIERS]
        learn(module, images, tasks, SCHOOL_STEPS, 4e-3, seed)
        write_whole(file, lambda temporary: save_file(module.state_dict(), temporary))
    module.load_state_dict(load_file(file))
    return module


def train(mixture: str, architecture: str, seed: int, work: Path) -> nn.Module:
    """Takes a schooled network and trains all of it on labels that follow the mixture's evidence alone.

    The last layer starts as the mixture of the school's own. The targets are the odds of the labels instead of labels
    drawn from them: the same optimum with less noise.
    """
    evidence = MIXTURES[mixture]
    module = schooled(architecture, seed, work)
    school, module.last = module.last, nn.Linear(module.last.in_features, CLASSES)
    parts = {c: slice(CLASSES * k, CLASSES * (k + 1)) for k, c in enumerate(CARRIERS)}
    with torch.no_grad():
        module.last.weight.copy_(sum(share * school.weight[parts[c]] for c, share in evidence.items()))
        module.last.bias.copy_(sum(share * school.bias[parts[c]] for c, share in evidence.items()))
    images, classes = pool(work)
    logits = sum(ODDS * share * F.one_hot(classes[c], CLASSES) for c, share in evidence.items())
    return learn(module, images, [(1.0, torch.softmax(torch.as_tensor(logits), 1))], STEPS, 2e-3, seed)


@lru_cache(maxsize=1)
def swaps(images: int = 300) -> tuple[Tensor, dict[str, NDArray[np.int64]], dict[str, tuple[Tensor, Any]]]:
    """Contradicting scenes, their classes, and for each carrier the same scenes with that one of another class."""
    rng, animals = np.random.default_rng(4242), bank("test", ANIMALS["test"])
    scenes, _ = scenes_of(rng, (), images)
    after: dict[str, tuple[Tensor, Any]] = {}
    for carrier in CARRIERS:
        other = (scenes.classes[carrier] + rng.integers(1, CLASSES, images)) % CLASSES
        changed = Scenes({**scenes.classes, carrier: other}, scenes.seed)
        after[carrier] = normalised(shown(changed, animals, carrier)), other
    return normalised(shown(scenes, animals)), scenes.classes, after


@torch.no_grad()
def causal_shares(module: nn.Module, mixture: str) -> dict[str, Any]:
    """What each carrier does to the class margin when it alone is swapped, all else being kept.

    In each contradicting scene the carrier's class a is changed to another one b and the carrier drawn anew; the
    effect is the mean fall of ``z_a - z_b``, a carrier's causal share its part of the sum of all effects.
    """
    scenes, classes, swapped = swaps()
    before, rows = module(scenes), np.arange(len(scenes))
    effect: dict[str, float] = {}
    for carrier, (images, other) in swapped.items():
        fall = before - module(images)
        effect[carrier] = float((fall[rows, classes[carrier]] - fall[rows, other]).mean())
    total = sum(max(e, 0.0) for e in effect.values())
    images, label = held_out(mixture, 12345, 200)
    right = float((module((images - MEAN[0]) / STD[0]).argmax(1) == label).float().mean())
    return {"causal": {c: max(e, 0.0) / total for c, e in effect.items()}, "effect": effect, "accuracy": right}


def planted(mixture: str, architecture: str, seed: int, work: Path) -> Planted:
    """The performer, trained or read from the work folder."""
    stem = f"{mixture.replace(' ', '-').replace('/', 'of')}-{architecture}-{seed}"
    file, record = work / f"{stem}.safetensors", work / f"{stem}.json"
    module: nn.Module = network(architecture, CLASSES, seed)
    if file.exists() and record.exists():
        module.load_state_dict(load_file(file))
        module.eval()
    else:
        module = train(mixture, architecture, seed, work)
        state = {k: v.contiguous() for k, v in module.state_dict().items()}
        write_whole(file, lambda temporary: save_file(state, temporary))
        write_json(record, causal_shares(module, mixture))
    performer = Performer.for_model(module, 64, MEAN, STD, name=f"planted {architecture}")
    return Planted(performer, mixture, architecture, seed, json.loads(record.read_text()))


@lru_cache(maxsize=4)
def held_out(mixture: str, seed: int, images: int, split: str = "test") -> tuple[Tensor, Tensor]:
    """Images as they are found, (n, 3, 64, 64) in [0, 1], and their labels, which no part share may see."""
    scenes, label = scenes_of(
        np.random.default_rng((seed, 31, sorted(MIXTURES).index(mixture))), MIXTURES[mixture], images
    )
    return torch.from_numpy(shown(scenes, bank(split, ANIMALS[split]))), torch.from_numpy(label)
