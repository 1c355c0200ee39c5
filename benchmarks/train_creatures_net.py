"""Trains the small network that the demo explains, and writes its weights in half precision.

Command:   python benchmarks/train_creatures_net.py [--out creatures_net.safetensors]
Expected:  about 20 minutes on two cores.
Last result: docs/results.md, "The demo's performer".
"""

import argparse
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor

from partscope.data import PhotoSet, load_photos
from partscope.performers import CreaturesNet, train_network
from partscope.settings import DataSettings

SEED = 1
"""The demo's images are drawn with seed 0."""


def stack(photos: PhotoSet, what: str) -> tuple[Tensor, Tensor]:
    """All images as bytes, and their classes; images without an animal are the last class."""
    none = len(photos.categories)
    images, classes = [], []
    for i in track(range(len(photos)), f"drawing {what}"):
        images.append((photos[i].image * 255).round().to(torch.uint8))
        classes.append(photos.category_of(i) if photos.category_of(i) >= 0 else none)
    return torch.stack(images), torch.tensor(classes)


def main() -> None:
    """Trains, prints the accuracy on images it never saw, and writes the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("creatures_net.safetensors"))
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=7)
    options = parser.parse_args()
    train = load_photos(DataSettings(train_images=options.images, seed=SEED), 96, "train")
    held = load_photos(DataSettings(test_images=1000, seed=SEED), 96, "test")
    images, classes = stack(train, "training images")
    unseen, answers = stack(held, "unseen images")
    torch.manual_seed(0)
    net = CreaturesNet(len(train.categories) + 1)
    for record in track(train_network(net, images, classes, epochs=options.epochs), "training", total=options.epochs):
        with torch.no_grad():
            scores = torch.cat([net((x.float() / 255 - 0.5) / 0.25) for x in unseen.split(100)])
        right = float((scores.argmax(1) == answers).float().mean())
        print(f"epoch {record.epoch}: loss {record.loss:.4f}, accuracy on {len(answers)} unseen images {right:.4f}")
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, options.out)
    print(f"wrote {options.out}, {options.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
