"""A secret in AWS Secrets Manager with a first JSON value that later updates never write again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.guards import INITIAL_VERSION_LABEL, Guards, register_guards
from components.initial_value import FilledByHand, InitialValue, origin, resolve


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A copy in another region.

    Attributes:
        region: the region's code.
        kms_key_id: ARN, key id or alias of a key in that region; AWS's own key if left out.
    """

    region: str
    kms_key_id: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SecretArgs:
    """What a secret is called, holds at first, and how it is kept.

    Attributes:
        secret_name: the name in AWS, 1 to 512 of the characters A-Z a-z 0-9 / _ + = . @ -
        values: JSON key to where its first value comes from; at least one.
        description: shown in the Secrets Manager console.
        kms_key_id: ARN, key id or alias; AWS's own key `aws/secretsmanager` if left out.
        recovery_window_days: 7 to 30 days in which a deleted secret can be restored; 0 deletes at once.
        policy: a resource policy document (IAM JSON as a mapping); refused if it makes the secret public.
        replicas: copies in other regions.
        tags: tags of the secret.
        guards: hooks shared with other secrets of the program; hooks of its own if left out.
    """

    secret_name: str
    values: Mapping[str, InitialValue]
    description: str | None = None
    kms_key_id: pulumi.Input[str] | None = None
    recovery_window_days: int = 30
    policy: Mapping[str, object] | None = None
    replicas: Sequence[Replica] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    guards: Guards | None = None


class Secret(pulumi.ComponentResource):
    """A secret, the random values it begins with, its initial version, and its policy if it has one.

    The initial version is written once. What rotation or a person writes later stays, whatever changes
    in the program; so does a value whose origin changes in `values`.

    Attributes:
        arn: full ARN with AWS's random suffix.
        secret_name: name in AWS.
        references: JSON key to `ARN:key::`, the form that ECS and others read one key by.
    """

    arn: pulumi.Output[str]
    secret_name: pulumi.Output[str]
    keys: list[str]
    filled_by_hand: dict[str, str]
    references: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # not written to AWS: by it a preview says that a first value changed, and that AWS keeps what it has
        inputs = {"initialValues": {key: origin(value) for key, value in args.values.items()}}
        super().__init__("aws-secrets:index:Secret", name, inputs, opts)
        first_values = {
            # ":" cannot be part of a secret's name, so no two secrets make the same child name
            key: resolve(f"{name}-random:{key}", value, pulumi.ResourceOptions(parent=self))
            for key, value in args.values.items()
        }
        guards = args.guards or register_guards(name)
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            name=args.secret_name,
            description=args.description,
            kms_key_id=args.kms_key_id,
            recovery_window_in_days=args.recovery_window_days,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=replica.region, kms_key_id=replica.kms_key_id)
                for replica in args.replicas
            ]
            or None,
            tags=dict(args.tags) or None,
            opts=pulumi.ResourceOptions(
                parent=self, hooks=pulumi.ResourceHookBinding(on_error=[guards.taken_name])
            ),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-initial-version",
            secret_id=secret.arn,
            secret_string=pulumi.Output.json_dumps(first_values),
            version_stages=["AWSCURRENT", INITIAL_VERSION_LABEL],
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["secretString", "versionStages"],
                deleted_with=secret,
                hooks=pulumi.ResourceHookBinding(before_create=[guards.written_before]),
            ),
        )
        if args.policy is not None:
            aws.secretsmanager.SecretPolicy(
                f"{name}-policy",
                secret_arn=secret.arn,
                policy=pulumi.Output.json_dumps(args.policy),
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self, deleted_with=secret),
            )
        self.arn = secret.arn
        self.secret_name = secret.name
        self.keys = list(args.values)
        self.filled_by_hand = {
            key: value.hint for key, value in args.values.items() if isinstance(value, FilledByHand)
        }
        self.references = secret.arn.apply(lambda arn: {key: f"{arn}:{key}::" for key in args.values})
        self.register_outputs(
            {"arn": self.arn, "secretName": self.secret_name, "references": self.references}
        )
