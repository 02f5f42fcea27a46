"""Compare IAM policy documents: what one allows that another does not."""

import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

Atoms = frozenset[str]

# A statement with more combinations is not split up; it counts as wider unless another one covers it.
_MOST_COMBINATIONS = 5_000
# Several times the limits of IAM and Secrets Manager; a longer document is not parsed.
_MOST_CHARACTERS = 100_000
# More values allow less with these. Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
_NEGATED = ("notequals", "notlike", "notipaddress", "notequalsignorecase")
_EQUAL = "stringequals"  # any of its values matches
_EVERYTHING = "*"
_ACCOUNT = re.compile(r"[0-9]{12}")
_NOT = "not "


class UnknownPolicyError(ValueError):
    """The text is not a policy document, or not one that can be compared."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of a policy document.

    Attributes:
        allows: whether its effect is Allow.
        principals: type and name, such as `AWS arn:...`.
        actions: in lower case.
        resources: ARNs or patterns.
        conditions: (operator, key) in lower case to values.

    A negated element, such as `NotAction`, is one atom that only an equal one covers.
    """

    allows: bool
    principals: Atoms
    actions: Atoms
    resources: Atoms
    conditions: Mapping[tuple[str, str], Atoms]

    def combinations(self) -> Iterator[tuple[str, str, str]]:
        """Return every combination of principal, action and resource."""
        return itertools.product(sorted(self.principals), sorted(self.actions), sorted(self.resources))


@dataclass(frozen=True, kw_only=True)
class Wider:
    """The access that one document allows beyond another; falsy if there is none.

    Attributes:
        principals, actions, resources: what the other document does not allow, or not in this combination.
        conditions: condition keys that restrict it less.
        denials: number of the other document's Deny statements that it lacks.
    """

    principals: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    denials: int = 0

    def __bool__(self) -> bool:
        return bool(self.principals or self.actions or self.resources or self.conditions or self.denials)


def statements(document: str) -> list[Statement]:
    """Parse a policy document; an empty text has no statements.

    Raises:
        UnknownPolicyError: the text is not a policy document that can be compared.
    """
    if not document:
        return []
    if len(document) > _MOST_CHARACTERS:
        raise UnknownPolicyError("length")
    try:
        body = json.loads(document)["Statement"]
        return [_statement(statement) for statement in (body if isinstance(body, list) else [body])]
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
    # an identity policy has no principal and a trust policy no resource: the one it is attached to
    return _texts(statement[key]) if key in statement else frozenset({_EVERYTHING})


def _texts(value: object) -> Atoms:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float | bool) for item in values):
        raise UnknownPolicyError("value")
    return frozenset(str(item).lower() if isinstance(item, bool) else str(item) for item in values)


def _principals(statement: Mapping[str, object]) -> Atoms:
    if "NotPrincipal" in statement:
        return frozenset({f"{_NOT}{json.dumps(statement['NotPrincipal'], sort_keys=True)}"})
    if "Principal" not in statement:  # an identity policy: the identity it is attached to
        return frozenset({_EVERYTHING})
    declared = statement["Principal"]
    if isinstance(declared, str):
        declared = {"AWS": declared}
    if not isinstance(declared, Mapping):
        raise UnknownPolicyError("Principal")
    return frozenset(
        f"{kind} {_account_root(principal) if kind == 'AWS' else principal}"
        for kind, principals in declared.items()
        for principal in _texts(principals)
    )


def _account_root(principal: str) -> str:
    """Return an account ID as the ARN of its root, the form that AWS stores."""
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
    """Return what `new` allows and `old` does not, rounding up where the two cannot be compared exactly."""
    old, new = list(old), list(new)
    allowed = _with_merged(statement for statement in old if statement.allows)
    gained: dict[str, set[str]] = {key: set() for key in ("principals", "actions", "resources", "conditions")}
    for statement in new:
        if statement.allows and not any(_covers(other, statement) for other in allowed):
            _collect(statement, allowed, gained)
    denied = _with_merged(statement for statement in new if not statement.allows)
    return Wider(
        **{key: tuple(sorted(values)) for key, values in gained.items()},
        denials=sum(not statement.allows and not _is_denied(statement, denied) for statement in old),
    )


