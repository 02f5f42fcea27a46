"""SMTP credentials of Amazon SES: an IAM user that may only send email, its secret, and their rotation."""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import rotation_tags, tokens
from .checks import ArgumentError, check_port, check_strings, check_text
from .function_parts import FunctionSettings
from .initial_value import Given
from .lambdas.rotation import protocol, smtp_endpoint
from .login_parts import provision_and_rotate
from .rotation import Schedule
from .rotation_function import Network, RotationFunction, RotationFunctionArgs
from .secret import Secret, SecretArgs
from .smtp_permissions import MOST_USER_POLICY, sending, user_name

_LONGEST_NAME = 256  # of a secret: it becomes the value of a tag
_IDENTITY = re.compile(r"([A-Za-z0-9.!#$%&'+/=^_`{|}~-]+@)?([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class SmtpCredentialsArgs:
    """Arguments of SMTP credentials.

    Attributes:
        secret: the secret; its values are added to SMTP_USERNAME, SMTP_PASSWORD, SMTP_ADDRESS and SMTP_PORT.
        identities: what the user may send from: domains, such as `example.com`, and addresses, such as
            `billing@example.com`. SES must have verified them.
        configuration_sets: names of configuration sets of SES that the user may use. Default: none.
        region: region of SES. Default: the secret's.
        port: SMTP_PORT; 587 and 2587 begin with STARTTLS, 465 and 2465 with TLS. Default: 587.
        function: our function that creates and rotates the credentials, or its ARN. Default: one of its own,
            in `network`.
        network: where its own function runs; it must reach IAM and the endpoint of SES from there. Default:
            outside any VPC.
        common: settings of its own function; its partition, account, tags and permissions boundary are also
            the user's. Default: FunctionSettings(), with the account and region of the program's default
            provider.
        permissions_boundary: ARN of the user's permissions boundary. Default: that of `common`.
        schedule: when the credentials are rotated. Default: never.

    Raises:
        ArgumentError: an argument cannot work; the message says what to write instead.
    """

    secret: SecretArgs
    identities: Sequence[str]
    configuration_sets: Sequence[str] = ()
    region: str | None = None
    port: int = 587
    function: RotationFunction | pulumi.Input[str] | None = None
    network: Network | None = None
    common: FunctionSettings | None = None
    permissions_boundary: str | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        where = f"SMTP credentials {self.secret.secret_name}"
        check_port(where, self.port)
        check_strings(where, "identities", self.identities)
        check_strings(where, "configuration_sets", self.configuration_sets)
        wrong = [name for name in self.identities if not _IDENTITY.fullmatch(name)]
        if wrong or not self.identities:
            raise ArgumentError(
                f"{where}: identities needs at least one domain or address, such as example.com or "
                f"billing@example.com{f', not {wrong[0]!r}' if wrong else ''}"
            )
        if len(self.secret.secret_name) > _LONGEST_NAME:
            raise ArgumentError(
                f"{where}: the name of the secret is longer than {_LONGEST_NAME} characters, the limit of a "
                "tag that ties the user to it: choose a shorter one"
            )
        if self.function is not None and self.network:
            raise ArgumentError(
                f"{where}: network is for a function of its own: write it in the arguments of the function"
            )
        if isinstance(self.function, RotationFunction):
            if self.secret.secret_name not in self.function.secret_names:
                raise ArgumentError(
                    f"{where}: the function may not write its secret: add the name to secret_names"
                )
        elif self.function is not None:
            check_text(where, "function", self.function)


class SmtpCredentials(pulumi.ComponentResource):
    """SMTP credentials that work as soon as they are deployed, and that are rotated on schedule.

    The function creates the access keys: neither the program nor Pulumi's state ever has one. Deleting the
    component deletes the user with its keys.

    Attributes:
        user_arn: ARN of the IAM user.
        warnings: what the function could not do, as sentences.
    """

    user_arn: pulumi.Output[str]
    warnings: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: SmtpCredentialsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(tokens.SMTP_CREDENTIALS, name, None, opts)
        common = args.common or FunctionSettings()
        region = args.region or common.region
        user, policy = self._user(name, args, common, region)
        # the function may be deployed before the user: its permissions need the ARN only
        arn = user_arn(args.secret.secret_name, common)
        function = self._function(name, args, common, arn) if args.function is None else args.function
        secret = self._secret = Secret(
            f"{name}-login",
            dataclasses.replace(
                args.secret,
                values={
                    protocol.SMTP_USERNAME: Given(value=""),
                    protocol.SMTP_PASSWORD: Given(value=""),
                    protocol.SMTP_ADDRESS: Given(value=smtp_endpoint.endpoint(common.partition, region)),
                    protocol.SMTP_PORT: Given(value=str(args.port)),
                    **args.secret.values,
                },
                tags={**args.secret.tags, **rotation_tags.of_smtp(arn)},
            ),
            pulumi.ResourceOptions(parent=self),
        )
        event = secret.arn.apply(lambda secret_arn: _provisioning(secret_arn, arn))
        # SES rejects the login of a user without its policy
        parts = provision_and_rotate(
            self, name, secret, function, event=event, schedule=args.schedule, after=[policy]
        )
        self.user_arn = user.arn
        self.warnings = parts.warnings
        self.register_outputs({"secretArn": secret.arn, "userArn": self.user_arn, "warnings": self.warnings})

    @property
    def secret(self) -> Secret:
        """Its secret."""
        return self._secret

    def grant_read(
        self, role: "aws.iam.Role | pulumi.Input[str]", name: str | None = None
    ) -> "aws.iam.RolePolicy":
        """Let a role read the secret; see `Secret.grant_read`.

        Args:
            role: the role, or its name.
            name: logical name of the policy. Default: the secret's, `-read-by-`, and the role's.
        """
        return self._secret.grant_read(role, name)

    def _user(
        self, name: str, args: SmtpCredentialsArgs, common: FunctionSettings, region: str
    ) -> tuple["aws.iam.User", "aws.iam.UserPolicy"]:
        text = sending_policy(args, common)
        if len("".join(text.split())) > MOST_USER_POLICY:
            raise ArgumentError(
                f"SMTP credentials {args.secret.secret_name}: the policy of the user would be longer than "
                f"{MOST_USER_POLICY} characters, IAM's limit: list domains instead of addresses, or split "
                "the credentials"
            )
        secret_name = args.secret.secret_name
        owner = {protocol.OWNER_TAG: secret_name}
        user = aws.iam.User(
            f"{name}-user",
            name=user_name(secret_name, common.region),
            permissions_boundary=args.permissions_boundary or common.permissions_boundary,
            force_destroy=True,  # the function created its access keys
            tags={
                **common.tags,
                **owner,
                **({protocol.SMTP_REGION_TAG: region} if region != common.region else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.iam.UserPolicy(
            f"{name}-policy",
            user=user.name,
            policy=text,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return user, policy

    def _function(
        self, name: str, args: SmtpCredentialsArgs, common: FunctionSettings, arn: str
    ) -> RotationFunction:
        key = args.secret.kms_key_id
        keys = [] if key is None else [common.key_arn(key)]
        return RotationFunction(
            f"{name}-rotation",
            RotationFunctionArgs(
                common=common,
                secret_names=[args.secret.secret_name],
                smtp_user_arns=[arn],
                kms_key_arns=[key for key in keys if key is not None],
                network=args.network,
            ),
            pulumi.ResourceOptions(parent=self),
        )


def user_arn(secret_name: str, common: FunctionSettings) -> str:
    """Return the ARN of the IAM user of a secret in this region and account."""
    return f"arn:{common.partition}:iam::{common.account_id}:user/{user_name(secret_name, common.region)}"


def sending_policy(args: SmtpCredentialsArgs, common: FunctionSettings) -> str:
    """Return the policy of the user."""
    return sending(
        args.identities,
        args.configuration_sets,
        partition=common.partition,
        region=args.region or common.region,
        account=common.account_id,
    )


def _provisioning(secret_arn: str, arn: str) -> str:
    """Return the event that asks the function to create the credentials (lambdas/rotation/provision.py)."""
    return json.dumps(
        {
            protocol.ACTION: protocol.PROVISION,
            protocol.SECRET_ID: secret_arn,
            protocol.SMTP_REQUEST: {protocol.SMTP_USER: arn},
        }
    )
