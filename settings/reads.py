"""What a workload reads under one name: a key of a secret, or a text made of several."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.secrets import JsonKey, SecretName
from workloads.template import Placeholder, TemplateError, names, parse

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variable(name: str) -> str:
    """Raises a refusal for what is no name of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        raise refusal(
            "this is no name of an environment variable",
            "Shells and many programs could not read it",
            "Use letters, digits and _, not a digit first",
        )
    return name


def _check_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise refusal(
            "the file would be outside its mount",
            "It could take the place of a file of the image",
            "Write a path below mountPath, without a slash at the beginning and without ..",
        )
    if path.startswith(".."):
        raise refusal(
            "Kubernetes keeps names that begin with .. for itself",
            "The pod would not start",
            "Write another name at the beginning",
        )
    if not re.fullmatch(r"[A-Za-z0-9._/-]{1,253}", path) or "" in parts or "." in parts:
        raise refusal(
            "this is no path that every platform takes",
            "The file could not be made",
            "Use 1 to 253 of the characters A-Z a-z 0-9 . _ - with single slashes between",
        )
    return path


PlaceholderName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_]{0,63}",
        "this is no name of a placeholder",
        "A template could not use it",
        "Use up to 64 letters, digits and _, not a digit first",
    ),
]
Variable = Annotated[str, AfterValidator(check_variable)]
FilePath = Annotated[str, AfterValidator(_check_path)]


@dataclass(frozen=True)
class NamedRead:
    """A key that a workload reads under a name of its own.

    Attributes:
        place: below the workload: `environment` or `files`, and the name; in a template further to its part.
        secret, key: what it reads.
        required: see Read.
    """

    place: tuple[str, ...]
    secret: str
    key: str
    required: bool


class Part(Model):
    """One key of one secret, as a part of a text."""

    secret: Annotated[SecretName, Field(description="Name in AWS of a secret of this stack")]
    key: Annotated[JsonKey, Field(description="JSON key")]
    required: Annotated[bool, Field(description="Warn while a placeholder has not been filled")] = False


def _check_template(text: str) -> str:
    try:
        parse(text)
    except TemplateError as error:
        raise refusal(
            f"{error} begins no placeholder",
            "It would be unclear what the text holds",
            "Write ${name} or ${name|url} for a value, and $$ for a dollar sign",
        ) from None
    return text


class Read(Model):
    """One key of one secret, or a text made of several."""

    secret: Annotated[SecretName | None, Field(description="Name in AWS of a secret of this stack")] = None
    key: Annotated[JsonKey | None, Field(description="JSON key; the variable's name if left out")] = None
    required: Annotated[bool, Field(description="Warn while a placeholder has not been filled")] = False
    template: Annotated[
        Annotated[str, AfterValidator(_check_template)] | None,
        Field(description="A text with ${name} or, percent-encoded, ${name|url}; External Secrets only"),
    ] = None
    keys: Annotated[
        dict[PlaceholderName, Part], Field(description="Name in the template to what stands for it")
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "Read":
        if (self.secret is None) == (self.template is None):
            raise refusal(
                "a variable or file holds either a key of a secret or a template",
                "It would be unclear what it holds",
                "Write secret: NAME, or template: TEXT with keys",
            )
        if self.template is None:
            if self.keys:
                raise refusal(
                    "keys belong to a template, and there is none",
                    "They would be ignored",
                    "Add template, or remove keys",
                )
            return self
        if self.key is not None or self.required:
            raise refusal(
                "a template takes key and required below its keys",
                "They would be ignored",
                "Write keys: {NAME: {secret: SECRET, key: KEY, required: true}}",
            )
        self._check_names(names(self.pieces))
        return self

    def _check_names(self, used: set[str]) -> None:
        if not used:
            raise refusal(
                "the template has no placeholder",
                "The text would be in the manifests, and not in AWS",
                "Write ${NAME} where a value belongs; a plain text belongs to the pod itself",
            )
        if used != self.keys.keys():
            missing, idle = sorted(used - self.keys.keys()), sorted(self.keys.keys() - used)
            raise refusal(
                " and ".join(
                    [f"the template uses {name}, which keys lacks" for name in missing]
                    + [f"keys has {name}, which the template does not use" for name in idle]
                ),
                "The text could not be made as it is meant",
                "Give keys exactly the names of the template",
            )

    @property
    def pieces(self) -> tuple[str | Placeholder, ...]:
        """Of the template."""
        return parse(self.template or "")

    def reads(self, place: tuple[str, str]) -> list["NamedRead"]:
        """All that it reads; a key that is left out has the name of the variable."""
        if self.secret is not None:
            return [NamedRead(place, self.secret, self.key or place[1], self.required)]
        return [
            NamedRead((*place, "keys", name), part.secret, part.key, part.required)
            for name, part in self.keys.items()
        ]


class ReadFile(Read):
    """One key of one secret as a file, or a text made of several."""

    @model_validator(mode="after")
    def _key_is_named(self) -> "ReadFile":
        if self.secret is not None and self.key is None:
            raise refusal(
                "the key is missing",
                "What the file holds cannot be guessed from its path",
                'Add "key" with the JSON key',
            )
        return self
