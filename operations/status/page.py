"""A status as one self-contained HTML page: no scripts, no fonts, no requests."""

from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from operations.status import texts
from operations.status.diagram import draw
from operations.status.model import Secret, Status
from operations.status.rotation import format_utc

_FOLDER = Path(__file__).parent
# More secrets than this are folded; fewer of the healthy ones are shown below those that need attention.
_MOST_OPEN = 48
_MOST_HEALTHY_OPEN = 12
_MOST_PROBLEMS = 24
_LABELS = {
    "expired": "Expired",
    "unavailable": "Unavailable",
    "rotation": "Rotation",
    "rehearsal": "Rehearsal",
    "readers": "Undeclared readers",
    "drift": "Drift",
    "waiting": "Waiting for manual input",
    "aging": "Expires soon or too old",
    "unknown": "Unknown",
}


def render_page(status: Status) -> str:
    """Return the page; every text in it is escaped."""
    anchors = {secret.name: f"s{index}" for index, secret in enumerate(status.secrets)}
    unhealthy = [secret for secret in status.secrets if secret.problems]
    groups = texts.groups(status)
    worst = [secret.problems[0].kind for secret in unhealthy]
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            style=Markup((_FOLDER / "page.css").read_text()),  # noqa: S704  our own file
            status=status,
            labels=_LABELS,
            anchors=anchors,
            headline=_headline(status),
            shares={kind: worst.count(kind) for kind in texts.KINDS},
            counts={kind: getattr(status.summary, kind) for kind in texts.KINDS},
            groups=groups[:_MOST_PROBLEMS],
            more_groups=groups[_MOST_PROBLEMS:],
            diagram=draw(status, anchors),
            unhealthy=sorted(unhealthy, key=_severity),
            healthy=[secret for secret in status.secrets if not secret.problems],
            most_open=_MOST_OPEN,
            most_healthy_open=_MOST_HEALTHY_OPEN if unhealthy else _MOST_OPEN,
            reads=sorted(
                (
                    (secret, one)
                    for secret in status.secrets
                    for one in (secret.readings.actual if secret.readings else ())
                ),
                key=lambda read: not texts.is_foreign(read[1]),
            ),
            suggestions=[
                suggestion
                for one in status.secrets
                if one.readings
                for suggestion in one.readings.suggestions
            ],
            unread=[one for one in status.secrets if one.readings and one.readings.unread],
            ago=lambda moment: texts.ago(moment, status.asked_at),
            texts=texts,
            format_utc=_format_utc,
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalized(value: object) -> object:
    """Remove bidirectional overrides and the like from texts: HTML's escaping leaves them alone."""
    return texts.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _headline(status: Status) -> str:
    number = status.summary.secrets
    secrets = "1 secret" if number == 1 else f"{number} secrets"
    if not status.problems:
        return "The secret is healthy" if number == 1 else f"All {secrets} are healthy"
    unhealthy = number - status.summary.well
    if not unhealthy and status.observation and status.observation.problems:
        return f"All {secrets} are healthy; who reads them is not known completely"
    if not unhealthy:
        return f"All {secrets} are healthy, a rotation function is not"
    return f"{unhealthy} of {secrets} need{'s' if unhealthy == 1 else ''} attention"


def _severity(secret: Secret) -> int:
    return min(texts.KINDS.index(problem.kind) for problem in secret.problems)


def _format_utc(moment: datetime | None) -> str:
    return format_utc(moment) if moment else "never"
