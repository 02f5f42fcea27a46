"""Mistakes in a stack's configuration: where, what is wrong, and what to write."""

import difflib
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from components.visible import visible

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = re.compile(r"[.\[]")


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        path: where, in the syntax of `pulumi config set --path`.
        wrong: what is wrong.
        consequence: what would happen; empty if that is obvious.
        remedy: what to do.
    """

    path: str
    wrong: str
    consequence: str
    remedy: str


def entry(mistake: Mistake) -> str:
    """Return a mistake as exactly three lines, whatever characters its names have."""
    wrong = ". ".join(part for part in (mistake.wrong, mistake.consequence) if part)
    return f"  {visible(mistake.path)}\n    {visible(f'{wrong}.')}\n    {visible(mistake.remedy)}"


class SettingsError(Exception):
    """The configuration has mistakes. The message lists them all, each with its path and remedy.

    Args:
        stack: name of the stack.
        mistakes: the mistakes.
        heading: a sentence about a configuration that is not the stack file's, instead of the usual one.
    """

    def __init__(self, stack: str, mistakes: Sequence[Mistake], heading: str = "") -> None:
        self.mistakes = tuple(mistakes)
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        entries = "".join(f"\n\n{entry(mistake)}" for mistake in mistakes)
        usual = f"The configuration of stack {stack} has {count}; nothing was declared or changed."
        super().__init__(f"{heading or usual}{entries}\n")


def refusal(wrong: str, consequence: str, remedy: str) -> PydanticCustomError:
    """Return a validator's error with everything of a Mistake except its path."""
    return PydanticCustomError(
        "refusal", "{wrong}", {"wrong": wrong, "consequence": consequence, "remedy": remedy}
    )


def matching(pattern: str, wrong: str, consequence: str, remedy: str) -> AfterValidator:
    """Return a validator that rejects a text unless the whole of it matches the pattern."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise refusal(wrong, consequence, remedy)
        return text

    return AfterValidator(check)


def path_of(
    namespace: str,
    location: Sequence[str | int],
    files: Mapping[tuple[str, str], str] = types.MappingProxyType({}),
) -> str:
    """Return `("secrets", "a/b", "values")` as `namespace:secrets["a/b"].values`.

    Args:
        namespace: of the project.
        location: keys and indexes that lead to the place.
        files: as for `located`; what one of them declares is `file: secrets["a/b"].values`.
    """
    file = files.get((str(location[0]), str(location[1]))) if len(location) > 1 else None
    return f"{file}: {place_text(location)}" if file else f"{namespace}:{place_text(location)}"


def place_text(location: Iterable[str | int]) -> str:
    """Return `("secrets", "a/b", "values")` as `secrets["a/b"].values`."""
    first, *rest = [*location] or [""]  # empty for the whole structure
    steps = [
        f"[{step}]" if isinstance(step, int) else f".{step}" if _PLAIN_KEY.fullmatch(step) else _quoted(step)
        for step in rest
    ]
    return f"{first}{''.join(steps)}"


def located(mistakes: Iterable[Mistake], files: Mapping[tuple[str, str], str]) -> list[Mistake]:
    """Return mistakes whose paths begin with the included file that declares the entry.

    Args:
        mistakes: with paths from `path_of`.
        files: section and name of each entry that is not in the stack file itself, to its file.
    """
    by_start = {place_text(place): file for place, file in files.items()}
    return [replace(mistake, path=_located(mistake.path, by_start)) for mistake in mistakes]


def _located(path: str, by_start: Mapping[str, str]) -> str:
    below = path.partition(":")[2]
    ends = [*(match.start() for match in _STEP.finditer(below)), len(below)] if by_start else []
    file = next((by_start[below[:end]] for end in ends if below[:end] in by_start), None)
    return path if file is None else f"{file}: {below}"


def _quoted(step: str) -> str:
    escaped = step.replace('"', '\\"')
    return f'["{escaped}"]'


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)`, or nothing if no known word is similar."""
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f' (did you mean "{folded[near[0]]}"?)' if near else ""


def from_validation(namespace: str, model: type[BaseModel], error: ValidationError) -> list[Mistake]:
    """Return all mistakes that pydantic found, without the values that it rejected."""
    return [
        _from_details(namespace, model, details)
        for details in error.errors(include_url=False, include_context=True)
    ]


def _from_details(namespace: str, model: type[BaseModel], details: ErrorDetails) -> Mistake:
    # pydantic adds a step "[key]" after a mapping's key if the key itself is wrong
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
            "It would be ignored",
            f"Known keys here: {', '.join(known)}",
        )
    if kind == "missing":
        return Mistake(
            path,
            "this key is required",
            "",
            f'Add "{location[-1]}"',
        )
    return _wrong_value(path, details, context)


_EXPECTED = {
    "string_type": (
        "text",
        'Write it in quotes: "..." (YAML reads unquoted 0123, yes or 1.10 as something else)',
    ),
    "int_type": ("a whole number", "Write a whole number without quotes, such as 32"),
    "int_from_float": ("a whole number", "Write a whole number without quotes, such as 32"),
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


# (wrong, consequence, remedy), with pydantic's names in braces
_WRONG: dict[str, tuple[str, str, str]] = {
    "literal_error": ("not one of the allowed values", "", "Use {expected}"),
    "greater_than_equal": ("the number is below {ge}", "", "Use {ge} or more"),
    "less_than_equal": ("the number is above {le}", "AWS would reject it", "Use {le} or less"),
    "string_pattern_mismatch": (
        "does not match the pattern {pattern}",
        "AWS would reject it",
        "Use a value that matches it",
    ),
    "string_too_long": (
        "longer than {max_length} characters",
        "AWS would reject it",
        "Shorten it to {max_length} characters",
    ),
    "too_long": (
        "more than {max_length} entries",
        "AWS would reject it",
        "Keep at most {max_length}",
    ),
    "string_too_short": ("must not be empty", "", "Set a value, or remove the key"),
    "too_short": ("must not be empty", "", "Add at least one entry"),
}


def _wrong_value(path: str, details: ErrorDetails, context: Mapping[str, Any]) -> Mistake:
    kind = details["type"]
    if kind in _EXPECTED:
        expected, remedy = _EXPECTED[kind]
        found = _FOUND.get(type(details["input"]), "something else")
        return Mistake(path, f"expected {expected}, found {found}", "", remedy)
    if kind in _WRONG:
        wrong, consequence, remedy = (text.format(**context) for text in _WRONG[kind])
        return Mistake(path, wrong, consequence, remedy)
    return Mistake(path, details["msg"], "", "See stack-file.schema.json for the allowed values")


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
