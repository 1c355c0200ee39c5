"""The frozen network under diagnosis: finding where to read it, reading it, and resuming it."""

from partscope.performers.caffe import AlexNetBVLC
from partscope.performers.catalogue import CATALOGUE, TapRow, list_taps, load_performer
from partscope.performers.creatures_net import CreaturesNet
from partscope.performers.head import TrainingRecord, train_head, train_network, with_head
from partscope.performers.performer import Features, Performer
from partscope.performers.row import Row
from partscope.performers.segment import Segment
from partscope.performers.spine import Spine, SpineStep
from partscope.performers.vgg_m_s import VGGM, VGGS

__all__ = [
    "CATALOGUE",
    "VGGM",
    "VGGS",
    "AlexNetBVLC",
    "CreaturesNet",
    "Features",
    "Performer",
    "Row",
    "Segment",
    "Spine",
    "SpineStep",
    "TapRow",
    "TrainingRecord",
    "list_taps",
    "load_performer",
    "train_head",
    "train_network",
    "with_head",
]
