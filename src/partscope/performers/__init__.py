"""The frozen network under diagnosis: finding where to read it, reading it, and resuming it."""

from partscope.performers.caffe import AlexNetBVLC
from partscope.performers.catalogue import CATALOGUE, load_performer
from partscope.performers.chain import chain_field
from partscope.performers.creatures_net import CreaturesNet
from partscope.performers.front import Front, Tail
from partscope.performers.head import TrainingRecord, train_head, train_network, with_head
from partscope.performers.learning import NetworkLearner, TrainStep
from partscope.performers.performer import Features, Performer
from partscope.performers.row import Row
from partscope.performers.segment import Segment
from partscope.performers.spine import Spine, SpineStep
from partscope.performers.taps import TapRow, TapTable, list_taps, tap_table
from partscope.performers.top import TopLayer, tap_of, top_layer
from partscope.performers.trained import Trained, read_trained, write_trained
from partscope.performers.trainee import Beginning, Trainee, prepare_trainee
from partscope.performers.vgg_m_s import VGGM, VGGS

__all__ = [
    "CATALOGUE",
    "VGGM",
    "VGGS",
    "AlexNetBVLC",
    "Beginning",
    "CreaturesNet",
    "Features",
    "Front",
    "NetworkLearner",
    "Performer",
    "Row",
    "Segment",
    "Spine",
    "SpineStep",
    "Tail",
    "TapRow",
    "TapTable",
    "TopLayer",
    "TrainStep",
    "Trained",
    "Trainee",
    "TrainingRecord",
    "chain_field",
    "list_taps",
    "load_performer",
    "prepare_trainee",
    "read_trained",
    "tap_of",
    "tap_table",
    "top_layer",
    "train_head",
    "train_network",
    "with_head",
    "write_trained",
]
