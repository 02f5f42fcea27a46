"""Write the verdict, the summary of a report in one line."""

from collections import Counter
from collections.abc import Mapping, Sequence

from components import tokens
from operations.report.model import Danger, Kind, Text, counted
from operations.report.steps import LOGINS, WORDS, Plan, Step

# Kind to phrase and noun.
_PHRASES = {
    Kind.DELETES_SECRET: ("deletes {}", "secret"),
    Kind.REPLACES_SECRET: ("replaces {}", "secret"),
    Kind.DELETES_REPLICA: ("deletes {}", "replica"),
    Kind.OVERWRITES_VALUE: ("overwrites {}", "live value"),
    Kind.DELETES_KEY: ("removes {}", "encryption key or alias"),
    Kind.WIDENS_ACCESS: ("widens access in {}", "place"),
    Kind.REVERTS_EDIT: ("reverts {} made in AWS", "edit"),
    Kind.CHANGES_LOGIN: ("changes a login's user or server in {}", "place"),
    Kind.REMOVES_ROTATION: ("turns off {}", "rotation"),
    Kind.ROTATES_LESS_OFTEN: ("rotates less often in {}", "place"),
    Kind.REMOVES_PROTECTION: ("removes protection in {}", "place"),
    Kind.SHORTENS_RECOVERY: ("shortens recovery in {}", "place"),
    Kind.BLOCKED_IN_AWS: ("is blocked by AWS in {}", "place"),
    Kind.STAYS_OUT_OF_AWS: ("does not apply {} to live secrets", "change"),
    Kind.CANNOT_BE_JUDGED: ("has {} that cannot be assessed", "change"),
}
_VERBS = {"create": "creates", "change": "changes", "delete": "deletes"}
_NOUNS = (*dict.fromkeys(WORDS.values()), "other resource")  # four types of component are logins


def phrase(kind: Kind, number: int) -> str:
    """Return a kind of danger with its number, such as `deletes 1 secret`."""
    template, noun = _PHRASES[kind]
    if number != 1 and kind == Kind.DELETES_KEY:
        return template.format(f"{number} encryption keys or aliases")
    return template.format(counted(number, noun))


def summary_of_dangers(dangers: Sequence[Danger]) -> str:
    """Return the numbers of dangers, such as `4 dangers: deletes 1 secret, turns off 3 rotations`."""
    numbers = Counter(danger.kind for danger in dangers)
    kinds = ", ".join(phrase(kind, numbers[kind]) for kind in Kind if numbers[kind])
    return f"{counted(len(dangers), 'danger')}: {kinds}"


def verdict(plan: Plan, dangers: Sequence[Danger], problems: Sequence[Text]) -> Text:
    """Return the verdict on one stack, which calls nothing harmless if the report is incomplete."""
    return verdict_for(count_components(plan), dangers, problems)


def verdict_for(
    numbers: Mapping[tuple[str, str], int], dangers: Sequence[Danger], problems: Sequence[Text]
) -> Text:
    """Return the verdict from the result of `count_components`, of one stack or the sum of several."""
    does = _does(numbers)
    if problems:
        first, *others = problems
        changes = f"known so far: {does}" if does else "no changes known so far"
        known = f"found so far: {summary_of_dangers(dangers)}" if dangers else changes
        more = f" (and {counted(len(others), 'more reason')})" if others else ""
        return ("Incomplete: ", *first, f"{more}; {known}")
    if dangers:
        return (f"{summary_of_dangers(dangers)}. In total it {does or 'changes no resource'}",)
    if not does:
        return ("No changes",)
    return (f"{does[0].upper()}{does[1:]}; no dangers",)


def count_components(plan: Plan) -> dict[tuple[str, str], int]:
    """Return verb and noun, such as (`create`, `secret`), to the number of components."""
    verbs: dict[str, str] = {}
    nouns: dict[str, str] = {}
    for step in plan.steps:
        owner = _owner(step, plan)
        if step.op == "same" or owner is None:
            continue
        verb = owner.op if owner.op in {"create", "delete"} else "change"
        verbs[owner.urn] = verb
        nouns[owner.urn] = WORDS.get(owner.type, "other resource")
    return dict(Counter((verbs[urn], nouns[urn]) for urn in verbs))


def _does(numbers: Mapping[tuple[str, str], int]) -> str:
    """Return the numbers of components in words, such as `creates 2 secrets, changes 1 rotation`."""
    parts = []
    for verb, word in _VERBS.items():
        nouns = [counted(numbers[verb, noun], noun) for noun in _NOUNS if numbers.get((verb, noun))]
        if nouns:
            parts.append(f"{word} {', '.join(nouns)}")
    return ", ".join(parts)


def _owner(step: Step, plan: Plan) -> Step | None:
    """Return the component that a step counts for: the nearest one that is not part of a larger change."""
    if step.type.startswith("pulumi:"):
        return None
    top, owner = plan.top(step), step
    while owner.urn != top.urn and (owner.type not in WORDS or _is_part(owner, plan, top)):
        parent = plan.parent(owner)
        if parent is None:
            break
        owner = parent
    return owner


def _is_part(step: Step, plan: Plan, top: Step) -> bool:
    parent = plan.parent(step)
    inner_secret = step.type == tokens.SECRET and parent is not None and parent.type in LOGINS
    return inner_secret or (top.op == step.op and step.op in {"create", "delete"})
