"""Report what a preview would do to live secrets, for people and for programs."""

from operations.report.model import Change, Component, Danger, Detail, Kind, Name, Report, Text
from operations.report.reporting import combined, report

__all__ = ["Change", "Component", "Danger", "Detail", "Kind", "Name", "Report", "Text", "combined", "report"]
