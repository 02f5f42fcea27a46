# ruff: noqa: ANN401  boto3 is untyped
"""Lookups of databases in the stand-in aws plugin, against an emulator."""

import json
import urllib.request
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator_process import Emulator
from tools.localcloud.plugins.values import Properties
from tools.localcloud.tests.plugin_calls import Plugin, RefusedError

pytestmark = pytest.mark.usefixtures("surroundings")

INSTANCE = "aws:rds/getInstance:getInstance"
CLUSTER = "aws:rds/getCluster:getCluster"
SUBNET_GROUP = "aws:rds/getSubnetGroup:getSubnetGroup"
PASSWORD = "the-master-password"


@pytest.fixture
def name() -> str:
    return f"db-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def subnets(plugin: Plugin) -> list[Properties]:
    found: list[Properties] = plugin.client("ec2").describe_subnets()["Subnets"][:2]
    return found


@pytest.fixture
def subnet_group(plugin: Plugin, subnets: list[Properties], name: str) -> str:
    plugin.client("rds").create_db_subnet_group(
        DBSubnetGroupName=f"{name}-group",
        DBSubnetGroupDescription="where databases are",
        SubnetIds=[subnet["SubnetId"] for subnet in subnets],
    )
    return f"{name}-group"


def create(plugin: Plugin, name: str, **settings: Any) -> None:
    plugin.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        **{
            "DBInstanceClass": "db.t4g.micro",
            "Engine": "postgres",
            "AllocatedStorage": 20,
            "MasterUsername": "chief",
            "ManageMasterUserPassword": True,
            **settings,
        },
    )


def refused(plugin: Plugin, token: str, args: Properties) -> str:
    with pytest.raises(RefusedError) as caught:
        plugin.invoke(token, args)
    return str(caught.value)


def shown(words: str) -> str:
    return f"1 error occurred:\n\t* {words}\n\n"


def test_an_instance_without_a_subnet_group_is_found(plugin: Plugin, name: str) -> None:
    create(plugin, name, DBName="shop", Port=5433, Tags=[{"Key": "team", "Value": "a"}])
    found = plugin.invoke(INSTANCE, {"dbInstanceIdentifier": name})
    assert found["id"] == found["dbInstanceIdentifier"] == name
    assert found["dbInstanceArn"] == f"arn:aws:rds:us-east-1:123456789012:db:{name}"
    assert (found["engine"], found["dbName"], found["masterUsername"]) == ("postgres", "shop", "chief")
    assert found["endpoint"] == f"{found['address']}:5433"
    assert (found["port"], found["dbSubnetGroup"], found["tags"]) == (5433, "", {"team": "a"})


def test_an_instance_tells_its_subnet_group_and_security_groups(
    plugin: Plugin, name: str, subnet_group: str, subnets: list[Properties]
) -> None:
    group = plugin.client("ec2").create_security_group(
        GroupName=name, Description="db", VpcId=subnets[0]["VpcId"]
    )["GroupId"]
    create(plugin, name, DBSubnetGroupName=subnet_group, VpcSecurityGroupIds=[group])
    found = plugin.invoke(INSTANCE, {"dbInstanceIdentifier": name})
    assert found["dbSubnetGroup"] == subnet_group
    assert found["vpcSecurityGroups"] == [group]
    there = plugin.invoke(SUBNET_GROUP, {"name": found["dbSubnetGroup"]})
    assert there["id"] == there["name"] == subnet_group
    assert there["description"] == "where databases are"
    assert set(there["subnetIds"]) == {subnet["SubnetId"] for subnet in subnets}
    assert there["vpcId"] == subnets[0]["VpcId"]


@pytest.mark.parametrize("managed", [True, False])
def test_the_master_secret_is_told_when_rds_manages_it(plugin: Plugin, name: str, *, managed: bool) -> None:
    settings = {} if managed else {"ManageMasterUserPassword": False, "MasterUserPassword": PASSWORD}
    create(plugin, name, **settings)
    found = plugin.invoke(INSTANCE, {"dbInstanceIdentifier": name})["masterUserSecrets"]
    if not managed:
        assert found == []
        return
    [secret] = found
    value = plugin.client("secretsmanager").get_secret_value(SecretId=secret["secretArn"])
    assert json.loads(value["SecretString"]).keys() == {"username", "password"}
    assert set(secret) == {"kmsKeyId", "secretArn", "secretStatus"}


