"""A learner at its first step, from a performer, its features and the settings."""

import torch
from torch import nn

from partscope.nets.explainer import start_of_p
from partscope.performers import Performer
from partscope.settings import ExplainerSettings, FitSettings
from partscope.training.features import FeatureStore
from partscope.training.fit import Labels, Learner, start_magnitudes, step_sizes
from partscope.training.labels import tail_of
from partscope.training.survey import Survey, build_explainer, survey


def chosen_by_network(
    performer: Performer, store: FeatureStore, explainer: ExplainerSettings, settings: FitSettings
) -> dict[str, float]:
    """Settings that follow the network where they are not given, by name, as they are used."""
    encoder, decoder = step_sizes(settings, store.rows([0]).tap.shape[1])
    steps = performer.spine.steps[
        performer.plan.top_end : performer.plan.targets[-1] + 1
    ]  # of which decoders are copies
    start = start_of_p(explainer, nn.ModuleList([step.module for step in steps]))
    return {"fit.learning_rate": encoder, "fit.decoder_learning_rate": decoder, "explainer.initial_p": start}


def fresh_learner(
    performer: Performer,
    store: FeatureStore,
    labels: Labels,
    explainer: ExplainerSettings,
    settings: FitSettings,
    device: torch.device | str,
) -> tuple[Learner, Survey]:
    """A learner at its first step, and the constants that it was built with.

    Args:
        performer: the network.
        store: its features on the training images.
        labels: of the training images.
        explainer: settings of the explainer.
        settings: settings of the fit; its seed is also that of new weights.
        device: where to learn.
    """
    counted = labels.category >= 0
    constants = survey(performer, store, counted)
    built = build_explainer(performer, store, constants.gain, explainer, settings.seed).to(device)
    start_magnitudes(built, store, counted)
    tail = tail_of(settings, performer, store, labels)
    return Learner(built, store, labels, constants, settings, tail), constants
