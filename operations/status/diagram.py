"""Lay out the diagram of workloads and the secrets they read: two columns, connected by lines.

Once readers are known, a line is solid for a workload that reads, dashed for one that does not although it is
declared, and dotted for a principal that is not declared, which has a place below the workloads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from operations.status import texts
from operations.status.model import Secret, Status

# Above this, secrets with the same readers are drawn as one node.
_MOST_SECRETS = 40
# Above this, only secrets with problems have nodes of their own; all others share one.
_MOST_GROUPS = 60
_MOST_WORKLOADS = 80
_MOST_FOREIGN = 12
# Pixels; the names of workloads are bold, so their characters are wider.
_ROW, _MARGIN, _BETWEEN, _CHARACTER, _BOLD_CHARACTER, _GAP = 28, 20, 250, 7.8, 9.2, 13
_LEFT_LETTERS, _RIGHT_LETTERS = 26, 44
_ROUNDS = 6
_GOLDEN_ANGLE = 137.508  # keeps successive hues far apart


@dataclass(frozen=True, kw_only=True)
class Node:
    """A workload, a secret, or a group of secrets.

    Attributes:
        x, y: position of its dot.
        label, title: shortened and full name.
        anchor: of the secret's card on the page; empty for a workload or a group.
        kind: of its worst problem, `healthy` if it has none.
        words: its problems in a few words.
        number, hue: of a workload.
        is_foreign: whether it is a principal that the stack file does not declare.
    """

    x: float
    y: float
    label: str
    title: str
    anchor: str = ""
    kind: str = "healthy"
    words: str = ""
    number: int = 0
    hue: int = 0
    is_foreign: bool = False


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A line from a workload to a secret.

    Attributes:
        path: in SVG.
        title: what is read.
        number, hue: of the workload.
        width: in pixels.
        kind: `declared`: whether it reads is not known; `actual`: declared, and reads; `silent`: declared,
            and does not read; `undeclared`.
    """

    path: str
    title: str
    number: int
    hue: int
    width: float
    kind: str = "declared"


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """The diagram.

    `unread` names the secrets that no workload of the stack file reads; `is_observed` is whether lines differ
    by who really reads; `left_out` is the number of undeclared principals that have no place.
    """

    width: int
    height: int
    workloads: tuple[Node, ...]
    secrets: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unread: tuple[str, ...]
    is_observed: bool = False
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Secrets that share a node, with what each workload reads of them, in words and as a number.

    `kinds` are those of the lines, as in `Edge`.
    """

    label: str
    title: str
    reads: Mapping[str, str]
    secrets: Sequence[Secret]
    weights: Mapping[str, int]
    kinds: Mapping[str, str]


def draw(status: Status, anchors: Mapping[str, str]) -> Diagram | None:
    """Return the diagram; None if nothing is read, or if there are too many workloads to draw.

    Args:
        status: to draw.
        anchors: anchors on the page by the names of secrets.
    """
    foreign, left_out = _foreign(status)
    read = [secret for secret in status.secrets if _readers_of(secret, foreign)]
    declared = [workload.name for workload in status.workloads]
    names = [*declared, *foreign]
    if not read or len(declared) > _MOST_WORKLOADS:
        return None
    workloads, groups = _ordered(names, _groups(read, foreign))
    rows = max(len(workloads), len(groups))
    left = _MARGIN + _GAP + _BOLD_CHARACTER * min(max(map(len, workloads)), _LEFT_LETTERS)
    longest = max(len(_short(group.label, _RIGHT_LETTERS)) + len(_words(group)) + 3 for group in groups)
    right, height = left + _BETWEEN, _ROW * rows + _MARGIN
    places = {name: _row(index, len(workloads), height) for index, name in enumerate(workloads)}
    numbers = {name: index for index, name in enumerate(names)}
    secrets: list[Node] = []
    edges: list[Edge] = []
    for index, group in enumerate(groups):
        y = _row(index, len(groups), height)
        secrets.append(_node(group, right, y, anchors))
        edges += [
            Edge(
                path=_curve(left, places[name], right, y),
                title=title,
                number=numbers[name],
                hue=_hue(numbers[name]),
                width=min(1.5 + group.weights[name] ** 0.5 / 3, 8),
                kind=group.kinds[name],
            )
            for name, title in group.reads.items()
        ]
    return Diagram(
        width=round(right + _GAP + _CHARACTER * longest + _MARGIN),
        height=height,
        workloads=tuple(
            Node(
                x=left,
                y=places[name],
                label=_label(name, foreign),
                title=name,
                number=numbers[name],
                hue=_hue(numbers[name]),
                is_foreign=name in foreign,
            )
            for name in workloads
        ),
        secrets=tuple(secrets),
        edges=tuple(edges),
        unread=tuple(secret.name for secret in status.secrets if not secret.readers),
        is_observed=status.observation is not None and status.observation.is_complete,
        left_out=left_out,
    )


def _foreign(status: Status) -> tuple[dict[str, None], int]:
    """Return the undeclared principals that have a place, and the number of those that have none."""
    taken = {workload.name for workload in status.workloads}
    found = dict.fromkeys(
        one.principal
        for secret in status.secrets
        for one in (secret.readings.actual if secret.readings and not secret.existing else ())
        if texts.is_foreign(one) and not one.workloads and one.principal not in taken
    )
    names = list(found)
    return dict.fromkeys(names[:_MOST_FOREIGN]), max(len(names) - _MOST_FOREIGN, 0)


def _readers_of(secret: Secret, foreign: Mapping[str, None]) -> dict[str, str]:
    """Return who reads a secret, or is declared to, with the kind of the line."""
    found = secret.readings
    silent = found.silent if found else ()
    read_by = {name for one in (found.actual if found else ()) for name in one.workloads}
    kinds = {
        one.workload: "silent"
        if one.workload in silent
        else "actual"
        if one.workload in read_by
        else "declared"
        for one in secret.readers
    }
    for one in found.actual if found and not secret.existing else ():
        if texts.is_foreign(one):
            kinds |= dict.fromkeys(one.workloads or (one.principal,), "undeclared")
    known = {one.workload for one in secret.readers} | read_by | set(foreign)
    return {name: kind for name, kind in kinds.items() if name in known}


def _label(name: str, foreign: Mapping[str, None]) -> str:
    """Return a short name: of a principal, what its ARN ends with."""
    return _short(name.rpartition("/")[2] or name if name in foreign else name, _LEFT_LETTERS)


def _groups(read: Sequence[Secret], foreign: Mapping[str, None]) -> list[_Group]:
    if len(read) <= _MOST_SECRETS:
        return [_one(secret, foreign) for secret in read]
    by_readers: dict[tuple[tuple[str, str], ...], list[Secret]] = {}
    for secret in read:
        by_readers.setdefault(tuple(_readers_of(secret, foreign).items()), []).append(secret)
    if len(by_readers) <= _MOST_GROUPS:
        return [
            _one(same[0], foreign) if len(same) == 1 else _several(same, foreign)
            for same in by_readers.values()
        ]
    unhealthy = [secret for secret in read if secret.problems][:_MOST_SECRETS]
    names = {secret.name for secret in unhealthy}
    others = [secret for secret in read if secret.name not in names]
    return [
        *(_one(secret, foreign) for secret in unhealthy),
        _several(others, foreign, other=bool(unhealthy)),
    ]


_RANKS = ("", "actual", "declared", "silent", "undeclared")
_VERBS = {
    "declared": "reads",
    "actual": "reads",
    "silent": "is declared to read, and does not read,",
    "undeclared": "is not declared, and reads",
}


def _one(secret: Secret, foreign: Mapping[str, None]) -> _Group:
    kinds, declared = _readers_of(secret, foreign), {one.workload: one for one in secret.readers}
    reads = {
        name: f"{name} {_VERBS[kind]} "
        + (texts.reads_of(secret, declared[name]) if name in declared else secret.name)
        for name, kind in kinds.items()
    }
    return _Group(
        label=secret.name,
        title=secret.name,
        reads=reads,
        secrets=[secret],
        weights=dict.fromkeys(reads, 1),
        kinds=kinds,
    )


def _several(secrets: Sequence[Secret], foreign: Mapping[str, None], *, other: bool = False) -> _Group:
    counts: dict[str, int] = {}
    kinds: dict[str, str] = {}
    for secret in secrets:
        for name, kind in _readers_of(secret, foreign).items():
            counts[name] = counts.get(name, 0) + 1
            # of different ones, the one to look at
            kinds[name] = max(kind, kinds.get(name, ""), key=_RANKS.index)
    what = f"{len(secrets)} {'other ' if other else ''}secrets"
    names = ", ".join(secret.name for secret in secrets)
    return _Group(
        label=what if other else f"{what}: {names}",
        title=names,
        reads={name: f"{name} {_VERBS[kinds[name]]} {number} of {what}" for name, number in counts.items()},
        secrets=secrets,
        weights=counts,
        kinds=kinds,
    )


def _ordered(names: Sequence[str], groups: Sequence[_Group]) -> tuple[list[str], list[_Group]]:
    """Return both columns so that few lines cross: sort each node by the mean position of its neighbours."""
    left, right = list(names), list(groups)
    for _ in range(_ROUNDS):
        places = dict(zip(left, count()))
        right.sort(key=lambda group: _mean(places[name] / len(left) for name in group.reads))
        neighbours: dict[str, list[float]] = {}
        for index, group in enumerate(right):
            for name in group.reads:
                neighbours.setdefault(name, []).append(index / len(right))
        left.sort(key=lambda name: _mean(neighbours.get(name, [1.0])))
    return left, right


def _mean(positions: Iterable[float]) -> float:
    values = list(positions)
    return sum(values) / len(values)


def _node(group: _Group, x: float, y: float, anchors: Mapping[str, str]) -> Node:
    kinds = {problem.kind for secret in group.secrets for problem in secret.problems}
    return Node(
        x=x,
        y=y,
        label=_short(group.label, _RIGHT_LETTERS),
        title=group.title,
        anchor=anchors.get(group.secrets[0].name, "") if len(group.secrets) == 1 else "",
        kind=next((kind for kind in texts.KINDS if kind in kinds), "healthy"),
        words=_words(group),
    )


def _words(group: _Group) -> str:
    unhealthy = [secret for secret in group.secrets if secret.problems]
    if not unhealthy:
        return ""
    if len(group.secrets) == 1:
        return texts.state(unhealthy[0])
    return f"{len(unhealthy)} need{'s' if len(unhealthy) == 1 else ''} attention"


def _row(index: int, rows: int, height: float) -> float:
    return round((index + 0.5) * height / rows, 1)


def _curve(left: float, y: float, right: float, to: float) -> str:
    middle = (left + right) / 2
    return f"M{left:.0f} {y} C{middle:.0f} {y} {middle:.0f} {to} {right:.0f} {to}"


def _hue(number: int) -> int:
    return round(265 + number * _GOLDEN_ANGLE) % 360


def _short(text: str, letters: int) -> str:
    """Shorten the middle of a name: names differ at their ends as often as at their beginnings."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[-half:]}" if ": " not in text else f"{text[: letters - 1]}…"
