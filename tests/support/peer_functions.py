"""Rotation functions as AWS and thoughtbot have them, in their documented behavior, for an emulator to run.

Sources: AWS Secrets Manager User Guide, "Secrets Manager rotation function templates" (Amazon RDS PostgreSQL
single user and alternating users) and "Rotation function strategies"; the README files of thoughtbot's
terraform-aws-databases.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from components.lambdas import build
from tests.support.emulator_functions import deploy
from tests.support.emulator_process import Emulator
from tests.support.stacks import Stack
from tools.localcloud.postgres import PostgresServer

APPLICATIONS = "arn:aws:serverlessrepo:us-east-1:297356227824:applications"

# The user alternates (AWS: NAME and NAME_clone, created as a member of NAME; thoughtbot: two names from its
# settings, with grants), or changes its own password.
SOURCE = """
import json, os, ssl
import boto3, pg8000.native

client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])
PRIMARY, ALTERNATE = (os.environ.get(f"{kind}_USERNAME") for kind in ("PRIMARY", "ALTERNATE"))
USERS = os.environ.get("USERS")


def value(secret, stage, version=None):
    exact = {"VersionId": version} if version else {}
    found = client.get_secret_value(SecretId=secret, VersionStage=stage, **exact)
    return json.loads(found["SecretString"])


def next_user(name):
    if PRIMARY:
        return ALTERNATE if name == PRIMARY else PRIMARY
    if USERS == "single":
        return name
    return name.removesuffix("_clone") if name.endswith("_clone") else name + "_clone"


def connect(login, at=None):
    place = at or login
    try:
        return pg8000.native.Connection(
            login["username"], host=place["host"], port=int(place["port"]), database=place["dbname"],
            password=login["password"], ssl_context=ssl.create_default_context(cafile=os.environ["CA_FILE"]),
        )
    except pg8000.native.DatabaseError:
        return None


def set_password(current, pending):
    opened = connect(pending)
    if opened:
        return opened.close()
    name, new = (pg8000.native.identifier(one["username"]) for one in (current, pending))
    password = pg8000.native.literal(pending["password"])
    if USERS == "single":
        opened = connect(current)
        opened.run(f"ALTER USER {name} WITH PASSWORD {password}")
        return opened.close()
    admin = value(os.environ.get("ADMIN_LOGIN_SECRET_ARN") or current["masterarn"], "AWSCURRENT")
    opened = connect(admin, current)
    if opened.run("SELECT 1 FROM pg_roles WHERE rolname = :name", name=pending["username"]):
        opened.run(f"ALTER USER {new} WITH PASSWORD {password}")
    else:
        opened.run(f"CREATE ROLE {new} WITH LOGIN PASSWORD {password}")
        if not PRIMARY:
            opened.run(f"GRANT {name} TO {new}")
    for grant in json.loads(os.environ.get("GRANTS", "[]")):
        opened.run(grant % new)
    opened.close()


def lambda_handler(event, _):
    secret, token = event["SecretId"], event["ClientRequestToken"]
    stages = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
    if "AWSCURRENT" in stages[token]:
        return
    current = value(secret, "AWSCURRENT")
    if event["Step"] == "createSecret":
        try:
            value(secret, "AWSPENDING", token)
        except client.exceptions.ResourceNotFoundException:
            password = client.get_random_password(ExcludePunctuation=True)["RandomPassword"]
            new = {**current, "username": next_user(current["username"]), "password": password}
            if PRIMARY:
                new["DATABASE_URL"] = "postgres://{username}:{password}@{host}:{port}/{dbname}".format(**new)
            text = json.dumps(new)
            client.put_secret_value(
                SecretId=secret, ClientRequestToken=token, SecretString=text, VersionStages=["AWSPENDING"]
            )
    if event["Step"] == "setSecret":
        set_password(current, value(secret, "AWSPENDING", token))
    if event["Step"] == "testSecret":
        connect(value(secret, "AWSPENDING", token)).close()
    if event["Step"] == "finishSecret":
        [before] = [version for version, labels in stages.items() if "AWSCURRENT" in labels]
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=before
        )
"""


def aws_function(
    stack: Stack, server: PostgresServer, name: str, users: Literal["single", "alternating"]
) -> str:
    """Deploy AWS's function as its application does, and return its ARN."""
    application = f"SecretsManagerRDSPostgreSQLRotation{'Single' if users == 'single' else 'Multi'}User"
    arn = _deployed(stack, server, name, {"USERS": users})
    stack.client("lambda").tag_resource(
        Resource=arn, Tags={"serverlessrepo:applicationId": f"{APPLICATIONS}/{application}"}
    )
    return arn


def thoughtbot_settings(username: str, admin_arn: str, *grants: str) -> dict[str, str]:
    """Return the environment variables of thoughtbot's function for a login."""
    return {
        "ADMIN_LOGIN_SECRET_ARN": admin_arn,
        "ALTERNATE_USERNAME": f"{username}_alt",
        "DATABASE_URL_SECRET_KEY": "DATABASE_URL",
        "GRANTS": json.dumps(grants),
        "PRIMARY_USERNAME": username,
    }


def thoughtbot_function(stack: Stack, server: PostgresServer, name: str, settings: Mapping[str, str]) -> str:
    """Deploy thoughtbot's function for a login, and return its ARN."""
    return _deployed(stack, server, name, settings)


def _deployed(stack: Stack, server: PostgresServer, name: str, settings: Mapping[str, str]) -> str:
    emulator = Emulator(0, stack.endpoint, {}, Path(), 0)
    variables = {
        **settings,
        "CA_FILE": str(server.ca_file),
        "SECRETS_MANAGER_ENDPOINT": stack.endpoint,
    }
    configuration: dict[str, Any] = {
        "Handler": "lambda_function.lambda_handler",
        "Environment": {"Variables": variables},
    }
    arn = deploy(emulator, name, _archive(), **configuration)
    stack.client("lambda").add_permission(
        FunctionName=arn,
        StatementId="AllowSecretsManager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    return arn


def _archive() -> bytes:
    """Return the function with the database driver of this project's own archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(build.build().path) as ours, zipfile.ZipFile(buffer, "w") as archive:
        for name in ours.namelist():
            if not name.startswith("rotation/"):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), ours.read(name))
        archive.writestr(zipfile.ZipInfo("lambda_function.py", (1980, 1, 1, 0, 0, 0)), SOURCE)
    return buffer.getvalue()
