"""The contract that every photo set keeps."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from data import paper_trees, trees
from partscope.data import PhotoSet, load_photos
from partscope.data.crops import mirrored_order
from partscope.settings import DataSettings

SIZE = 32


def creatures(root: Path) -> DataSettings:
    return DataSettings(root=str(root), train_images=10, test_images=5)


class Layout(NamedTuple):
    write: Callable[[Path], DataSettings]
    move_box: Callable[[Path], object] | None = None
    """Writes it again with the first box moved by a pixel; None where there are no boxes."""
    move_landmark: Callable[[Path], object] | None = None


def edited(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return edit


def with_shift(write: Callable[..., DataSettings]) -> Layout:
    """A writer that takes `box_shift` and `landmark_shift`."""

    def again(**shift: int) -> Callable[[Path], object]:
        def rewrite(root: Path) -> None:
            shutil.rmtree(root)
            write(root, **shift)

        return rewrite

    return Layout(write, again(box_shift=1), again(landmark_shift=2))


LAYOUTS = {
    "creatures": Layout(creatures),
    "class folders": Layout(trees.write_classes),
    "train and test folders": Layout(trees.write_split_classes),
    "flat folder": Layout(trees.write_flat),
    "coco": Layout(
        trees.write_coco,
        edited("annotations.json", '"bbox": [2,', '"bbox": [1,'),
        edited("annotations.json", '"keypoints": [6, 4,', '"keypoints": [7, 4,'),
    ),
    "csv": Layout(
        trees.write_csv,
        edited("annotations.csv", "train,2,3,16", "train,1,3,16"),
        edited("annotations.csv", "9.5,6,4,12", "9.5,7,4,12"),
    ),
    "cub200": Layout(
        trees.write_cub,
        edited("bounding_boxes.txt", "1 2.5", "1 1.5"),
        edited("parts/part_locs.txt", "1 1 5.00", "1 1 6.00"),
    ),
    "pascal part": with_shift(paper_trees.write_pascal),
    "voc tables": with_shift(paper_trees.write_voc_tables),
    "ilsvrc tables": with_shift(paper_trees.write_det_tables),
    "huggingface labels": Layout(paper_trees.write_hub),
    "huggingface objects": with_shift(paper_trees.write_hub_objects),
}
"""Every kind of data keeps the contract; a new kind is a new line."""
VARIANTS = ("plain", "negatives", "mirror", "single", "framed")


@pytest.fixture(params=[(name, variant) for name in LAYOUTS for variant in VARIANTS], ids=" ".join)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> DataSettings:
    name, variant = request.param
    made = LAYOUTS[name].write(tmp_path / "set")
    trees.write_negatives(tmp_path / "set" if name == "creatures" else tmp_path)
    root = made.root if name == "creatures" else str(tmp_path)
    made = replace(made, root=root, folder="" if name == "creatures" else "set")
    if variant == "negatives":
        return replace(made, negatives="nothing")
    if variant == "mirror":
        return replace(made, negatives="nothing", mirror=True)
    if variant == "single" and name != "creatures":
        return replace(made, single_category="animal")
    if variant == "framed" and name != "creatures":
        return replace(made, margin=0.25, aspect="square", mirror=True)
    return made


def both(settings: DataSettings) -> tuple[PhotoSet, PhotoSet]:
    return load_photos(settings, SIZE, "train"), load_photos(settings, SIZE, "test")


def test_samples_have_the_promised_form(settings: DataSettings) -> None:
    for photos in both(settings):
        count = len(photos.landmark_names)
        assert len(photos) == len(photos.names()) > 0
        assert photos.input_size == SIZE
        for i in range(len(photos)):
            sample = photos[i]
            assert sample.image.shape == (3, SIZE, SIZE)
            assert sample.image.dtype == torch.float32
            assert sample.image.min() >= 0 and sample.image.max() <= 1 and sample.image.std() > 0
            assert sample.landmarks.shape == (count, 2) and sample.landmarks.dtype == torch.float32
            assert sample.present.shape == (count,) and sample.present.dtype == torch.bool
            inside = (sample.landmarks >= -0.5) & (sample.landmarks <= SIZE - 0.5)
            assert inside.all(-1)[sample.present].all()
            assert (sample.landmarks[~sample.present] == 0).all()
            assert sample.category == photos.category_of(i)
            assert -1 <= sample.category < len(photos.categories)
            assert sample.category >= 0 or not sample.present.any()
            assert sample.name == photos.names()[i]
        for outside in (len(photos), -len(photos) - 1):
            with pytest.raises(IndexError, match=f"image {outside} of a set of {len(photos)}"):
                photos[outside]
            with pytest.raises(IndexError):
                photos.category_of(outside)
        assert photos.left_out == ()


def test_train_and_test_are_disjoint_and_agree(settings: DataSettings) -> None:
    train, test = both(settings)
    assert (train.categories, train.landmark_names) == (test.categories, test.landmark_names)
    assert not set(train.names()) & set(test.names())
    files = [{photos.file_digest(i) for i in range(len(photos))} for photos in (train, test)]
    assert not files[0] & files[1]
    assert len(set(train.names())) == len(train)


def test_the_same_settings_give_the_same_set(settings: DataSettings) -> None:
    for split in ("train", "test"):
        one, two = load_photos(settings, SIZE, split), load_photos(settings, SIZE, split)
        assert one.digest() == two.digest()
        assert one.names() == two.names()
        assert torch.equal(one[0].image, two[0].image)
    other = load_photos(settings, SIZE + 1, "test")
    assert other.transform_digest != two.transform_digest
    assert other.digest() != two.digest() != load_photos(settings, SIZE, "train").digest()


def test_mirror_doubles_the_training_images_only(settings: DataSettings) -> None:
    plain, doubled = (both(replace(settings, mirror=flag)) for flag in (False, True))
    assert len(doubled[0]) == 2 * len(plain[0])
    assert doubled[1].digest() == plain[1].digest()
    assert doubled[0].digest() != plain[0].digest()
    order = mirrored_order(plain[0].landmark_names)
    assert None not in order
    for i in range(len(plain[0])):
        before, after = doubled[0][i], doubled[0][i + len(plain[0])]
        assert torch.equal(before.image, plain[0][i].image)
        assert torch.equal(after.image, before.image.flip(-1))
        assert torch.equal(after.present, before.present[order])
        rows, columns = before.landmarks[order][after.present].unbind(-1)
        assert torch.equal(after.landmarks[after.present], torch.stack([rows, SIZE - 1 - columns], -1))
        assert after.name == f"{before.name} (mirrored)"
        assert after.category == before.category


def test_negatives_are_split_in_halves_by_name(tmp_path: Path) -> None:
    trees.write_negatives(tmp_path, 5)
    settings = replace(trees.write_cub(tmp_path / "cub"), root=str(tmp_path), folder="cub", negatives="nothing")
    train, test = both(settings)
    assert train.names()[2:] == ["nothing/0.png", "nothing/1.png", "nothing/2.png"]
    assert test.names()[2:] == ["nothing/3.png", "nothing/4.png"]
    assert [test.category_of(i) for i in range(len(test))] == [0, 1, -1, -1]


def placed(name: str, tmp_path: Path) -> DataSettings:
    return LAYOUTS[name].write(tmp_path / "set")


DIGESTS = ("file", "transform", "landmark", "whole")


def digests(settings: DataSettings) -> dict[str, object]:
    photos = load_photos(settings, SIZE, "train")
    files = [photos.file_digest(i) for i in range(len(photos))]
    found = (files, photos.transform_digest, photos.landmark_digest, photos.digest())
    return dict(zip(DIGESTS, found, strict=True))


def changed(settings: DataSettings, change: Callable[[], object]) -> set[str]:
    before = digests(settings)
    change()
    after = digests(settings)
    return {name for name in DIGESTS if before[name] != after[name]}


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in ("creatures",) and "hugging" not in name])
def test_a_changed_pixel_changes_the_digest(name: str, tmp_path: Path) -> None:
    settings = placed(name, tmp_path)
    images = [p for p in sorted((tmp_path / "set").rglob("*")) if p.suffix.lower() in (".png", ".jpg")]
    assert len(images) > 1

    def change() -> None:
        for k, path in enumerate(images):
            trees.write_image(path, seed=7000 + k)

    assert changed(settings, change) == {"file", "whole"}


@pytest.mark.parametrize("name", [name for name, row in LAYOUTS.items() if row.move_box])
def test_a_moved_box_changes_the_digest(name: str, tmp_path: Path) -> None:
    settings, move = placed(name, tmp_path), LAYOUTS[name].move_box
    assert move is not None
    assert {"transform", "whole"} <= changed(settings, lambda: move(tmp_path / "set"))


@pytest.mark.parametrize("name", [name for name, row in LAYOUTS.items() if row.move_landmark])
def test_a_moved_landmark_changes_the_digest(name: str, tmp_path: Path) -> None:
    settings, move = placed(name, tmp_path), LAYOUTS[name].move_landmark
    assert move is not None
    assert changed(settings, lambda: move(tmp_path / "set")) == {"landmark", "whole"}
