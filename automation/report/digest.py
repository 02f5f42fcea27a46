"""The digest of a report: by it an update is held to what was reviewed.

It covers what the engine does to each resource, with every input that the engine shows, and what the report
says of it. It leaves out what differs between two previews of the same change: random suffixes of physical
names, paths of files on the machine, and resources that stay the same. Secret values are hidden in an event
log, so they are not covered: a digest tells nothing of them, not even whether they changed.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from automation.report.model import Danger, Finding, Kind, Report, plain
from automation.report.steps import SIGNATURE, Plan, Step, hidden

# Words for a report in which nothing changes.
NOTHING = "nothing"
# Pulumi's automatic names, also by the pattern that a pipeline asks for.
_SUFFIX = 7
_RANDOM_NAME = re.compile(rf".*[-_][0-9a-f]{{{_SUFFIX}}}")
# Source: pulumi/sdk, resource/sig.go.
_FILES = {"c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"}
_LENGTH = 40
_OF_AWS = {Kind.REVERTS_EDIT, Kind.BLOCKED_IN_AWS}


def digest(plan: Plan, findings: Iterable[Finding], live: Iterable[Finding] | None) -> str:
    """Return the digest of a complete report.

    Args:
        plan: the steps.
        findings: what they mean, without what speaks of the log itself.
        live: what AWS adds; None if that is not known in full.

    Returns:
        Hexadecimal digits of the change, and after a dot those of the edits in AWS that it takes back or
        that block it.
    """
    names = _random_names(plan)
    steps = [_step(step, names) for step in plan.steps if step.op != "same"]
    whole = _hash([steps, sorted(_said(finding, names) for finding in findings)])
    if live is None:
        return whole
    edits = [finding for finding in live if isinstance(finding, Danger) and finding.kind in _OF_AWS]
    return f"{whole}.{_hash(sorted(_said(edit, names) for edit in edits))}"


def of_several(digests: Mapping[str, str]) -> str:
    """Return the digest of reports of several stacks, from that of each; empty if one of them has none."""
    if not digests or not all(digests.values()):
        return ""
    changes, edits = ({stack: one.split(".")[part:][:1] for stack, one in digests.items()} for part in (0, 1))
    whole = _hash(changes)
    return f"{whole}.{_hash(edits)}" if all(edits.values()) else whole


def is_reviewed(report: Report, reviewed: str) -> bool:
    """Return whether a report is the one that was reviewed, by its digest or as one without changes."""
    return report.unchanged if reviewed.strip() == NOTHING else agrees(report.digest, reviewed)


def agrees(found: str, reviewed: str) -> bool:
    """Return whether a digest is that of what was reviewed; AWS's part counts where both have it."""
    ours, _, live = found.partition(".")
    theirs, _, live_then = reviewed.strip().partition(".")
    return bool(ours) and ours == theirs and (not live or not live_then or live == live_then)


def _hash(document: object) -> str:
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _said(finding: Finding, names: "re.Pattern[str] | None") -> list[str]:
    kind, code = (finding.kind.value, finding.code) if isinstance(finding, Danger) else ("", ())
    component = finding.component
    return [kind, component.what, component.name, _without(plain(finding.text), names), *code]


def _step(step: Step, names: "re.Pattern[str] | None") -> list[object]:
    inputs = {} if step.op == "delete" else _known(step.new.inputs, names)
    return [
        *(step.op, step.urn, list(step.properties), list(step.causes)),
        *(step.new.protect, step.new.retained, inputs),
    ]


def _known(value: Any, names: "re.Pattern[str] | None") -> object:  # noqa: ANN401  whatever JSON holds
    """Return a value without secrets, paths and random names."""
    if hidden(value):
        return "[secret]"
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) in _FILES:
            return {"hash": value.get("hash")}
        return {str(key): _known(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item, names) for item in value]
    return _without(value, names) if isinstance(value, str) else value


def _without(text: str, names: "re.Pattern[str] | None") -> str:
    """Return a text with the stems of random names alone."""
    return names.sub(lambda found: f"{found[0][:-_SUFFIX]}*", text) if names else text


def _random_names(plan: Plan) -> "re.Pattern[str] | None":
    """Return what matches the names that the engine draws for what the update creates."""
    found = {name for step in plan.steps for name in _names_of(step)}
    longest_first = sorted(found, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest_first))) if found else None


def _names_of(step: Step) -> Iterator[str]:
    if step.op not in {"create", "replace"}:
        return
    defaults = step.new.inputs.get("__defaults")
    for key in defaults if isinstance(defaults, list) else []:
        value = step.new.inputs.get(str(key))
        if isinstance(value, str) and _RANDOM_NAME.fullmatch(value):
            yield value
