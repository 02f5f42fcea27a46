"""What a workload reads under one name: a key of a secret, or a text made of several."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.secrets import Content, JsonKey, SecretName
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


ExistingSecret = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@!-]+-[A-Za-z0-9]{6}"
        r"|[A-Za-z0-9/_+=.@-][A-Za-z0-9/_+=.@!-]{0,511}",
        "not the name or the full ARN of a secret",
        "The workload could not read it",
        "Write the secret's name, or arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX with the six "
        "characters that AWS adds",
    ),
]
_KeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+",
        "not the ARN of a KMS key",
        "The workload could not decrypt the secret",
        "Write arn:aws:kms:REGION:ACCOUNT:key/ID",
    ),
]
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
    """A key, or a whole secret, that a workload reads under a name of its own.

    Attributes:
        place: below the workload: `environment` or `files`, and the name; in a template further to its part.
        secret: its name.
        key: the key that is named; None where none is.
        required: see Read.
        whole: the whole secret is read, by the stack file's own word.
    """

    place: tuple[str | int, ...]
    secret: str
    key: str | None
    required: bool
    whole: bool = False

    def key_of(self, content: Content) -> str | None:
        """Return the key that is read of a secret with this content.

        Returns:
            The named key, or the variable's name; None for a whole secret, and where a key has to be named.
        """
        if self.whole or content != "keys":
            return None
        own_name = (
            str(self.place[1]) if self.place[0] == "environment" and len(self.place) == _PLACE else None
        )
        return self.key or own_name


_PLACE = 2  # of what is no part of a template: where, and under which name


@dataclass(frozen=True)
class ExistingRead:
    """A key that a workload reads of a secret that this stack does not make.

    Attributes:
        place: as of NamedRead.
        secret: its name in AWS or its full ARN, as the stack file has it.
        key: what it reads; None for the whole secret.
        kms_key_arn: ARN of the key that encrypts it, as far as the stack file says.
    """

    place: tuple[str | int, ...]
    secret: str
    key: str | None
    kms_key_arn: str | None


class Origin(Model):
    """The secret that is read: one of this stack, or one that exists already."""

    secret: Annotated[SecretName | None, Field(description="Name in AWS of a secret of this stack")] = None
    existing_secret: Annotated[
        ExistingSecret | None,
        Field(description="Name or full ARN of a secret that this stack does not make"),
    ] = None
    kms_key_arn: Annotated[
        _KeyArn | None,
        Field(description="Key of an existing secret of another account; AWS is asked for any other"),
    ] = None
    required: Annotated[bool, Field(description="Warn while a placeholder has not been filled")] = False

    @model_validator(mode="after")
    def _consistent_origin(self) -> Self:
        if self.kms_key_arn and not (self.existing_secret or "").startswith("arn:"):
            raise refusal(
                "kmsKeyArn is given for a secret whose key AWS tells",
                "It would be ignored",
                "Remove kmsKeyArn: only the full ARN of another account's secret takes it",
            )
        if self.existing_secret and self.required:
            raise refusal(
                "required is about placeholders, and this stack has none in a secret that it does not make",
                "It would be ignored",
                "Remove required",
            )
        return self

    def read(self, place: tuple[str | int, ...], key: str | None, *, whole: bool) -> NamedRead | None:
        """Return the read of a secret of this stack; None if it is of another one."""
        if self.secret is None:
            return None
        return NamedRead(place, self.secret, key, self.required, whole=whole)

    def existing_read(self, place: tuple[str | int, ...], key: str | None) -> ExistingRead | None:
        """Return the read of a secret that this stack does not make; None if it is one of its own."""
        if self.existing_secret is None:
            return None
        return ExistingRead(place, self.existing_secret, key, self.kms_key_arn)


class WholeSecret(Origin):
    """A secret whose keys are all read, whichever it has."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.existing_secret is None):
            raise refusal(
                "either secret or existingSecret is read",
                "It would be unclear what the workload gets",
                "Write secret: NAME for a secret of this stack, existingSecret: NAME for any other",
            )
        return self


_WHOLE = Field(description="Read the whole secret, all keys as one JSON text")


class Part(WholeSecret):
    """One key of one secret, or the whole of it, as a part of a text."""

    key: Annotated[JsonKey | None, Field(description="JSON key; left out of a secret without keys")] = None
    whole: Annotated[bool, _WHOLE] = False

    @model_validator(mode="after")
    def _key_or_whole(self) -> "Part":
        # which secrets of this stack have keys, the whole stack file says
        missing = self.key is None and not self.whole and self.existing_secret is not None
        if missing or (self.key is not None and self.whole):
            raise refusal(
                "the key is missing" if self.key is None else "key and whole are both given",
                "It would be unclear what the text holds",
                'Add "key" with the JSON key, or write whole: true instead of it',
            )
        return self


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


_KEY = "JSON key; if left out, the variable's name, or the whole of a secret without keys"


class Read(Origin):
    """One key of one secret, the whole of it, or a text made of several."""

    key: Annotated[JsonKey | None, Field(description=_KEY)] = None
    whole: Annotated[bool, _WHOLE] = False
    template: Annotated[
        Annotated[str, AfterValidator(_check_template)] | None,
        Field(description="A text with ${name} or, percent-encoded, ${name|url}; External Secrets only"),
    ] = None
    keys: Annotated[
        dict[PlaceholderName, Part], Field(description="Name in the template to what stands for it")
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "Read":
        if [self.secret, self.existing_secret, self.template].count(None) != 2:  # noqa: PLR2004  one is given
            raise refusal(
                "a variable or file holds either a key of a secret or a template",
                "It would be unclear what it holds",
                "Write secret: NAME, existingSecret: NAME for a secret that this stack does not make, or "
                "template: TEXT with keys",
            )
        if self.whole and (self.key is not None or self.template is not None):
            raise refusal(
                f"whole and {'template' if self.template is not None else 'key'} are both given",
                "It would be unclear what it holds",
                "Keep one of them; a part of a template may be whole: true",
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

    def reads(self, place: tuple[str, str]) -> list[NamedRead]:
        """All that it reads of this stack's secrets."""
        found = [origin.read(where, origin.key, whole=origin.whole) for where, origin in self._origins(place)]
        return [read for read in found if read is not None]

    def existing_reads(self, place: tuple[str, str]) -> list[ExistingRead]:
        """All that it reads of secrets that this stack does not make."""
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
    """One key of one secret as a file, the whole of it, or a text made of several."""

    @model_validator(mode="after")
    def _key_is_named(self) -> "ReadFile":
        # which secrets of this stack have keys, the whole stack file says
        if self.existing_secret is not None and self.key is None and not self.whole:
            raise refusal(
                "the key is missing",
                "What the file holds cannot be guessed from its path",
                'Add "key" with the JSON key, or whole: true for all keys as one JSON text',
            )
        return self
