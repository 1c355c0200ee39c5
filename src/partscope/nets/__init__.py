"""The explainer's modules: parameters, buffers, and a forward pass that calls the maths."""

from partscope.nets.decoder import Decoder
from partscope.nets.explainer import Explained, Explainer, Silenced
from partscope.nets.layers import MagnitudeNorm
from partscope.nets.tracks import InterpretableMaps, InterpretableTrack, OrdinaryMaps, OrdinaryTrack

__all__ = [
    "Decoder",
    "Explained",
    "Explainer",
    "InterpretableMaps",
    "InterpretableTrack",
    "MagnitudeNorm",
    "OrdinaryMaps",
    "OrdinaryTrack",
    "Silenced",
]
