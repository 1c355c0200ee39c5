"""The report: one HTML file that shows a diagnosis to a person."""

from partscope.report.html import write_report

__all__ = ["write_report"]
