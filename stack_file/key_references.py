"""Models of what a workload reads under one name: a key, a whole secret, or a template."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.secrets import Content, JsonKey, SecretName
from stack_file.template import Placeholder, TemplateError, names, parse

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_variable(name: str) -> str:
    """Return an environment variable name, or raise a refusal."""
    if not _VARIABLE.fullmatch(name):
        raise refusal(
            "not a valid environment variable name",
            "Shells and many programs could not read it",
            "Use letters, digits and _, and do not start with a digit",
        )
    return name


def _check_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise refusal(
            "the path is outside mountPath",
            "The file could replace one of the image",
            "Use a relative path without ..",
        )
    if path.startswith(".."):
        raise refusal(
            "Kubernetes reserves names that begin with ..",
            "The pod would not start",
            "Use another file name",
        )
    if not re.fullmatch(r"[A-Za-z0-9._/-]{1,253}", path) or "" in parts or "." in parts:
        raise refusal(
            "not a valid file path",
            "The file could not be created on every platform",
            "Use 1 to 253 of the characters A-Z a-z 0-9 . _ - with single slashes between folders",
        )
    return path


ExistingSecret = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}"
        r"|[A-Za-z0-9/_+=.@-][A-Za-z0-9/_+=.@!-]{0,511}",
        "not the name or full ARN of a secret",
        "",
        "Use the secret's name, or arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX with the six "
        "characters that AWS adds",
    ),
]
_KeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+",
        "not the ARN of a KMS key",
        "The workload could not decrypt the secret",
        "Use arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]
PlaceholderName = Annotated[
    str,
    matching(
        r"[A-Za-z_][A-Za-z0-9_]{0,63}",
        "not a valid placeholder name",
        "",
        "Use up to 64 letters, digits and _, and do not start with a digit",
    ),
]
Variable = Annotated[str, AfterValidator(check_variable)]
FilePath = Annotated[str, AfterValidator(_check_path)]


@dataclass(frozen=True)
class NamedRead:
    """A read of a key or a whole secret of this stack.

    Attributes:
        place: place below the workload: `environment` or `files` and the name, then the part of a template.
        secret: the secret's name.
        key: the key, if the stack file names one.
        required: whether to warn while a placeholder is not filled in.
        whole: whether the stack file asks for the whole secret.
    """

    place: tuple[str | int, ...]
    secret: str
    key: str | None
    required: bool
    whole: bool = False

    def key_of(self, content: Content) -> str | None:
        """Return the key that is read, for a secret with this content.

        Returns:
            The named key, else the variable's name. None for a whole secret, and if a key must be named.
        """
        if self.whole or content != "keys":
            return None
        own_name = (
            str(self.place[1]) if self.place[0] == "environment" and len(self.place) == _PLACE else None
        )
        return self.key or own_name


_PLACE = 2  # length of a place outside templates: section and name


@dataclass(frozen=True)
class ExistingRead:
    """A read of a secret that this stack does not create.

    Attributes:
        place: place below the workload, as in `NamedRead`.
        secret: the secret's name in AWS or full ARN, as declared.
        key: the JSON key; None for the whole secret.
        kms_key_arn: ARN of its KMS key, if the stack file has it.
    """

    place: tuple[str | int, ...]
    secret: str
    key: str | None
    kms_key_arn: str | None


class Origin(Model):
    """The secret that is read: one of this stack, or an existing one."""

    secret: Annotated[SecretName | None, Field(description="Name in AWS of a secret of this stack")] = None
    existing_secret: Annotated[
        ExistingSecret | None,
        Field(description="Name or full ARN of a secret that this stack does not create"),
    ] = None
    kms_key_arn: Annotated[
        _KeyArn | None,
        Field(description="KMS key of another account's secret; for any other, AWS reports it"),
    ] = None
    required: Annotated[bool, Field(description="Warn while a placeholder is not filled in")] = False

    @model_validator(mode="after")
    def _consistent_origin(self) -> Self:
        if self.kms_key_arn and not (self.existing_secret or "").startswith("arn:"):
            raise refusal(
                "kmsKeyArn is set for a secret whose key AWS reports",
                "It would be ignored",
                "Remove kmsKeyArn: it is only for the full ARN of another account's secret",
            )
        if self.existing_secret and self.required:
            raise refusal(
                "required is set for a secret that this stack does not create",
                "It would be ignored: required is for placeholders of this stack",
                "Remove required",
            )
        return self

    def read(self, place: tuple[str | int, ...], key: str | None, *, whole: bool) -> NamedRead | None:
        """Return the read of a secret of this stack; None for an existing secret."""
        if self.secret is None:
            return None
        return NamedRead(place, self.secret, key, self.required, whole=whole)

    def existing_read(self, place: tuple[str | int, ...], key: str | None) -> ExistingRead | None:
        """Return the read of an existing secret; None for one of this stack."""
        if self.existing_secret is None:
            return None
        return ExistingRead(place, self.existing_secret, key, self.kms_key_arn)


class WholeSecret(Origin):
    """A secret whose keys are all read."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.existing_secret is None):
            raise refusal(
                "exactly one of secret and existingSecret is required",
                "",
                "Set secret: NAME for a secret of this stack, or existingSecret: NAME for any other",
            )
        return self