def test_a_cluster_is_found_with_its_instances_and_master_secret(
    plugin: Plugin, name: str, subnet_group: str
) -> None:
    plugin.client("rds").create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        DatabaseName="shop",
        MasterUsername="chief",
        ManageMasterUserPassword=True,
        Port=5433,
        DBSubnetGroupName=subnet_group,
        Tags=[{"Key": "team", "Value": "a"}],
    )
    create(plugin, f"{name}-1", Engine="aurora-postgresql", DBClusterIdentifier=name)
    found = plugin.invoke(CLUSTER, {"clusterIdentifier": name})
    assert found["id"] == found["clusterIdentifier"] == name
    assert found["arn"] == f"arn:aws:rds:us-east-1:123456789012:cluster:{name}"
    assert (found["engine"], found["databaseName"], found["port"]) == ("aurora-postgresql", "shop", 5433)
    assert (found["masterUsername"], found["dbSubnetGroupName"]) == ("chief", subnet_group)
    assert found["clusterMembers"] == [f"{name}-1"]
    assert found["tags"] == {"team": "a"}
    assert found["endpoint"]
    assert found["endpoint"] != found["readerEndpoint"]
    [secret] = found["masterUserSecrets"]
    assert secret["secretArn"].startswith("arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster")
    member = plugin.invoke(INSTANCE, {"dbInstanceIdentifier": f"{name}-1"})
    assert member["dbClusterIdentifier"] == name


def test_a_registered_database_is_found_and_its_password_is_never_shown(
    emulator: Emulator, plugin: Plugin, name: str
) -> None:
    body = {
        "DBInstanceIdentifier": name,
        "Host": "localhost",
        "Port": 15432,
        "Username": "postgres",
        "Password": PASSWORD,
    }
    with urllib.request.urlopen(
        f"{emulator.endpoint}/_localcloud/databases", json.dumps(body).encode(), timeout=10
    ) as answer:
        master = json.load(answer)["MasterUserSecretArn"]
    found = plugin.invoke(INSTANCE, {"dbInstanceIdentifier": name})
    assert (found["address"], found["port"], found["endpoint"]) == ("localhost", 15432, "localhost:15432")
    assert found["dbSubnetGroup"] == ""
    assert [secret["secretArn"] for secret in found["masterUserSecrets"]] == [master]
    assert found["masterUsername"] == "postgres"
    assert PASSWORD not in json.dumps(found)


def test_an_instance_is_found_by_unique_tags(plugin: Plugin, name: str) -> None:
    for at, stage in enumerate(("dev", "live")):
        tags = [{"Key": "app", "Value": name}, {"Key": "stage", "Value": stage}]
        create(plugin, f"{name}-{at}", Tags=tags)
    found = plugin.invoke(INSTANCE, {"tags": {"app": name, "stage": "live"}})
    assert found["id"] == f"{name}-1"
    assert refused(plugin, INSTANCE, {"tags": {"app": name}}) == shown(
        "multiple RDS DB Instances matched; use additional constraints to reduce matches to a single RDS DB "
        "Instance"
    )
    wrong = {"dbInstanceIdentifier": f"{name}-0", "tags": {"stage": "live"}}
    assert refused(plugin, INSTANCE, wrong) == shown("no matching RDS DB Instance found")


@pytest.mark.parametrize(
    ("token", "args", "words"),
    [
        (INSTANCE, {"dbInstanceIdentifier": "nowhere"}, "no matching RDS DB Instance found"),
        (CLUSTER, {"clusterIdentifier": "nowhere"}, "reading RDS Cluster (nowhere): couldn't find resource"),
        (SUBNET_GROUP, {"name": "nowhere"}, "no matching RDS DB Subnet Group found"),
    ],
)
def test_what_is_not_there_is_said_in_the_provider_s_words(
    plugin: Plugin, token: str, args: Properties, words: str
) -> None:
    assert refused(plugin, token, args) == shown(words)


@pytest.mark.parametrize(
    ("token", "name", "there"),
    [(CLUSTER, "clusterIdentifier", "cluster_identifier"), (SUBNET_GROUP, "name", "name")],
)
def test_without_an_identifier_nothing_is_taken_for_it(
    plugin: Plugin, subnet_group: str, token: str, name: str, there: str
) -> None:
    assert subnet_group  # the only one is not taken either
    for args in ({}, {name: ""}):
        assert f'The argument "{there}" is required' in refused(plugin, token, args)


def test_another_region_is_another_place(plugin: Plugin, name: str) -> None:
    create(plugin, name)
    elsewhere = {"dbInstanceIdentifier": name, "region": "eu-west-1"}
    assert "no matching RDS DB Instance found" in refused(plugin, INSTANCE, elsewhere)
    plugin.client("rds", "eu-west-1").create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="chief",
        ManageMasterUserPassword=True,
    )
    assert plugin.invoke(INSTANCE, elsewhere)["region"] == "eu-west-1"


@pytest.mark.parametrize(
    ("token", "args", "method", "begin"),
    [
        (INSTANCE, {"dbInstanceIdentifier": "d"}, "get_paginator", "reading RDS DB Instance: "),
        (CLUSTER, {"clusterIdentifier": "c"}, "describe_db_clusters", "reading RDS Cluster (c): "),
        (SUBNET_GROUP, {"name": "g"}, "describe_db_subnet_groups", "reading RDS DB Subnet Group: "),
    ],
)
def test_what_aws_refuses_is_said_with_what_was_done(  # noqa: PLR0913, PLR0917  fixtures
    plugin: Plugin,
    token: str,
    args: Properties,
    method: str,
    begin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "Describe")

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(plugin.client("rds"), method, refuse)
    text = refused(plugin, token, args)
    assert f"* {begin}operation error" in text
    assert "AccessDenied: not allowed" in text
