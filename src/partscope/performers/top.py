"""A performer's top conv layer after its activation: its maps, the scores from them, its receptive field."""

from typing import NamedTuple, final

import torch
from torch import Tensor

from partscope.maths.receptive_field import ReceptiveField, conv_chain_field
from partscope.performers.chain import chain_of
from partscope.performers.field import probe_field
from partscope.performers.frozen import dtype_of, undisturbed
from partscope.performers.images import check_images, normalised
from partscope.performers.performer import Performer
from partscope.performers.plan import blocks, is_spatial, through_activation
from partscope.performers.reading import read_positions


@final
class TopLayer(NamedTuple):
    """The performer's top conv layer, after the activation that follows it."""

    performer: Performer
    position: int
    """Step of the spine whose output the maps are."""

    @property
    def name(self) -> str:
        """What users call it."""
        return self.performer.spine.steps[self.position].label

    def maps(self, tap: Tensor) -> Tensor:
        """Compute the maps (N, C, U, V) from the tap's, with gradient."""
        return self.performer.spine.run(tap, self.performer.plan.tap + 1, self.position + 1)

    def scores(self, maps: Tensor) -> Tensor:
        """Run the rest of the network, with gradient to the maps."""
        with undisturbed(self.performer.device):
            return self.performer.spine.run(maps, self.position + 1)

    def field(self) -> ReceptiveField:
        """Find the theoretical receptive field of its units.

        The tap's field, carried on in closed form where the way from the tap is a chain; else probed anew.
        """
        performer = self.performer
        layers = chain_of(performer.spine.steps[performer.plan.tap + 1 : self.position + 1])
        if layers is not None:
            return conv_chain_field(layers, performer.field)

        def maps_of(images: Tensor) -> Tensor:
            with undisturbed(performer.device):
                return read_positions(performer.module, performer.spine, (self.position,), images, keep_graph=True)[0]

        units = performer.spine.steps[self.position].output_shape[1]
        return probe_field(maps_of, performer.input_size, units, performer.module).field


def top_layer(performer: Performer) -> TopLayer:
    """Find the layer that the paper compares the explainer's filters with.

    Returns:
        The top unit's convolution or block with its activation; without a top unit the last target that is a map, or
        the tap if none is.
    """
    spine, plan = performer.spine, performer.plan
    if plan.tap + 1 < plan.top_end:
        block = next(i for i in blocks(spine) if i > plan.tap)
        return TopLayer(performer, through_activation(spine, block))
    maps = [at for at in plan.targets if is_spatial(spine.steps[at])]
    return TopLayer(performer, through_activation(spine, maps[-1]) if maps else plan.tap)


def tap_of(performer: Performer, images: Tensor) -> Tensor:
    """Read the tap alone; the forward pass stops there.

    Args:
        performer: the network.
        images: (N, 3, S, S) in [0, 1], not normalised.

    Returns:
        Maps (N, D, L, L) without gradient.

    Raises:
        PerformerError: the images are not of that shape, type or range.
    """
    check_images(images, performer.input_size, performer.name)
    given = normalised(images.to(performer.device, dtype_of(performer.module)), performer.mean, performer.std)
    with torch.no_grad(), undisturbed(performer.device):
        return read_positions(performer.module, performer.spine, (performer.plan.tap,), given)[0]
