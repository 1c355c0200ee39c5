"""Whether part locations follow the landmarks: two measures that no constant can win."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval, mean_number
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.stability import Truth
from partscope.maths import landmark_movement, nearest_landmark_r2

STRENGTHS = tuple(10.0**k for k in range(-3, 6))
"""Ridge strengths tried, on points in fractions of the diagonal that are centred, not scaled."""


def strongest(peaks: Peaks, valid: Bool[Tensor, "n f"], top: int | None) -> Bool[Tensor, "n f"]:
    """Each filter's ``top`` strongest images among those that speak for it; None keeps all."""
    if top is None or top >= len(valid):
        return valid
    order = peaks.score.masked_fill(~valid, -torch.inf).argsort(dim=0, descending=True, stable=True)[:top]
    return torch.zeros_like(valid).scatter_(0, order, value=True) & valid


def landmark_r2(peaks: Peaks, valid: Bool[Tensor, "n f"], truth: Truth, top: int | None, counts: Tensor) -> Number:
    """Mean over a layer's filters of R^2 with the nearest landmark.

    The interval resamples images; each filter's landmark and its strongest images stay those of the estimate.

    Args:
        peaks: the layer's peaks.
        valid: images that speak for each filter.
        truth: the landmarks.
        top: strongest images per filter; None takes all.
        counts: bootstrap multiplicities.
    """
    used = strongest(peaks, valid, top)
    nearest = nearest_landmark_r2(peaks.points, used, truth.landmarks, truth.present)
    if not bool(torch.isfinite(nearest.r2).any()):
        return Number(float("nan"), float("nan"), float("nan"), 0)
    replicates = landmark_movement(
        peaks.points, used, truth.landmarks, truth.present, nearest.landmark, counts.double()
    ).nanmean(1)
    images = int((used.any(1) & truth.present.any(1)).sum())
    return interval(float(nearest.r2.nanmean()), replicates, images, least=0.0, most=1.0)


def keypoint_errors(
    points: Float[Tensor, "n f 2"],
    valid: Bool[Tensor, "n f"],
    truth: Truth,
    fitted: Bool[Tensor, " n"],
    diagonal: float,
) -> Float[Tensor, " n"]:
    """Distance between the landmarks and what a ridge regression from all part locations says they are.

    One regression a landmark, fitted on the images of one half that show it, its strength by leave-one-out
    inside that half; a silent map counts as its filter's mean point. No filter at all leaves the mean
    landmark of the fitted half.

    Args:
        points: every filter's peak, pixels.
        valid: False for a silent map.
        truth: the landmarks.
        fitted: images that fit; the others are scored.
        diagonal: the crop's, pixels.

    Returns:
        Mean distance of an image's landmarks as a fraction of the diagonal; nan for fitted images and those
        without a landmark.
    """
    mean = (points * valid[..., None])[fitted].sum(0) / valid[fitted].sum(0).clamp(min=1)[:, None]
    x = (points.where(valid[..., None], mean) - mean).flatten(1).double().numpy() / diagonal
    total, shown = np.zeros(len(x)), np.zeros(len(x))
    for k in range(len(truth.names)):
        present = truth.present[:, k]
        rows, scored = (fitted & present).numpy(), (~fitted & present).numpy()
        if rows.sum() < 2 or not scored.any():
            continue
        y = truth.landmarks[:, k].double().numpy() / diagonal
        if x.shape[1]:
            predicted = _ridge(x[rows], y[rows], x[scored])
        else:
            predicted = np.broadcast_to(y[rows].mean(0), y[scored].shape)
        total[scored] += np.linalg.norm(predicted - y[scored], axis=1)
        shown[scored] += 1
    errors = np.divide(total, shown, out=np.full(len(x), np.nan), where=shown > 0)
    return torch.from_numpy(errors)


def _ridge(x: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeCV  # half a second to import: only where it is used

    predicted: np.ndarray = RidgeCV(STRENGTHS).fit(x, y).predict(wanted)
    return predicted


def keypoint_regression(
    layers: dict[str, tuple[Peaks, Bool[Tensor, "n f"]]],
    truth: Truth,
    owned: Bool[Tensor, " n"],
    diagonal: float,
    counts: Int[Tensor, "b n"],
) -> dict[str, Number]:
    """Keypoint regression error of layers beside that of the mean landmark.

    Args:
        layers: peaks of each layer and where they are not silent.
        truth: the landmarks.
        owned: images of an object; half of them, drawn once, fit, the other half is scored.
        diagonal: the crop's, pixels.
        counts: bootstrap multiplicities.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(owned), generator=generator)
    order = order[owned[order]]
    fitted = torch.zeros_like(owned)
    fitted[order[: len(order) // 2]] = True
    kept = Truth(truth.names, truth.landmarks, truth.present & owned[:, None])
    found = {
        name: keypoint_errors(peaks.points, valid, kept, fitted, diagonal) for name, (peaks, valid) in layers.items()
    }
    nothing = torch.zeros(len(owned), 0, 2), torch.zeros(len(owned), 0, dtype=torch.bool)
    found["null_mean_landmark"] = keypoint_errors(*nothing, kept, fitted, diagonal)
    return {name: mean_number(errors, counts, least=0.0) for name, errors in found.items()}
