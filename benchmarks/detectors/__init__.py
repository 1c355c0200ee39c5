"""Part detectors other than the explainer's filters, and the metrics that judge them all."""