_WHOLE = Field(description="Read the whole secret: all keys as one JSON text")


class Part(WholeSecret):
    """A key or a whole secret, as a part of a template."""

    key: Annotated[JsonKey | None, Field(description="JSON key; none for a secret without keys")] = None
    whole: Annotated[bool, _WHOLE] = False

    @model_validator(mode="after")
    def _key_or_whole(self) -> "Part":
        # cross checks handle secrets of this stack, whose keys are known
        missing = self.key is None and not self.whole and self.existing_secret is not None
        if missing or (self.key is not None and self.whole):
            raise refusal(
                "key is required" if self.key is None else "key and whole are mutually exclusive",
                "",
                'Add "key" with the JSON key, or whole: true',
            )
        return self


def _check_template(text: str) -> str:
    try:
        parse(text)
    except TemplateError as error:
        raise refusal(
            f"{error} does not begin a valid placeholder",
            "",
            "Use ${name} or ${name|url} for a value, and $$ for a dollar sign",
        ) from None
    return text


_KEY = "JSON key; default: the variable's name, or the whole of a secret without keys"


class Read(Origin):
    """A key, a whole secret, or a template of several."""

    key: Annotated[JsonKey | None, Field(description=_KEY)] = None
    whole: Annotated[bool, _WHOLE] = False
    template: Annotated[
        Annotated[str, AfterValidator(_check_template)] | None,
        Field(
            description="Text with ${name} or, percent-encoded, ${name|url}; External Secrets Operator only"
        ),
    ] = None
    keys: Annotated[
        dict[PlaceholderName, Part], Field(description="Placeholders of the template, by name")
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "Read":
        if [self.secret, self.existing_secret, self.template].count(None) != 2:  # noqa: PLR2004  one is given
            raise refusal(
                "exactly one of secret, existingSecret and template is required",
                "",
                "Set secret: NAME, existingSecret: NAME for a secret that this stack does not create, or "
                "template: TEXT with keys",
            )
        if self.whole and (self.key is not None or self.template is not None):
            raise refusal(
                f"whole and {'template' if self.template is not None else 'key'} are mutually exclusive",
                "",
                "Keep one of them; a part of a template can be whole: true",
            )
        if self.template is None:
            if self.keys:
                raise refusal(
                    "keys is set without template",
                    "They would be ignored",
                    "Add template, or remove keys",
                )
            return self
        if self.key is not None or self.required:
            raise refusal(
                "key and required belong to the keys of a template",
                "They would be ignored",
                "Set keys: {NAME: {secret: SECRET, key: KEY, required: true}}",
            )
        self._check_names(names(self.pieces))
        return self

    def _check_names(self, used: set[str]) -> None:
        if not used:
            raise refusal(
                "the template has no placeholder",
                "The text would be in the manifests instead of AWS",
                "Add ${NAME} where a value belongs, or set a constant text in the pod itself",
            )
        if used != self.keys.keys():
            missing, idle = sorted(used - self.keys.keys()), sorted(self.keys.keys() - used)
            raise refusal(
                " and ".join(
                    [f"the template uses {name}, which is not in keys" for name in missing]
                    + [f"keys has {name}, which the template does not use" for name in idle]
                ),
                "",
                "Use exactly the template's names in keys",
            )

    @property
    def pieces(self) -> tuple[str | Placeholder, ...]:
        """The template's texts and placeholders, in order."""
        return parse(self.template or "")

    def reads(self, place: tuple[str, str]) -> list[NamedRead]:
        """Return its reads of this stack's secrets."""
        found = [origin.read(where, origin.key, whole=origin.whole) for where, origin in self._origins(place)]
        return [read for read in found if read is not None]

    def existing_reads(self, place: tuple[str, str]) -> list[ExistingRead]:
        """Return its reads of existing secrets."""
        found = [
            origin.existing_read(where, None if origin.whole else origin.key or place[1])
            for where, origin in self._origins(place)
        ]
        return [read for read in found if read is not None]

    def _origins(self, place: tuple[str, str]) -> Iterator[tuple[tuple[str, ...], "Read | Part"]]:
        if self.template is None:
            yield place, self
        for name, part in self.keys.items():
            yield (*place, "keys", name), part


class ReadFile(Read):
    """A key, a whole secret, or a template, as a file."""

    @model_validator(mode="after")
    def _key_is_named(self) -> "ReadFile":
        # cross checks handle secrets of this stack, whose keys are known
        if self.existing_secret is not None and self.key is None and not self.whole:
            raise refusal(
                "key is required for a file",
                "",
                'Add "key" with the JSON key, or whole: true for all keys as one JSON text',
            )
        return self
