"""The recipes of the explainer's bench: changes to a task's job, for all tasks (`*`) and for single ones."""

from typing import Any

SMALL = {"fit.learning_rate": 3e-3, "fit.decoder_learning_rate": 3e-3}
"""Step sizes of the small network of drawn creatures."""

FEW = {"data.crops": 4}
"""A few hundred photographs: three further crops of each."""

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "default": {
        "creatures": {**SMALL, "data.train_images": 6000, "fit.ordinary_dropout": 0.6, "fit.filter_strength": 2.0},
        "cat": FEW,
        "horse": FEW,
        "pets": FEW,
        "resnet50": {"fit.epochs": 2, "fit.batch_size": 8, "fit.ordinary_dropout": 0.25},
        "squeezenet": {"fit.epochs": 2, "fit.batch_size": 64, "fit.ordinary_dropout": 0.25},
    },
    "paper": {"*": {"fit.preset": "paper", "fit.epochs": 9}},
}
"""`paper` has the paper's constants and schedule, at the default's number of epochs and one."""
