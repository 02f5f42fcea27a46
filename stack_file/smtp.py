"""Models of `smtp` in a stack file: SMTP credentials of Amazon SES."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stack_file.mistakes import matching, refusal
from stack_file.policies import PolicyArn
from stack_file.regions import check_region
from stack_file.rotation import LoginRotation
from stack_file.secrets import JsonKey, SecretSettings, Value

SMTP_KEYS = ("SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_ADDRESS", "SMTP_PORT")

_Identity = Annotated[
    str,
    matching(
        r"([A-Za-z0-9.!#$%&'+/=^_`{|}~-]+@)?([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+",
        "not a domain or an email address",
        "The user could not send from it",
        "Use a domain that SES has verified, such as example.com, or an address, such as billing@example.com",
    ),
]
_ConfigurationSet = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_-]{1,64}",
        "not the name of a configuration set",
        "SES knows no such configuration set",
        "Use 1 to 64 letters, digits, underscores and hyphens",
    ),
]


class SmtpCredentials(SecretSettings):
    """SMTP credentials of an IAM user that may only send email; the key is the name of its secret in AWS."""

    from_: Annotated[
        tuple[_Identity, ...],
        Field(
            alias="from",
            min_length=1,
            description="Domains and addresses that SES has verified, and that email may come from",
        ),
    ]
    configuration_sets: Annotated[
        tuple[_ConfigurationSet, ...], Field(description="Configuration sets of SES that email may use")
    ] = ()
    region: Annotated[
        Annotated[str, AfterValidator(check_region)] | None,
        Field(description="Region of SES, such as us-east-1; default: the stack's"),
    ] = None
    port: Annotated[
        Literal[587, 2587, 465, 2465, 25],
        Field(description="SMTP_PORT: TLS begins at once on 465 and 2465, with STARTTLS on the others"),
    ] = 587
    permissions_boundary: Annotated[
        PolicyArn | None,
        Field(description="Permissions boundary of the IAM user; default: the stack's"),
    ] = None
    rotation: LoginRotation = LoginRotation()
    values: Annotated[
        dict[JsonKey, Value], Field(description="Further keys of the secret, such as SMTP_DOMAIN")
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _own_keys(self) -> "SmtpCredentials":
        taken = [key for key in self.values if key in SMTP_KEYS]
        if taken:
            raise refusal(
                f"values has {', '.join(taken)}, which the credentials set themselves",
                "Rotation would overwrite it",
                "Remove it, or use another key",
            )
        return self
