"""Images with boxes, categories and landmarks: read from disk, or drawn."""

from partscope.data.batches import batches
from partscope.data.creature_kinds import KINDS, PARTS
from partscope.data.creatures import Creature, CreaturePhotos, draw_creature
from partscope.data.load import load_photos
from partscope.data.sample import NEGATIVE, PhotoSet, Sample

__all__ = [
    "KINDS",
    "NEGATIVE",
    "PARTS",
    "Creature",
    "CreaturePhotos",
    "PhotoSet",
    "Sample",
    "batches",
    "draw_creature",
    "load_photos",
]
