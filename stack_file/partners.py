"""Models of `partner` in a secret: a vendor's credentials that AWS rotates without a function."""

from typing import Annotated

from pydantic import Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.rotation import LoginRotation

_Type = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]{1,256}",
        "not a valid type of a managed external secret",
        "AWS would reject the secret",
        "Use a type from AWS's list of partners, such as SalesforceClientSecret",
    ),
]
_RoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "not the ARN of a role",
        "AWS could not rotate the secret",
        "Use arn:aws:iam::ACCOUNT:role/NAME, or remove it to let the stack create a role",
    ),
]


class Partner(Model):
    """A vendor's credentials that AWS rotates."""

    type: Annotated[
        _Type,
        Field(description="Type of the secret in AWS's list of partners, such as SalesforceClientSecret"),
    ]
    metadata: Annotated[
        dict[Annotated[str, Field(min_length=1)], str],
        Field(description="Parameters of the partner's rotation, from AWS's list; not secret"),
    ] = Field(default_factory=dict)
    role_arn: Annotated[
        _RoleArn | None,
        Field(description="Role that Secrets Manager rotates with; default: created for this secret"),
    ] = None
    rotation: LoginRotation = LoginRotation()

    @model_validator(mode="after")
    def _role_is_used(self) -> "Partner":
        if not self.rotation.enabled and (self.role_arn or self.metadata):
            raise refusal(
                "roleArn or metadata is set, but rotation is not enabled",
                "They would be ignored",
                "Remove them, or remove enabled: false",
            )
        return self
