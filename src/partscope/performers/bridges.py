"""Functional steps between two modules, found by numeric equality and realised as torch.nn modules."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

Bridge = tuple[nn.Module, ...]

ACTIVATIONS: Bridge = (
    nn.ReLU(),
    nn.ReLU6(),
    nn.SiLU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.LeakyReLU(0.01),
    nn.LeakyReLU(0.1),
    nn.LeakyReLU(0.2),
    nn.ELU(),
    nn.SELU(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Mish(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softplus(),
)
"""Activations that a bridge may hold, the commonest first."""

_SCORES: Bridge = (nn.LogSoftmax(1), nn.Softmax(1))
_MAX_WINDOWS = ((2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 1, 0), (3, 1, 1), (3, 3, 0), (4, 4, 0))
_MEAN_WINDOWS = ((2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 3, 0), (4, 4, 0))
_TOLERANCE = 1e-6
_SAMPLE = 4096


def find_bridge(source: Tensor, sink: Tensor) -> Bridge | None:
    """Find a short composition of functional steps that turns one recorded tensor into another.

    Tried in order of length: nothing at all, an activation, a pooling, flattening, and their compositions.

    Args:
        source: what one module returned, any rank.
        sink: what the next module was given.

    Returns:
        The steps as modules, empty for "the same tensor", None when nothing fits.
    """
    if source.shape == sink.shape and torch.equal(source, sink):
        return ()
    if source.ndim < 2 or sink.ndim < 2 or source.shape[0] != sink.shape[0]:
        return None
    sample, goal = source, sink
    if source.shape == sink.shape and source.ndim == 4:
        sample, goal = source.flatten()[:_SAMPLE], sink.flatten()[:_SAMPLE]
    for steps in _candidates(source, sink):
        if sample is not source and not _same(steps[0](sample), goal):
            continue
        value = source
        for step in steps:
            value = step(value)
        if _same(value, sink):
            return copy.deepcopy(steps)
    return None


def _same(value: Tensor, sink: Tensor) -> bool:
    if value.shape != sink.shape:
        return False
    return bool((value - sink).abs().max() <= _TOLERANCE * sink.abs().max())


def _candidates(source: Tensor, sink: Tensor) -> Iterator[Bridge]:
    if source.shape == sink.shape:
        yield from ((step,) for step in ACTIVATIONS)
        if source.ndim == 2:
            yield from ((step,) for step in _SCORES)
        return
    if source.ndim != 4 or sink.ndim not in (2, 4):
        return
    if sink.ndim == 4 and (source.shape[1] != sink.shape[1] or source.shape[2] < sink.shape[2]):
        return
    if sink.ndim == 4:
        yield from _pooled(source.shape, (int(sink.shape[2]), int(sink.shape[3])), ())
        return
    flatten = (nn.Flatten(1),)
    if source[0].numel() == sink.shape[1]:
        yield flatten
        yield from ((step, *flatten) for step in ACTIVATIONS)
    channels, width = int(source.shape[1]), int(sink.shape[1])
    if width % channels == 0:
        side = round((width // channels) ** 0.5)
        if side * side * channels == width and side < source.shape[2]:
            yield from _pooled(source.shape, (side, side), flatten)


def _pooled(shape: torch.Size, size: tuple[int, int], tail: Bridge) -> Iterator[Bridge]:
    pools = _pools(shape, size)
    yield from ((pool, *tail) for pool in pools)
    yield from ((step, pool, *tail) for pool in pools for step in ACTIVATIONS)
    yield from ((pool, step, *tail) for pool in pools for step in ACTIVATIONS)


def _pools(shape: torch.Size, size: tuple[int, int]) -> list[nn.Module]:
    """List the poolings that turn a map of this shape into one of that height and width."""
    wide: list[nn.Module] = [nn.AdaptiveAvgPool2d(size), nn.AdaptiveMaxPool2d(size)]
    if size == (1, 1):
        return wide
    kinds = [(nn.MaxPool2d, w) for w in _MAX_WINDOWS] + [(nn.AvgPool2d, w) for w in _MEAN_WINDOWS]
    narrow: list[nn.Module] = [
        kind(kernel, stride, padding, ceil_mode=ceil)
        for ceil in (False, True)
        for kind, (kernel, stride, padding) in kinds
        if all(
            n + 2 * padding >= kernel and _pooled_side(n, kernel, stride, padding, ceil) == m
            for n, m in zip(shape[2:], size, strict=True)
        )
    ]
    return narrow + wide


def _pooled_side(side: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    spare = side + 2 * padding - kernel
    return (-(-spare // stride) if ceil else spare // stride) + 1
