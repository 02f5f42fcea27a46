"""The picture of which workload reads which secret: two columns, and a line for each that reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from automation.status import texts
from automation.status.model import Secret, Status

# More secrets than this are drawn in groups that the same workloads read.
_MOST_SECRETS = 40
# More groups than this are one: only what has a problem is drawn for itself.
_MOST_GROUPS = 60
_MOST_WORKLOADS = 80
# Pixels; names of workloads are bold, and so wider.
_ROW, _MARGIN, _BETWEEN, _CHARACTER, _BOLD_CHARACTER, _GAP = 28, 20, 250, 7.8, 9.2, 13
_LEFT_LETTERS, _RIGHT_LETTERS = 26, 44
_ROUNDS = 6
_GOLDEN_ANGLE = 137.508  # hues that follow each other are far apart


@dataclass(frozen=True, kw_only=True)
class Node:
    """A workload, or a secret or several.

    Attributes:
        x, y: of its dot.
        label, title: short and whole.
        anchor: of the secret's place in the page.
        kind: of its worst problem, `well` without one.
        words: what is wrong, in few words.
        number, hue: of a workload.
    """

    x: float
    y: float
    label: str
    title: str
    anchor: str = ""
    kind: str = "well"
    words: str = ""
    number: int = 0
    hue: int = 0


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Who reads what: `path` is SVG's, `number` and `hue` are the workload's, `width` is in pixels."""

    path: str
    title: str
    number: int
    hue: int
    width: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """All of it; `unread` are the secrets that no workload of the stack file reads."""

    width: int
    height: int
    workloads: tuple[Node, ...]
    secrets: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Secrets that are one node, with the keys that each workload reads, or how many of them it reads."""

    label: str
    title: str
    reads: Mapping[str, str]
    secrets: Sequence[Secret]
    weights: Mapping[str, int]


def picture(status: Status, anchors: Mapping[str, str]) -> Picture | None:
    """The picture; None where nothing reads, or where there are too many workloads to draw.

    Args:
        status: whose.
        anchors: name of a secret to its place in the page.
    """
    read = [secret for secret in status.secrets if secret.readers]
    names = [workload.name for workload in status.workloads]
    if not read or len(names) > _MOST_WORKLOADS:
        return None
    workloads, groups = _ordered(names, _groups(read))
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
            )
            for name, title in group.reads.items()
        ]
    return Picture(
        width=round(right + _GAP + _CHARACTER * longest + _MARGIN),
        height=height,
        workloads=tuple(
            Node(
                x=left,
                y=places[name],
                label=_short(name, _LEFT_LETTERS),
                title=name,
                number=numbers[name],
                hue=_hue(numbers[name]),
            )
            for name in workloads
        ),
        secrets=tuple(secrets),
        edges=tuple(edges),
        unread=tuple(secret.name for secret in status.secrets if not secret.readers),
    )


def _groups(read: Sequence[Secret]) -> list[_Group]:
    if len(read) <= _MOST_SECRETS:
        return [_one(secret) for secret in read]
    alike: dict[tuple[str, ...], list[Secret]] = {}
    for secret in read:
        alike.setdefault(tuple(reader.workload for reader in secret.readers), []).append(secret)
    if len(alike) <= _MOST_GROUPS:
        return [_one(same[0]) if len(same) == 1 else _several(same) for same in alike.values()]
    alone = [secret for secret in read if secret.problems][:_MOST_SECRETS]
    names = {secret.name for secret in alone}
    others = [secret for secret in read if secret.name not in names]
    return [*map(_one, alone), _several(others, other=bool(alone))]


def _one(secret: Secret) -> _Group:
    reads = {
        reader.workload: f"{reader.workload} reads {texts.reads_of(secret, reader)}"
        for reader in secret.readers
    }
    return _Group(
        label=secret.name, title=secret.name, reads=reads, secrets=[secret], weights=dict.fromkeys(reads, 1)
    )


def _several(secrets: Sequence[Secret], *, other: bool = False) -> _Group:
    counts: dict[str, int] = {}
    for secret in secrets:
        for reader in secret.readers:
            counts[reader.workload] = counts.get(reader.workload, 0) + 1
    what = f"{len(secrets)} {'other ' if other else ''}secrets"
    names = ", ".join(secret.name for secret in secrets)
    return _Group(
        label=what if other else f"{what}: {names}",
        title=names,
        reads={name: f"{name} reads {number} of {what}" for name, number in counts.items()},
        secrets=secrets,
        weights=counts,
    )


def _ordered(names: Sequence[str], groups: Sequence[_Group]) -> tuple[list[str], list[_Group]]:
    """Both columns so that few lines cross: each in the order of the middle of what it is joined to."""
    left, right = list(names), list(groups)
    for _ in range(_ROUNDS):
        places = dict(zip(left, count()))
        right.sort(key=lambda group: _middle(places[name] / len(left) for name in group.reads))
        joined: dict[str, list[float]] = {}
        for index, group in enumerate(right):
            for name in group.reads:
                joined.setdefault(name, []).append(index / len(right))
        left.sort(key=lambda name: _middle(joined.get(name, [1.0])))
    return left, right


def _middle(places: Iterable[float]) -> float:
    found = list(places)
    return sum(found) / len(found)


def _node(group: _Group, x: float, y: float, anchors: Mapping[str, str]) -> Node:
    kinds = {problem.kind for secret in group.secrets for problem in secret.problems}
    return Node(
        x=x,
        y=y,
        label=_short(group.label, _RIGHT_LETTERS),
        title=group.title,
        anchor=anchors.get(group.secrets[0].name, "") if len(group.secrets) == 1 else "",
        kind=next((kind for kind in texts.KINDS if kind in kinds), "well"),
        words=_words(group),
    )


def _words(group: _Group) -> str:
    wrong = [secret for secret in group.secrets if secret.problems]
    if not wrong:
        return ""
    return texts.state(wrong[0]) if len(group.secrets) == 1 else f"{len(wrong)} to look at"


def _row(index: int, rows: int, height: float) -> float:
    return round((index + 0.5) * height / rows, 1)


def _curve(left: float, y: float, right: float, to: float) -> str:
    middle = (left + right) / 2
    return f"M{left:.0f} {y} C{middle:.0f} {y} {middle:.0f} {to} {right:.0f} {to}"


def _hue(number: int) -> int:
    return round(265 + number * _GOLDEN_ANGLE) % 360


def _short(text: str, letters: int) -> str:
    """With the middle left out: names differ at their ends as often as at their beginnings."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[-half:]}" if ": " not in text else f"{text[: letters - 1]}…"
