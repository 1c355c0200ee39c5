"""Images with boxes, categories and landmarks: read from disk, or drawn."""

from partscope.data.batches import batches
from partscope.data.check import check_images
from partscope.data.contact_sheet import contact_sheet
from partscope.data.creature_kinds import KINDS, PARTS
from partscope.data.creatures import Creature, CreaturePhotos, draw_creature
from partscope.data.load import Progress, Survey, load_photos, open_photos, survey_photos
from partscope.data.overview import Overview, overview
from partscope.data.problems import Problem, gone, left_out, told_left_out
from partscope.data.sample import NEGATIVE, PhotoSet, Sample

__all__ = [
    "KINDS",
    "NEGATIVE",
    "PARTS",
    "Creature",
    "CreaturePhotos",
    "Overview",
    "PhotoSet",
    "Problem",
    "Progress",
    "Sample",
    "Survey",
    "batches",
    "check_images",
    "contact_sheet",
    "draw_creature",
    "gone",
    "left_out",
    "load_photos",
    "open_photos",
    "overview",
    "survey_photos",
    "told_left_out",
]
