"""What a request changes in a document, as plain data: nothing is called here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import values
from .document import LARGEST, PLACEHOLDER, Document, whole
from .errors import OperatorError
from .record import Record, key_hash
from .request import (
    WHOLE,
    FilledByHand,
    Form,
    Given,
    Joined,
    Random,
    RandomBytes,
    Reference,
    Request,
    Structure,
    shown,
)

KINDS = ("Added", "Regenerated", "Removed")
"""What can be done to a key."""


@dataclass(frozen=True)
class Plan:
    """A request's changes.

    Attributes:
        document: what the secret shall be.
        kinds: each changed key with one of KINDS.
        record: the generations that the document then has.
        unfilled: a key that a person shall fill is empty in the document.
        warnings: sentences for the operator.
    """

    document: Document
    kinds: Mapping[str, str]
    record: Record
    unfilled: bool
    warnings: tuple[str, ...]


@dataclass
class Made:
    """The random values of one request: however often it is tried, a key has one new value."""

    values: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, source: Random | RandomBytes) -> str:
        """The key's new value."""
        if name not in self.values:
            self.values[name] = (
                values.random_text(source) if isinstance(source, Random) else values.random_bytes(source)
            )
        return self.values[name]


def plan(
    request: Request, current: Document, recorded: Record | None, made: Made, again: Iterable[str] = ()
) -> Plan:
    """Compare a request with a document.

    Args:
        request: what is declared.
        current: the document that is read.
        recorded: generations of its keys; None if the secret has no record, and its values are adopted.
        made: the values that this request has made so far.
        again: keys that were written and then undone by a rotation that had copied the document before.

    Raises:
        OperatorError: not to be written, with the reason.
    """
    kinds = _kinds(request, current, recorded, frozenset(again))
    if request.form is not Form.OBJECT:
        document = _whole(request, made) if kinds else current
    else:
        document = current.without(key for key, kind in kinds.items() if kind == "Removed")
        document = _filled(request, document, [key for key, kind in kinds.items() if kind != "Removed"], made)
    size = document.size()
    if kinds and size > LARGEST:
        raise OperatorError(
            f"Secret {request.arn} would have {size} bytes, and Secrets Manager keeps {LARGEST}. Nothing was "
            "changed. Declare fewer or shorter values, or spread them over several secrets."
        )
    return Plan(
        document,
        kinds,
        _record(request, document, recorded, kinds),
        any(
            isinstance(key.source, FilledByHand) and document.is_unfilled(name)
            for name, key in request.keys.items()
        ),
        (
            *_adopted(request, current, recorded),
            *_lowered(request, current, recorded),
            *_outdated(request, kinds),
        ),
    )


def _kinds(
    request: Request, current: Document, recorded: Record | None, again: frozenset[str]
) -> dict[str, str]:
    kinds = {}
    for name, key in request.keys.items():
        if name not in current:
            kinds[name] = "Added"
        elif name in again or (recorded is not None and key.generation > recorded.get(key_hash(name), 1)):
            kinds[name] = "Regenerated"
    return {**kinds, **{name: "Removed" for name in current if name in request.removed}}


def _filled(request: Request, document: Document, names: list[str], made: Made) -> Document:
    """The document with a new value for every name; joined ones last, because they are made of others."""
    sources = [request.keys[name].source for name in names]
    _refuse_too_large(request.arn, sum(s.length for s in sources if isinstance(s, Random | RandomBytes)))
    # every key first, so that new ones are appended in the order of their declaration
    for name in names:
        if name not in document:
            document = document.with_value(name, "")
    waiting = {}
    for name in names:
        source = request.keys[name].source
        if isinstance(source, Joined):
            waiting[name] = source
        else:
            document = document.with_value(name, _value(name, source, made))
    while waiting:
        ready = [name for name, source in waiting.items() if not waiting.keys() & _referred(source)]
        if not ready:
            raise OperatorError(
                f"Secret {request.arn}: the keys {shown(waiting)} are joined of each other. Nothing was "
                "changed. Join them of other keys."
            )
        for name in ready:
            document = document.with_value(name, _joined(request.arn, name, waiting.pop(name), document))
    return document


