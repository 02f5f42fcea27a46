"""Rights of a pipeline's roles, with the real engine and policies enforced."""

import json
import re
from collections.abc import Iterator
from functools import partial

import pytest
from botocore.exceptions import ClientError

from tests.support.ecs_services import deployments, service
from tests.support.emulator_functions import until
from tests.support.emulator_process import running_emulator
from tests.support.local_engine import stack_environment
from tests.support.pipelines import (
    ACCOUNT,
    BUCKET,
    EVERYTHING,
    ISSUER,
    NAMES,
    PRODUCTION,
    PULL_REQUEST,
    READS,
    REPOSITORY,
    SECRETS,
    STACK,
    TRUST,
    WORKLOADS,
    Pipeline,
    objects,
    pod_identity,
    refused,
    roles_of,
    state_in_bucket,
    token,
    variables,
)
from tests.support.shops import SECRET, new_shop
from tests.support.stacks import new_stack, steps
from tools.localcloud.postgres import PostgresServer


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Pipeline]:
    """A pipeline whose roles an administrator created, and the update role everything else."""
    folder = tmp_path_factory.mktemp("pipeline")
    with running_emulator(None) as emulator:
        environment = stack_environment(folder, emulator.endpoint)
        stack = new_stack(folder / "project", environment, emulator.endpoint)
        shop = new_shop(stack, server)
        stack.client("iam").create_open_id_connect_provider(
            Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )
        stack.client("eks").create_cluster(
            name="shop",
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
            resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        )
        service(stack)
        stack.client().create_secret(Name="other", SecretString='{"a": "b"}')
        [instance] = stack.client("rds").describe_db_instances()["DBInstances"]
        key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
        made = Pipeline(shop, roles_of(stack, instance["MasterUserSecret"]["SecretArn"], key), key)
        made.configure()
        made.acting(made.updating).up()
        yield made


def test_a_pull_request_is_previewed_without_a_secret_value(pipeline: Pipeline) -> None:
    pipeline.configure(
        {"shop-new": {"values": {"KEY": {"random": {}}}}},
        {"job": {"environment": READS, "ecs": {}}},
        days=10,
    )
    previewed, log = pipeline.acting(pipeline.previewing), pipeline.stack.folder / "previewed.json"
    said = previewed.pulumi("preview", "--event-log", str(log)).stdout
    assert {"create shop-new-secret", f"update {SECRET}-rotation-schedule"} <= set(steps(log))
    assert "TOKEN of shop-vendor is not filled in yet" in said
    answers = pipeline.live(log)
    assert (answers.unavailable, answers.denied) == ("", ()), answers
    presences = {name: live.presence for name, live in answers.secrets.items()}
    assert presences.pop("shop-new") == "missing"
    assert set(presences.values()) == {"present"}
    assert {key.state for key in answers.keys.values()} == {"Enabled"}
    pipeline.configure()
    assert previewed.preview() == []


def test_a_pipelines_stack_works_within_its_boundary(pipeline: Pipeline) -> None:
    value = pipeline.shop.rotate()
    assert pipeline.shop.log_in(value).startswith(pipeline.shop.username)
    pipeline.stack.edit("shop-vendor", TOKEN="filled")
    until(lambda: deployments(pipeline.stack) == 1)
    [pod] = [
        role["Arn"]
        for role in pipeline.stack.client("iam").list_roles()["Roles"]
        if role["RoleName"].startswith(f"{NAMES}pod-role")
    ]
    reader = variables(pod_identity(pipeline.stack, pod))
    read = pipeline.client(reader).get_secret_value(SecretId="shop-vendor")["SecretString"]
    assert json.loads(read) == {"TOKEN": "filled"}


