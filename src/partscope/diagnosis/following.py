"""Whether part locations follow the landmarks: measures that no constant can win."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from partscope.diagnosis.number import Number, interval, mean_number, ratio_number
from partscope.diagnosis.observe import Peaks
from partscope.diagnosis.stability import Truth
from partscope.maths import landmark_movement, nearest_landmark_r2

STRENGTHS = tuple(10.0**k for k in range(-3, 6))
"""Ridge strengths tried, on points in fractions of the diagonal that are centred, not scaled."""
LESS = "explainer_less_top_conv"
"""Name of the paired difference of the two layers."""
NEAR = 0.1
"""Distance, in sides of the crop, within which PCK calls a landmark found."""


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


def keypoint_distances(
    points: Float[Tensor, "n f 2"],
    valid: Bool[Tensor, "n f"],
    truth: Truth,
    fitted: Bool[Tensor, " n"],
    diagonal: float,
) -> Float[Tensor, "n k"]:
    """Distance between every landmark and what a ridge regression from all part locations says it is.

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
        Distance as a fraction of the diagonal; nan for fitted images and for landmarks that an image does not
        show or that fewer than 2 fitted ones do.
    """
    mean = (points * valid[..., None])[fitted].sum(0) / valid[fitted].sum(0).clamp(min=1)[:, None]
    x = (points.where(valid[..., None], mean) - mean).flatten(1).double().numpy() / diagonal
    found = np.full(tuple(truth.present.shape), np.nan)
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
        found[scored, k] = np.linalg.norm(predicted - y[scored], axis=1)
    return torch.from_numpy(found)


def _ridge(x: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeCV  # half a second to import: only where it is used

    predicted: np.ndarray = RidgeCV(STRENGTHS).fit(x, y).predict(wanted)
    return predicted


def halves(owned: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """The half of the images of an object, drawn once, to which landmarks may be fitted; the other is scored."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(owned), generator=generator)
    order = order[owned[order]]
    fitted = torch.zeros_like(owned)
    fitted[order[: len(order) // 2]] = True
    return fitted


def keypoint_regression(
    layers: dict[str, tuple[Peaks, Bool[Tensor, "n f"]]],
    truth: Truth,
    owned: Bool[Tensor, " n"],
    diagonal: float,
    counts: Int[Tensor, "b n"],
) -> tuple[dict[str, Number], dict[str, Number]]:
    """Keypoint regression of layers beside the mean landmark: its error, and how many landmarks it finds.

    Args:
        layers: peaks of each layer and where they are not silent.
        truth: the landmarks.
        owned: images of an object; half of them, drawn once, fit, the other half is scored.
        diagonal: of the crop, a square, pixels.
        counts: bootstrap multiplicities.

    Returns:
        Mean over images of the mean distance of an image's landmarks (with both layers of the diagnosis also their
        paired difference), and PCK: the share of landmarks, of all images together, that lie within :data:`NEAR` sides
        of the crop of where the regression puts them.
    """
    fitted = halves(owned)
    kept = Truth(truth.names, truth.landmarks, truth.present & owned[:, None])
    nothing = torch.zeros(len(owned), 0, 2), torch.zeros(len(owned), 0, dtype=torch.bool)
    shown = {name: (peaks.points, valid) for name, (peaks, valid) in layers.items()}
    shown["null_mean_landmark"] = nothing
    distances = {name: keypoint_distances(*of, kept, fitted, diagonal) for name, of in shown.items()}
    errors = {name: mean_number(found.nanmean(1), counts, least=0.0) for name, found in distances.items()}
    if {"explainer", "top_conv"} <= distances.keys():
        change = distances["explainer"].nanmean(1) - distances["top_conv"].nanmean(1)
        errors[LESS] = mean_number(change, counts)
    near = NEAR / 2**0.5
    return errors, {name: _share_within(found, near, counts) for name, found in distances.items()}


def _share_within(distances: Float[Tensor, "n k"], near: float, counts: Int[Tensor, "b n"]) -> Number:
    measured = torch.isfinite(distances)
    hits, shown = ((distances <= near) & measured).sum(1).double(), measured.sum(1).double()
    found = ratio_number(hits, shown, counts)
    return found._replace(high=min(found.high, 1.0), n=int((shown > 0).sum()))
