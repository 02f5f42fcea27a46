"""Mistakes in a stack's configuration, in an operator's words."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

import pulumi
from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from components.visible import visible

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Mistake:
    """One thing to put right.

    Attributes:
        path: where, in the syntax of `pulumi config set --path`.
        wrong: what is wrong.
        consequence: what would happen with it.
        remedy: what to write instead.
    """

    path: str
    wrong: str
    consequence: str
    remedy: str


def entry(mistake: Mistake) -> str:
    """Return a mistake in three lines of which no name in it can make more."""
    wrong = visible(f"{mistake.wrong}. {mistake.consequence}.")
    return f"  {visible(mistake.path)}\n    {wrong}\n    {visible(mistake.remedy)}"


class SettingsError(pulumi.RunError):
    """The configuration has mistakes. Pulumi prints the message without a traceback."""

    def __init__(self, stack: str, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        entries = "".join(f"\n\n{entry(mistake)}" for mistake in mistakes)
        super().__init__(
            f"The configuration of stack {stack} has {count}; nothing was declared or changed.{entries}\n"
        )


def refusal(wrong: str, consequence: str, remedy: str) -> PydanticCustomError:
    """A validator's error that says all a Mistake says, but for the path."""
    return PydanticCustomError(
        "refusal", "{wrong}", {"wrong": wrong, "consequence": consequence, "remedy": remedy}
    )


def matching(pattern: str, wrong: str, consequence: str, remedy: str) -> AfterValidator:
    """A validator that refuses what is not wholly of this pattern."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise refusal(wrong, consequence, remedy)
        return text

    return AfterValidator(check)


def path_of(namespace: str, location: Iterable[str | int]) -> str:
    """`("secrets", "a/b", "values")` as `namespace:secrets["a/b"].values`."""
    first, *rest = [*location] or [""]  # of the structure as a whole
    steps = [
        f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN_KEY.fullmatch(step) else _quoted(step)
        for step in rest
    ]
    return f"{namespace}:{first}{''.join(steps)}"


def _quoted(step: str) -> str:
    escaped = step.replace('"', '\\"')
    return f'["{escaped}"]'


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)`, or nothing if no known word is near."""
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f' (did you mean "{folded[near[0]]}"?)' if near else ""


def from_validation(namespace: str, model: type[BaseModel], error: ValidationError) -> list[Mistake]:
    """All mistakes that pydantic found; the values it found wrong are never repeated."""
    return [
        _from_details(namespace, model, details)
        for details in error.errors(include_url=False, include_context=True)
    ]


def _from_details(namespace: str, model: type[BaseModel], details: ErrorDetails) -> Mistake:
    # pydantic marks a mistake in a mapping's key by a step "[key]" behind the key itself
    location = tuple(step for step in details["loc"] if step != "[key]")
    context: Mapping[str, Any] = details.get("ctx", {})
    path = path_of(namespace, location)
    kind = details["type"]
    if kind == "refusal":
        return Mistake(path, context["wrong"], context["consequence"], context["remedy"])
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return Mistake(
            path,
            f'unknown key "{location[-1]}"{nearest(str(location[-1]), known)}',
            "It would be ignored, and what you meant would not happen",
            f"Known keys here: {', '.join(known)}",
        )
    if kind == "missing":
        return Mistake(
            path,
            "this key is missing",
            "What belongs here cannot be guessed",
            f'Add "{location[-1]}" with a value',
        )
    return _wrong_value(path, details, context)


_EXPECTED = {
    "string_type": (
        "text",
        'Write it in quotes: "..." (YAML reads unquoted 0123, yes or 1.10 as something else)',
    ),
    "int_type": ("a whole number", "Write a whole number without quotes, for example 32"),
    "int_from_float": ("a whole number", "Write a whole number without quotes, for example 32"),
    "bool_type": ("true or false", "Write true or false without quotes"),
    "dict_type": ("a map", 'Write "key: value" lines, indented below it'),
    "model_type": ("a map", 'Write "key: value" lines, indented below it'),
    "tuple_type": ("a list", 'Write lines that begin with "- ", indented below it'),
}
_FOUND: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a map",
    type(None): "nothing",
}


# (wrong, consequence, remedy); the names in braces are pydantic's
_WRONG: dict[str, tuple[str, str, str]] = {
    "literal_error": ("this is not one of the choices", "There is no such choice", "Write {expected}"),
    "greater_than_equal": ("the number is below {ge}", "It has no meaning", "Write {ge} or more"),
    "less_than_equal": ("the number is above {le}", "AWS would refuse it", "Write {le} or less"),
    "string_pattern_mismatch": (
        "it is not of the form {pattern}",
        "AWS would refuse it",
        "Write it in that form",
    ),
    "string_too_long": (
        "it is longer than {max_length} characters",
        "AWS would refuse it",
        "Shorten it to {max_length} or less",
    ),
    "too_long": (
        "it has more than {max_length} entries",
        "AWS would refuse it",
        "Keep {max_length} at the most",
    ),
    "string_too_short": ("it is empty", "It would say nothing", "Fill it, or leave the key out"),
    "too_short": ("it is empty", "It would create nothing", "Write at least one entry"),
}


def _wrong_value(path: str, details: ErrorDetails, context: Mapping[str, Any]) -> Mistake:
    kind = details["type"]
    if kind in _EXPECTED:
        expected, remedy = _EXPECTED[kind]
        found = _FOUND.get(type(details["input"]), "something else")
        return Mistake(
            path, f"expected {expected}, found {found}", "It would not mean what it looks like", remedy
        )
    if kind in _WRONG:
        wrong, consequence, remedy = (text.format(**context) for text in _WRONG[kind])
        return Mistake(path, wrong, consequence, remedy)
    return Mistake(path, details["msg"], "It cannot be used", "See stack-file.schema.json for what goes here")


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    annotation: Any = model
    for step in location:
        annotation = _below(annotation, step)
    found = _unwrapped(annotation)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise TypeError(f"no model at {location}")
    return [field.alias or name for name, field in found.model_fields.items()]


def _below(annotation: object, step: str | int) -> object:
    found = _unwrapped(annotation)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return next(
            field.annotation for name, field in found.model_fields.items() if (field.alias or name) == step
        )
    # a mapping's or a tuple's element: dict[K, V] and tuple[V, ...]
    return get_args(found)[0 if get_origin(found) is tuple else 1]


def _unwrapped(annotation: object) -> object:
    while True:
        if hasattr(annotation, "__metadata__"):
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        else:
            return annotation