def test_a_reader_with_several_policies_reads_at_all_times(pipeline: Pipeline) -> None:
    """Return names of 480 characters, so that a few secrets need three policies."""
    names = [f"shop-{number:02}".ljust(480, "x") for number in range(17)]
    added = names.pop(3)

    def configure(*names: str) -> None:
        secrets = {name: {"values": {"A": {"value": name[:7]}}} for name in names}
        reads = {f"V{name[5:7]}": {"secret": name, "key": "A"} for name in names}
        pod = {"serviceAccount": "many", "podIdentity": {"cluster": "shop"}}
        reader = {"kubernetes": {"operator": "secrets-store-csi", **pod}, "environment": reads}
        pipeline.configure(secrets, {"many": reader} if names else {})

    def policies() -> dict[str, list[str]]:
        """Return the stack's managed policies, each with the role it is attached to."""
        iam = pipeline.stack.client("iam")
        return {
            policy["Arn"].partition("_")[2].rpartition("-")[0]: [
                role["RoleName"]
                for role in iam.list_entities_for_policy(PolicyArn=policy["Arn"])["PolicyRoles"]
            ]
            for policy in iam.list_policies(Scope="Local")["Policies"]
            if f"{NAMES}many" in policy["Arn"]
        }

    def read(*names: str) -> list[str]:
        [role] = policies()["many-policy-2"]
        client = pipeline.client(
            variables(pod_identity(pipeline.stack, f"arn:aws:iam::{ACCOUNT}:role/{role}", "many"))
        )
        found = [client.get_secret_value(SecretId=name)["SecretString"] for name in names]
        return [json.loads(value)["A"] for value in found]

    updating = pipeline.acting(pipeline.updating)
    configure(*names)
    updating.up()
    assert sorted(policies()) == ["many-policy-2", "many-policy-3"]
    assert read(*names) == [name[:7] for name in names]
    assert updating.preview() == []
    configure(*names, added)
    assert {step for step in updating.preview() if "-policy" in step} == {
        f"update many-policy{number}" for number in ("", "-2", "-3")
    }
    updating.up()
    assert read(*names, added) == [name[:7] for name in (*names, added)]
    assert updating.preview() == []
    configure(*names[:4])
    updating.up()
    assert policies() == {}
    configure()
    updating.up()


def test_the_preview_role_reads_and_changes_nothing(pipeline: Pipeline) -> None:
    session = pipeline.previewing
    secrets, iam, rds = (pipeline.client(session, name) for name in ("secretsmanager", "iam", "rds"))
    arn = pipeline.stack.client().describe_secret(SecretId="shop-app")["ARN"]
    for call in (
        lambda: secrets.get_secret_value(SecretId="shop-app"),
        lambda: secrets.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT"),
        lambda: secrets.batch_get_secret_value(SecretIdList=["shop-app"]),
        lambda: secrets.describe_secret(SecretId="other"),
        lambda: secrets.get_resource_policy(SecretId="other"),
        secrets.list_secrets,
        lambda: secrets.put_secret_value(SecretId="shop-app", SecretString="{}"),
        lambda: secrets.update_secret(SecretId="shop-app", Description="x"),
        lambda: secrets.rotate_secret(SecretId=SECRET),
        lambda: secrets.delete_secret(SecretId="shop-app"),
        lambda: secrets.list_secret_version_ids(SecretId="other"),
        iam.list_roles,
        lambda: rds.describe_db_instances(DBInstanceIdentifier="other"),
        rds.describe_db_instances,
        lambda: rds.describe_db_clusters(DBClusterIdentifier="shop"),
        lambda: pipeline.client(session, "kms").list_keys(),
        lambda: pipeline.client(session, "kms").describe_key(KeyId=pipeline.state_key_arn),
        lambda: pipeline.client(session, "lambda").list_functions(),
    ):
        refused(call)
    with pytest.raises(ClientError, match="DBSubnetGroupNotFound"):  # and not an access error
        rds.describe_db_subnet_groups(DBSubnetGroupName="any")


