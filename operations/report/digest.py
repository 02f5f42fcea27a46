"""Compute the digest of a report, which ties an update to the report that was reviewed.

It covers every step of the engine, with each input that the engine shows, and the findings of the report. It
leaves out what differs between two previews of the same change: random suffixes of physical names, local file
paths, and resources that stay the same. An event log hides secret values, so a digest reveals nothing about
them, not even whether they changed. It hashes the findings' texts, so a release that rewords them changes it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from operations import signatures
from operations.report.model import Danger, Finding, Kind, Report, plain
from operations.report.steps import FILES, Plan, Step, is_hidden

# Stands for a report without any change.
NOTHING = "nothing"
# Pulumi's automatic names, and those of the pattern that a pipeline requires.
_SUFFIX = 7
_RANDOM_NAME = re.compile(rf".*[-_][0-9a-f]{{{_SUFFIX}}}")
_LENGTH = 40
_OF_AWS = {Kind.REVERTS_EDIT, Kind.BLOCKED_IN_AWS}


def digest(plan: Plan, findings: Iterable[Finding], live: Iterable[Finding] | None) -> str:
    """Return the digest of a complete report.

    Args:
        plan: the steps.
        findings: the findings of the steps, without those about the log itself.
        live: the findings of the comparison with AWS; None if AWS did not answer everything.

    Returns:
        A hash of the change in hexadecimal; with `live`, followed by a dot and a hash of the edits in AWS
        that the update reverts or that block it.
    """
    names = _random_names(plan)
    steps = [_step(step, names) for step in plan.steps if step.op != "same"]
    whole = _hash([steps, sorted(_finding(finding, names) for finding in findings)])
    if live is None:
        return whole
    edits = [finding for finding in live if isinstance(finding, Danger) and finding.kind in _OF_AWS]
    return f"{whole}.{_hash(sorted(_finding(edit, names) for edit in edits))}"


def of_several(digests: Mapping[str, str]) -> str:
    """Return the digest of several stacks' reports, from the digest of each; empty if one has none."""
    if not digests or not all(digests.values()):
        return ""
    changes, edits = ({stack: one.split(".")[part:][:1] for stack, one in digests.items()} for part in (0, 1))
    whole = _hash(changes)
    return f"{whole}.{_hash(edits)}" if all(edits.values()) else whole


def is_reviewed(report: Report, reviewed: str) -> bool:
    """Return whether a report matches the reviewed digest, or has no changes if that is `nothing`."""
    return report.unchanged if reviewed.strip() == NOTHING else agrees(report.digest, reviewed)


def agrees(current: str, reviewed: str) -> bool:
    """Return whether two digests match; their AWS parts are compared only if both have one."""
    change, _, edits = current.partition(".")
    reviewed_change, _, reviewed_edits = reviewed.strip().partition(".")
    edits_match = not edits or not reviewed_edits or edits == reviewed_edits
    return bool(change) and change == reviewed_change and edits_match


def _hash(document: object) -> str:
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _finding(finding: Finding, names: "re.Pattern[str] | None") -> list[str]:
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
    """Return a value without secrets, local paths and random suffixes."""
    if is_hidden(value):
        return "[secret]"
    if isinstance(value, Mapping):
        if value.get(signatures.KEY) in FILES:
            return {"hash": value.get("hash")}
        return {str(key): _known(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item, names) for item in value]
    return _without(value, names) if isinstance(value, str) else value


def _without(text: str, names: "re.Pattern[str] | None") -> str:
    """Return a text with the suffix of each random name replaced by `*`."""
    return names.sub(lambda name: f"{name[0][:-_SUFFIX]}*", text) if names else text


def _random_names(plan: Plan) -> "re.Pattern[str] | None":
    """Return a pattern of the random names that the engine gives to new resources; None if there are none."""
    names = {name for step in plan.steps for name in _names_of(step)}
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest_first))) if names else None


def _names_of(step: Step) -> Iterator[str]:
    if step.op not in {"create", "replace"}:
        return
    defaults = step.new.inputs.get("__defaults")
    for key in defaults if isinstance(defaults, list) else []:
        value = step.new.inputs.get(str(key))
        if isinstance(value, str) and _RANDOM_NAME.fullmatch(value):
            yield value
