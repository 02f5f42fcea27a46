"""Assess changes of IAM policy documents: who gains access to which secrets."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from operations.report.model import Change, Danger, Finding, Kind, Text, counted, joined, named
from operations.report.policies import Statement, UnknownPolicyError, Wider, matches, statements, wider
from operations.report.steps import UNKNOWN, Plan, Step

# The parts of a policy document that are safe to show; any other text could be anything.
_SHOWN = re.compile(
    r"\*|arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:\d*:[^\s]{1,600}|[a-z0-9-]+:[A-Za-z*?]+|"
    r"[a-z0-9.-]+\.amazonaws\.com|\d{12}"
)
_SECRET = re.compile(
    r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:(?P<account>\d{12}):secret:(?P<name>.+)-[A-Za-z0-9?]{6}"
)
# Restricts a KMS key to named secrets. Source: AWS Secrets Manager User Guide, "Encryption context".
SECRET_CONTEXT = "kms:encryptioncontext:secretarn"
_READING = "secretsmanager:getsecretvalue"


@dataclass(frozen=True, kw_only=True)
class PolicyChange:
    """The statements of a policy document before and after the update.

    Attributes:
        old, new: the statements; None if they are not known.
        source: the text of both documents, to show actions in their original case.
    """

    old: list[Statement] | None
    new: list[Statement] | None
    source: str = ""


def policy_change(old: object, new: object) -> PolicyChange:
    """Parse both documents; None counts as an empty document."""
    return PolicyChange(
        old=_parse(old),
        new=_parse(new),
        source=" ".join(text for text in (old, new) if isinstance(text, str)),
    )


def combined_change(old: Iterable[object], new: Iterable[object]) -> PolicyChange:
    """Return the change of all documents of one role taken together."""
    sides = []
    source: list[str] = []
    for documents in (old, new):
        parsed = [policy_change(None, document) for document in documents]
        source += [one.source for one in parsed]
        sides.append(
            None
            if any(one.new is None for one in parsed)
            else [statement for one in parsed for statement in one.new or ()]
        )
    return PolicyChange(old=sides[0], new=sides[1], source=" ".join(source))


def _parse(document: object) -> list[Statement] | None:
    if document is None:
        return []
    if not isinstance(document, str) or UNKNOWN in document:
        return None
    try:
        return statements(document)
    except UnknownPolicyError:
        return None


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The wording of findings about a policy document.

    Attributes:
        subject: begins a sentence about the document.
        broader: begins the sentence that lists what it newly allows, up to the colon.
    """

    subject: Text
    broader: Text


def assess(documents: PolicyChange, wording: Wording, step: Step, plan: Plan) -> Iterator[Finding]:
    """Yield the findings of a changed policy document."""
    owner = plan.component(step)
    if documents.old is None or documents.new is None:
        yield from _unknown(wording, step, plan)
        return
    gained = wider(documents.old, without_created(documents.new, plan))
    if gained:
        text = (*wording.broader, ": ", *describe(gained, documents.source, plan))
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=text)
    elif wider(documents.new, documents.old):
        yield Change(component=owner, text=(*wording.subject, " grants less access"))
    elif wider(documents.old, documents.new):
        text = (*wording.subject, " changes, without broader access to existing resources")
        yield Change(component=owner, text=text)
    elif step.op == "update" and len(step.changed_inputs()) == 1:  # no other finding covers the step
        text = (*wording.subject, " is reformatted and grants the same access")
        yield Change(component=owner, text=text)


def _unknown(wording: Wording, step: Step, plan: Plan) -> Iterator[Finding]:
    text = (*wording.subject, " is not known before the update")
    if plan.has_live_secrets:
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=plan.component(step), text=text)
    elif not plan.in_new_component(step):
        yield Change(component=plan.component(step), text=text)


def without_created(policy: Iterable[Statement], plan: Plan) -> list[Statement]:
    """Return the statements without the secrets that the same update creates, which nobody can read yet."""
    kept = []
    for whole in policy:
        statement = _without_created_contexts(whole, plan)
        if statement is None:
            continue
        resources = frozenset(
            resource
            for resource in statement.resources
            if secret_name(resource, plan) not in plan.created_secrets
        )
        if resources or not statement.allows:
            kept.append(replace(statement, resources=resources) if statement.allows else statement)
    return kept


def _without_created_contexts(statement: Statement, plan: Plan) -> Statement | None:
    """Return a KMS statement without the new secrets in its encryption context; None if none is left."""
    if not statement.allows:
        return statement
    kept = {}
    for (operator, key), values in statement.conditions.items():
        live = values
        if key == SECRET_CONTEXT and operator == "stringequals":
            live = frozenset(
                value for value in values if secret_name(value, plan) not in plan.created_secrets
            )
            if values and not live:
                return None
        kept[operator, key] = live
    return replace(statement, conditions=kept)


def secret_name(resource: str, plan: Plan) -> str | None:
    """Return the name of the secret that a policy's ARN refers to; None if it is not a secret's ARN.

    A secret of another account with the same name as one of this stack is named by its ARN.
    """
    if resource in plan.names_by_arn:
        return plan.names_by_arn[resource]
    arn = _SECRET.fullmatch(resource)
    if arn is None:
        return None
    if arn["name"] in plan.own_secrets and (
        arn["account"] not in plan.accounts if plan.accounts else resource in plan.read_by_arn
    ):
        return resource
    return arn["name"]


def readable(policy: Iterable[Statement], plan: Plan) -> set[str]:
    """Return the names of the secrets that a policy allows to read."""
    return {
        name
        for statement in policy
        if statement.allows and any(matches(action, _READING) for action in statement.actions)
        for resource in statement.resources
        if (name := secret_name(resource, plan)) is not None
    }


def describe(gained: Wider, source: str, plan: Plan) -> Text:
    """Return what a policy gains, in words.

    Args:
        gained: what the policy allows beyond another one.
        source: the policies' text, for the original case of actions.
        plan: the steps of the update.
    """
    secrets = {name for resource in gained.resources if (name := secret_name(resource, plan)) is not None}
    others = [resource for resource in gained.resources if secret_name(resource, plan) is None]
    actions = [_original_case(action, source) for action in gained.actions]
    principals = [principal.partition(" ")[2] or principal for principal in gained.principals]
    parts: list[Text] = []
    if secrets:
        parts.append(("secrets ", *named(secrets)))
    for what, texts in (("principals ", principals), ("actions ", actions), ("resources ", others)):
        if texts and texts != ["*"]:
            parts.append((what, *_shown(texts)))
    if gained.conditions:
        parts.append(("different or fewer conditions on ", *named(gained.conditions)))
    if gained.denials:
        parts.append((f"{counted(gained.denials, 'Deny statement')} removed",))
    return joined(parts, "; ")


def _shown(names: Iterable[str]) -> Text:
    known, unknown = [], 0
    for name in names:
        if _SHOWN.fullmatch(name):
            known.append(name)
        else:
            unknown += 1
    others: Text = (f"{unknown} not shown here",) if unknown else ()
    return joined([part for part in (named(known) if known else (), others) if part], " and ")


def _original_case(action: str, source: str) -> str:
    original = re.search(rf'(?<="){re.escape(action)}(?=")', source, re.IGNORECASE)
    return original[0] if original else action


def as_mapping(value: object) -> Mapping[str, object]:
    """Return a nested input; empty if it is missing or not a mapping."""
    return value if isinstance(value, Mapping) else {}
