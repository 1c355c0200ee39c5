"""A subject to diagnose: the toy network's explainer on toy images, and what is seen of it."""

import copy
import functools
from typing import Any

import torch
from torch import Tensor

from partscope.diagnosis import Subject, Truth
from partscope.diagnosis.observe import Observation, Peaks, observe
from partscope.nets import Explainer
from partscope.performers import Performer
from partscope.training import measure_means, score_index
from training.small_job import Squares, labels_of, store_of, toy_learner, toy_performer

PHOTOS = Squares(30, seed=1)


@functools.cache
def learned() -> Explainer:
    learner = toy_learner()
    list(learner)
    measure_means(learner.explainer, learner.store)
    return learner.explainer


def toy_subject(performer: Performer | None = None, explainer: Explainer | None = None, **changed: Any) -> Subject:
    if performer is None:
        performer, explainer = toy_performer(), explainer or copy.deepcopy(learned())
    if explainer is None:
        learner = toy_learner(performer=performer, epochs=1)
        list(learner)
        explainer = learner.explainer
        measure_means(explainer, learner.store)
    labels, samples = labels_of(PHOTOS), [PHOTOS[i] for i in range(len(PHOTOS))]
    truth = Truth(
        PHOTOS.landmark_names,
        torch.stack([s.landmarks for s in samples]),
        torch.stack([s.present for s in samples]),
    )
    subject = Subject(
        explainer, performer, store_of(performer, PHOTOS), labels, score_index(labels, 2), truth, [16, 16], 40
    )
    return subject._replace(**changed)


def seen_of(subject: Subject, batch_size: int = 64) -> Observation:
    right = subject.right if subject.right is not None else torch.full((len(subject.store),), -1)
    *done, seen = observe(subject.explainer, subject.performer, subject.store, right, batch_size)
    assert done[-1] == len(subject.store)
    assert isinstance(seen, Observation)
    return seen


def peaks_of(score: Any, total: Any = None, points: Tensor | None = None, unit: Any = None, units: int = 16) -> Peaks:
    """Peaks by hand: (n, f) scores; totals are the scores clamped at 0 unless given."""
    score = torch.as_tensor(score, dtype=torch.float32)
    total = score.clamp(min=0) if total is None else torch.as_tensor(total, dtype=torch.float32)
    unit = torch.zeros_like(score, dtype=torch.int64) if unit is None else torch.as_tensor(unit)
    points = torch.zeros(*score.shape, 2) if points is None else points
    return Peaks(unit, score, total, points, units)
