"""Drawn creatures: their truth is exact, and nothing but parts tells the kind."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from partscope.data import KINDS, PARTS, CreaturePhotos, draw_creature
from partscope.errors import SettingsError


def test_landmarks_are_the_centroids_of_the_part_masks() -> None:
    for kind in KINDS:
        for seed in range(8):
            creature = draw_creature((1, seed), kind)
            for landmark, present, mask in zip(creature.landmarks, creature.present, creature.part_masks, strict=True):
                if present:
                    # float32 places; half a millipixel covers its rounding
                    assert landmark == pytest.approx(np.argwhere(mask).mean(0), abs=5e-4)
                else:
                    assert landmark.tolist() == [0, 0]


def test_parts_lie_in_the_box_and_every_kind_has_five() -> None:
    for kind in KINDS:
        seen = np.zeros(len(PARTS), int)
        for seed in range(20):
            creature = draw_creature((2, seed), kind)
            left, top, width, height = creature.box
            assert 0.5 * 96 < max(width, height) < 0.92 * 96
            assert left >= 0 and top >= 0 and left + width <= 96 and top + height <= 96
            rows, columns = np.nonzero(creature.part_masks.any(0))
            assert rows.min() >= top and rows.max() < top + height
            assert columns.min() >= left and columns.max() < left + width
            seen += creature.present
        has = seen > 0
        assert has.sum() >= 5
        assert (seen[has] >= 12).all()


def test_a_hidden_part_is_absent() -> None:
    hidden = 0
    for seed in range(30):
        creature = draw_creature((3, seed), "fox")
        for k in np.flatnonzero(~creature.present):
            hidden += PARTS[k] in ("head", "torso", "tail", "front leg", "hind leg")
    assert 1 <= hidden <= 30


def test_the_box_holds_what_is_hidden_too() -> None:
    creatures = [draw_creature((3, seed), "fish") for seed in range(15)]
    shrunk = 0
    for creature in creatures:
        rows = np.flatnonzero(creature.part_masks.any((0, 2)))
        shrunk += rows[-1] + 1 < creature.box[1] + creature.box[3]
    assert shrunk >= 1


def test_drawings_are_deterministic() -> None:
    def bytes_of(seed: int) -> str:
        return hashlib.sha256(draw_creature(seed, "bird").image.tobytes()).hexdigest()

    assert bytes_of(5) == bytes_of(5) != bytes_of(6)


@pytest.mark.parametrize("size", [16, 96, 224])
def test_size_scales_the_drawing(size: int) -> None:
    creature = draw_creature((4, 1), "bird", size)
    assert creature.image.shape == (size, size, 3)
    assert creature.labels.shape == (size, size)
    reference = draw_creature((4, 1), "bird", 960)
    scaled = (reference.landmarks + 0.5) * size / 960 - 0.5
    both = creature.present & reference.present
    assert both.sum() >= 4
    assert np.abs(scaled - creature.landmarks)[both].max() < 0.01 * size + 0.5


def test_kinds_are_balanced_and_a_fifth_is_empty() -> None:
    photos = CreaturePhotos(100, "train")
    count = Counter(photos.category_of(i) for i in range(100))
    assert count == {-1: 20, 0: 20, 1: 20, 2: 20, 3: 20}
    assert photos.categories == ("beetle", "bird", "fish", "fox")


def test_train_and_test_and_seeds_draw_apart() -> None:
    digests = {
        CreaturePhotos(5, split, seed=seed).file_digest(i)
        for split in ("train", "test")
        for seed in (0, 1)
        for i in range(5)
    }
    assert len(digests) == 20
    assert not np.array_equal(CreaturePhotos(1, "train")[0].image, CreaturePhotos(1, "test")[0].image)


def test_negatives_carry_no_part() -> None:
    for seed in range(5):
        creature = draw_creature((5, seed), None)
        assert not creature.part_masks.any() and not creature.present.any()
        assert creature.box == (0, 0, 0, 0)
        assert creature.image.std() > 2
    photos = CreaturePhotos(5, "train")
    assert photos.category_of(4) == -1 and not photos.creature(4).part_masks.any()


def test_a_set_keeps_its_drawings() -> None:
    photos = CreaturePhotos(3, "test", landmarks=(2, 0))
    assert photos.landmark_names == ("tail", "head")
    first, again, fresh = photos[1], photos[1], photos.creature(1)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal((first.image * 255).round().byte().permute(1, 2, 0), fresh.image)
    assert np.array_equal(first.landmarks, fresh.landmarks[[2, 0]])


def test_colours_do_not_tell_the_kind() -> None:
    """A nearest-mean-colour classifier, on whole images and on the animals' own pixels, stays near chance."""
    kinds = list(KINDS)
    whole, own = (np.zeros((len(kinds), 60, 3)) for _ in range(2))
    for c, kind in enumerate(kinds):
        for seed in range(60):
            creature = draw_creature((6, c, seed), kind, 48)
            whole[c, seed] = creature.image.mean((0, 1))
            own[c, seed] = creature.image[creature.labels > 0].mean(0)
    for colours in (whole, own):
        means = colours[:, :30].mean(1)
        nearest = np.linalg.norm(colours[:, 30:, None] - means, axis=-1).argmin(-1)
        accuracy = (nearest == np.arange(4)[:, None]).mean()
        # chance .25; 120 test images have a standard error of .040
        assert accuracy < 0.25 + 3 * 0.04


def test_landmarks_spread_over_the_image() -> None:
    spreads = []
    for seed in range(40):
        creature = draw_creature((7, seed), list(KINDS)[seed % 4])
        spreads.append(np.sqrt(creature.landmarks[creature.present].var(0).mean()))
    assert 10 < np.mean(spreads) < 22


def test_wrong_arguments() -> None:
    with pytest.raises(SettingsError, match="kind 'cow'\n  do:  use one of: beetle, bird, fish, fox"):
        draw_creature(0, "cow")
    with pytest.raises(SettingsError, match="a side of 8 px\n  do:  use an input size of at least 16 px"):
        draw_creature(0, "bird", 8)


def test_a_part_is_left_out_and_nothing_else() -> None:
    """Away from the part, its outline, shadow and light, hardly a pixel changes (a blade may hide the part itself)."""
    size, reach, shares = 96, 12, []
    for seed in range(8):
        whole = draw_creature(seed, "bird", size)
        for k in np.unique(whole.labels)[1:] - 1:
            less = draw_creature(seed, "bird", size, without=PARTS[k])
            assert not (less.labels == k + 1).any() and (less.labels != whole.labels).any()
            rows, columns = np.nonzero((less.image != whole.image).any(2))
            mask = whole.part_masks[k]
            near = np.zeros_like(mask)
            for row, column in zip(*np.nonzero(mask), strict=True):
                near[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = True
            shares.append(near[rows, columns].mean())
    assert min(shares) > 0.8 and np.mean(shares) > 0.98
    absent = next(k for k, name in enumerate(PARTS) if not (whole.labels == k + 1).any() and name == "belly fin")
    assert (draw_creature(7, "bird", size, without=PARTS[absent]).image == whole.image).all()
