"""A status as one HTML page that needs nothing else: no script, no font, no request."""

from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from automation.status import texts
from automation.status.drawing import picture
from automation.status.model import Secret, Status
from automation.status.rotation import shown

_FOLDER = Path(__file__).parent
# More secrets than this are folded, those that need nothing and those that want attention.
_MOST_OPEN = 48
_MOST_PROBLEMS = 24
_LABELS = {
    "unavailable": "Unavailable",
    "rotation": "Rotation",
    "drift": "Not as declared",
    "waiting": "Waiting for a person",
    "unknown": "Not known",
}


def page(status: Status) -> str:
    """The page; every text in it is escaped."""
    anchors = {secret.name: f"s{index}" for index, secret in enumerate(status.secrets)}
    wrong = [secret for secret in status.secrets if secret.problems]
    groups = texts.groups(status)
    worst = [secret.problems[0].kind for secret in wrong]
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
            picture=picture(status, anchors),
            wrong=sorted(wrong, key=_severity),
            well=[secret for secret in status.secrets if not secret.problems],
            most_open=_MOST_OPEN,
            ago=lambda moment: texts.ago(moment, status.asked_at),
            texts=texts,
            shown=_shown,
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
    """Return texts without bidirectional overrides and the like, which HTML's escaping leaves alone."""
    return texts.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _headline(status: Status) -> str:
    number = status.summary.secrets
    secrets = "1 secret" if number == 1 else f"{number} secrets"
    if not status.problems:
        return "The secret is well" if number == 1 else f"All {secrets} are well"
    wrong = number - status.summary.well
    if not wrong:
        return f"{secrets} are well, a rotation function is not"
    return f"{wrong} of {secrets} want{'s' if wrong == 1 else ''} attention"


def _severity(secret: Secret) -> int:
    return min(texts.KINDS.index(problem.kind) for problem in secret.problems)


def _shown(moment: datetime | None) -> str:
    return shown(moment) if moment else "never"
