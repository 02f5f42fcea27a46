"""What a pull request does to live secrets: a preview's events as a report for people and programs."""

from automation.report.model import Change, Component, Danger, Detail, Kind, Name, Report, Text
from automation.report.reporting import combined, report

__all__ = ["Change", "Component", "Danger", "Detail", "Kind", "Name", "Report", "Text", "combined", "report"]
