"""The report: one HTML file that shows a diagnosis to a person, and one that shows two beside each other."""

from partscope.report.compare import write_comparison
from partscope.report.html import write_report

__all__ = ["write_comparison", "write_report"]
