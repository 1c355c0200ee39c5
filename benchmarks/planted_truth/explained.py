"""The paper's p on planted performers: explainers learned at several etas, beside the part share, which has no eta."""

from typing import Any, NamedTuple

import torch

from partscope.settings import ExplainerSettings, FitSettings
from partscope.training import FeatureSource, FeatureStore, compute_features, fresh_learner, given_labels
from planted_truth.performers import Planted, held_out
from planted_truth.scenes import CLASSES

EXPLAINED = ("texture only", "3/6 parts", "parts only")
ETAS = (0.025, 0.25, 2.5)
IMAGES, SEED = 2000, 900
"""Scenes that the explainers learn from, and their seed."""
RATE = 3e-3
"""Step size of small networks, as in the bench."""


class Told(NamedTuple):
    """What an explainer says."""

    p: float
    fvu: float
    """Of the last target, over the last epoch."""


def told(network: Planted, store: FeatureStore, labels: torch.Tensor, eta: float) -> Told:
    """Learns an explainer of a planted performer."""
    settings = FitSettings(eta=eta, learning_rate=RATE, decoder_learning_rate=RATE)
    named = given_labels([f"class {k}" for k in range(CLASSES)], labels.tolist())
    learner, _ = fresh_learner(network.performer, store, named, ExplainerSettings(initial_p=0.5), settings, "cpu")
    last = [record for record in learner if record.epoch == settings.epochs]
    return Told(last[-1].p, sum(r.fvu[-1] for r in last) / len(last))


def p_at_etas(network: Planted) -> dict[str, Any]:
    """The p of every eta, and what it stands beside: the causal share of parts."""
    images, labels = held_out(network.mixture, SEED, IMAGES, split="dev")
    source = FeatureSource("planted", len(images), lambda first: iter(images[first:].split(100)))
    *_, store = compute_features(network.performer, source, None, 1000)
    assert isinstance(store, FeatureStore)
    found = {str(eta): told(network, store, labels, eta)._asdict() for eta in ETAS}
    about = {"mixture": network.mixture, "architecture": network.architecture, "seed": network.seed}
    return {**about, "causal": network.truth["causal"]["parts"], "at": found}
