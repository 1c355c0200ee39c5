"""Everything measured about a fitted explainer, each number with its count, interval and null."""

from partscope.diagnosis.diagnose import Diagnosed, Subject, diagnose_subject
from partscope.diagnosis.frontier import measure_point
from partscope.diagnosis.gallery import make_gallery
from partscope.diagnosis.grouping import OTHER
from partscope.diagnosis.layers import Layer, Seen, exciting_images, explainer_layer, look, performer_layer, threshold
from partscope.diagnosis.number import Number, spread_number
from partscope.diagnosis.part_names import PartNames, name_parts
from partscope.diagnosis.parts import Assignment, assign
from partscope.diagnosis.receptive_fields import EmpiricalField, fields_cost, measure_fields, scaled
from partscope.diagnosis.removal import mimic
from partscope.diagnosis.shown_fields import field_facts, measure_shown
from partscope.diagnosis.stability import Truth, check_landmarks

__all__ = [
    "OTHER",
    "Assignment",
    "Diagnosed",
    "EmpiricalField",
    "Layer",
    "Number",
    "PartNames",
    "Seen",
    "Subject",
    "Truth",
    "assign",
    "check_landmarks",
    "diagnose_subject",
    "exciting_images",
    "explainer_layer",
    "field_facts",
    "fields_cost",
    "look",
    "make_gallery",
    "measure_fields",
    "measure_point",
    "measure_shown",
    "mimic",
    "name_parts",
    "performer_layer",
    "scaled",
    "spread_number",
    "threshold",
]
