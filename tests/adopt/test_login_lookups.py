"""Answers of AWS about rotation functions and database servers, and what a Terraform state says instead."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from operations.adopt import login_lookups, terraform_state
from operations.adopt.login_functions import recognize
from operations.adopt.model import RotationFunction
from operations.status.aws import AwsSession, Denied

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
HOSTED = (
    "arn:aws:serverlessrepo:us-east-1:297356227824:applications/SecretsManagerRDSPostgreSQLRotationMultiUser"
)
MADE_UP = "made-up-value-of-a-variable"
STATE = {
    "version": 4,
    "resources": [
        {
            "mode": "managed",
            "type": "aws_lambda_function",
            "name": "this",
            "instances": [
                {
                    "attributes": {
                        "arn": FUNCTION,
                        "handler": "lambda_function.lambda_handler",
                        "environment": [{"variables": {"PRIMARY_USERNAME": "app", "TOKEN": MADE_UP}}],
                        "vpc_config": [{"subnet_ids": ["subnet-1"], "security_group_ids": ["sg-1"]}],
                    }
                }
            ],
        },
        {
            "mode": "managed",
            "type": "aws_serverlessapplicationrepository_cloudformation_stack",
            "name": "this",
            "instances": [
                {
                    "attributes": {
                        "application_id": HOSTED,
                        "outputs": {"RotationLambdaARN": f"{FUNCTION}-hosted"},
                    }
                }
            ],
        },
    ],
}


class Aws:
    """AWS's answers: one for each operation, or a denial."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self._answers = answers

    def client(self, _service: str) -> "Aws":
        return self

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def answer(**request: str) -> object:
            self.asked.append((operation, request))
            return self._answers.get(operation)

        return answer

    def get_paginator(self, operation: str) -> "Pages":
        return Pages(self._answers[operation])

    def call(self, action: str, request: Callable[[], object]) -> object:
        return request() or Denied(action=action)

    def each(self, items: Iterable[str], query: Callable[[str], object]) -> dict[str, object]:
        return {item: query(item) for item in items}


class Pages:
    def __init__(self, page: Mapping[str, Any]) -> None:
        self._page = page

    def paginate(self) -> list[Mapping[str, Any]]:
        return [self._page]


def functions(aws: Aws, arn: str, declared: Mapping[str, RotationFunction]) -> RotationFunction | Denied:
    return login_lookups.functions(cast("AwsSession", aws), [arn], declared)[arn]


def test_a_state_says_what_a_function_is_where_aws_denies() -> None:
    known = terraform_state.read(json.dumps(STATE)).origins.functions
    nothing = Aws({})
    found = functions(nothing, FUNCTION, known)
    assert isinstance(found, RotationFunction)
    assert (found.variables, found.subnet_ids, found.security_group_ids) == (
        {"PRIMARY_USERNAME": "app"},
        ("subnet-1",),
        ("sg-1",),
    )
    hosted = functions(nothing, f"{FUNCTION}-hosted", known)
    assert isinstance(hosted, RotationFunction)
    recognized = recognize(hosted)
    assert recognized is not None
    assert recognized.kind == "aws-alternating"
    assert functions(nothing, FUNCTION, {}) == Denied(action="lambda:GetFunctionConfiguration")


def test_no_other_variable_of_a_function_is_kept() -> None:
    configured = {
        "Handler": "app.handle",
        "Environment": {"Variables": {"TOKEN": MADE_UP, "PASSWORD_LENGTH": "40"}},
    }
    aws = Aws({"get_function_configuration": configured, "list_tags": {"Tags": {}}})
    found = functions(aws, f"{FUNCTION}:live", {})
    assert isinstance(found, RotationFunction)
    assert found.variables == {"PASSWORD_LENGTH": "40"}
    assert MADE_UP not in repr((found, terraform_state.read(json.dumps(STATE)).origins))
    # tags belong to the function, not to its alias
    assert aws.asked[-1] == ("list_tags", {"Resource": FUNCTION})


def test_addresses_of_readers_and_members_of_a_cluster_are_told_apart() -> None:
    cluster = {
        "DBClusterIdentifier": "shop",
        "Engine": "aurora-postgresql",
        "Port": 5432,
        "Endpoint": "Shop.cluster-x.rds.example",
        "ReaderEndpoint": "shop.cluster-ro-x.rds.example",
        "MasterUsername": "root",
        "MasterUserSecret": {"SecretArn": "arn:master"},
    }

    def instance(name: str, **more: str) -> dict[str, Any]:
        endpoint = {"Address": f"{name}.x.rds.example", "Port": 5432}
        return {"DBInstanceIdentifier": name, "Engine": "postgres", "Endpoint": endpoint, **more}

    instances = [
        instance("member", DBClusterIdentifier="shop"),
        instance("replica", ReadReplicaSourceDBInstanceIdentifier="own"),
        instance("own"),
    ]
    found = login_lookups.servers(
        cast(
            "AwsSession",
            Aws(
                {
                    "describe_db_clusters": {"DBClusters": [cluster]},
                    "describe_db_instances": {"DBInstances": instances},
                }
            ),
        )
    )
    assert not isinstance(found, Denied)
    assert {address.partition(".rds")[0]: server.obstacle for address, server in found.items()} == {
        "shop.cluster-x": "",
        "shop.cluster-ro-x": "it is the reader endpoint of a cluster",
        "member.x": "it is an instance of the cluster shop, not its endpoint",
        "replica.x": "it is a read replica",
        "own.x": "",
    }
    assert found["shop.cluster-x.rds.example"].admin_arn == "arn:master"
