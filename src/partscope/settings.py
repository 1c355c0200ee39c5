"""Every setting of a job: frozen dataclasses that load no heavy library, so that ``--help`` stays fast."""

import difflib
from dataclasses import dataclass, field, fields, replace
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from partscope.errors import SettingsError

T = TypeVar("T", "FitSettings", "ExplainerSettings")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images, and what is known about them."""

    kind: Literal["creatures", "folder", "coco", "csv", "cub200", "pascal_part", "part_tables", "huggingface"] = (
        "creatures"
    )
    """Layout: drawn creatures, class folders, COCO keypoints, a CSV table, the paper's data sets, or `datasets`."""
    root: str | None = None
    """Folder that holds the data sets; not needed for `creatures`."""
    folder: str = ""
    """The data set's own folder below `root`; empty when `root` is it."""
    categories: tuple[str, ...] = ()
    """Categories to keep, in this order; empty keeps all."""
    negatives: str | None = None
    """Folder below `root` with images of none of the categories: first half trains, second half tests."""
    negative_categories: tuple[str, ...] = ()
    """Categories of the same data set whose images serve as negatives; none of them may be in `categories`."""
    single_category: str | None = None
    """Treat every object as one category of this name (e.g. all bird species as `bird`)."""
    landmarks: tuple[str, ...] = ()
    """Landmarks to carry; empty carries all that the data set has."""
    test_share: float = 0.2
    """Share of images held out by file name where the data set brings no split of its own (0 to 1)."""
    split: Literal["image", "authors"] = "image"
    """Pascal-Part and part tables: hold out whole images, or a tenth of the objects as the paper's authors do."""
    min_side: int = 50
    """Pascal-Part and part tables: least side of a square of the area that an object's box must have, in pixels."""
    margin: float = 0.0
    """Share of a box's height and width that is added on each side before cropping (0 to 10)."""
    aspect: Literal["stretch", "square"] = "stretch"
    """Shape of the crop: the box itself, or the box enlarged to a square within its image; never padded."""
    image_column: str = "image"
    """Hugging Face: column of the images."""
    label_column: str = "label"
    """Hugging Face: column of the images' categories, or the objects' where there are objects."""
    objects_column: str | None = None
    """Hugging Face: column of objects with `bbox` (left, top, width, height) and the label column in it."""
    keypoints_column: str | None = None
    """Hugging Face: column of landmarks [x, y] or [x, y, visible], by name or in a list; may lie in the objects."""
    download: bool = False
    """Fetch the data set's archive to `root`, where its publisher has a stable address, if it is not there yet."""
    mirror: bool = False
    """Show each training image a second time, mirrored, with left and right landmarks swapped."""
    crops: int = 1
    """Crops of each training photograph: its own box, then others that are moved and rescaled a little."""
    on_problem: Literal["refuse", "skip"] = "refuse"
    """Images or rows that are damaged: `refuse` the data set, or `skip` them, counted in the diagnosis."""
    train_images: int = 2000
    """Creatures: number of training images, a fifth of them without an animal."""
    test_images: int = 500
    """Creatures: number of test images, a fifth of them without an animal."""
    seed: int = 0
    """Creatures: seed of the drawings; training and test images never share one."""


