"""Find what is new since the last push, by comparing a report with the previous report's comment.

A comment ends with an invisible block that has all of the report's findings. The block is plain JSON, so
readers can see what it stores: the words of the report, which contain no value. Findings are not hashed,
since a hash would let a reader test guesses at hidden values. The block is in a comment and not in an
artifact, because a job that runs a pull request's code can upload artifacts but cannot write comments.
Editing a comment can only change which findings are marked as new: every danger is shown in any case.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from operations.report.model import Danger, Day, Finding, Report, Since, Text, counted, labels
from operations.report.names import visible
from operations.report.terminal import in_words

Entry: TypeAlias = tuple[str, ...]

# Matches a whole line: names can contain anything, but never begin a line.
_BLOCK = re.compile(r"^<!-- aws-secrets-findings: (\{[^\n]*\}) -->\r?$", re.MULTILINE)
# "--" would end an HTML comment, and GitHub interprets the other characters.
_ESCAPED = re.compile(r"-(?=-)|[<>&@#]")


@dataclass(frozen=True, kw_only=True)
class Block:
    """The data that a comment stores for the next report.

    Attributes:
        revision: the commit that was previewed.
        labels: the pull request's labels for this stack.
        digest: the report's digest; empty if the report is incomplete.
        findings: the report's findings; None if they were too long to store.
        new: indexes of the findings that the previous report does not have; None if that is not known.
        gone: findings that only the previous report has.
    """

    revision: str = ""
    labels: tuple[str, ...] = ()
    digest: str = ""
    findings: tuple[Entry, ...] | None = None
    new: tuple[int, ...] | None = None
    gone: tuple[Entry, ...] = ()


_ADAPTER = TypeAdapter(Block)


def since(report: Report, previous: str, revision: str) -> Report:
    """Return the report with its difference from the previous comment.

    Args:
        report: the report on one stack.
        previous: the previous comment; empty if there is none.
        revision: the commit that is previewed. If the comment is about the same commit, it is from an earlier
            run, whose new findings stay new.
    """
    if not previous:
        return replace(report, since=Since(revision=revision))
    before = _before(previous, revision)
    if before is None:
        note: Text = ("What is new since the last push is unknown: the previous comment stores no findings",)
        return replace(report, since=Since(revision=revision), notes=(note, *report.notes))
    entries = [(finding, _entry(finding)) for finding in report.findings]
    new = frozenset(finding for finding, entry in entries if entry not in before)
    gone = before - {entry for _, entry in entries}
    difference = Since(revision=revision, new=new, gone=tuple(sorted(gone)), known=True)
    return replace(report, since=difference, notes=(_note(difference), *report.notes))


def block(report: Report, most: int) -> str:
    """Return the block of a report as one line of Markdown.

    Args:
        report: the report.
        most: maximum length. If the findings do not fit, the block has only the labels and the digest.

    Returns:
        The line; empty if even that is too long.
    """
    revision = report.since.revision if report.since else ""
    for findings in (report.findings, None):
        line = _line(report, revision, findings)
        if len(line) <= most:
            return line
    return ""


def _line(report: Report, revision: str, findings: tuple[Finding, ...] | None) -> str:
    known = report.since if report.since and report.since.known else None
    content = Block(
        revision=revision,
        labels=labels(report),
        digest=report.digest,
        findings=None if findings is None else tuple(map(_entry, findings)),
        new=tuple(index for index, one in enumerate(findings or ()) if one in known.new) if known else None,
        gone=known.gone if known and findings is not None else (),
    )
    text = json.dumps(_ADAPTER.dump_python(content, mode="json"), separators=(",", ":"))
    return f"<!-- aws-secrets-findings: {_ESCAPED.sub(_code_point, text)} -->"


def _code_point(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def _before(previous: str, revision: str) -> set[Entry] | None:
    """Return the findings before this revision was pushed; None if they are not known."""
    blocks = _BLOCK.findall(previous)
    try:
        stored = _ADAPTER.validate_json(blocks[-1]) if blocks else Block()
    except ValidationError:
        return None
    if stored.findings is None:
        return None
    if not revision or stored.revision != revision:
        return {*stored.findings}
    if stored.new is None:  # another run of the first report
        return {*stored.findings}
    return {entry for index, entry in enumerate(stored.findings) if index not in stored.new} | {*stored.gone}


def _entry(finding: Finding) -> Entry:
    kind = finding.kind.value if isinstance(finding, Danger) else ""
    component = finding.component
    # a date alone, such as that of the last read, makes no finding new
    text = in_words(tuple("DAY" if isinstance(part, Day) else part for part in finding.text))
    return (kind, component.what, visible(component.name), visible(component.stack), text)


def _note(difference: Since) -> Text:
    new = _numbers(isinstance(finding, Danger) for finding in difference.new)
    gone = _numbers(bool(kind) for kind, *_ in difference.gone)
    if not new and not gone:
        return ("Nothing new since the last push",)
    parts = [
        f"New since the last push: {new or 'nothing'}",
        *([f"no longer reported: {gone}"] if gone else []),
    ]
    return ("; ".join(parts),)


def _numbers(dangerous: Iterable[bool]) -> str:
    """Return the numbers of dangers and changes, such as `1 danger and 2 changes`; empty for none."""
    flags = list(dangerous)
    numbers = ((sum(flags), "danger"), (len(flags) - sum(flags), "change"))
    return " and ".join(counted(number, noun) for number, noun in numbers if number)
