"""The recipes of the explainer's bench: changes to a task's job, for all tasks (`*`) and for single ones."""

from typing import Any

PHOTOS = {"fit.learning_rate": 5e-4, "fit.decoder_learning_rate": 2e-4, "fit.epochs": 6}
"""What photographs need and drawn creatures do not."""

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "default": {"cat": PHOTOS, "horse": PHOTOS, "pets": PHOTOS, "birds": PHOTOS, "squeezenet": PHOTOS},
}
