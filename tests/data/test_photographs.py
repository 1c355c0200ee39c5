"""Real photographs: the counts that their own README states."""

from pathlib import Path

import pytest
import torch

from partscope.data import PhotoSet, load_photos
from partscope.settings import DataSettings

pytestmark = pytest.mark.real_data


def both(settings: DataSettings) -> tuple[PhotoSet, PhotoSet]:
    return load_photos(settings, 64, "train"), load_photos(settings, 64, "test")


def landmark_total(photos: PhotoSet, every: int) -> tuple[int, int]:
    some = range(0, len(photos), every)
    samples = [photos[i] for i in some]
    for sample in samples:
        assert sample.image.std() > 0
    return sum(int(sample.present.sum()) for sample in samples), len(some)


def test_cub(real_data: Path) -> None:
    settings = DataSettings(
        kind="cub200",
        root=str(real_data),
        folder="CUB_200_2011",
        single_category="bird",
        negatives="negatives",
    )
    train, test = both(settings)
    assert (len(train), len(test)) == (960 + 250, 854 + 250)
    assert train.categories == ("bird",)
    for photos, birds in ((train, 960), (test, 854)):
        assert [photos.category_of(i) for i in (0, birds - 1, birds, len(photos) - 1)] == [0, 0, -1, -1]
    assert len(train.landmark_names) == 15
    assert len(set(train.names()) | set(test.names())) == 1814 + 500
    points, count = landmark_total(train, 40)
    assert points / count == pytest.approx(11224 / 1210, abs=2.5)


def test_cub_species(real_data: Path) -> None:
    train = load_photos(DataSettings(kind="cub200", root=str(real_data / "CUB_200_2011")), 64, "train")
    assert len(train.categories) == 32
    assert train.categories[0] == "001.Black_footed_Albatross"


def test_voc_part(real_data: Path) -> None:
    train, test = both(DataSettings(kind="coco", root=str(real_data), folder="voc_part"))
    assert (len(train), len(test)) == (1224, 309)
    assert train.categories == ("cat", "dog", "horse")
    assert train.landmark_names == ("head", "neck", "torso", "tail")
    assert landmark_total(test, 1)[0] == 927
    cats = load_photos(
        DataSettings(kind="coco", root=str(real_data), folder="voc_part", categories=("cat",)), 64, "train"
    )
    assert (
        len(cats)
        + len(
            load_photos(
                DataSettings(kind="coco", root=str(real_data), folder="voc_part", categories=("cat",)),
                64,
                "test",
            )
        )
        == 559
    )
    assert torch.isfinite(cats[0].landmarks).all()


def test_det_animalpart(real_data: Path) -> None:
    train, test = both(DataSettings(kind="coco", root=str(real_data), folder="det_animalpart"))
    assert (len(train), len(test)) == (957, 243)
    assert train.landmark_names == ("head", "frontlegs")
    assert len(train.categories) == 10


def test_class_folders_of_photographs(real_data: Path) -> None:
    train, test = both(DataSettings(kind="folder", root=str(real_data / "CUB_200_2011" / "images")))
    assert len(train) + len(test) == 1814
    assert len(train.categories) == 32
    assert len(test) == pytest.approx(0.2 * 1814, abs=60)