def _with_merged(policy: Iterable[Statement]) -> list[Statement]:
    """Return the statements, and those that result from merging them.

    Statements that differ in one element only are equivalent to one statement with the union of that element,
    so a policy means the same when it is split into several statements or documents.
    """
    original = list(policy)
    merged = original
    conditions = {place for statement in original for place in statement.conditions if place[0] == _EQUAL}
    for element in ("actions", "resources"):
        merged = _merged_in(merged, element)
    for condition in sorted(conditions):
        merged = _merged_in(merged, condition)
    return [*original, *(statement for statement in merged if statement not in original)]


def _merged_in(policy: list[Statement], place: str | tuple[str, str]) -> list[Statement]:
    groups: dict[object, list[Statement]] = {}
    for statement in policy:
        elsewhere = (
            statement.allows,
            statement.principals,
            None if place == "actions" else statement.actions,
            None if place == "resources" else statement.resources,
            frozenset((key, values) for key, values in statement.conditions.items() if key != place),
            place in statement.conditions,
        )
        groups.setdefault(elsewhere, []).append(statement)
    return [_merge(group, place) for group in groups.values()]


def _merge(group: list[Statement], place: str | tuple[str, str]) -> Statement:
    first = group[0]
    if place == "actions":
        return replace(first, actions=_union(statement.actions for statement in group))
    if place == "resources":
        return replace(first, resources=_union(statement.resources for statement in group))
    if not isinstance(place, tuple) or place not in first.conditions:
        return first
    values = _union(statement.conditions[place] for statement in group)
    return replace(first, conditions={**first.conditions, place: values})


def _union(sets: Iterable[Atoms]) -> Atoms:
    return frozenset[str]().union(*sets)


def _is_denied(statement: Statement, denied: list[Statement]) -> bool:
    if any(_covers(other, statement) for other in denied):
        return True
    parts = _split(statement)
    return parts is not None and all(any(_covers(other, part) for other in denied) for part in parts)


def _split(statement: Statement) -> list[Statement] | None:
    """Return a statement for each combination; None if there are too many."""
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


def _collect(statement: Statement, allowed: list[Statement], gained: dict[str, set[str]]) -> None:
    for one in _split(statement) or [statement]:
        if any(_covers(other, one) for other in allowed):
            continue
        similar = [other for other in allowed if _covers_except_conditions(other, one)]
        if similar:
            for other in similar:
                gained["conditions"] |= _less_restricted(one, other)
            continue
        new = False
        for key in ("principals", "actions", "resources"):
            atoms: Atoms = getattr(one, key)
            exactly = key == "principals"
            if not any(_all_matched(atoms, getattr(other, key), exactly=exactly) for other in allowed):
                gained[key] |= atoms
                new = True
        if not new:  # each is allowed somewhere, but not in this combination
            for key in ("principals", "actions", "resources"):
                gained[key] |= getattr(one, key)


def _covers(wide: Statement, narrow: Statement) -> bool:
    """Return whether one statement applies to every request that the other applies to."""
    return _covers_except_conditions(wide, narrow) and not _less_restricted(narrow, wide)


def _covers_except_conditions(wide: Statement, narrow: Statement) -> bool:
    return (
        _all_matched(narrow.principals, wide.principals, exactly=True)
        and _all_matched(narrow.actions, wide.actions)
        and _all_matched(narrow.resources, wide.resources)
    )


def _less_restricted(one: Statement, other: Statement) -> set[str]:
    """Return the condition keys because of which `one` may apply where `other` does not."""
    loose = set()
    for (operator, key), values in other.conditions.items():
        own = one.conditions.get((operator, key))
        negated = operator.removesuffix("ifexists").endswith(_NEGATED)
        if own is None or not (values <= own if negated else own <= values):
            loose.add(key)
    return loose


def _all_matched(atoms: Atoms, patterns: Atoms, *, exactly: bool = False) -> bool:
    """Return whether a pattern matches each atom.

    Args:
        atoms: what must be matched.
        patterns: the patterns.
        exactly: compare without wildcards, as for principals, where IAM knows only `*` for all accounts.
    """
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
    """Return whether a pattern with `*` and `?` matches a text, or everything that another pattern matches.

    Needs no more steps than the product of both lengths, whatever the pattern.
    """
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