def test_the_preview_role_reads_no_value_despite_a_resource_policy(
    pipeline: Pipeline,
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": pipeline.roles["previewRoleArn"]},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    owner = pipeline.stack.client()
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    owner.put_resource_policy(SecretId="other", ResourcePolicy=policy)
    refused(lambda: pipeline.client(pipeline.previewing).get_secret_value(SecretId="other"))
    owner.delete_resource_policy(SecretId="other")


def test_an_update_with_the_preview_role_changes_nothing(pipeline: Pipeline) -> None:
    changed = {"shop-app": {**SECRETS["shop-app"], "description": "changed"}}
    pipeline.configure(changed)
    previewing = pipeline.acting(pipeline.previewing)
    # another denied resource must not stop the engine before it reaches the secret
    done = previewing.pulumi("up", "--yes", "--skip-preview", "--continue-on-error", check=False)
    pipeline.configure()
    assert done.returncode
    assert "not authorized to perform: secretsmanager:UpdateSecret" in done.stdout
    assert pipeline.stack.client().describe_secret(SecretId="shop-app")["Description"] == "first"


@pytest.mark.parametrize(
    ("role", "web_identity"),
    [
        ("previewRoleArn", token(PRODUCTION)),
        ("previewRoleArn", token(f"{REPOSITORY}:ref:refs/heads/main")),
        ("previewRoleArn", token("repo:acme@1/other@3:pull_request")),
        ("previewRoleArn", token(f"{PULL_REQUEST}:x")),
        ("updateRoleArn", token(PULL_REQUEST)),
        ("updateRoleArn", token(f"{REPOSITORY}:environment:staging")),
        ("updateRoleArn", token(f"{REPOSITORY}:ref:refs/heads/main")),
        ("updateRoleArn", token("repo:acme/shop:environment:production")),
        ("updateRoleArn", token(PRODUCTION, audience="somebody-else")),
    ],
)
def test_no_other_workflow_can_assume_a_role(pipeline: Pipeline, role: str, web_identity: str) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
        pipeline.session(role, web_identity)


def test_the_update_role_creates_no_role_beyond_the_boundary(pipeline: Pipeline) -> None:
    iam, boundary = pipeline.client(pipeline.updating, "iam"), pipeline.roles["permissionsBoundaryArn"]
    owner, mine = pipeline.stack.client("iam"), f"{NAMES}mine"
    owner.create_role(RoleName=f"{NAMES}free", AssumeRolePolicyDocument=TRUST)
    free = {"RoleName": f"{NAMES}free"}
    policy = iam.create_policy(PolicyName=f"{NAMES}all", PolicyDocument=EVERYTHING)["Policy"]["Arn"]
    iam.create_role(RoleName=mine, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    for call in (
        lambda: iam.create_role(RoleName=f"{NAMES}x", AssumeRolePolicyDocument=TRUST),
        lambda: iam.create_role(
            RoleName=f"{NAMES}x",
            AssumeRolePolicyDocument=TRUST,
            PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        lambda: iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary),
        lambda: iam.create_role(
            RoleName="aws-secrets-test-eu_x", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary
        ),
        lambda: iam.put_role_policy(**free, PolicyName="x", PolicyDocument=EVERYTHING),
        lambda: iam.delete_role_permissions_boundary(RoleName=mine),
        lambda: iam.put_role_permissions_boundary(
            RoleName=mine, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        lambda: iam.attach_role_policy(
            RoleName=mine, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        # a policy of this stack, attached to a role without the boundary
        lambda: iam.attach_role_policy(**free, PolicyArn=policy),
        lambda: iam.create_user(UserName=mine),
    ):
        refused(call)
    iam.put_role_policy(RoleName=mine, PolicyName="everything", PolicyDocument=EVERYTHING)
    iam.attach_role_policy(RoleName=mine, PolicyArn=policy)
    bounded = variables(
        pipeline.stack.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{mine}", RoleSessionName="mine"
        )["Credentials"]
    )
    assert pipeline.client(bounded).get_secret_value(SecretId="shop-app")["SecretString"]
    for call in (
        lambda: pipeline.client(bounded).get_secret_value(SecretId="other"),
        lambda: pipeline.client(bounded).delete_secret(SecretId="shop-app"),
        lambda: pipeline.client(bounded, "iam").create_user(UserName="x"),
        lambda: pipeline.client(bounded, "kms").list_keys(),
    ):
        refused(call)


def test_the_update_role_changes_neither_pipeline_roles_nor_boundary(
    pipeline: Pipeline,
) -> None:
    iam, boundary = pipeline.client(pipeline.updating, "iam"), pipeline.roles["permissionsBoundaryArn"]
    for arn in (pipeline.roles["updateRoleArn"], pipeline.roles["previewRoleArn"]):
        role = {"RoleName": arn.rpartition("/")[2]}
        refused(partial(iam.put_role_policy, **role, PolicyName="x", PolicyDocument=EVERYTHING))
        refused(partial(iam.update_assume_role_policy, **role, PolicyDocument=TRUST))
        refused(partial(iam.delete_role, **role))
        refused(partial(iam.get_role, **role))
    for call in (
        lambda: iam.create_policy_version(PolicyArn=boundary, PolicyDocument=EVERYTHING, SetAsDefault=True),
        lambda: iam.delete_policy(PolicyArn=boundary),
        lambda: iam.create_policy(PolicyName="x", PolicyDocument=EVERYTHING),
        lambda: iam.create_policy(PolicyName="aws-secrets-test-eu_x", PolicyDocument=EVERYTHING),
    ):
        refused(call)


def test_the_update_role_touches_nothing_of_others(pipeline: Pipeline) -> None:
    session = pipeline.updating
    secrets, kms, functions, events = (
        pipeline.client(session, name) for name in ("secretsmanager", "kms", "lambda", "events")
    )
    key = pipeline.stack.client("kms").create_key()["KeyMetadata"]["KeyId"]
    own = pipeline.stack.client("kms").describe_key(KeyId="alias/aws-secrets/test")["KeyMetadata"]["KeyId"]
    version = pipeline.stack.client().describe_secret(SecretId="other")["VersionIdsToStages"]
    mine = pipeline.stack.client("lambda").list_functions()["Functions"][0]
    rule = {"Rule": f"{NAMES}task-redeploy-rule-1234567"}
    elsewhere = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:elsewhere"
    for call in (
        lambda: secrets.create_secret(Name="x", SecretString="{}"),
        lambda: secrets.put_secret_value(SecretId="other", SecretString="{}"),
        lambda: secrets.get_secret_value(SecretId="other", VersionId=next(iter(version))),
        lambda: secrets.delete_secret(SecretId="other"),
        lambda: secrets.get_secret_value(SecretId="shop-app"),
        lambda: secrets.batch_get_secret_value(SecretIdList=["shop-app"]),
        lambda: secrets.put_resource_policy(SecretId="shop-app", ResourcePolicy=EVERYTHING),
        lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=EVERYTHING),
        lambda: kms.create_alias(AliasName="alias/aws-secrets/test-2", TargetKeyId=key),
        lambda: kms.update_alias(AliasName="alias/aws-secrets/test", TargetKeyId=key),
        lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "shop"}]),
        lambda: kms.schedule_key_deletion(KeyId=own),
        lambda: kms.disable_key(KeyId=own),
        lambda: kms.decrypt(KeyId=own, CiphertextBlob=b"x"),
        lambda: functions.update_function_code(FunctionName="aws-secrets-prod_rotation", ZipFile=b"x"),
        lambda: functions.add_permission(
            FunctionName=mine["FunctionName"],
            StatementId="x",
            Action="lambda:InvokeFunction",
            Principal="210987654321",
        ),
        lambda: events.put_rule(Name="other", EventPattern="{}"),
        lambda: events.put_targets(**rule, Targets=[{"Id": "x", "Arn": elsewhere}]),
        lambda: functions.update_function_configuration(
            FunctionName=mine["FunctionName"], Role=pipeline.roles["updateRoleArn"]
        ),
    ):
        refused(call)


