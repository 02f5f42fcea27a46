"""Models of `fleet` in a stack file: how its secrets are split into several stacks."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.model import Model

# Pulumi accepts stack names of up to 100 characters (sdk/go/common/tokens/stack_name.go).
LONGEST_STACK_NAME = 100
MOST_PARTS = 200

GroupName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?",
        "not a valid group name",
        "Pulumi would reject the stack's name, or a pipeline's roles could not manage it",
        'Use 1 to 40 letters, digits and "-"; begin and end with a letter or digit',
    ),
]
Pattern = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}|[A-Za-z0-9/_+=.@-]{0,512}\*",
        "not a valid pattern for names of secrets",
        "It would match no secret",
        'Use a secret\'s name, or a prefix with a "*" at the end, such as web/*',
    ),
]


class Fleet(Model):
    """The split of the secrets into stacks: by name patterns, or into a number of parts."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["groups"]}, {"required": ["parts"]}]}
    )

    groups: Annotated[
        dict[GroupName, Annotated[tuple[Pattern, ...], Field(min_length=1)]] | None,
        Field(
            min_length=1,
            description="Groups with the names or prefixes of their secrets, such as [web/*, shared]; "
            '"*" matches all others, and the longest match wins',
        ),
    ] = None
    parts: Annotated[
        int | None,
        Field(
            ge=2, le=MOST_PARTS, description="Number of parts; a hash of its name assigns each secret to one"
        ),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "Fleet":
        if (self.groups is None) == (self.parts is None):
            raise refusal(
                "fleet needs exactly one of groups and parts",
                "",
                "Set groups: {NAME: [PREFIX*]}, or parts: NUMBER",
            )
        return self

    @model_validator(mode="after")
    def _no_pattern_twice(self) -> "Fleet":
        seen: dict[str, str] = {}
        for group, patterns in (self.groups or {}).items():
            for pattern in patterns:
                if pattern in seen:
                    raise refusal(
                        f'"{pattern}" is in {seen[pattern]} and in {group}'
                        if seen[pattern] != group
                        else f'"{pattern}" is in {group} twice',
                        "",
                        "Keep it in one place",
                    )
                seen[pattern] = group
        return self
