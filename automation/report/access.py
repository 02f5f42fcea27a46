"""Who may read: documents of IAM compared, and what that means for secrets, in words."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from automation.report.model import Change, Danger, Finding, Kind, Text, counted, joined, named
from automation.report.policies import Statement, UnknownPolicyError, Wider, matches, statements, wider
from automation.report.steps import UNKNOWN, Plan, Step

# What may be shown of a document: its other texts could be anything.
_SHOWN = re.compile(
    r"\*|arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:\d*:[^\s]{1,600}|[a-z0-9-]+:[A-Za-z*?]+|"
    r"[a-z0-9.-]+\.amazonaws\.com|\d{12}"
)
_SECRET = re.compile(
    r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:(?P<account>\d{12}):secret:(?P<name>.+)-[A-Za-z0-9?]{6}"
)
# A key is allowed for certain secrets by it. Source: AWS Secrets Manager User Guide, "Encryption context".
SECRET_CONTEXT = "kms:encryptioncontext:secretarn"
_READING = "secretsmanager:getsecretvalue"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two documents; None where one is not known."""

    old: list[Statement] | None
    new: list[Statement] | None
    spelling: str = ""


def compared(old: object, new: object) -> Compared:
    """Reads both; nothing is an empty document."""
    return Compared(
        old=_read(old),
        new=_read(new),
        spelling=" ".join(text for text in (old, new) if isinstance(text, str)),
    )


def compared_in_sum(old: Iterable[object], new: Iterable[object]) -> Compared:
    """Read what several documents of one role allow together, before and after."""
    sides = []
    spelling: list[str] = []
    for documents in (old, new):
        read = [compared(None, document) for document in documents]
        spelling += [one.spelling for one in read]
        sides.append(
            None
            if any(one.new is None for one in read)
            else [statement for one in read for statement in one.new or ()]
        )
    return Compared(old=sides[0], new=sides[1], spelling=" ".join(spelling))


def _read(document: object) -> list[Statement] | None:
    if document is None:
        return []
    if not isinstance(document, str) or UNKNOWN in document:
        return None
    try:
        return statements(document)
    except UnknownPolicyError:
        return None


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose document it is: how a sentence about it begins.

    Attributes:
        it: its name.
        allows_more: what it does if it allows more, up to the colon.
    """

    it: Text
    allows_more: Text


def judged(documents: Compared, subject: Subject, step: Step, plan: Plan) -> Iterator[Finding]:
    """What follows from a change of a document."""
    owner = plan.component(step)
    if documents.old is None or documents.new is None:
        yield from _unknown(subject, step, plan)
        return
    found = wider(documents.old, without_created(documents.new, plan))
    if found:
        text = (*subject.allows_more, ": ", *spelled(found, documents.spelling, plan))
        yield Danger(kind=Kind.WIDENS_ACCESS, component=owner, text=text)
    elif wider(documents.new, documents.old):
        yield Change(component=owner, text=(*subject.it, " allows less"))
    elif wider(documents.old, documents.new):
        yield Change(component=owner, text=(*subject.it, " changes, and allows no more of what exists"))
    elif step.op == "update" and len(step.changed_inputs()) == 1:  # of the step nothing else is said
        yield Change(component=owner, text=(*subject.it, " is written in another form, and allows the same"))


def _unknown(subject: Subject, step: Step, plan: Plan) -> Iterator[Finding]:
    text = (*subject.it, " is not known before the update")
    if plan.has_live_secrets:
        yield Danger(kind=Kind.CANNOT_BE_JUDGED, component=plan.component(step), text=text)
    elif not plan.begins(step):
        yield Change(component=plan.component(step), text=text)


def without_created(found: Iterable[Statement], plan: Plan) -> list[Statement]:
    """The statements without the secrets that are created as well, which nobody could read before."""
    kept = []
    for whole in found:
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
    """The same for a key that decrypts certain secrets only; None if nothing is left."""
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
    """Return the name of the secret that an ARN of a policy means; None for what is not a secret's.

    Another account may have a secret with the name of one of this stack: that is named by its ARN.
    """
    if resource in plan.names_by_arn:
        return plan.names_by_arn[resource]
    found = _SECRET.fullmatch(resource)
    if found is None:
        return None
    if found["name"] in plan.own_secrets and (
        found["account"] not in plan.accounts if plan.accounts else resource in plan.read_by_arn
    ):
        return resource
    return found["name"]


def readable(found: Iterable[Statement], plan: Plan) -> set[str]:
    """Names of the secrets that statements allow to read."""
    return {
        name
        for statement in found
        if statement.allows and any(matches(action, _READING) for action in statement.actions)
        for resource in statement.resources
        if (name := secret_name(resource, plan)) is not None
    }


def spelled(found: Wider, spelling: str, plan: Plan) -> Text:
    """What is wider, in words."""
    secrets = {name for resource in found.resources if (name := secret_name(resource, plan)) is not None}
    others = [resource for resource in found.resources if secret_name(resource, plan) is None]
    actions = [_as_written(action, spelling) for action in found.actions]
    principals = [principal.partition(" ")[2] or principal for principal in found.principals]
    parts: list[Text] = []
    if secrets:
        parts.append(("secrets ", *named(secrets)))
    for what, texts in (("principals ", principals), ("actions ", actions), ("resources ", others)):
        if texts and texts != ["*"]:
            parts.append((what, *_shown(texts)))
    if found.conditions:
        parts.append(("other or fewer conditions on ", *named(found.conditions)))
    if found.denials:
        parts.append((f"without {counted(found.denials, 'denial')} of before",))
    return joined(parts, "; ")


def _shown(names: Iterable[str]) -> Text:
    known, unknown = [], 0
    for name in names:
        if _SHOWN.fullmatch(name):
            known.append(name)
        else:
            unknown += 1
    others: Text = (f"{unknown} of another form",) if unknown else ()
    return joined([part for part in (named(known) if known else (), others) if part], " and ")


def _as_written(action: str, spelling: str) -> str:
    found = re.search(rf'(?<="){re.escape(action)}(?=")', spelling, re.IGNORECASE)
    return found[0] if found else action


def as_mapping(value: object) -> Mapping[str, object]:
    """A nested input; empty if there is none."""
    return value if isinstance(value, Mapping) else {}
