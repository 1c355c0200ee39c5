"""Samples in order and in batches, decoded ahead by a few threads."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

from partscope.data.sample import PhotoSet


def batches(
    photos: PhotoSet, batch_size: int, workers: int = 2, *, indices: Sequence[int] | None = None
) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield images in order; at most two batches are held beside the one that was yielded.

    Decoding releases Python's lock, so that threads decode side by side while the caller computes.

    Args:
        photos: the set.
        batch_size: images in a batch, at least 1; the last batch may have fewer.
        workers: threads; 0 decodes in the caller's.
        indices: images to yield, in this order; None takes all.

    Yields:
        (N, 3, H, W) float32 in [0, 1], and the images' indices in the set.

    Raises:
        DataError: an image cannot be read; raised when its batch is due.
    """
    wanted = range(len(photos)) if indices is None else indices
    groups = [list(wanted[k : k + batch_size]) for k in range(0, len(wanted), batch_size)]
    if workers == 0:
        for group in groups:
            yield torch.stack([photos[i].image for i in group]), group
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="partscope-decode") as pool:

        def begin(group: list[int]) -> tuple[Tensor, list[Future[None]]]:
            images = torch.empty(len(group), 3, photos.input_size, photos.input_size)
            return images, [pool.submit(_put, photos, i, images[k]) for k, i in enumerate(group)]

        upcoming = iter(groups)
        try:
            ahead = deque(begin(group) for group in islice(upcoming, 2))
            for group in groups:
                images, waiting = ahead.popleft()
                for future in waiting:
                    future.result()
                ahead.extend(begin(more) for more in islice(upcoming, 1))
                yield images, group
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _put(photos: PhotoSet, i: int, place: Tensor) -> None:
    """Decodes an image into its place in the batch, in the worker's thread: the caller's has other work."""
    place.copy_(photos[i].image)
