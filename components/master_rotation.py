"""Schedule the rotation of a master user secret that RDS manages."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import tokens
from .checks import check_text
from .rotation import Schedule, rotation_rules


@dataclass(frozen=True, kw_only=True)
class MasterRotationArgs:
    """Arguments of a master rotation.

    Attributes:
        secret_arn: ARN of the secret that RDS manages.
        schedule: when it is rotated; None turns rotation off.

    Raises:
        ArgumentError: the ARN is empty.
    """

    secret_arn: pulumi.Input[str]
    schedule: Schedule | None

    def __post_init__(self) -> None:
        check_text("MasterRotation", "secret_arn", self.secret_arn)


class MasterRotation(pulumi.ComponentResource):
    """The rotation schedule of a secret that RDS created and rotates itself, without a Lambda function.

    AWS keeps the last schedule when it leaves the stack. The provider would cancel the rotation instead,
    which RDS started by itself and does not start again.
    """

    def __init__(
        self, name: str, args: MasterRotationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(tokens.MASTER_ROTATION, name, None, opts)
        schedule = args.schedule
        aws.secretsmanager.SecretRotation(
            f"{name}-master-schedule",
            secret_id=args.secret_arn,
            # the provider's default is true, which would rotate at every change of the schedule
            rotate_immediately=schedule.rotate_immediately if schedule else False,
            rotation_enabled=None if schedule else False,
            rotation_rules=rotation_rules(schedule) if schedule else None,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self.register_outputs({})
