"""How well the explainer's features stand in for the performer's."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from partscope.diagnosis.number import mean_number, proportion, ratio_number
from partscope.diagnosis.observe import VARIANTS, Observation
from partscope.training.labels import winner


def divergence(scores: Float[Tensor, "n c"], rebuilt: Float[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Kullback-Leibler divergence of the rebuilt scores from the performer's, in nats.

    One column is a logistic score, several a softmax.
    """
    if scores.shape[1] == 1:
        scores = torch.cat([scores, torch.zeros_like(scores)], 1)
        rebuilt = torch.cat([rebuilt, torch.zeros_like(rebuilt)], 1)
    log_p, log_q = F.log_softmax(scores.double(), 1), F.log_softmax(rebuilt.double(), 1)
    return (log_p.exp() * (log_p - log_q)).sum(1).clamp(min=0)


def fidelity(
    seen: Observation, right: Int[Tensor, " n"] | None, targets: tuple[str, ...], counts: Int[Tensor, "b n"]
) -> dict[str, Any]:
    """Errors, FVU per target and KL: on rebuilt features, and with either track alone.

    FVU = sum |u - v|^2 / sum |v - mean v|^2 over all test images, u the explainer's and v the performer's
    feature after the target's own activation; predicting the mean scores 1.

    Args:
        seen: the observation of the test images.
        right: the answer that is right for each image, -1 for none; None measures disagreement with the
            performer instead of error.
        targets: the targets' names.
        counts: bootstrap multiplicities.
    """
    own = winner(seen.scores)
    result: dict[str, Any] = {
        "measure": "disagreement" if right is None else "error",
        "targets": list(targets),
    }
    answer = own if right is None else right
    judged = answer >= 0
    if right is not None:
        wrong = own[judged] != answer[judged]
        result["performer"] = {"error": proportion(int(wrong.sum()), int(judged.sum())).as_json()}
    for variant in VARIANTS:
        wrong = winner(seen.rebuilt[variant])[judged] != answer[judged]
        error = seen.squared_error[variant]
        result[variant] = {
            result["measure"]: proportion(int(wrong.sum()), int(judged.sum())).as_json(),
            "fvu": [ratio_number(error[:, i], seen.squared_norm[:, i], counts).as_json() for i in range(len(targets))],
            "kl": mean_number(divergence(seen.scores, seen.rebuilt[variant]), counts, least=0.0).as_json(),
        }
    return result