@dataclass(frozen=True, kw_only=True)
class PerformerSettings:
    """The frozen network under diagnosis."""

    name: str = "creatures_net"
    """A catalogue row (`partscope taps` lists them), or `torchvision:NAME` or `timm:NAME` for any network of these."""
    weights: str | None = None
    """File (.safetensors, .npz, MatConvNet's .mat, or .pth read without pickle), folder of `train-performer`, or
    torchvision's name of weights, e.g. `IMAGENET1K_V2`; none uses the library's own download."""
    weights_order: Literal["torch", "keras", "keras_bgr", "caffe"] = "torch"
    """Whose layout the file has; `caffe` and `keras_bgr` also swap the colour channels and scale images to 0 to 255."""
    mean: tuple[float, ...] = ()
    """Mean of the normalisation, red first, for images in [0, 1]; empty takes the weights' own, or the catalogue's."""
    std: tuple[float, ...] = ()
    """Standard deviation of the normalisation; empty takes the weights' own, or the catalogue's."""
    class_names: str | None = None
    """Text file with one class name a line, in the order of the scores; none calls them `class 0` and so on."""
    tap: str | None = None
    """Dotted name of the layer whose output is explained; none takes the catalogue's."""
    targets: tuple[str, ...] = ()
    """Dotted names of the layers to reconstruct; empty takes the catalogue's."""
    input_size: int | None = None
    """Side of the square input in pixels; none takes the catalogue's."""
    head: Literal["own", "train"] = "own"
    """`own`: the weights hold the classifier; `train`: a new one is trained on the training images first."""
    head_width: int = 1024
    """Width of the two hidden layers of a new classifier."""
    head_epochs: int = 20
    """Passes over the cached features when a new classifier is trained."""


@dataclass(frozen=True, kw_only=True)
class ExplainerSettings:
    """Architecture of the explainer."""

    start: Literal["identity", "he"] = "identity"
    """Start of conv-interp-2: near the identity (filters stay distinct) or He's random start (they collapse)."""
    decoder_scale: bool = True
    """Multiply each encoder channel by the performer's own mean magnitude before the decoder."""
    magnitude: Literal["batch", "running"] = "batch"
    """Norm-layer in training: the batch's magnitude with gradient, or the running one without."""
    masks: bool = True
    """Keep one peak per map in the interpretable track."""
    initial_p: float | None = None
    """Mixing weight p at the start (0 to 1, both excluded); none takes 0.5, or 0.1 before a decoder of conv layers,
    which sees each single peak in full height."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the explainer is learned."""

    preset: Literal["default", "paper"] = "default"
    """`paper` puts the paper's constants and schedule in place of all settings that are at their defaults."""
    epochs: int = 8
    """Passes over the training images."""
    batch_size: int = 32
    """Images a step."""
    learning_rate: float | None = None
    """Adam's step size for the encoder; none takes 5e-4 x 384 (`alexnet_bvlc`) / channels of the tap, at most 3e-3."""
    decoder_learning_rate: float | None = None
    """Adam's step size for the decoder's layers; none takes two fifths of what the encoder would have."""
    p_learning_rate: float = 1e-1
    """Adam's step size for w_p."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Course of the step size after a warm-up of 5 % of the steps."""
    clip: float = 5.0
    """Largest norm of the whole gradient; 0 never clips."""
    eta: float = 0.25
    """Weight of -log p against the relative reconstruction errors."""
    target_norm_power: Literal[1, 2] = 2
    """Power of the targets' mean norm that divides their squared error: 2 makes it relative, 1 is the paper's."""
    ordinary_dropout: float = 0.6
    """Share of a batch's images that are rebuilt from their part features alone (0 to 1); the paper has none."""
    filter_loss: Literal["robust", "paper", "released", "none"] = "robust"
    """Training rule of the filter loss."""
    filter_strength: float = 3.0
    """Norm of the filter loss's gradient, as a share of the reconstruction's."""
    filter_decay: bool = False
    """Divide the filter loss's strength by the epoch's number, as the paper does."""
    filter_to_p: bool = False
    """Let the filter loss's gradient reach p, as the paper does."""
    labels: Literal["single", "multi", "none"] = "multi"
    """Categories of the training images: one against negatives, several, or the performer's own predictions."""
    min_category_images: int = 30
    """Without labels: classes predicted for fewer training images become `other`, which owns no filter."""
    objective: Literal["reconstruction", "classification"] = "reconstruction"
    """Learn to rebuild the targets, or (the paper's Explainer+cls) to give the right scores, whatever the features."""
    seed: int = 0
    """Seed of the explainer's start and of the order of images."""
    device: str = "auto"
    """`auto` takes the first GPU if there is one; or any name that torch knows."""
    save_every: int = 0
    """Steps between two saved states; 0 saves at the end of each epoch."""
    tensorboard: bool = False
    """Also write p, losses, FVU and a montage of parts for TensorBoard, in RUN/tensorboard; changes no result."""


