"""Inputs that several checks share."""

import numpy as np
import torch

from reference import worked


def tensor(values):
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def close(found, expected, tolerance):
    """Equal within an absolute tolerance, nan in the same places."""
    found, expected = (torch.as_tensor(v, dtype=torch.float64) for v in (found, expected))
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert torch.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True), (found, expected)


def random_maps(seed, n_images=5, n_filters=3, side=4, scale=3.0):
    """Post-ReLU maps, about half of the units silent."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_images, n_filters, side, side, generator=generator, dtype=torch.float64)
    return scale * x.clamp(min=0)


def random_flags(seed, *shape, share=0.5):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < share


MAPS = tensor(worked.MAPS)
POSITIVE = torch.as_tensor(worked.POSITIVE)


def metric_case(seed, n_images=40, n_filters=4, n_landmarks=3, height=96, width=60):
    """Points, scores, valid, landmarks, present on a crop that is not square; ties among the scores."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    size = torch.tensor([height, width], dtype=torch.float64)
    scores = (rand(n_images, n_filters) * 12).round()
    landmarks = rand(n_images, n_landmarks, 2) * size
    present = rand(n_images, n_landmarks) < 0.7
    landmarks[~present] = float("nan")
    return rand(n_images, n_filters, 2) * size, scores, rand(n_images, n_filters) < 0.8, landmarks, present
