"""Grad-CAM of a class's score on conv-interp-2 and on the performer's top conv layer (Selvaraju et al. 2017)."""

from collections.abc import Callable

import torch
from captum.attr import LayerGradCam
from jaxtyping import Float, Int
from torch import Tensor, nn

from partscope.nets import Explainer
from partscope.performers import Performer, top_layer


class _FromMaps(nn.Module):
    """The scores as a function of a layer's maps, with a module whose output is these maps."""

    def __init__(self, scores: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self._scores = scores

    def forward(self, maps: Tensor) -> Tensor:
        """Runs the network from the maps on."""
        return self._scores(self.maps(maps))


def grad_cam(
    scores: Callable[[Tensor], Tensor], maps: Float[Tensor, "n c u v"], target: Int[Tensor, " n"]
) -> Float[Tensor, "n u v"]:
    """``ReLU(sum_k a_k A_k)`` with ``a_k = mean_ij dy / dA_ijk``, by captum.

    Args:
        scores: turns the maps into scores (N, classes), with gradient.
        maps: A, after their ReLU (and mask).
        target: class of the score y of each image.

    Returns:
        A map for each image, >= 0.
    """
    module = _FromMaps(scores)
    given = maps.detach().requires_grad_()
    with torch.enable_grad():
        found: Tensor = LayerGradCam(module, module.maps).attribute(given, target=target, relu_attributions=True)
    return found[:, 0].detach()


def explainer_cam(
    explainer: Explainer, performer: Performer, tap: Float[Tensor, "n d h w"], target: Int[Tensor, " n"]
) -> Float[Tensor, "n u v"]:
    """Grad-CAM on conv-interp-2: the gradient passes pool, norm, p and the decoder; the ordinary track stands still.

    Args:
        explainer: fitted.
        performer: the network, for the scores.
        tap: features of the images.
        target: class of each image.

    Returns:
        A map for each image on the tap's grid.
    """
    track = explainer.interpretable
    with torch.no_grad():
        parts, ordinary = explainer.encode(tap)

    def scores(maps: Tensor) -> Tensor:
        outputs = explainer.decode(track.norm(track.pool(maps)), ordinary.output)
        return performer.resume(outputs[-1], "last")

    return grad_cam(scores, parts.parts, target)


def performer_cam(
    performer: Performer, tap: Float[Tensor, "n d h w"], target: Int[Tensor, " n"]
) -> Float[Tensor, "n u v"]:
    """Grad-CAM on the performer's top conv layer, after its activation.

    Args:
        performer: the network.
        tap: features of the images.
        target: class of each image.

    Returns:
        A map for each image on the top conv layer's grid.
    """
    top = top_layer(performer)
    with torch.no_grad():
        maps = top.maps(tap)
    return grad_cam(top.scores, maps, target)
