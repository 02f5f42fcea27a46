"""What is new since the last push: a report compared with the comment that the report before it made.

A comment ends with a block that does not show, with everything the report says. It is plain JSON, so a reader
sees what is kept; it holds the words of the report, which show no value. Findings are not hashed, so nobody
can test a guess at what a report hides, and the digest covers nothing that is hidden. A comment, and not an
artifact: a job that runs a pull request's code can upload artifacts, and cannot write comments. Who edits a
comment changes no mark of a danger but whether it is new: dangers are shown in full.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from automation.report.model import Danger, Finding, Report, Since, Text, counted, labels
from automation.report.names import visible
from automation.report.terminal import in_words

Entry: TypeAlias = tuple[str, ...]

# A line of its own: a name may be anything, and is never at the beginning of a line.
_BLOCK = re.compile(r"^<!-- aws-secrets-findings: (\{[^\n]*\}) -->\r?$", re.MULTILINE)
# Days on which something was read move by themselves.
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")
# "--" would end an HTML comment, and the others are something to GitHub.
_ESCAPED = re.compile(r"-(?=-)|[<>&@#]")


@dataclass(frozen=True, kw_only=True)
class Block:
    """What a comment keeps for the next report.

    Attributes:
        revision: the commit that was previewed.
        labels: of the pull request, as far as this stack is concerned.
        digest: of the report; empty if that is incomplete.
        findings: what the report said; None if it was too much to keep.
        new: which of them the report before did not say, by index; None if that is not known.
        gone: what the report before said and this one does not.
    """

    revision: str = ""
    labels: tuple[str, ...] = ()
    digest: str = ""
    findings: tuple[Entry, ...] | None = None
    new: tuple[int, ...] | None = None
    gone: tuple[Entry, ...] = ()


_ADAPTER = TypeAdapter(Block)


def since(report: Report, previous: str, revision: str) -> Report:
    """Return the report with what it says that the comment before it did not.

    Args:
        report: of one stack.
        previous: the comment; empty if there is none.
        revision: the commit that is previewed. A comment on the same commit is of an earlier run, and what
            was new there is still new.
    """
    if not previous:
        return replace(report, since=Since(revision=revision))
    before = _before(previous, revision)
    if before is None:
        note: Text = ("What is new since the last push is not known: the last comment keeps no findings",)
        return replace(report, since=Since(revision=revision), notes=(note, *report.notes))
    entries = [(finding, _entry(finding)) for finding in report.findings]
    new = frozenset(finding for finding, entry in entries if entry not in before)
    gone = before - {entry for _, entry in entries}
    found = Since(revision=revision, new=new, gone=tuple(sorted(gone)), known=True)
    return replace(report, since=found, notes=(_note(found), *report.notes))


def block(report: Report, most: int) -> str:
    """Return the block of a report as a line of Markdown, empty if it would be longer than `most`.

    If all findings are too long for it, it keeps the labels alone.
    """
    revision = report.since.revision if report.since else ""
    for findings in (report.findings, None):
        line = _line(report, revision, findings)
        if len(line) <= most:
            return line
    return ""


def _line(report: Report, revision: str, findings: tuple[Finding, ...] | None) -> str:
    known = report.since if report.since and report.since.known else None
    made = Block(
        revision=revision,
        labels=labels(report),
        digest=report.digest,
        findings=None if findings is None else tuple(map(_entry, findings)),
        new=tuple(index for index, one in enumerate(findings or ()) if one in known.new) if known else None,
        gone=known.gone if known and findings is not None else (),
    )
    text = json.dumps(_ADAPTER.dump_python(made, mode="json"), separators=(",", ":"))
    return f"<!-- aws-secrets-findings: {_ESCAPED.sub(_code_point, text)} -->"


def _code_point(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def _before(previous: str, revision: str) -> set[Entry] | None:
    """Return what was said before this revision was pushed; None if that is not known."""
    found = _BLOCK.findall(previous)
    try:
        kept = _ADAPTER.validate_json(found[-1]) if found else Block()
    except ValidationError:
        return None
    if kept.findings is None:
        return None
    if not revision or kept.revision != revision:
        return {*kept.findings}
    if kept.new is None:  # the first report, and this is another run of it
        return {*kept.findings}
    return {entry for index, entry in enumerate(kept.findings) if index not in kept.new} | {*kept.gone}


def _entry(finding: Finding) -> Entry:
    kind = finding.kind.value if isinstance(finding, Danger) else ""
    component = finding.component
    text = _DAY.sub("DAY", in_words(finding.text))
    return (kind, component.what, visible(component.name), visible(component.stack), text)


def _note(found: Since) -> Text:
    new = _numbers(isinstance(finding, Danger) for finding in found.new)
    gone = _numbers(bool(kind) for kind, *_ in found.gone)
    if not new and not gone:
        return ("Nothing is new since the last push",)
    parts = [*([f"{new} new"] if new else ["nothing new"]), *([f"{gone} gone"] if gone else [])]
    return (f"Since the last push: {'; '.join(parts)}",)


def _numbers(dangerous: Iterable[bool]) -> str:
    """Return `1 danger and 2 changes`, without what there is none of."""
    found = list(dangerous)
    numbers = ((sum(found), "danger"), (len(found) - sum(found), "change"))
    return " and ".join(counted(number, noun) for number, noun in numbers if number)
