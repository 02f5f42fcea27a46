"""A rotating database login and an application secret, declared by another Pulumi program."""

import json

import pulumi
import pulumi_aws as aws
from pulumi_aws_secrets import (
    FilledByHand,
    PostgresLogin,
    PostgresLoginArgs,
    Random,
    Schedule,
    Secret,
    SecretArgs,
    Server,
)

config = pulumi.Config()

login = PostgresLogin(
    "shop",
    PostgresLoginArgs(
        secret=SecretArgs(secret_name="shop/database"),
        server=Server(host=config.require("host"), port=config.require_int("port")),
        database="shop",
        username="shop",
        admin_secret_arn=config.require("adminSecretArn"),
        certificate_authorities=config.get("certificateAuthorities") or "",
        grants="owner",
        schedule=Schedule(automatically_after_days=30),
    ),
)

app = Secret(
    "app",
    SecretArgs(
        secret_name="shop/app",
        values={
            "SECRET_KEY_BASE": Random(length=64, special=False),
            "SENTRY_DSN": FilledByHand(hint="Sentry > Settings > Client Keys"),
        },
    ),
)

trust = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
tasks = aws.iam.Role("tasks", assume_role_policy=json.dumps(trust))
login.grant_read(tasks)
app.grant_read(tasks)

pulumi.export("roles", login.roles)
pulumi.export("references", login.secret.references)