@dataclass(frozen=True, kw_only=True)
class DiagnoseSettings:
    """What is measured."""

    landmarks: tuple[str, ...] = ()
    """Landmarks of the location instability; empty takes all that the data carry."""
    top_images: int = 100
    """Images per filter and landmark in the released protocol of location instability."""
    resamples: int = 200
    """Bootstrap resamples of the images behind every interval."""
    mimic_images: int = 50
    """Images on which each landmark's part is taken away to see whether the explainer follows; 0 leaves it out."""
    gallery_filters: int = 24
    """Filters shown in the report."""
    gallery_images: int = 8
    """Images shown for each filter in the report."""
    fields: int = 8
    """Filters of the report whose receptive field is measured by covering images, the strongest of each category first;
    0 measures none."""


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """Where the performer's features are kept."""

    mode: Literal["on", "off"] = "on"
    """`on` keeps features in the run folder; `off` computes them again each time."""
    shard_rows: int = 512
    """Images in one file of the cache."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A whole job: data, performer, explainer, fit, diagnosis."""

    data: DataSettings = field(default_factory=DataSettings)
    performer: PerformerSettings = field(default_factory=PerformerSettings)
    explainer: ExplainerSettings = field(default_factory=ExplainerSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    diagnose: DiagnoseSettings = field(default_factory=DiagnoseSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)


PAPER_FIT: dict[str, Any] = {
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "decoder_learning_rate": 1e-5,
    "p_learning_rate": 1e-2,
    "schedule": "constant",
    "clip": 0.0,
    "eta": 20.0,
    "target_norm_power": 1,
    "ordinary_dropout": 0.0,
    "filter_loss": "paper",
    "filter_strength": 1 / 300,
    "filter_decay": True,
    "filter_to_p": True,
}
"""The paper's constants where it gives them (eta and lambda_(l) divided by 5e4), else the nearest literal choice."""

PAPER_EXPLAINER: dict[str, Any] = {"start": "he", "magnitude": "running", "initial_p": 0.5}


def demo_job() -> Job:
    """The demo: drawn creatures, and a recipe for the small network that tells them apart.

    >>> demo_job().performer.name
    'creatures_net'
    """
    fit = FitSettings(learning_rate=3e-3, decoder_learning_rate=3e-3, ordinary_dropout=0.4, filter_strength=2.0)
    return Job(data=DataSettings(train_images=4000), fit=fit)


def resolve(job: Job) -> Job:
    """Puts a preset's constants in place of the settings that were left at their defaults, and checks ranges.

    Raises:
        SettingsError: a value is out of its range.

    >>> resolve(Job(fit=FitSettings(preset="paper"))).fit.eta
    20.0
    """
    if job.fit.preset == "paper":
        fit, explainer = dict(PAPER_FIT), dict(PAPER_EXPLAINER)
        if job.performer.name.rpartition(":")[2].startswith(("vgg16", "resnet")):
            fit["eta"] = 3.0
        job = replace(job, fit=_filled(job.fit, fit), explainer=_filled(job.explainer, explainer))
    _check(job)
    return job


def _filled(given: T, preset: dict[str, Any]) -> T:
    standard = type(given)()
    left = {k: v for k, v in preset.items() if getattr(given, k) == getattr(standard, k)}
    return replace(given, **left)


RANGES: tuple[tuple[str, str, float, float], ...] = (
    ("data", "test_share", 0.0, 1.0),
    ("data", "min_side", 0, 1e5),
    ("data", "margin", 0.0, 10.0),
    ("data", "crops", 1, 100),
    ("data", "train_images", 1, 1e9),
    ("data", "test_images", 1, 1e9),
    ("performer", "head_width", 1, 1e6),
    ("performer", "head_epochs", 1, 1e6),
    ("explainer", "initial_p", 1e-6, 1 - 1e-6),
    ("fit", "epochs", 1, 1e6),
    ("fit", "batch_size", 1, 1e6),
    ("fit", "learning_rate", 0.0, 1e3),
    ("fit", "decoder_learning_rate", 0.0, 1e3),
    ("fit", "p_learning_rate", 0.0, 1e3),
    ("fit", "clip", 0.0, 1e9),
    ("fit", "eta", 0.0, 1e9),
    ("fit", "ordinary_dropout", 0.0, 1.0),
    ("fit", "filter_strength", 0.0, 1e6),
    ("fit", "min_category_images", 1, 1e9),
    ("fit", "save_every", 0, 1e9),
    ("fit", "seed", 0, 2**32),
    ("diagnose", "top_images", 2, 1e9),
    ("diagnose", "resamples", 2, 1e6),
    ("diagnose", "mimic_images", 0, 1e6),
    ("diagnose", "gallery_filters", 1, 1e4),
    ("diagnose", "gallery_images", 1, 1e4),
    ("diagnose", "fields", 0, 1e4),
    ("cache", "shard_rows", 1, 1e9),
)


def _check(job: Job) -> None:
    for group, key, least, most in RANGES:
        value = getattr(getattr(job, group), key)
        if value is not None and not least <= value <= most:
            raise SettingsError(
                "checking the settings",
                f"{group}.{key} = {value}",
                f"give --{group}.{key} between {least:g} and {most:g}",
            )


J = TypeVar("J")


def job_from_dict(content: Any) -> Job:
    """Makes a job from nested dictionaries, as read from a run's ``config.yaml``.

    Raises:
        SettingsError: a setting is unknown, with the nearest known one, or its value is of another type.

    >>> job_from_dict({"fit": {"epochs": 3}}).fit.epochs
    3
    """
    return made_from_dict(content, Job, "fit")


def made_from_dict(content: Any, job: type[J], command: str) -> J:
    """Makes a job of any kind from nested dictionaries.

    Args:
        content: settings by group.
        job: a dataclass whose fields are groups of settings.
        command: of `partscope`, that explains these settings.

    Raises:
        SettingsError: a setting is unknown, with the nearest known one, or its value is of another type.
    """
    kind: Any = job
    groups = {f.name: f.default_factory for f in fields(kind)}
    if not isinstance(content, dict):
        raise SettingsError("reading the settings", f"{type(content).__name__}", "give a mapping of groups")
    built: dict[str, Any] = {}
    for group, values in content.items():
        _known(group, groups, "", command)
        kind = groups[group]
        names = {f.name: f for f in fields(kind)}
        if not isinstance(values, dict):
            raise SettingsError(f"reading the settings '{group}'", repr(values), "give a mapping of settings")
        for name in values:
            _known(name, names, f"{group}.", command)
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        for name, value in lists.items():
            if not _is_of(value, names[name].type):
                raise SettingsError(
                    "reading the settings",
                    f"{group}.{name} = {value!r}",
                    f"give --{group}.{name} a value as `partscope {command} --help` explains",
                )
        built[group] = kind(**lists)
    return job(**built)


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a field's type: a plain one, a Literal, a tuple of them, or one of several."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(v, get_args(kind)[0]) for v in value)
    if isinstance(kind, UnionType):
        return any(_is_of(value, k) for k in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _known(name: str, names: dict[str, Any], prefix: str, command: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(str(name), names, 1, 0.0)
        raise SettingsError(
            "reading the settings",
            f"there is no setting '{prefix}{name}'",
            f"did you mean '{prefix}{near[0]}'? `partscope {command} --help` lists them all",
        )