def key_policy(*principals: str) -> str:
    """Return a key policy that allows these everything, as well as the account's administrators."""
    named = {"AWS": [f"arn:aws:iam::{ACCOUNT}:root", *principals]}
    statement = {"Effect": "Allow", "Principal": named, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def test_no_key_policy_allows_deletion_of_the_stacks_key(pipeline: Pipeline) -> None:
    owner, iam = pipeline.stack.client("kms"), pipeline.client(pipeline.updating, "iam")
    key = owner.describe_key(KeyId="alias/aws-secrets/test")["KeyMetadata"]["KeyId"]
    before = owner.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    boundary, name = pipeline.roles["permissionsBoundaryArn"], f"{NAMES}ender"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=EVERYTHING)
    # a policy that names the session instead of its role is not limited by the role's boundary
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/it"
    role = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RoleSessionName": "it"}
    bounded = variables(pipeline.stack.client("sts").assume_role(**role)["Credentials"])
    mine = pipeline.client(pipeline.updating, "kms")
    allowing = key_policy(pipeline.roles["updateRoleArn"], role["RoleArn"], session)
    written = {"KeyId": key, "PolicyName": "default", "Policy": allowing}
    refused(lambda: mine.put_key_policy(**written, BypassPolicyLockoutSafetyCheck=True))
    refused(lambda: mine.create_key(BypassPolicyLockoutSafetyCheck=True))
    mine.put_key_policy(**written)
    try:
        for kms in (mine, pipeline.client(bounded, "kms")):
            refused(partial(kms.schedule_key_deletion, KeyId=key))
            refused(partial(kms.disable_key, KeyId=key))
            refused(partial(kms.create_grant, KeyId=key, GranteePrincipal=session, Operations=["Decrypt"]))
        refused(lambda: pipeline.client(bounded, "kms").put_key_policy(**written))
        # the role can grant it to anyone else in the account (docs/pipeline.md)
        pipeline.stack.client("iam").create_user(UserName="somebody")
        somebody = f"arn:aws:iam::{ACCOUNT}:user/somebody"
        mine.put_key_policy(**{**written, "Policy": key_policy(pipeline.roles["updateRoleArn"], somebody)})
        made = pipeline.stack.client("iam").create_access_key(UserName="somebody")["AccessKey"]
        theirs = {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
        }
        pipeline.client(theirs, "kms").schedule_key_deletion(KeyId=key)
        owner.cancel_key_deletion(KeyId=key)
        owner.enable_key(KeyId=key)
    finally:
        owner.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


