"""A small network in plain numpy loops, and its weights in the files of other libraries. Whole numbers: no rounding."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat
from torch import nn

from partscope.performers import train_head
from partscope.performers.learning import TrainStep

Array = np.ndarray
SIDE = 9


def whole(seed: int, *shape: int, least: int = -1, most: int = 1) -> Array:
    return np.random.default_rng(seed).integers(least, most + 1, shape).astype(np.float32)


def conv_loops(x: Array, kernel: Array, bias: Array, stride: int = 1, pad: int = 0, groups: int = 1) -> Array:
    """(H, W, C) by (kh, kw, C / groups, D): one output at a time."""
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    kh, kw, depth, width = kernel.shape
    rows, columns = (x.shape[0] - kh) // stride + 1, (x.shape[1] - kw) // stride + 1
    y = np.zeros((rows, columns, width), np.float32)
    for i in range(rows):
        for j in range(columns):
            for d in range(width):
                first = d // (width // groups) * depth
                patch = x[i * stride : i * stride + kh, j * stride : j * stride + kw, first : first + depth]
                y[i, j, d] = (patch * kernel[..., d]).sum() + bias[d]
    return y


def pool_loops(x: Array, window: int, stride: int) -> Array:
    """Max pooling whose last windows may stick out."""
    side = -(-(x.shape[0] - window) // stride) + 1
    y = np.zeros((side, side, x.shape[2]), np.float32)
    for i in range(side):
        for j in range(side):
            y[i, j] = x[i * stride : i * stride + window, j * stride : j * stride + window].max((0, 1))
    return y


class Small:
    """conv 3x3/2 pad 1, ReLU, pool 2/2 ceil, conv 3x3 pad 1 in two groups, ReLU, three dense layers."""

    def __init__(self) -> None:
        self.conv1, self.bias1 = whole(1, 3, 3, 3, 4), whole(2, 4)
        self.conv2, self.bias2 = whole(3, 3, 3, 2, 6), whole(4, 6)
        self.fc6, self.bias6 = whole(5, 3, 3, 6, 5, least=0, most=2), whole(6, 5)  # height, width, channel, output
        self.fc7, self.bias7 = whole(7, 5, 4, least=0, most=2), whole(8, 4)
        self.fc8, self.bias8 = whole(9, 4, 2, least=0), whole(10, 2)

    def scores(self, image: Array) -> Array:
        """Scores of one image (H, W, 3), by loops."""
        x = np.maximum(conv_loops(image, self.conv1, self.bias1, 2, 1), 0)
        x = pool_loops(x, 2, 2)
        x = np.maximum(conv_loops(x, self.conv2, self.bias2, 1, 1, 2), 0)
        x = np.maximum(conv_loops(x, self.fc6, self.bias6)[0, 0], 0)
        x = np.maximum(x @ self.fc7 + self.bias7, 0)
        return x @ self.fc8 + self.bias8


def torch_net() -> nn.Sequential:
    """The same network in torch, layers named as in the files."""
    net = nn.Sequential()
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 4, 3, 2, 1),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2, 2, ceil_mode=True),
        "conv2": nn.Conv2d(4, 6, 3, padding=1, groups=2),
        "relu2": nn.ReLU(),
        "flatten": nn.Flatten(),
        "fc6": nn.Linear(54, 5),
        "relu6": nn.ReLU(),
        "fc7": nn.Linear(5, 4),
        "relu7": nn.ReLU(),
        "fc8": nn.Linear(4, 2),
    }
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


def cell(*items: Any) -> Array:
    made = np.empty((1, len(items)), object)
    for k, item in enumerate(items):
        made[0, k] = item
    return made


def mcn_conv(name: str, filters: Array, bias: Array, old: bool = False, **geometry: Any) -> dict[str, Any]:
    parts = {"filters": filters, "biases": bias[None]} if old else {"weights": cell(filters, bias[None])}
    return {"type": "conv", "name": name, **parts, **geometry}


def mcn_layers(small: Small, old: bool = False) -> list[dict[str, Any]]:
    """The list of layers as MatConvNet keeps it: dense layers as convolutions, trailing axes of one dropped."""
    return [
        mcn_conv("conv1", small.conv1, small.bias1, old, stride=2.0, pad=np.ones((1, 4))),
        {"type": "relu", "name": "relu1"},
        {"type": "pool", "name": "pool1", "method": "max", "pool": [2.0] * 2, "stride": 2.0, "pad": [0, 1, 0, 1]},
        mcn_conv("conv2", small.conv2, small.bias2, old, stride=[1.0, 1.0], pad=1.0),
        {"type": "relu", "name": "relu2"},
        mcn_conv("fc6", small.fc6, small.bias6, old),
        {"type": "relu", "name": "relu6"},
        mcn_conv("fc7", small.fc7[None, None], small.bias7, old),
        {"type": "relu", "name": "relu7"},
        mcn_conv("fc8", small.fc8[None, None], small.bias8, old),
        {"type": "softmax", "name": "prob"},
    ]  # fmt: skip


def save_mcn(path: Path, layers: list[dict[str, Any]], mean: Array | None, names: list[str], old: bool = False) -> Path:
    """Write the file of an earlier release (facts beside the layers) or a later one (facts in `meta`)."""
    facts: dict[str, Any] = {"classes": {"name": cell(*names), "description": cell(*names)}}
    if mean is not None:
        facts["normalization"] = {"averageImage": mean, "imageSize": [SIDE, SIDE, 3], "keepAspect": 1}
    savemat(path, {"layers": cell(*layers), **(facts if old else {"meta": facts})}, do_compression=True)
    return path


def trained_head(*arguments: Any, **settings: Any) -> tuple[list[TrainStep], nn.Sequential]:
    """A new head's every step, and the head that they end with."""
    steps, records = train_head(*arguments, **settings), []
    while True:
        try:
            records.append(next(steps))
        except StopIteration as end:
            return records, end.value
