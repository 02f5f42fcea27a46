"""Whether one IAM policy document allows what another does not."""

import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

Atoms = frozenset[str]

# Above this many combinations of a statement they are not looked at one by one: it counts as wider.
_MOST_COMBINATIONS = 5_000
# Several times what IAM and Secrets Manager take; a longer one is not read at all.
_MOST_CHARACTERS = 100_000
# Of these more values allow less. Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
_NEGATED = ("notequals", "notlike", "notipaddress", "notequalsignorecase")
_EQUAL = "stringequals"  # any one of its values is enough
_EVERYTHING = "*"
_ACCOUNT = re.compile(r"[0-9]{12}")
_NOT = "not "


class UnknownPolicyError(ValueError):
    """A text is no policy document that this can compare."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement; what is negated (`NotAction`) is one atom that only its like covers.

    Attributes:
        conditions: (operator, key) in lower case to values.
    """

    allows: bool
    principals: Atoms
    actions: Atoms
    resources: Atoms
    conditions: Mapping[tuple[str, str], Atoms]

    def combinations(self) -> Iterator[tuple[str, str, str]]:
        """Each principal with each action on each resource."""
        return itertools.product(sorted(self.principals), sorted(self.actions), sorted(self.resources))


@dataclass(frozen=True, kw_only=True)
class Wider:
    """What a document allows beyond another; empty if nothing.

    Attributes:
        principals, actions, resources: that the other allows in no statement, or not together.
        conditions: keys by which it is less bound.
        denials: statements of the other that deny what this does not.
    """

    principals: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    denials: int = 0

    def __bool__(self) -> bool:
        return bool(self.principals or self.actions or self.resources or self.conditions or self.denials)


def statements(document: str) -> list[Statement]:
    """The statements of a document; none of an empty text.

    Raises:
        UnknownPolicyError: it is no policy document.
    """
    if not document:
        return []
    if len(document) > _MOST_CHARACTERS:
        raise UnknownPolicyError("length")
    try:
        parsed = json.loads(document)
        found = parsed["Statement"]
        return [_statement(statement) for statement in (found if isinstance(found, list) else [found])]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise UnknownPolicyError(type(error).__name__) from None


def _statement(statement: Mapping[str, object]) -> Statement:
    effect = statement["Effect"]
    if effect not in {"Allow", "Deny"}:
        raise UnknownPolicyError("Effect")
    known = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    if set(statement) - known - {"NotPrincipal", "NotAction", "NotResource"}:
        raise UnknownPolicyError("element")
    return Statement(
        allows=effect == "Allow",
        principals=_principals(statement),
        actions=frozenset(action.lower() for action in _atoms(statement, "Action")),
        resources=_atoms(statement, "Resource"),
        conditions=_conditions(statement.get("Condition") or {}),
    )


def _atoms(statement: Mapping[str, object], key: str) -> Atoms:
    if f"Not{key}" in statement:
        return frozenset({f"{_NOT}{json.dumps(sorted(_texts(statement[f'Not{key}'])))}"})
    # identity policies have no principal, trust policies no resource: the one that they belong to
    return _texts(statement[key]) if key in statement else frozenset({_EVERYTHING})


def _texts(value: object) -> Atoms:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float | bool) for item in values):
        raise UnknownPolicyError("value")
    return frozenset(str(item).lower() if isinstance(item, bool) else str(item) for item in values)


def _principals(statement: Mapping[str, object]) -> Atoms:
    if "NotPrincipal" in statement:
        return frozenset({f"{_NOT}{json.dumps(statement['NotPrincipal'], sort_keys=True)}"})
    if "Principal" not in statement:  # an identity's policy: whose it is
        return frozenset({_EVERYTHING})
    declared = statement["Principal"]
    if isinstance(declared, str):
        declared = {"AWS": declared}
    if not isinstance(declared, Mapping):
        raise UnknownPolicyError("Principal")
    return frozenset(
        f"{kind} {_whole_account(principal) if kind == 'AWS' else principal}"
        for kind, principals in declared.items()
        for principal in _texts(principals)
    )


def _whole_account(principal: str) -> str:
    """Return an account's number as AWS writes it anew: the ARN of its root."""
    return f"arn:aws:iam::{principal}:root" if _ACCOUNT.fullmatch(principal) else principal


def _conditions(declared: object) -> dict[tuple[str, str], Atoms]:
    if not isinstance(declared, Mapping):
        raise UnknownPolicyError("Condition")
    return {
        (str(operator).lower(), str(key).lower()): _texts(values)
        for operator, keys in declared.items()
        for key, values in keys.items()
    }


def wider(old: Iterable[Statement], new: Iterable[Statement]) -> Wider:
    """What `new` allows and `old` does not; rather too much than too little."""
    old, new = list(old), list(new)
    allowed = _and_joined(statement for statement in old if statement.allows)
    found: dict[str, set[str]] = {key: set() for key in ("principals", "actions", "resources", "conditions")}
    for statement in new:
        if statement.allows and not any(_covers(other, statement) for other in allowed):
            _collect(statement, allowed, found)
    denied = _and_joined(statement for statement in new if not statement.allows)
    return Wider(
        **{key: tuple(sorted(values)) for key, values in found.items()},
        denials=sum(not statement.allows and not _is_denied(statement, denied) for statement in old),
    )


