"""When RDS renews the password of a database's master user, whose secret it manages."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.rotation import Schedule, rotation_rules


@dataclass(frozen=True, kw_only=True)
class MasterRotationArgs:
    """The secret and its schedule.

    Attributes:
        secret_arn: of the secret that RDS manages.
        schedule: when; None for never.
    """

    secret_arn: pulumi.Input[str]
    schedule: Schedule | None


class MasterRotation(pulumi.ComponentResource):
    """A rotation schedule of a secret that RDS made and rotates itself, without a Lambda function.

    When it leaves the stack, AWS keeps the last schedule: the provider would end the rotation instead, which
    RDS began by itself and does not begin again.
    """

    def __init__(
        self, name: str, args: MasterRotationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("aws-secrets:index:MasterRotation", name, None, opts)
        schedule = args.schedule
        aws.secretsmanager.SecretRotation(
            f"{name}-master-schedule",
            secret_id=args.secret_arn,
            # the provider's default is true: it would rotate at every change of the schedule
            rotate_immediately=schedule.rotate_immediately if schedule else False,
            rotation_enabled=None if schedule else False,
            rotation_rules=rotation_rules(schedule) if schedule else None,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self.register_outputs({})
