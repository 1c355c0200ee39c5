"""The performer's input: images in [0, 1], checked and normalised."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from partscope.errors import PerformerError


def check_images(images: Tensor, side: int, name: str) -> None:
    """Refuse what is not a batch of float images in [0, 1].

    Args:
        images: to be (N, 3, S, S).
        side: S, px.
        name: what to call the network in errors.

    Raises:
        PerformerError: another type, shape or range, no image at all, or values that are not numbers.
    """
    got = ""
    if not images.is_floating_point():
        got = f"images of type {images.dtype}"
    elif images.ndim != 4 or tuple(images.shape[1:]) != (3, side, side) or len(images) == 0:
        got = f"images of shape {tuple(images.shape)}"
    else:
        low, high = (float(value) for value in images.detach().aminmax())
        if not (low >= -1e-3 and high <= 1.001):
            got = f"values from {low:.4g} to {high:.4g}"
    if got:
        raise PerformerError(
            f"running {name} on images",
            got,
            f"give float images (N, 3, {side}, {side}) in [0, 1]; the performer normalises them itself",
        )


def check_normalisation(
    mean: Sequence[float] | Tensor | None, std: Sequence[float] | None, side: int, name: str
) -> None:
    """Refuse a mean or standard deviation that is not one number a colour channel or an image.

    Args:
        mean: three numbers, a mean image (3, S, S), or None.
        std: three numbers, or None.
        side: S, px.
        name: what to call the network in errors.

    Raises:
        PerformerError: another count, numbers that are not finite, a standard deviation of 0 or less, or a mean
            image of another shape.
    """
    if isinstance(mean, Tensor):
        if tuple(mean.shape) != (3, side, side) or not bool(torch.isfinite(mean).all()):
            raise PerformerError(
                f"setting the normalisation of {name}",
                f"a mean image {tuple(mean.shape)} for images of {side} x {side}",
                f"give a finite one (3, {side}, {side}), or three numbers (performer.mean); sizes are not changed",
            )
        mean = None
    for label, values in (("mean", mean), ("std", std)):
        if values is None:
            continue
        numbers = torch.as_tensor(values, dtype=torch.float64)
        sound = numbers.shape == (3,) and bool(numbers.isfinite().all())
        if not sound or (label == "std" and float(numbers.min()) <= 0):
            got = numbers.tolist() if numbers.ndim <= 1 else f"numbers of shape {tuple(numbers.shape)}"
            raise PerformerError(
                f"setting the normalisation of {name}",
                f"{label} = {tuple(got) if isinstance(got, list) else got}",
                "give three finite numbers, one a colour channel; std above 0",
            )


def normalised(
    images: Float[Tensor, "N 3 S S"], mean: Sequence[float] | Tensor | None, std: Sequence[float] | None
) -> Float[Tensor, "N 3 S S"]:
    """Normalise images channel by channel, or pixel by pixel with a mean image (3, S, S): ``(x - mean) / std``.

    Returns:
        A new tensor, also where nothing is subtracted or divided by.

    >>> import torch
    >>> normalised(torch.full((1, 3, 1, 1), 0.75), (0.5, 0.5, 0.25), (0.25, 0.5, 0.5)).flatten().tolist()
    [1.0, 0.5, 1.0]
    """
    centre = mean.to(images) if isinstance(mean, Tensor) else images.new_tensor(mean or (0.0,) * 3).view(3, 1, 1)
    spread = images.new_tensor(std or (1.0,) * 3).view(3, 1, 1)
    return (images - centre) / spread
