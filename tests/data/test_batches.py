"""Batches in order, in bounded memory, with errors as they were raised."""

import threading
import time

import pytest
import torch

from partscope.data import CreaturePhotos, PhotoSet, Sample, batches
from partscope.errors import DataError


class Counting(PhotoSet):
    """Images whose every pixel is their index; the one numbered `broken` cannot be read."""

    def __init__(self, count: int, broken: int = -1, pause: float = 0.0) -> None:
        self.categories, self.landmark_names, self.input_size = ("c",), (), 2
        self.count, self.broken = count, broken
        self.begun, self.pause = 0, pause
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        with self.lock:
            self.begun += 1
        time.sleep(self.pause)
        if i == self.broken:
            raise DataError("reading", f"image {i}", "mend it")
        return Sample(torch.full((3, 2, 2), float(i)), 0, torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool), str(i))

    def names(self) -> list[str]:
        return [str(i) for i in range(self.count)]

    def category_of(self, i: int) -> int:
        return 0

    def file_digest(self, i: int) -> str:
        return str(i)

    @property
    def transform_digest(self) -> str:
        return ""


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_and_sizes(workers: int) -> None:
    seen = list(batches(Counting(11), 4, workers))
    assert [indices for _, indices in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    for images, indices in seen:
        assert images.shape == (len(indices), 3, 2, 2)
        assert images[:, 0, 0, 0].tolist() == indices


@pytest.mark.parametrize("workers", [0, 2])
def test_chosen_indices(workers: int) -> None:
    seen = list(batches(Counting(9), 2, workers, indices=[8, 3, 3]))
    assert [(images[:, 0, 0, 0].tolist(), indices) for images, indices in seen] == [
        ([8, 3], [8, 3]),
        ([3], [3]),
    ]
    assert list(batches(Counting(0), 2, workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_come_as_they_are_when_their_batch_is_due(workers: int) -> None:
    stream = batches(Counting(20, broken=9), 4, workers)
    assert [next(stream)[1] for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match="while reading\n  got: image 9\n  do:  mend it"):
        next(stream)


def test_no_more_than_two_batches_are_decoded_ahead() -> None:
    photos = Counting(100)
    stream = batches(photos, 5, 2)
    for done in range(1, 5):
        next(stream)
        assert photos.begun <= 5 * (done + 2)
    stream.close()
    assert photos.begun <= 30
    assert not [t for t in threading.enumerate() if t.name.startswith("partscope-decode")]


def test_stopping_early_drops_what_has_not_begun() -> None:
    photos = Counting(100, pause=0.005)
    stream = batches(photos, 20, 1)
    next(stream)
    stream.close()
    assert 20 <= photos.begun < 50


def test_threads_draw_the_same_as_one() -> None:
    one = torch.cat([images for images, _ in batches(CreaturePhotos(6, "train", input_size=32), 3, 0)])
    many = torch.cat([images for images, _ in batches(CreaturePhotos(6, "train", input_size=32), 3, 3)])
    assert torch.equal(one, many)
