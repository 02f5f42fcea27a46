"""The report as a comment on a pull request."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from automation.report.model import Component, Danger, Detail, Kind, Name, Report, Text, counted
from automation.report.names import code_lines, visible
from automation.report.since import block
from automation.report.verdict import said

# GitHub refuses a longer comment. What it counts has been characters and bytes at times: see `size`.
GITHUB_LIMIT = 65_536
# A report of counts alone is always shorter.
LEAST_LIMIT = 5_120
_MOST_PROBLEMS = _MOST_NOTES = 5
_NEW = "**new** "
_COUNTS_ALONE = 4_400
_MOST_PROPERTIES = 20


def size(text: str) -> int:
    """The most that a forge may count: bytes of UTF-8, a line's end as two."""
    return len(text.encode()) + text.count("\n")


def marker(stack: str) -> str:
    """The comment's first line, which does not show: by it the comment of a stack is found again."""
    return f"<!-- aws-secrets-preview:{re.sub('[^A-Za-z0-9_.]', '_', stack)[:100]} -->"


def markdown(report: Report, limit: int = GITHUB_LIMIT) -> str:
    """The report in GitHub's Markdown, of no more than `limit` by `size`.

    What does not fit is left out and counted: first details, then changes, then dangers beyond the first
    of each kind. The number of dangers is always stated, for each kind.

    Raises:
        ValueError: the limit is below LEAST_LIMIT.
    """
    if limit < LEAST_LIMIT:
        raise ValueError(f"a report has up to {LEAST_LIMIT} characters without any change in it")
    by_kind = {kind: [danger for danger in report.dangers if danger.kind == kind] for kind in Kind}
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_kind.values()))
    dangers = [
        danger for danger in turns if danger is not None
    ]  # the first of each kind before the second of any
    changes, details = _change_lines(report), [_detail_line(detail) for detail in report.details]
    # for programs, so that people keep most of the room; in a small place there is none
    hidden = block(report, min(limit // 4, limit - _COUNTS_ALONE)) if report.since else ""
    limit -= size(f"{hidden}\n") if hidden else 0
    # the lines that count what is left out are at their longest where nothing is shown
    left = limit - size(_written(report, by_kind, changes, details, _NOTHING))
    if left < 0:  # counts always have room, notes of many names may not
        report = replace(report, notes=())
        left = limit - size(_written(report, by_kind, changes, details, _NOTHING))
    lines = _danger_lines(dangers, report, limit)
    number, left = _fitting(lines, left)
    changes_shown, left = _fitting(changes, left)
    details_shown, _ = _fitting(details, left)
    shown_dangers: dict[Kind, list[str]] = {kind: [] for kind in Kind}
    for danger, line in zip(dangers[:number], lines, strict=False):
        shown_dangers[danger.kind].append(line)
    shown = _Shown(dangers=shown_dangers, changes=changes_shown, details=details_shown)
    return _written(report, by_kind, changes, details, shown) + (f"{hidden}\n" if hidden else "")


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """The dangers that are shown, as lines, and how many of the others are."""

    dangers: Mapping[Kind, Sequence[str]]
    changes: int
    details: int


_NOTHING = _Shown(dangers={}, changes=0, details=0)


def _fitting(lines: Sequence[str], left: int) -> tuple[int, int]:
    """How many of the first lines fit, and what is left then; less than nothing if not all did."""
    for number, line in enumerate(lines):
        left -= size(f"{line}\n")
        if left < 0:
            return number, left
    return len(lines), left


def _written(
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
        lines.append("#### Dangerous (docs/preview.md says what to do)")
        for kind, found in dangers.items():
            lines += _kind_lines(kind, len(found), shown.dangers.get(kind, ())) if found else []
        lines.append("")
    if changes:
        lines += ["#### Besides" if report.dangers else "#### Changes", *changes[: shown.changes]]
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
    lines = [f"- **{said(kind, number)}**", *shown]
    return lines + [f"  {line}" for line in _more(number - len(shown), "of these")]


def _more(number: int, noun: str) -> list[str]:
    if not number:
        return []
    what = noun if noun == "of these" else counted(number, noun).partition(" ")[2]
    return [f"- ... and {number} more {what}, for want of room"]


def _danger_lines(dangers: Sequence[Danger], report: Report, limit: int) -> list[str]:
    """One text for each danger, its code in full as long as all code takes no more than half of the room."""
    lines, left = [], limit // 2
    for danger in dangers:
        new = _NEW if report.is_new(danger) else ""
        line = f"  - {new}{_component(danger.component)}: {_inline(danger.text)}"
        if danger.code:
            code = "".join(f"\n{_code_block(one)}" for one in danger.code)
            left -= size(code)
            line += code if left >= 0 else ". It is too long to be quoted here: read it in the stack file"
            left = max(left, 0)
        lines.append(line)
    return lines


def _code_block(code: str) -> str:
    """The code behind a fence longer than any in it, indented into its list item."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return "\n".join(f"    {line}" for line in ("", f"{fence}sql", *code_lines(code), fence))


def _change_lines(report: Report) -> list[str]:
    """One for each change; the first of a component brings its heading."""
    lines = []
    for component, found in itertools.groupby(report.changes, key=lambda change: change.component):
        first, *others = (
            f"  - {_NEW if report.is_new(change) else ''}{_inline(change.text)}" for change in found
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
        "- so what is missing here may be dangerous",
    ]


def _component(component: Component) -> str:
    stack = f"`{visible(component.stack)}`: " if component.stack else ""
    return f"{stack}{component.what} `{visible(component.name)}`"


def _inline(text: Text) -> str:
    return "".join(f"`{visible(part.text)}`" if isinstance(part, Name) else part for part in text)
