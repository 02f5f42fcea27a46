"""The report of an adoption, resource by resource, in words and as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from components.visible import visible, visible_lines
from operations.adopt.adoption import TAKES_OVER, Outcome, Plan, new_entries
from operations.adopt.cloudformation import Template
from operations.adopt.entries import Entry, Stack
from operations.adopt.leaving_terraform import leaving
from operations.adopt.stack_file_edit import entries_text
from operations.adopt.terraform_state import TerraformState

_FORGET = (
    "Make Terraform forget them before its next apply, with the removed blocks (Terraform 1.7 and newer; "
    "remove the resources from the configuration too), or with:"
)
_FORGET_KEPT = "If you use these lines and remove the modules too, what else is in them needs:"
_RETAIN = (
    "CloudFormation deletes these when they leave the template. Write DeletionPolicy: Retain and "
    "UpdateReplacePolicy: Retain to each (CDK: applyRemovalPolicy(RemovalPolicy.RETAIN)), deploy that, and "
    "then remove them from the template:"
)


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """The way of adopted secrets out of their origin: lines to read, and files to write."""

    lines: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)


Leave = Callable[[Sequence[Entry]], Leaving]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A secret, and sentences about it."""

    name: str
    arn: str
    place: str
    sentences: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report of an adoption.

    Attributes:
        heading: what was done.
        secrets: those that are adopted, or would be.
        left_out: name or place of each other one to why.
        changes: what the next update does, each a sentence.
        entries: text of the stack file's new entries; empty once they are written.
        leaving: how to leave the origin.
    """

    heading: str
    secrets: Sequence[Line]
    left_out: Mapping[str, str]
    changes: Sequence[str]
    entries: str
    leaving: Leaving


def of_plan(plan: Plan, stack: Stack, leave: Leave) -> Report:
    """Return the report of what would be done."""
    return Report(
        heading=f"Dry run: {_count(plan.entries)} can be adopted into stack {stack.configuration.stack}. "
        "Nothing was changed.",
        secrets=[
            _line(
                entry, [f"label {entry.label} is put on version {entry.live.current}"] if entry.label else []
            )
            for entry in plan.entries
        ],
        left_out=plan.left_out,
        changes=[f"{entry.name}: {words}" for entry in plan.entries for words in _announced(entry)],
        entries=entries_text(new_entries(plan.entries)),
        leaving=leave(plan.entries),
    )


def _announced(entry: Entry) -> Sequence[str]:
    return [*entry.intended.values(), *([TAKES_OVER] if entry.login else [])]


def of_outcome(outcome: Outcome, leave: Leave) -> Report:
    """Return the report of what was done."""
    others = [
        f"besides, by the stack file: {operation} {count}" for operation, count in outcome.others.items()
    ]
    new = [entry for entry in outcome.adopted if entry.name not in outcome.before]
    return Report(
        heading=f"{_count(new)} adopted, {len(outcome.before)} adopted before, "
        f"{len(outcome.left_out)} left out. No value was written or moved.",
        secrets=[
            _line(
                entry,
                [f"label {outcome.labelled[entry.name]} is on version {entry.live.current} now"]
                if entry.name in outcome.labelled
                else [],
            )
            for entry in outcome.adopted
        ],
        left_out=outcome.left_out,
        changes=[*outcome.changes, *others],
        entries="",
        leaving=leave(outcome.adopted),
    )


def leaving_terraform(state: TerraformState) -> Leave:
    """Return how secrets leave a Terraform state."""

    def leave(entries: Sequence[Entry]) -> Leaving:
        if not entries:
            return Leaving()
        taken = [address for entry in entries for address in entry.origin.addresses]
        found = leaving(state.instances, taken)
        return Leaving(
            lines=[
                _FORGET,
                *(f"  {command}" for command in found.commands),
                *([_FORGET_KEPT] if found.kept else []),
                *(f"  {command}" for command in found.kept),
                *(f"{remark}." for remark in found.remarks),
            ],
            files={"removed.tf": found.removed} if found.removed else {},
        )

    return leave


def leaving_cloudformation(template: Template) -> Leave:
    """Return how secrets leave a CloudFormation stack."""

    def leave(entries: Sequence[Entry]) -> Leaving:
        if not entries:
            return Leaving()
        taken = {address for entry in entries for address in entry.origin.addresses}
        deleted = [name for name in template.deleted if name in taken]
        if not deleted:
            return Leaving(
                lines=["Every resource has DeletionPolicy: Retain: remove them from the template."]
            )
        return Leaving(
            lines=[
                _RETAIN,
                *(f"  {name}" for name in deleted),
            ]
        )

    return leave


def leaving_nothing(_entries: Sequence[Entry]) -> Leaving:
    """Return that nothing else declares the secrets."""
    return Leaving()


def as_text(report: Report) -> str:
    """Return a report for a terminal."""
    lines = [report.heading]
    for line in report.secrets:
        lines.append(f"\n  {visible(line.name)}  ({visible(line.place)})")
        lines += [f"    {visible(sentence)}" for sentence in line.sentences]
    if report.left_out:
        lines.append("\nLeft out:")
        lines += [f"  {visible(name)}: {visible(reason)}" for name, reason in report.left_out.items()]
    if not (report.secrets or report.left_out):
        lines.append("\nNothing was found. Check the prefix, tag, or file, and the account and region.")
    else:
        lines.append("\nThe next update:")
        lines += [f"  {visible(change)}" for change in report.changes or ["changes nothing of them"]]
    if report.entries:
        lines += ["\nThe stack file gets:", visible_lines(report.entries.rstrip("\n"))]
    if report.leaving.lines:
        lines += ["", *(visible(line) for line in report.leaving.lines)]
    for name, text in report.leaving.files.items():
        lines += [f"\n{name}:", visible_lines(text.rstrip("\n"))]
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as a JSON document."""
    return {"version": 1, **asdict(report)}


def _line(entry: Entry, more: Sequence[str]) -> Line:
    return Line(
        name=entry.name,
        arn=entry.live.arn,
        place=entry.origin.place,
        sentences=[*more, *entry.notes, *(f"not carried over: {one}" for one in entry.remarks)],
    )


def _count(entries: Sequence[Entry]) -> str:
    return "1 secret" if len(entries) == 1 else f"{len(entries)} secrets"