def test_a_stacks_role_stays_within_its_boundary(
    pipeline: Pipeline,
) -> None:
    iam, boundary = pipeline.client(pipeline.updating, "iam"), pipeline.roles["permissionsBoundaryArn"]
    name = f"{NAMES}named"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    role = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "RoleSessionName": "it"}
    bounded = pipeline.client(variables(pipeline.stack.client("sts").assume_role(**role)["Credentials"]))
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/it"},
        "Action": "secretsmanager:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    pipeline.client(pipeline.updating).put_resource_policy(
        SecretId="shop-app", ResourcePolicy=policy, BlockPublicPolicy=True
    )
    try:
        assert bounded.describe_secret(SecretId="shop-app")["Name"] == "shop-app"
        refused(lambda: bounded.delete_secret(SecretId="shop-app"))
        refused(lambda: bounded.put_resource_policy(SecretId="shop-app", ResourcePolicy=policy))
    finally:
        pipeline.client(pipeline.updating).delete_resource_policy(SecretId="shop-app")


def test_the_update_role_manages_associations_of_its_clusters_only(
    pipeline: Pipeline,
) -> None:
    """EKS names an association by a random id, so a policy cannot tell whose it is."""
    owner, eks = pipeline.stack.client("eks"), pipeline.client(pipeline.updating, "eks")
    theirs = pipeline.stack.client("iam").create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    arn = theirs["Role"]["Arn"]
    owner.create_cluster(
        name="another",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )
    made = {
        cluster: owner.create_pod_identity_association(
            clusterName=cluster, namespace="theirs", serviceAccount="theirs", roleArn=arn
        )["association"]["associationId"]
        for cluster in ("shop", "another")
    }
    named = {"clusterName": "another", "associationId": made["another"]}
    refused(lambda: eks.delete_pod_identity_association(**named))
    refused(lambda: eks.describe_pod_identity_association(**named))
    refused(
        lambda: eks.create_pod_identity_association(
            clusterName="shop", namespace="mine", serviceAccount="mine", roleArn=arn
        )
    )
    named = {"clusterName": "shop", "associationId": made["shop"]}
    refused(lambda: eks.update_pod_identity_association(**named, roleArn=arn))
    eks.delete_pod_identity_association(**named)


