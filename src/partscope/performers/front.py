"""A network cut in two: the frozen front, whose output is computed once, and the tail, which learns."""

import copy
from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from partscope.errors import DivergedError
from partscope.performers.frozen import device_of, dtype_of, state_digest, undisturbed
from partscope.performers.images import check_images, normalised
from partscope.performers.performer import Features
from partscope.performers.reading import read_positions
from partscope.performers.spine import Spine, SpineStep

_SCALE_PASSES: tuple[type[nn.Module], ...] = (
    nn.Identity, nn.Flatten, nn.ReLU, nn.modules.dropout._DropoutNd, nn.MaxPool2d, nn.AvgPool2d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
"""Steps f with f(c x) = c f(x) for c > 0."""


@final
class Front:
    """The layers below the first one that learns; frozen, in evaluation mode.

    Args:
        module: the whole network, a frozen copy.
        spine: its spine.
        position: last step of the front.
        name: what to call the network in errors.
        input_size: side of the square input, px.
        mean: of the normalisation.
        std: of the normalisation.
    """

    target_names: tuple[str, ...] = ()

    def __init__(
        self,
        module: nn.Module,
        spine: Spine,
        position: int,
        *,
        name: str,
        input_size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self._module, self._spine, self._position = module, spine, position
        self.name, self.input_size, self.mean, self.std = name, input_size, mean, std
        self.tap_name = spine.steps[position].label

    @property
    def device(self) -> torch.device:
        """Where the front runs."""
        return device_of(self._module)

    def to(self, device: str) -> None:
        """Move the front."""
        self._module.to(device)

    @property
    def weights_digest(self) -> str:
        """SHA-256 of the weights that its output depends on."""
        above = [step.name for step in self._spine.steps[self._position + 1 :] if step.name]
        return state_digest(outside(self._module.state_dict(), above))

    def features(self, images: Tensor) -> Features:
        """Read what the first learning layer takes in.

        Args:
            images: (N, 3, S, S) in [0, 1], not normalised.

        Returns:
            Features with that as tap, and no target.

        Raises:
            PerformerError: the images are not of that shape, type or range.
            DivergedError: a feature is not finite.
        """
        check_images(images, self.input_size, self.name)
        inputs = normalised(images.to(self.device, dtype_of(self._module)), self.mean, self.std)
        with torch.no_grad(), undisturbed(self.device):
            (tap,) = read_positions(self._module, self._spine, (self._position,), inputs)
        if not bool(torch.isfinite(tap).all()):
            raise DivergedError(
                f"reading the features of {self.name}",
                f"values that are not finite in the output of '{self.tap_name}'",
                "check the weights and the images",
            )
        return Features(tap, ())

    def describe(self) -> dict[str, object]:
        """Say what its output depends on beside weights and images, in values that JSON can hold."""
        return {
            "name": self.name,
            "tap": self.tap_name,
            "tap_shape": list(self._spine.steps[self._position].output_shape),
            "input_size": self.input_size,
            "mean": list(self.mean),
            "std": list(self.std),
        }


def under(key: str, names: Sequence[str]) -> bool:
    """Whether a dotted name lies in one of some modules.

    >>> under("layer4.0.conv1.weight", ["layer4"]), under("layer41.weight", ["layer4"])
    (True, False)
    """
    return any(key == name or key.startswith(name + ".") for name in names)


def outside(state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The part of a state dict that belongs to none of some modules."""
    return {key: value for key, value in state.items() if not under(key, names)}


@final
class Tail(nn.Module):
    """Trainable copies of a network's last steps, run one after the other.

    Args:
        steps: of the spine, to the scores.
    """

    def __init__(self, steps: Sequence[SpineStep]) -> None:
        super().__init__()
        unique: dict[int, tuple[str, nn.Module]] = {}
        for step in steps:
            unique.setdefault(id(step.module), (step.name, copy.deepcopy(step.module)))
        self.names = [name for name, _ in unique.values()]
        self.parts = nn.ModuleList([module for _, module in unique.values()])
        self._order = [list(unique).index(id(step.module)) for step in steps]
        self.scale = 1.0
        self.requires_grad_(True)

    def forward(self, x: Float[Tensor, "N ..."]) -> Float[Tensor, "N outputs"]:
        """Turn the front's output into scores."""
        if self.scale != 1.0:
            x = x * self.scale
        for k in self._order:
            x = self.parts[k](x)
        return x

    def whole_name(self, name: str) -> str:
        """Name in the whole network of one of this module's weights."""
        _, number, rest = name.split(".", 2)
        return f"{self.names[int(number)]}.{rest}"

    def scaled_weight(self) -> str | None:
        """Name in the whole network of the weight that can take in a scale of the inputs; None if none can."""
        for k in self._order:
            part = self.parts[k]
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                return f"{self.names[k]}.weight"
            if not isinstance(part, _SCALE_PASSES):
                return None
        return None

    def whole_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn a state dict of this module into the whole network's, the scale taken in."""
        found = {self.whole_name(key): value for key, value in state.items()}
        weight = self.scaled_weight()
        if self.scale != 1.0 and weight is not None:
            found[weight] = found[weight] * self.scale
        return found
