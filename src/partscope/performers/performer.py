"""The frozen network under diagnosis: reads features at a tap, resumes to the scores from them."""

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from partscope.errors import DivergedError, PerformerError
from partscope.maths.receptive_field import ReceptiveField
from partscope.performers.field import FieldProbe, probe_field
from partscope.performers.frozen import device_of, dtype_of, frozen_copy, state_digest, undisturbed
from partscope.performers.images import check_images, check_normalisation, normalised
from partscope.performers.plan import (
    POOL_TYPES,
    Plan,
    activation_after,
    block_end,
    blocks,
    is_spatial,
    make_plan,
)
from partscope.performers.reading import read_positions
from partscope.performers.segment import Segment, trainable_copy
from partscope.performers.spine import Spine, SpineStep, find_spine
from partscope.performers.weights import MEAN, STD


class Features(NamedTuple):
    """What the performer computed for a batch of images."""

    tap: Tensor
    """Maps (N, D, L, L) that the explainer takes in."""
    targets: tuple[Tensor, ...]
    """The layers' outputs that the explainer reconstructs, before their activation."""


@final
class Performer:
    """A frozen network with a tap, a top unit, targets and a tail.

    An explainer's two encoder tracks replace the *top unit*, the modules between the tap and the decoder; its
    decoder is a copy of the performer's own next modules; their outputs are the *targets*; the *tail* turns
    the last target into scores. Build one with `Performer.for_model`, or by name with `load_performer`.
    """

    def __init__(
        self,
        module: nn.Module,
        spine: Spine,
        plan: Plan,
        *,
        name: str,
        input_size: int,
        mean: Sequence[float] | Tensor | None,
        std: Sequence[float] | None,
        class_names: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.spine = spine
        self.plan = plan
        self.name = name
        self.input_size = input_size
        self.mean: tuple[float, ...] | Tensor | None = (
            mean.detach().float().cpu()
            if isinstance(mean, Tensor)
            else None
            if mean is None
            else tuple(map(float, mean))
        )
        self.std = None if std is None else tuple(float(value) for value in std)
        self.class_names = tuple(class_names)

    @classmethod
    def for_model(
        cls,
        module: nn.Module,
        input_size: int = 224,
        mean: Sequence[float] | Tensor | None = None,
        std: Sequence[float] | None = None,
        *,
        tap: str | None = None,
        targets: Sequence[str] | None = None,
        name: str | None = None,
        class_names: Sequence[str] = (),
    ) -> "Performer":
        """Make a performer of any CNN classifier; the module itself is only read.

        Args:
            module: returns scores (N, classes) for images (N, 3, S, S).
            input_size: side S of the square input, px.
            mean: mean of the normalisation in the images' scale [0, 1], one number a channel or a mean image
                (3, S, S); None subtracts nothing.
            std: per-channel standard deviation; None divides by nothing.
            tap: dotted name of the layer whose output is explained; None chooses.
            targets: dotted names of the layers to reconstruct, in order; None chooses.
            name: what to call it in errors and reports; None takes the class's name.
            class_names: names of the classes in the order of the scores, where they are known.

        Returns:
            The performer.

        Raises:
            PerformerError: the network cannot be traced, or not be tapped as asked; says what can.
            DivergedError: its weights give values that are not finite.
        """
        name = name or type(module).__name__
        check_normalisation(mean, std, input_size, name)
        twin = frozen_copy(module)
        spine = find_spine(twin, input_size, name)
        plan = make_plan(spine, name, tap, tuple(targets) if targets else None)
        return cls(twin, spine, plan, name=name, input_size=input_size, mean=mean, std=std, class_names=class_names)

    @property
    def tap_name(self) -> str:
        """Label of the tap."""
        return self._tap.label

    @property
    def target_names(self) -> tuple[str, ...]:
        """Labels of the targets."""
        return tuple(self.spine.steps[i].label for i in self.plan.targets)

    @property
    def tap_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the tap's maps."""
        channels, rows, columns = self._tap.output_shape
        return channels, rows, columns

    @property
    def target_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the targets without the batch axis."""
        return tuple(self.spine.steps[i].output_shape for i in self.plan.targets)

    @property
    def outputs(self) -> int:
        """Number of scores."""
        return self.spine.steps[-1].output_shape[0]

    @property
    def device(self) -> torch.device:
        """Where the performer runs."""
        return device_of(self.module)

    @property
    def top_unit(self) -> tuple[SpineStep, ...]:
        """The steps that the explainer's tracks replace; empty in a ResNet."""
        return self.spine.steps[self.plan.tap + 1 : self.plan.top_end]

    @property
    def top_conv(self) -> nn.Conv2d | None:
        """The top unit's convolution, None unless its first step is one."""
        first = self.top_unit[0].module if self.top_unit else None
        return first if isinstance(first, nn.Conv2d) else None

    @property
    def top_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns where the decoder begins."""
        channels, rows, columns = self.spine.steps[self.plan.top_end - 1].output_shape
        return channels, rows, columns

    @property
    def field(self) -> ReceptiveField:
        """Where the tap's units lie in the image: 0-based px, the same along rows and columns."""
        return self._probe.field

    @property
    def weights_digest(self) -> str:
        """SHA-256 of the weights, and of a mean image where there is one: names, types, shapes and bytes."""
        image = {MEAN: self.mean} if isinstance(self.mean, Tensor) else {}
        return state_digest(self._tensors() | image)

    def saved_state(self) -> dict[str, Tensor]:
        """List what a file of weights has to hold, so that `load_performer` makes the same performer of it.

        Returns:
            The network's tensors by dotted name, sharing its memory, and its normalisation.
        """
        known = {MEAN: self.mean, STD: self.std}
        double = {
            key: value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
            for key, value in known.items()
            if value is not None
        }
        return self._tensors() | double

    def to(self, device: torch.device | str) -> "Performer":
        """Move the performer; the module it was made from stays where it is.

        Returns:
            The performer itself.
        """
        self.module.to(device)
        for step in self.spine.steps:
            step.module.to(device)
        return self

    def features(self, images: Tensor) -> Features:
        """Read the tap and the targets; the forward pass stops after the last target.

        Args:
            images: (N, 3, S, S) in [0, 1], not normalised.

        Returns:
            Features without gradient, that no later layer overwrites.

        Raises:
            PerformerError: the images are not of that shape, type or range.
            DivergedError: a feature is not finite; names the layer.
        """
        positions = (self.plan.tap, *self.plan.targets)
        with torch.no_grad(), undisturbed(self.device):
            tap, *targets = read_positions(self.module, self.spine, positions, self._normalised(images))
        for label, value in zip((self.tap_name, *self.target_names), (tap, *targets), strict=True):
            if not bool(torch.isfinite(value).all()):
                raise DivergedError(
                    f"reading the features of {self.name}",
                    f"values that are not finite in the output of '{label}'",
                    "check the weights and the images",
                )
        return Features(tap, tuple(targets))

    def resume(self, features: Features | Tensor, start: str | int = "last") -> Float[Tensor, "N classes"]:
        """Run the rest of the network from features, with gradient to them.

        Args:
            features: a `Features`, or the tensor of that start; it stays as it is.
            start: ``tap``, a target's number (0-based), or ``last`` for the last target.

        Returns:
            The scores; those of the network itself where the features are its own.

        Raises:
            PerformerError: there is no such start, or the tensor does not have that layer's shape.
        """
        count = len(self.plan.targets)
        number = count - 1 if start == "last" else start
        if number != "tap" and not (isinstance(number, int) and 0 <= number < count):
            raise PerformerError(
                f"resuming {self.name}",
                f"start = {start!r}",
                f"take 'tap', 'last' or a target's number below {count}",
            )
        position = self.plan.tap if number == "tap" else self.plan.targets[int(number)]
        if isinstance(features, Features):
            features = features.tap if number == "tap" else features.targets[int(number)]
        self._check_shape(features, position)
        with undisturbed(self.device):
            return self.spine.run(features, position + 1)

    def scores(self, images: Tensor) -> Float[Tensor, "N classes"]:
        """Run the whole network.

        Args:
            images: (N, 3, S, S) in [0, 1], not normalised.

        Returns:
            The network's own scores, without gradient.

        Raises:
            PerformerError: the images are not of that shape, type or range.
        """
        with torch.no_grad(), undisturbed(self.device):
            scores: Tensor = self.module(self._normalised(images))
        return scores

    def top_output(self, tap: Tensor) -> Float[Tensor, "N C H W"]:
        """Run the whole top unit: where the decoder begins.

        Args:
            tap: the tap's maps.

        Returns:
            Its output, pooled and after the activation; a copy of the tap if the top unit is empty.
        """
        self._check_shape(tap, self.plan.tap)
        return self.spine.run(tap, self.plan.tap + 1, self.plan.top_end)

    def top_map(self, features: Features | Tensor) -> Float[Tensor, "N C H W"]:
        """Compute the top convolution's map, the baseline of the location metrics.

        Args:
            features: a `Features`, or the tap's maps.

        Returns:
            The top unit's convolution before its activation; of a fire or residual block the block's output;
            without a top unit the last target that is a map, or the tap if none is.
        """
        tap = features.tap if isinstance(features, Features) else features
        self._check_shape(tap, self.plan.tap)
        first, end = self.plan.tap + 1, self.plan.top_end
        if first < end:
            block = next(i for i in blocks(self.spine) if i >= first)
            return self.spine.run(tap, first, block_end(self.spine, block) + 1)
        maps = [(i, at) for i, at in enumerate(self.plan.targets) if is_spatial(self.spine.steps[at])]
        if not maps:
            return tap.clone()
        number, position = maps[-1]
        if isinstance(features, Features):
            return features.targets[number].clone()
        return self.spine.run(tap, first, position + 1)

    def target_activation(self, number: int) -> nn.Module:
        """Find the activation that follows a target on the way to the scores.

        Args:
            number: the target's number, 0-based.

        Returns:
            A copy of the activation that works out of place; Identity if there is none.
        """
        return trainable_copy([activation_after(self.spine, self.plan.targets[number])])[0]

    def decoder_modules(self) -> list[Segment]:
        """Copy the modules that turn the top unit's output into the targets.

        Returns:
            One segment a target: the first begins after the top unit, each other one after the target before
            it, with that target's activation. Weights are trainable copies; dropout is gone, batch
            normalisation stays in evaluation mode.
        """
        starts = (self.plan.top_end, *(at + 1 for at in self.plan.targets[:-1]))
        ends = (at + 1 for at in self.plan.targets)
        return [
            trainable_copy([step.module for step in self.spine.steps[start:end]])
            for start, end in zip(starts, ends, strict=True)
        ]

    def pool(self) -> nn.Module:
        """Copy the top unit's pooling, which the explainer's tracks end with.

        Returns:
            The pooling; where it alone does not lead from the tap's size to the decoder's (a block with a
            stride), an adaptive one follows. Identity if the sizes are the same.
        """
        pools = [copy.deepcopy(step.module) for step in self.top_unit if isinstance(step.module, POOL_TYPES)]
        size = self.top_shape[1:]
        probe = torch.zeros(1, 1, *self.tap_shape[1:])
        for pool in pools:
            probe = pool(probe)
        if probe.shape[2:] != size:
            pools.append(nn.AdaptiveMaxPool2d(size))
        return nn.Sequential(*pools) if len(pools) > 1 else pools[0] if pools else nn.Identity()

    def describe(self) -> dict[str, object]:
        """Say what this performer is, in values that JSON can hold."""
        probe = self._probe
        image = isinstance(self.mean, Tensor)
        mean = self.mean.mean((1, 2)).tolist() if isinstance(self.mean, Tensor) else self.mean and list(self.mean)
        return {
            "name": self.name,
            "tap": self.tap_name,
            "tap_shape": list(self.tap_shape),
            "top_unit": [step.label for step in self.top_unit],
            "targets": list(self.target_names),
            "target_shapes": [list(shape) for shape in self.target_shapes],
            "outputs": self.outputs,
            "input_size": self.input_size,
            "mean": mean,
            **({"mean_is_an_image": True} if image else {}),
            "std": None if self.std is None else list(self.std),
            "field": probe.field._asdict(),
            "field_method": probe.method,
        }

    def _tensors(self) -> dict[str, Tensor]:
        return {key: value for key, value in self.module.state_dict().items() if isinstance(value, Tensor)}

    @property
    def _tap(self) -> SpineStep:
        return self.spine.steps[self.plan.tap]

    @cached_property
    def _probe(self) -> FieldProbe:
        def tap_of(images: Tensor) -> Tensor:
            with undisturbed(self.device):
                return read_positions(self.module, self.spine, (self.plan.tap,), images, keep_graph=True)[0]

        return probe_field(tap_of, self.input_size, self.tap_shape[1], self.module)

    def _check_shape(self, tensor: Tensor, position: int) -> None:
        step = self.spine.steps[position]
        if tuple(tensor.shape[1:]) != step.output_shape:
            raise PerformerError(
                f"resuming {self.name} from '{step.label}'",
                f"a tensor {tuple(tensor.shape)}",
                f"give one of shape (N, {', '.join(map(str, step.output_shape))})",
            )

    def _normalised(self, images: Tensor) -> Tensor:
        check_images(images, self.input_size, self.name)
        return normalised(images.to(self.device, dtype_of(self.module)), self.mean, self.std)