def test_the_update_role_may_change_trust_policies_of_stack_roles(pipeline: Pipeline) -> None:
    """IAM has no boundary condition there, so only the name decides."""
    name = f"{NAMES}of-somebody"
    pipeline.stack.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam = pipeline.client(pipeline.updating, "iam")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST)
    refused(lambda: iam.put_role_policy(RoleName=name, PolicyName="x", PolicyDocument=EVERYTHING))
    other = "of-somebody"
    pipeline.stack.client("iam").create_role(RoleName=other, AssumeRolePolicyDocument=TRUST)
    refused(lambda: iam.update_assume_role_policy(RoleName=other, PolicyDocument=TRUST))


def test_the_update_role_attaches_no_function_of_others(pipeline: Pipeline) -> None:
    elsewhere = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:elsewhere"
    rotated = {"SecretId": "shop-app", "RotationRules": {"AutomaticallyAfterDays": 9}}
    refused(lambda: pipeline.client(pipeline.updating).rotate_secret(**rotated, RotationLambdaARN=elsewhere))


def test_a_stack_that_names_another_boundary_gets_no_role(pipeline: Pipeline) -> None:
    powerful = "arn:aws:iam::aws:policy/AdministratorAccess"
    pipeline.configure(workloads={"job": {"environment": READS, "ecs": {}}}, permissionsBoundary=powerful)
    done = pipeline.acting(pipeline.updating).pulumi("up", "--yes", "--skip-preview", check=False)
    pipeline.configure()
    assert done.returncode
    assert re.search("not authorized to perform: iam:(CreateRole|PutRolePermissionsBoundary)", done.stdout)
    iam = pipeline.stack.client("iam")
    made = [role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith(NAMES)]
    bounded = [iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary", {}) for name in made]
    allowed = {pipeline.roles["permissionsBoundaryArn"]}
    # the administrator of another test created one role without a boundary
    assert {boundary.get("PermissionsBoundaryArn") for boundary in bounded if boundary} == allowed


def test_a_secret_with_another_prefix_is_not_created(pipeline: Pipeline) -> None:
    pipeline.configure({"billing": {"values": {"KEY": {"random": {}}}}})
    done = pipeline.acting(pipeline.updating).pulumi("up", "--yes", "--skip-preview", check=False)
    pipeline.configure()
    assert done.returncode
    assert "not authorized to perform: secretsmanager:CreateSecret on resource: billing" in done.stdout


def test_previews_read_and_updates_write_the_state_bucket(
    pipeline: Pipeline,
) -> None:
    owner, url = pipeline.stack.client("s3"), state_in_bucket(pipeline.stack)
    by_passphrase = pipeline.stack.file.read_text()
    provider = f"awskms:///{pipeline.state_key_arn}?region=us-east-1"
    pipeline.acting({"PULUMI_BACKEND_URL": url}).pulumi("stack", "change-secrets-provider", provider)
    previewed = pipeline.acting(
        {**pipeline.previewing, "PULUMI_BACKEND_URL": url, "PULUMI_CONFIG_PASSPHRASE": ""}
    )
    updated = pipeline.acting({**pipeline.updating, "PULUMI_BACKEND_URL": url})
    before = objects(pipeline.stack)
    updated.up()  # only what failed before is left to do
    assert previewed.preview() == []
    pipeline.stack.file.write_text(by_passphrase)
    new = {key.split("/")[1] for key in objects(pipeline.stack) - before}
    assert new == {"backups", "history"}  # and the lock was released
    own, others = f".pulumi/stacks/aws-secrets/{STACK}.json", ".pulumi/stacks/aws-secrets/pipeline.json"
    reader, writer = pipeline.client(pipeline.previewing, "s3"), pipeline.client(pipeline.updating, "s3")
    for call in (
        partial(reader.put_object, Bucket=BUCKET, Key=own, Body=b""),
        partial(reader.delete_object, Bucket=BUCKET, Key=own),
        partial(reader.put_object, Bucket=BUCKET, Key=".pulumi/meta.yaml", Body=b""),
        partial(reader.get_object, Bucket=BUCKET, Key=others),
        partial(reader.list_objects_v2, Bucket="another"),
        partial(writer.get_object, Bucket=BUCKET, Key=others),
        partial(writer.put_object, Bucket=BUCKET, Key=others, Body=b""),
        partial(writer.put_object, Bucket=BUCKET, Key=".pulumi/meta.yaml", Body=b""),
        partial(writer.delete_object, Bucket=BUCKET, Key=".pulumi/stacks/aws-secrets/test-eu.json"),
        partial(writer.copy_object, Bucket=BUCKET, Key=own, CopySource={"Bucket": BUCKET, "Key": others}),
    ):
        refused(call)
    assert owner.get_object(Bucket=BUCKET, Key=others)


# last in the module: nothing is left after it
def test_the_update_role_changes_and_destroys_its_resources(pipeline: Pipeline) -> None:
    update, value = pipeline.acting(pipeline.updating), pipeline.shop.rotate()
    assert update.refresh() == []
    changed = {
        "shop-app": {
            **SECRETS["shop-app"],
            "description": "changed",
            "initialValues": "managed",
            "values": {**SECRETS["shop-app"]["values"], "LATER": {"value": "later"}},
        },
        "shop-vendor": {"values": SECRETS["shop-vendor"]["values"]},
        "shop-new": {"initialValues": "account", "values": {"KEY": {"random": {"length": 20}}}},
    }
    pipeline.configure(
        changed,
        {
            "job": {"environment": READS, "ecs": {}},
            "task": {"environment": READS, "ecs": {}},
            "web": {**WORKLOADS["web"], "environment": READS},
        },
        days=10,
        tags={"team": "another"},
        rotation={"logRetentionDays": 30, "architecture": "x86_64"},
    )
    done = update.up()
    assert {
        "update shop-app-secret",
        "delete shop-vendor-policy",
        "create job-role",
        "update stack-key",
        "delete task-redeploy-rule",
        f"update {SECRET}-rotation-schedule",
    } <= set(done)
    assert update.preview() == []
    assert pipeline.stack.value(SECRET) == value
    assert pipeline.stack.value("shop-app")["LATER"] == "later"
    assert len(pipeline.stack.value("shop-new")["KEY"]) == 20
    update.pulumi("destroy", "--yes", "--skip-preview")
    assert pipeline.stack.client().list_secrets()["SecretList"] != []
    assert pipeline.stack.client("lambda").list_functions()["Functions"] == []
