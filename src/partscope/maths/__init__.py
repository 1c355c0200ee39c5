"""The paper's equations as pure functions of tensors."""

from partscope.maths.agreement import adjusted_rand_index, normalised_mutual_information
from partscope.maths.discrepancy import (
    active_units,
    discrepancy_map,
    field_overlay,
    field_side,
    gaussian_smoothed,
    occluder_corners,
    overlay_region,
    round_field,
)
from partscope.maths.diversity import (
    NearestLandmark,
    effective_locations,
    landmark_movement,
    landmark_spread,
    nearest_landmark_r2,
    peak_spread,
)
from partscope.maths.filter_gradient import (
    centroid_templates,
    paper_gradient,
    released_gradient,
    robust_gradient,
)
from partscope.maths.filter_loss import FilterLossTerms, filter_loss, filter_loss_terms, template_fit
from partscope.maths.instability import (
    LayerInstability,
    layer_instability,
    location_deviation,
    location_instability,
)
from partscope.maths.location import PartLocation, part_location, unit_to_row_column
from partscope.maths.magnitude import clamp_magnitude, limit_magnitude, magnitude, normalise
from partscope.maths.mask import masked, part_mask
from partscope.maths.mixing import blend, mix, mixing_loss, mixing_weight
from partscope.maths.nulls import null_best_fixed, null_center, null_random
from partscope.maths.objective import (
    filter_strength,
    map_gradient_norm,
    paper_strength,
    positive_norm,
    reconstruction_loss,
    reconstruction_scale,
)
from partscope.maths.part_share import evidence_profile, normal_profile, part_share, smoothed, spread_line
from partscope.maths.receptive_field import ReceptiveField, conv_chain_field, unit_points
from partscope.maths.template import part_templates, template_scale, template_side

__all__ = [
    "FilterLossTerms",
    "LayerInstability",
    "NearestLandmark",
    "PartLocation",
    "ReceptiveField",
    "active_units",
    "adjusted_rand_index",
    "blend",
    "centroid_templates",
    "clamp_magnitude",
    "conv_chain_field",
    "discrepancy_map",
    "effective_locations",
    "evidence_profile",
    "field_overlay",
    "field_side",
    "filter_loss",
    "filter_loss_terms",
    "filter_strength",
    "gaussian_smoothed",
    "landmark_movement",
    "landmark_spread",
    "layer_instability",
    "limit_magnitude",
    "location_deviation",
    "location_instability",
    "magnitude",
    "map_gradient_norm",
    "masked",
    "mix",
    "mixing_loss",
    "mixing_weight",
    "nearest_landmark_r2",
    "normal_profile",
    "normalise",
    "normalised_mutual_information",
    "null_best_fixed",
    "null_center",
    "null_random",
    "occluder_corners",
    "overlay_region",
    "paper_gradient",
    "paper_strength",
    "part_location",
    "part_mask",
    "part_share",
    "part_templates",
    "peak_spread",
    "positive_norm",
    "reconstruction_loss",
    "reconstruction_scale",
    "released_gradient",
    "robust_gradient",
    "round_field",
    "smoothed",
    "spread_line",
    "template_fit",
    "template_scale",
    "template_side",
    "unit_points",
    "unit_to_row_column",
]
