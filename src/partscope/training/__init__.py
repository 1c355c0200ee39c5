"""Learning: the feature cache, the labels, the start, and the loop that yields a record a step."""

from partscope.training.answers import Answers, answers_of, chance_errors, errors_of
from partscope.training.classifier import beginning, make_learner, split_images, training_mean
from partscope.training.features import FeatureSource, FeatureStore, compute_features, identity_of
from partscope.training.fit import Labels, Learner, StepRecord, measure_means, start_magnitudes, step_sizes
from partscope.training.fresh import chosen_by_network, fresh_learner
from partscope.training.labels import (
    check_score_names,
    given_labels,
    match_classes,
    predicted_classes,
    predicted_labels,
    score_index,
    tail_of,
    winner,
)
from partscope.training.online import OnlineState
from partscope.training.prepare import prepare_performer, read_class_names
from partscope.training.survey import Survey, build_explainer, empty_explainer, survey
from partscope.training.tail import Tail

__all__ = [
    "Answers",
    "FeatureSource",
    "FeatureStore",
    "Labels",
    "Learner",
    "OnlineState",
    "StepRecord",
    "Survey",
    "Tail",
    "answers_of",
    "beginning",
    "build_explainer",
    "chance_errors",
    "check_score_names",
    "chosen_by_network",
    "compute_features",
    "empty_explainer",
    "errors_of",
    "fresh_learner",
    "given_labels",
    "identity_of",
    "make_learner",
    "match_classes",
    "measure_means",
    "predicted_classes",
    "predicted_labels",
    "prepare_performer",
    "read_class_names",
    "score_index",
    "split_images",
    "start_magnitudes",
    "step_sizes",
    "survey",
    "tail_of",
    "training_mean",
    "winner",
]
