"""The shape of `fleet` in a stack file: how its secrets are divided over several stacks."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model

# Pulumi takes names of stacks of up to 100 characters (sdk/go/common/tokens/stack_name.go).
LONGEST_STACK_NAME = 100
MOST_PARTS = 200

GroupName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,38}[A-Za-z0-9])?",
        "this cannot be the end of a stack's name",
        "Pulumi, or a pipeline's roles, would refuse the stack",
        'Use 1 to 40 letters, digits and "-", the last not at the ends',
    ),
]
Pattern = Annotated[
    str,
    matching(
        r"[A-Za-z0-9/_+=.@-]{1,512}|[A-Za-z0-9/_+=.@-]{0,512}\*",
        "this stands for no names of secrets",
        "No secret would belong to the group by it",
        'Write a secret\'s name, or what names begin with and a "*" at the end: web/*',
    ),
]


class Fleet(Model):
    """How the secrets are divided over stacks: by what their names begin with, or into so many parts."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["groups"]}, {"required": ["parts"]}]}
    )

    groups: Annotated[
        dict[GroupName, Annotated[tuple[Pattern, ...], Field(min_length=1)]] | None,
        Field(
            min_length=1,
            description='Group to the names of its secrets, or to what they begin with: [web/*, shared]; "*" '
            "for all others. The longest counts",
        ),
    ] = None
    parts: Annotated[
        int | None,
        Field(ge=2, le=MOST_PARTS, description="So many parts, each secret in one by a hash of its name"),
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> "Fleet":
        if (self.groups is None) == (self.parts is None):
            raise refusal(
                "a fleet takes either groups or parts",
                "It would be unclear which stack makes a secret",
                "Write groups: {NAME: [PREFIX*]}, or parts: NUMBER",
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
                        "It would be unclear which stack makes a secret",
                        "Keep it in one place",
                    )
                seen[pattern] = group
        return self
