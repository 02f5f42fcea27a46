"""Compute what a request changes in a document. Nothing is called here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import values
from .document import LARGEST, Document, whole
from .errors import OperatorError
from .generation_labels import Record, key_hash
from .protocol import ADDED, PLACEHOLDER, REGENERATED, REMOVED
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

KINDS = (ADDED, REGENERATED, REMOVED)
"""The kinds of changes to a key."""


@dataclass(frozen=True)
class Plan:
    """The changes of a request.

    Attributes:
        document: the secret's new value.
        kinds: one of KINDS by changed key.
        record: the generations of the new value.
        unfilled: whether a key that is filled in manually is empty in the new value.
        warnings: sentences for the operator.
    """

    document: Document
    kinds: Mapping[str, str]
    record: Record
    unfilled: bool
    warnings: tuple[str, ...]


@dataclass
class GeneratedValues:
    """The random values of one request, which are the same in each of its attempts."""

    values: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, source: Random | RandomBytes) -> str:
        """Return the key's value, generated at the first call."""
        if name not in self.values:
            self.values[name] = (
                values.random_text(source) if isinstance(source, Random) else values.random_bytes(source)
            )
        return self.values[name]


def plan(
    request: Request,
    current: Document,
    recorded: Record | None,
    generated: GeneratedValues,
    again: Iterable[str] = (),
) -> Plan:
    """Compare a request with a document.

    Args:
        request: the declared content.
        current: the current document.
        recorded: generations of its keys; None if the secret has no record, so that its values are kept.
        generated: the random values of this request.
        again: keys that were written and then reverted by a rotation that had copied the document before.

    Raises:
        OperatorError: the request cannot be fulfilled.
    """
    kinds = _kinds(request, current, recorded, frozenset(again))
    if request.form is not Form.OBJECT:
        document = _whole(request, generated) if kinds else current
    else:
        document = current.without(key for key, kind in kinds.items() if kind == REMOVED)
        names = [key for key, kind in kinds.items() if kind != REMOVED]
        document = _with_new_values(request, document, names, generated)
    size = document.size()
    if kinds and size > LARGEST:
        raise _too_large(request.arn, f"{size} bytes")
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
            kinds[name] = ADDED
        elif name in again or (recorded is not None and key.generation > recorded.get(key_hash(name), 1)):
            kinds[name] = REGENERATED
    return {**kinds, **{name: REMOVED for name in current if name in request.removed}}


def _with_new_values(
    request: Request, document: Document, names: list[str], generated: GeneratedValues
) -> Document:
    """Return the document with a new value for every name; joined values last, as they refer to others."""
    sources = [request.keys[name].source for name in names]
    _check_size(request.arn, sum(s.length for s in sources if isinstance(s, Random | RandomBytes)))
    # placeholders for every key, so that new keys are appended in the order of their declaration
    for name in names:
        if name not in document:
            document = document.with_value(name, "")
    waiting = {}
    for name in names:
        source = request.keys[name].source
        if isinstance(source, Joined):
            waiting[name] = source
        else:
            document = document.with_value(name, _value(name, source, generated))
    while waiting:
        ready = [name for name, source in waiting.items() if not waiting.keys() & _referred(source)]
        if not ready:
            raise OperatorError(
                f"Secret {request.arn}: the joined keys {shown(waiting)} refer to each other. Nothing was "
                "changed. Remove the cycle."
            )
        for name in ready:
            document = document.with_value(name, _joined(request.arn, name, waiting.pop(name), document))
    return document


def _whole(request: Request, generated: GeneratedValues) -> Document:
    source = request.keys[WHOLE].source
    if isinstance(source, FilledByHand):
        text = PLACEHOLDER
        if request.form is Form.BINARY:
            text = values.encoded(PLACEHOLDER.encode(), "base64")
        return whole(text, request.form)
    if isinstance(source, Given):
        return whole(source.value, request.form)
    if not isinstance(source, Random | RandomBytes):
        raise TypeError(source)  # request.py has rejected it
    _check_size(request.arn, source.length)
    return whole(generated.value(WHOLE, source), request.form)


def _value(
    name: str,
    source: Random | RandomBytes | Given | Structure | FilledByHand,
    generated: GeneratedValues,
) -> object:
    match source:
        case Random() | RandomBytes():
            return generated.value(name, source)
        case Given(value) | Structure(value):
            return value
        case FilledByHand():
            return ""


def _joined(arn: str, name: str, source: Joined, document: Document) -> str:
    if missing := sorted(key for key in _referred(source) if key not in document):
        raise OperatorError(
            f"Secret {arn}: key {name!r} refers to {shown(missing)}, which the secret does not have. Nothing "
            "was changed. Declare the missing keys, or add them in AWS."
        )
    pieces = [
        (piece, document.text_of(piece.key) if isinstance(piece, Reference) else piece)
        for piece in source.pieces
    ]
    # before joining: with keys that refer to joined keys, the size can double at each step
    _check_size(arn, sum(len(text) for _, text in pieces))
    return values.joined(pieces)


def _check_size(arn: str, least: int) -> None:
    """Raise OperatorError, before values are generated, if `least` bytes exceed the limit."""
    if least > LARGEST:
        raise _too_large(arn, f"at least {least} bytes")


def _too_large(arn: str, size: str) -> OperatorError:
    return OperatorError(
        f"Secret {arn}: the value would have {size}; the limit of Secrets Manager is {LARGEST}. Nothing was "
        "changed. Declare fewer or shorter values, or divide them among several secrets."
    )


def _referred(source: Joined) -> set[str]:
    return {piece.key for piece in source.pieces if isinstance(piece, Reference)}


def _record(
    request: Request, document: Document, recorded: Record | None, kinds: Mapping[str, str]
) -> Record:
    """Return the generations of the document's keys, declared or not."""
    record = {}
    for name in document:
        generation = (recorded or {}).get(key_hash(name), 1)
        key = request.keys.get(name)
        if key is not None:
            generation = key.generation if kinds.get(name) == ADDED else max(generation, key.generation)
        if generation > 1:
            record[key_hash(name)] = generation
    return record


def _adopted(request: Request, current: Document, recorded: Record | None) -> Iterable[str]:
    """Warn about declared generations that are recorded for existing values, as there is no record."""
    keys = [name for name, key in request.keys.items() if name in current and key.generation > 1]
    if recorded is None and keys:
        yield (
            f"Secret {request.arn}: generations were not recorded yet. {shown(keys)} keep their live values, "
            "and the declared generations are recorded. To regenerate a value, increase its generation again."
        )


def _lowered(request: Request, current: Document, recorded: Record | None) -> Iterable[str]:
    for name, key in request.keys.items():
        known = (recorded or {}).get(key_hash(name), 1)
        if name in current and key.generation < known:
            yield (
                f"Secret {request.arn}, {_place(name)}: generation {key.generation} is declared, but "
                f"generation {known} is in AWS. The value is unchanged. Declare {known}, or {known + 1} to "
                "regenerate it."
            )


def _outdated(request: Request, kinds: Mapping[str, str]) -> Iterable[str]:
    regenerated = {name for name, kind in kinds.items() if kind == REGENERATED}
    for name, key in request.keys.items():
        if isinstance(key.source, Joined) and name not in kinds and regenerated & _referred(key.source):
            parts = shown(regenerated & _referred(key.source))
            yield (
                f"Secret {request.arn}, key {name!r} still contains the old value of {parts}, which was "
                f"regenerated. Increase its generation, now {key.generation}, as well."
            )


def _place(name: str) -> str:
    return shown([name]) if name == WHOLE else f"key {name!r}"
