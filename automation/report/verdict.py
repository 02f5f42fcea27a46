"""The one line that a reviewer reads."""

from collections import Counter
from collections.abc import Mapping, Sequence

from automation.report.model import Danger, Kind, Text, counted
from automation.report.steps import LOGIN, SECRET_COMPONENT, WORDS, Plan, Step

_SAID = {
    Kind.DELETES_SECRET: ("deletes {}", "secret"),
    Kind.REPLACES_SECRET: ("replaces {}", "secret"),
    Kind.DELETES_REPLICA: ("deletes {}", "replica"),
    Kind.OVERWRITES_VALUE: ("overwrites {}", "live value"),
    Kind.DELETES_KEY: ("takes away {}", "encryption key or alias"),
    Kind.WIDENS_ACCESS: ("widens access in {}", "place"),
    Kind.REVERTS_EDIT: ("takes back {} made in AWS", "edit"),
    Kind.CHANGES_LOGIN: ("changes who logs in, or where, in {}", "place"),
    Kind.REMOVES_ROTATION: ("ends {}", "rotation"),
    Kind.ROTATES_LESS_OFTEN: ("rotates less often in {}", "place"),
    Kind.REMOVES_PROTECTION: ("takes protection away in {}", "place"),
    Kind.SHORTENS_RECOVERY: ("shortens recovery in {}", "place"),
    Kind.BLOCKED_IN_AWS: ("is blocked in AWS in {}", "place"),
    Kind.STAYS_OUT_OF_AWS: ("does not bring {} to AWS", "change"),
    Kind.CANNOT_BE_JUDGED: ("has {} that cannot be judged", "change"),
}
_VERBS = {"create": "creates", "change": "changes", "delete": "deletes"}
_NOUNS = (*WORDS.values(), "other resource")


def said(kind: Kind, number: int) -> str:
    """A kind of danger with its number, as part of a sentence."""
    phrase, noun = _SAID[kind]
    return phrase.format(_plural(number, noun))


def _plural(number: int, noun: str) -> str:
    if number != 1 and noun == "encryption key or alias":
        return f"{number} encryption keys or aliases"
    return counted(number, noun)


def dangers_in_words(dangers: Sequence[Danger]) -> str:
    """`4 dangerous changes: deletes 1 secret, ends 3 rotations`."""
    numbers = Counter(danger.kind for danger in dangers)
    kinds = ", ".join(said(kind, numbers[kind]) for kind in Kind if numbers[kind])
    return f"{counted(len(dangers), 'dangerous change')}: {kinds}"


def verdict(plan: Plan, dangers: Sequence[Danger], problems: Sequence[Text]) -> Text:
    """One line; it says that nothing is dangerous only where nothing can be missing."""
    return worded(done(plan), dangers, problems)


def worded(
    numbers: Mapping[tuple[str, str], int], dangers: Sequence[Danger], problems: Sequence[Text]
) -> Text:
    """The same from what `done` says, of one stack or added up over several."""
    does = _does(numbers)
    if problems:
        first, *others = problems
        known = f"what is known has {dangers_in_words(dangers)}" if dangers else "what is known is below"
        more = f" (and {counted(len(others), 'more reason')})" if others else ""
        return ("Incomplete: ", *first, f"{more}; {known}")
    if dangers:
        return (f"{dangers_in_words(dangers)}. In all it {does or 'changes no resource'}",)
    if not does:
        return ("Changes nothing",)
    return (f"{does[0].upper()}{does[1:]}; nothing dangerous",)


def done(plan: Plan) -> dict[tuple[str, str], int]:
    """How many of what are created, changed and deleted."""
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
    """`creates 2 secrets, changes 1 rotation`."""
    parts = []
    for verb, word in _VERBS.items():
        found = [counted(numbers[verb, noun], noun) for noun in _NOUNS if numbers.get((verb, noun))]
        if found:
            parts.append(f"{word} {', '.join(found)}")
    return ", ".join(parts)


def _owner(step: Step, plan: Plan) -> Step | None:
    """The component that a step counts for: the nearest, unless that comes or goes with a greater one."""
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
    inner_secret = step.type == SECRET_COMPONENT and parent is not None and parent.type == LOGIN
    return inner_secret or (top.op == step.op and step.op in {"create", "delete"})
