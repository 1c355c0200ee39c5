"""The performer's frozen tail as a judge: what Explainer+cls learns by instead of reconstruction (paper, App. J)."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from partscope.performers import Performer
from partscope.performers.learning import loss_of


class Tail(NamedTuple):
    """What remains of the performer after the last target, and what it should answer."""

    performer: Performer
    right: Int[Tensor, " n"]
    """Score that should win on each training image; of a single score 1 or 0. -1: the image has no right answer."""

    def loss(self, rebuilt: Float[Tensor, "b ..."], rows: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The classification loss of rebuilt features: its mean over the images that have a right answer, nats.

        Logistic where there is one score, cross-entropy where there are several; 0 where no image has an answer.

        Args:
            rebuilt: the explainer's last target.
            rows: the images' rows among the training images.

        Source: paper, App. J ("used the object-classification loss to replace the reconstruction loss").
        """
        scores = self.performer.resume(rebuilt, "last")
        right = self.right[rows.cpu()].to(scores.device)
        judged = right >= 0
        if not bool(judged.any()):
            return 0 * scores.sum()
        scores, right = scores[judged], right[judged]
        if scores.shape[1] == 1:
            return loss_of("logistic", scores, right[:, None].float())
        return loss_of("softmax", scores, right)
