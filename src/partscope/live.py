"""A view of learning while it runs, for TensorBoard: every number of the log, and what the filters look at."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from partscope.data import PhotoSet
from partscope.diagnosis import explainer_layer
from partscope.errors import RunError, SettingsError
from partscope.maths import part_location, unit_points
from partscope.performers import Performer
from partscope.settings import FitSettings
from partscope.training import Learner, StepRecord

FOLDER = "tensorboard"
FILTERS, IMAGES, LOOKED_AT = 8, 6, 128
SIDE_PX, LABEL_PX, GAP_PX = 96, 96, 4
FLUSH_SECONDS = 10


class Watched(NamedTuple):
    """What the montage is made of, the same from the first epoch to the last."""

    performer: Performer
    photos: PhotoSet
    """The training images."""
    filters: tuple[int, ...]
    """Filters to show."""
    rows: Tensor
    """(m,) training images to choose each filter's strongest among."""


def check_live_view(settings: FitSettings) -> None:
    """Makes sure, before anything is computed, that the live view can be written if it is asked for.

    Raises:
        SettingsError: TensorBoard is not installed.
    """
    if settings.tensorboard:
        _tensorboard()


def live_records(
    learner: Learner, folder: Path, performer: Performer, photos: PhotoSet, gain: Tensor
) -> Iterator[StepRecord]:
    """The learner's records; with ``fit.tensorboard`` each is also written into the run's event file.

    A montage of parts ends each epoch. Events of steps that a resumed learner takes again are purged. The learner's
    state stays as it is.

    Args:
        learner: what learns.
        folder: of the run.
        performer: the network.
        photos: the training images.
        gain: (D,) the performer's mean activation of each channel.

    Raises:
        SettingsError: TensorBoard is not installed.
        RunError: there cannot be such a folder.
    """
    if not learner.settings.tensorboard or learner.step >= learner.steps:
        return iter(learner)
    where, module = folder / FOLDER, _tensorboard()
    try:
        writer = module.SummaryWriter(str(where), purge_step=learner.step + 1, flush_secs=FLUSH_SECONDS)
    except OSError as error:
        raise RunError(
            f"starting the live view in '{where}'",
            str(error),
            "move what is there away, or leave --fit.tensorboard away",
        ) from error
    return _written(learner, writer, choose_watched(performer, photos, learner, gain))


def _written(learner: Learner, writer: Any, watched: Watched) -> Iterator[StepRecord]:
    montage = Montage(watched)
    try:
        for record in learner:
            for name, value in scalars(record, watched.performer.target_names).items():
                writer.add_scalar(name, value, record.step)
            if record.step % learner.steps_per_epoch == 0:
                writer.add_image("parts", montage.draw(learner), record.step, dataformats="HWC")
                writer.flush()
            yield record
    finally:
        writer.close()


def _tensorboard() -> Any:
    try:
        return import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise SettingsError(
            "preparing the live view (fit.tensorboard = true)",
            f"TensorBoard is not installed ({error})",
            "pip install 'partscope[tensorboard]', or leave --fit.tensorboard away: log.jsonl has the numbers",
        ) from error


def choose_watched(performer: Performer, photos: PhotoSet, learner: Learner, gain: Tensor) -> Watched:
    """Chooses what to show; depends on nothing that learning changes, so that a resumed run shows the same.

    Args:
        performer: the network.
        photos: the training images.
        learner: what learns, for its labels and its seed.
        gain: (D,) the performer's mean activation of each channel; filters start as its channels.
    """
    objects = (learner.labels.category >= 0).nonzero().flatten()
    rows = objects if len(objects) else torch.arange(len(photos))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(learner.settings.seed))
    strongest = gain.cpu().argsort(descending=True, stable=True)[:FILTERS]
    return Watched(performer, photos, tuple(int(f) for f in strongest), rows[order[:LOOKED_AT]].sort().values)


def scalars(record: StepRecord, targets: tuple[str, ...]) -> dict[str, float]:
    """The numbers of a step by TensorBoard's tags.

    >>> record = StepRecord(1, 9, 1, 2.5, 2.0, 0.6, (0.4, 0.3), 0.2, 310.0)
    >>> scalars(record, ("fc6", "fc7"))["fvu/fc7"], scalars(record, ("fc6", "fc7"))["loss/minus_log_p"]
    (0.3, 0.5)
    """
    return {
        "p": record.p,
        "loss/total": record.loss,
        "loss/reconstruction": record.reconstruction,
        "loss/minus_log_p": record.loss - record.reconstruction,
        **{f"fvu/{target}": value for target, value in zip(targets, record.fvu, strict=True)},
        "filter_share": record.filter_share,
        "images_per_second": record.images_per_second,
    }


@final
class Montage:
    """A row a filter: those of the images looked at that excite it most, with a ring around its peak."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._pictures: dict[int, Image.Image] = {}

    @torch.no_grad()
    def draw(self, learner: Learner) -> NDArray[np.uint8]:
        """The filters as they are now, (H, W, 3); the learner's explainer is left in the mode it was in."""
        watched, explainer = self._watched, learner.explainer
        tap = learner.store.rows(watched.rows).tap
        learning = explainer.training
        explainer.eval()
        try:
            maps = explainer.interpretable(tap).raw[:, list(watched.filters)]
        finally:
            explainer.train(learning)
        field = explainer_layer(explainer, watched.performer, tap).field
        found = part_location(maps)
        points = unit_points(found.unit, maps.shape[3], field, field).cpu()
        peaks = found.peak.cpu()
        owners = learner.second.category[list(watched.filters)].tolist()
        count = min(IMAGES, len(watched.rows))
        step = SIDE_PX + GAP_PX
        sheet = Image.new("RGB", (LABEL_PX + step * count, step * len(watched.filters) - GAP_PX), "white")
        pen = ImageDraw.Draw(sheet)
        for n, (filter_, owner) in enumerate(zip(watched.filters, owners, strict=True)):
            of = learner.labels.names[owner] if owner >= 0 else "no category"
            pen.multiline_text((4, step * n + 4), f"filter {filter_}\n{of[:14]}", fill="black")
            for place, row in enumerate(peaks[:, n].argsort(descending=True, stable=True)[:count].tolist()):
                peak = points[row, n].tolist() if peaks[row, n] > 0 else None
                tile = self._tile(int(watched.rows[row]), peak)
                sheet.paste(tile, (LABEL_PX + GAP_PX + step * place, step * n))
        return np.asarray(sheet)

    def _tile(self, image: int, peak: list[float] | None) -> Image.Image:
        """An image, ringed at (row, column) in pixels of the performer's input; without a peak it is dimmed."""
        if image not in self._pictures:
            pixels = (self._watched.photos[image].image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
            photo = Image.fromarray(np.ascontiguousarray(pixels.numpy()))
            self._pictures[image] = photo.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        photo = self._pictures[image]
        if peak is None:
            return Image.blend(photo, Image.new("RGB", photo.size, "white"), 0.7)
        photo = photo.copy()
        scale = SIDE_PX / self._watched.performer.input_size
        y, x = ((place + 0.5) * scale for place in peak)
        pen = ImageDraw.Draw(photo)
        for radius, color in ((8, "black"), (7, "white"), (6, "white"), (5, "black")):
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=color)
        return photo