def _whole(request: Request, made: Made) -> Document:
    source = request.keys[WHOLE].source
    if isinstance(source, FilledByHand):
        text = PLACEHOLDER
        if request.form is Form.BINARY:
            text = values.encoded(PLACEHOLDER.encode(), "base64")
        return whole(text, request.form)
    if isinstance(source, Given):
        return whole(source.value, request.form)
    if not isinstance(source, Random | RandomBytes):
        raise TypeError(source)  # request.py has refused it
    _refuse_too_large(request.arn, source.length)
    return whole(made.value(WHOLE, source), request.form)


def _value(name: str, source: Random | RandomBytes | Given | Structure | FilledByHand, made: Made) -> object:
    match source:
        case Random() | RandomBytes():
            return made.value(name, source)
        case Given(value) | Structure(value):
            return value
        case FilledByHand():
            return ""


def _joined(arn: str, name: str, source: Joined, document: Document) -> str:
    if missing := sorted(key for key in _referred(source) if key not in document):
        raise OperatorError(
            f"Secret {arn}: key {name!r} is joined of {shown(missing)}, which the secret does not have. "
            "Nothing was changed. Declare the missing keys, or add them in AWS."
        )
    pieces = [
        (piece, document.text_of(piece.key) if isinstance(piece, Reference) else piece)
        for piece in source.pieces
    ]
    # before it is made: keys joined of keys that are joined can double with each
    _refuse_too_large(arn, sum(len(text) for _, text in pieces))
    return values.joined(pieces)


def _refuse_too_large(arn: str, least: int) -> None:
    """Raise an error if values of at least so many bytes can never be kept, before they are made."""
    if least > LARGEST:
        raise OperatorError(
            f"Secret {arn} would have at least {least} bytes, and Secrets Manager keeps {LARGEST}. Nothing "
            "was changed. Declare fewer or shorter values, or spread them over several secrets."
        )


def _referred(source: Joined) -> set[str]:
    return {piece.key for piece in source.pieces if isinstance(piece, Reference)}


def _record(
    request: Request, document: Document, recorded: Record | None, kinds: Mapping[str, str]
) -> Record:
    """Generations of the document's keys, declared or not; what was not made anew keeps what it had."""
    record = {}
    for name in document:
        before = (recorded or {}).get(key_hash(name), 1)
        key = request.keys.get(name)
        if key is not None:
            before = key.generation if kinds.get(name) == "Added" else max(before, key.generation)
        if before > 1:
            record[key_hash(name)] = before
    return record


def _adopted(request: Request, current: Document, recorded: Record | None) -> Iterable[str]:
    """Warn of generations that are recorded as they are, because nothing says which the values have."""
    keys = [name for name, key in request.keys.items() if name in current and key.generation > 1]
    if recorded is None and keys:
        yield (
            f"Secret {request.arn} has no record of its generations: {shown(keys)} keep their live values, "
            "and the declared generations are recorded. Raise a generation again for a new value."
        )


def _lowered(request: Request, current: Document, recorded: Record | None) -> Iterable[str]:
    for name, key in request.keys.items():
        known = (recorded or {}).get(key_hash(name), 1)
        if name in current and key.generation < known:
            yield (
                f"Secret {request.arn}, {_place(name)}: generation {key.generation} is declared, and "
                f"generation {known} is in AWS. Nothing is done about it; declare {known}, or {known + 1} "
                "for a new value."
            )


def _outdated(request: Request, kinds: Mapping[str, str]) -> Iterable[str]:
    renewed = {name for name, kind in kinds.items() if kind == "Regenerated"}
    for name, key in request.keys.items():
        if isinstance(key.source, Joined) and name not in kinds and renewed & _referred(key.source):
            parts = shown(renewed & _referred(key.source))
            yield (
                f"Secret {request.arn}, key {name!r} is joined of {parts}, which has a new value, and still "
                f"holds the old one. Raise its generation, now {key.generation}, as well."
            )


def _place(name: str) -> str:
    return shown([name]) if name == WHOLE else f"key {name!r}"
