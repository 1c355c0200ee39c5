"""Learning: the feature cache, the labels, the start, and the loop that yields a record a step."""

from partscope.training.features import FeatureSource, FeatureStore, compute_features, identity_of
from partscope.training.fit import Labels, Learner, StepRecord, measure_means, start_magnitudes
from partscope.training.labels import (
    given_labels,
    match_classes,
    predicted_classes,
    predicted_labels,
    score_index,
    winner,
)
from partscope.training.online import OnlineState
from partscope.training.prepare import prepare_performer, read_class_names
from partscope.training.survey import Survey, build_explainer, empty_explainer, survey

__all__ = [
    "FeatureSource",
    "FeatureStore",
    "Labels",
    "Learner",
    "OnlineState",
    "StepRecord",
    "Survey",
    "build_explainer",
    "compute_features",
    "empty_explainer",
    "given_labels",
    "identity_of",
    "match_classes",
    "measure_means",
    "predicted_classes",
    "predicted_labels",
    "prepare_performer",
    "read_class_names",
    "score_index",
    "start_magnitudes",
    "survey",
    "winner",
]