def _and_joined(found: Iterable[Statement]) -> list[Statement]:
    """Return the statements, and those that several of them make together.

    Two that differ in one place alone mean the same as one with what both have there: so a policy means the
    same when it is divided among several statements or documents.
    """
    found = list(found)
    joined = found
    places = {place for statement in found for place in statement.conditions if place[0] == _EQUAL}
    for element in ("actions", "resources"):
        joined = _joined_in(joined, element)
    for place in sorted(places):
        joined = _joined_in(joined, place)
    return [*found, *(statement for statement in joined if statement not in found)]


def _joined_in(found: list[Statement], place: str | tuple[str, str]) -> list[Statement]:
    groups: dict[object, list[Statement]] = {}
    for statement in found:
        elsewhere = (
            statement.allows,
            statement.principals,
            None if place == "actions" else statement.actions,
            None if place == "resources" else statement.resources,
            frozenset((key, values) for key, values in statement.conditions.items() if key != place),
            place in statement.conditions,
        )
        groups.setdefault(elsewhere, []).append(statement)
    return [_joined(group, place) for group in groups.values()]


def _joined(group: list[Statement], place: str | tuple[str, str]) -> Statement:
    first = group[0]
    if place == "actions":
        return replace(first, actions=_union(statement.actions for statement in group))
    if place == "resources":
        return replace(first, resources=_union(statement.resources for statement in group))
    if not isinstance(place, tuple) or place not in first.conditions:
        return first
    values = _union(statement.conditions[place] for statement in group)
    return replace(first, conditions={**first.conditions, place: values})


def _union(found: Iterable[Atoms]) -> Atoms:
    return frozenset[str]().union(*found)


def _is_denied(statement: Statement, denied: list[Statement]) -> bool:
    if any(_covers(other, statement) for other in denied):
        return True
    each = _each(statement)
    return each is not None and all(any(_covers(other, one) for other in denied) for one in each)


def _each(statement: Statement) -> list[Statement] | None:
    """The statement as one for each combination; None for too many."""
    size = len(statement.principals) * len(statement.actions) * len(statement.resources)
    if size > _MOST_COMBINATIONS:
        return None
    return [
        Statement(
            allows=statement.allows,
            principals=frozenset({principal}),
            actions=frozenset({action}),
            resources=frozenset({resource}),
            conditions=statement.conditions,
        )
        for principal, action, resource in statement.combinations()
    ]


def _collect(statement: Statement, allowed: list[Statement], found: dict[str, set[str]]) -> None:
    for one in _each(statement) or [statement]:
        if any(_covers(other, one) for other in allowed):
            continue
        alike = [other for other in allowed if _covers_but_for_conditions(other, one)]
        if alike:
            for other in alike:
                found["conditions"] |= _less_bound(one, other)
            continue
        new = False
        for key in ("principals", "actions", "resources"):
            atoms: Atoms = getattr(one, key)
            exactly = key == "principals"
            if not any(_all_matched(atoms, getattr(other, key), exactly=exactly) for other in allowed):
                found[key] |= atoms
                new = True
        if not new:  # each is allowed somewhere, but not together
            for key in ("principals", "actions", "resources"):
                found[key] |= getattr(one, key)


def _covers(wide: Statement, narrow: Statement) -> bool:
    """Whether the one applies wherever the other does."""
    return _covers_but_for_conditions(wide, narrow) and not _less_bound(narrow, wide)


def _covers_but_for_conditions(wide: Statement, narrow: Statement) -> bool:
    return (
        _all_matched(narrow.principals, wide.principals, exactly=True)
        and _all_matched(narrow.actions, wide.actions)
        and _all_matched(narrow.resources, wide.resources)
    )


def _less_bound(one: Statement, other: Statement) -> set[str]:
    """Condition keys by which `one` may apply where `other` does not."""
    loose = set()
    for (operator, key), values in other.conditions.items():
        own = one.conditions.get((operator, key))
        negated = operator.removesuffix("ifexists").endswith(_NEGATED)
        if own is None or not (values <= own if negated else own <= values):
            loose.add(key)
    return loose


def _all_matched(atoms: Atoms, patterns: Atoms, *, exactly: bool = False) -> bool:
    """Whether each is covered; exactly: of patterns IAM knows for principals only that of all accounts."""
    if exactly:
        return all(atom in patterns or (atom.startswith("AWS ") and "AWS *" in patterns) for atom in atoms)
    return atoms <= patterns or all(_matched(atom, patterns) for atom in atoms)


@functools.lru_cache(maxsize=65_536)
def _matched(atom: str, patterns: Atoms) -> bool:
    if atom in patterns or _EVERYTHING in patterns:
        return True
    if atom.startswith(_NOT):
        return False
    return any(matches(pattern, atom) for pattern in patterns if not pattern.startswith(_NOT))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern with `*` and `?` covers a text, or all that a pattern covers; in linear steps."""
    at, star, resumed, position = 0, -1, 0, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == _EVERYTHING:
            star, resumed = at, position
            at += 1
        elif at < len(pattern) and (
            pattern[at] == text[position] or (pattern[at] == "?" and text[position] != _EVERYTHING)
        ):
            at += 1
            position += 1
        elif star >= 0:
            at = star + 1
            resumed += 1
            position = resumed
        else:
            return False
    return all(rest == _EVERYTHING for rest in pattern[at:])
