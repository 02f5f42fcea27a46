"""The shape of `partner` in a secret: a vendor's credentials that AWS rotates itself, without a function."""

from typing import Annotated

from pydantic import Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.rotation import LoginRotation

_Type = Annotated[
    str,
    matching(
        r"[A-Za-z0-9]{1,256}",
        "not a type of a managed external secret",
        "AWS would refuse to create the secret",
        "Write the type that AWS's list of partners names, such as SalesforceClientSecret",
    ),
]
_RoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "not the ARN of a role",
        "AWS would refuse to rotate the secret",
        "Write arn:aws:iam::ACCOUNT:role/NAME, or leave it out to have a role made",
    ),
]


class Partner(Model):
    """What AWS needs to rotate a vendor's credentials itself."""

    type: Annotated[
        _Type,
        Field(description="Type of the secret in AWS's list of partners, such as SalesforceClientSecret"),
    ]
    metadata: Annotated[
        dict[Annotated[str, Field(min_length=1)], str],
        Field(description="What the partner's rotation needs to know, as AWS's list says; no secret"),
    ] = Field(default_factory=dict)
    role_arn: Annotated[
        _RoleArn | None,
        Field(description="Role with which Secrets Manager rotates; made for this secret if left out"),
    ] = None
    rotation: LoginRotation = LoginRotation()

    @model_validator(mode="after")
    def _role_is_used(self) -> "Partner":
        if not self.rotation.enabled and (self.role_arn or self.metadata):
            raise refusal(
                "roleArn or metadata is given, and rotation is not enabled",
                "They would be ignored",
                "Remove them, or remove enabled: false",
            )
        return self
