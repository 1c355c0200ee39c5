"""The report: one HTML file that shows a diagnosis to a person, one that shows two, and displays for notebooks."""

from partscope.report.compare import write_comparison
from partscope.report.html import write_report
from partscope.report.notebook import DiagnosisView, Part, open_diagnosis

__all__ = ["DiagnosisView", "Part", "open_diagnosis", "write_comparison", "write_report"]
