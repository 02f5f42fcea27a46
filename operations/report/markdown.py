"""Render a report as Markdown, for a comment on a pull request."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from operations.report.model import Component, Danger, Detail, Kind, Name, Report, Text, counted, plural
from operations.report.names import code_lines, visible
from operations.report.since import block
from operations.report.verdict import phrase

# GitHub rejects a longer comment. It has counted characters at times and bytes at others: see `size`.
GITHUB_LIMIT = 65_536
# A report that shows nothing but counts is always shorter.
LEAST_LIMIT = 5_120
_MOST_PROBLEMS = _MOST_NOTES = 5
_NEW = "**new** "
_COUNTS_ALONE = 4_400
_MOST_PROPERTIES = 20


def size(text: str) -> int:
    """Return the length in bytes of UTF-8 with CRLF line ends, the most that any forge counts."""
    return len(text.encode()) + text.count("\n")


def marker(stack: str) -> str:
    """Return the comment's first line, an invisible marker by which a workflow finds a stack's comment."""
    return f"<!-- aws-secrets-preview:{re.sub('[^A-Za-z0-9_.]', '_', stack)[:100]} -->"


def markdown(report: Report, limit: int = GITHUB_LIMIT) -> str:
    """Return the report as GitHub-flavored Markdown.

    What does not fit is omitted and counted: first resources, then changes, then dangers after the first of
    each kind. The number of dangers of each kind is always shown.

    Args:
        report: the report.
        limit: the maximum `size`.

    Raises:
        ValueError: the limit is below LEAST_LIMIT.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"limit {limit} is too short for a report: use at least {LEAST_LIMIT}")
    by_kind = {kind: [danger for danger in report.dangers if danger.kind == kind] for kind in Kind}
    # round-robin: the first danger of each kind comes before the second of any
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_kind.values()))
    dangers = [danger for danger in turns if danger is not None]
    changes, details = _change_lines(report), [_detail_line(detail) for detail in report.details]
    # for programs: at most a quarter, so that people keep most of the space
    hidden = block(report, min(limit // 4, limit - _COUNTS_ALONE)) if report.since else ""
    limit -= size(f"{hidden}\n") if hidden else 0
    # the lines that count what is omitted are longest where nothing is shown
    left = limit - size(_render(report, by_kind, changes, details, _NOTHING))
    if left < 0:  # counts always fit, notes with many names may not
        report = replace(report, notes=())
        left = limit - size(_render(report, by_kind, changes, details, _NOTHING))
    lines = _danger_lines(dangers, report, limit)
    number, left = _fit(lines, left)
    changes_shown, left = _fit(changes, left)
    details_shown, _ = _fit(details, left)
    shown_dangers: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for danger, line in zip(dangers[:number], lines, strict=False):
        shown_dangers[danger.kind].append(line)
    shown = _Shown(dangers=shown_dangers, changes=changes_shown, details=details_shown)
    return _render(report, by_kind, changes, details, shown) + (f"{hidden}\n" if hidden else "")


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """The lines of dangers, and the numbers of changes and resources, that fit the limit."""

    dangers: Mapping[Kind, Sequence[str]]
    changes: int
    details: int


_NOTHING = _Shown(dangers={}, changes=0, details=0)


def _fit(lines: Sequence[str], left: int) -> tuple[int, int]:
    """Return how many lines fit, and the space that remains; negative if not all of them fit."""
    for number, line in enumerate(lines):
        left -= size(f"{line}\n")
        if left < 0:
            return number, left
    return len(lines), left


def _render(
    report: Report,
    dangers: dict[Kind, list[Danger]],
    changes: Sequence[str],
    details: Sequence[str],
    shown: _Shown,
) -> str:
    what = "Preview" if report.preview else "Update"
    sign = (
        ":grey_question:"
        if report.problems
        else ":rotating_light:"
        if report.dangers
        else ":white_check_mark:"
    )
    stack = f" of `{visible(report.stack)}`" if report.stack else ""
    if report.stacks:
        stack += f" in {counted(len(report.stacks), 'stack')}"
    lines = [marker(report.stack), f"{sign} **{what}{stack}:** {_inline(report.verdict)}.", ""]
    if report.notes:
        lines += [*(f"{_inline(note)}.  " for note in report.notes[:_MOST_NOTES]), ""]
    if report.problems:
        lines += ["#### Incomplete", *_problem_lines(report.problems), ""]
    if report.dangers:
        lines.append("#### Dangers (see docs/preview.md for what to do)")
        for kind, of_kind in dangers.items():
            lines += _kind_lines(kind, len(of_kind), shown.dangers.get(kind, ())) if of_kind else []
        lines.append("")
    if changes:
        lines += ["#### Other changes" if report.dangers else "#### Changes", *changes[: shown.changes]]
        lines += _more(len(changes) - shown.changes, "change")
        lines.append("")
    if details:
        lines += ["<details>", f"<summary>{counted(len(details), 'resource')}</summary>", ""]
        lines += [
            *details[: shown.details],
            *_more(len(details) - shown.details, "resource"),
            *(["", f"Digest: `{report.digest}`"] if report.digest else []),
            "",
            "</details>",
            "",
        ]
    return "\n".join(lines)


def _kind_lines(kind: Kind, number: int, shown: Sequence[str]) -> list[str]:
    lines = [f"- **{phrase(kind, number)}**", *shown]
    return lines + [f"  {line}" for line in _more(number - len(shown), "of these")]


def _more(number: int, noun: str) -> list[str]:
    if not number:
        return []
    what = noun if noun == "of these" else plural(number, noun)
    return [f"- ... and {number} more {what} not shown (size limit)"]


def _danger_lines(dangers: Sequence[Danger], report: Report, limit: int) -> list[str]:
    """Return one entry for each danger; code is quoted in full until it takes up half of the limit."""
    lines, left = [], limit // 2
    for danger in dangers:
        new = _NEW if report.is_new(danger) else ""
        line = f"  - {new}{_component(danger.component)}: {_inline(danger.text)}"
        if danger.code:
            code = "".join(f"\n{_code_block(one)}" for one in danger.code)
            left -= size(code)
            line += code if left >= 0 else ". It is too long to quote here: read it in the stack file"
            left = max(left, 0)
        lines.append(line)
    return lines


def _code_block(code: str) -> str:
    """Return the code in a fence that is longer than any in it, indented into its list item."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return "\n".join(f"    {line}" for line in ("", f"{fence}sql", *code_lines(code), fence))


def _change_lines(report: Report) -> list[str]:
    """Return one entry for each change; the first one of a component includes its heading."""
    lines = []
    for component, changes in itertools.groupby(report.changes, key=lambda change: change.component):
        first, *others = (
            f"  - {_NEW if report.is_new(change) else ''}{_inline(change.text)}" for change in changes
        )
        lines += [f"- {_component(component)}\n{first}", *others]
    return lines


def _detail_line(detail: Detail) -> str:
    shown = ", ".join(f"`{visible(path)}`" for path in detail.properties[:_MOST_PROPERTIES])
    more = len(detail.properties) - _MOST_PROPERTIES
    properties = f": {shown}{f' and {more} more' if more > 0 else ''}" if shown else ""
    stack = f"`{visible(detail.stack)}`: " if detail.stack else ""
    return f"- {stack}{detail.op} `{visible(detail.type)}` `{visible(detail.name)}`{properties}"


def _problem_lines(problems: Sequence[Text]) -> list[str]:
    return [
        *(f"- {_inline(problem)}" for problem in problems[:_MOST_PROBLEMS]),
        *_more(len(problems[_MOST_PROBLEMS:]), "reason"),
        "- Changes that are missing here may be dangerous",
    ]


def _component(component: Component) -> str:
    stack = f"`{visible(component.stack)}`: " if component.stack else ""
    return f"{stack}{component.what} `{visible(component.name)}`"


def _inline(text: Text) -> str:
    return "".join(f"`{visible(part.text)}`" if isinstance(part, Name) else str(part) for part in text)
