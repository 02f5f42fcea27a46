"""The functions that the deployment declares for the rotation of secrets.

What AWS has (RotationLambdaARN, tags) may be written by others. The state knows the functions that the stack
created, and its outputs say which one serves a database.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.config import Config

from components.lambdas.rotation.protocol import POSTGRES, ROTATION_TAG
from operations.adopt.adoption import exported
from operations.renewal.model import Deployment
from operations.restore.plan import Target
from operations.status.aws import AwsSession
from program.arns import Account
from program.desired import ROTATION_FUNCTION, SERVERS, Desired, DesiredSecret

_STACK = "pulumi:pulumi:Stack"
_FUNCTION = "aws:lambda/function:Function"
# A function may run for 15 minutes. No retry: it would end the sessions of the new value, too.
_INVOKE = Config(connect_timeout=5, read_timeout=900, retries={"total_max_attempts": 1})


def deployment_of(desired: Desired, target: Target, names: Iterable[str]) -> Deployment:
    """Return what the deployment declares for these secrets; the state is read only if one rotates."""
    secrets = [desired.secrets[name] for name in names]
    if not any(one.schedule and one.rotated_by == "stack" for one in secrets):
        return Deployment()
    resources = exported(target.engine.cli, target.engine.name).get("resources") or ()
    account = Account(target.caller.account_id, target.caller.partition, target.aws.region)
    functions: dict[tuple[str, str] | None, str] = {}
    servers: dict[tuple[str, str], tuple[str, str]] = {}
    for resource in resources:
        if resource["type"] == _STACK:
            for server, output in _servers(resource.get("outputs")):
                if isinstance(name := output.get("rotationFunction"), str):
                    functions[server] = account.arn("lambda", f"function:{name}")
                if isinstance(host := output.get("host"), str):
                    servers[server] = host, f"{output.get('port', 5432):.0f}"
        elif (
            resource["type"] == _FUNCTION
            and resource["urn"].endswith(f"::{ROTATION_FUNCTION}-function")
            and not resource.get("delete")  # replaced, and the update that deletes it was interrupted
        ):
            functions[None] = account.arn("lambda", f"function:{resource['id']}")
    return Deployment(functions=functions, servers=servers)


def function_of(secret: DesiredSecret, functions: Mapping[tuple[str, str] | None, str]) -> str:
    """Return the ARN of the function that rotates a secret; empty if there is none."""
    if secret.rotated_by == "own-function":
        return secret.function_arn or ""
    return functions.get(secret.server, "") if secret.rotated_by == "stack" else ""


def has_one_value(secret: DesiredSecret) -> bool:
    """Return whether no earlier value of a login works after one rotation; of others, two are valid."""
    return secret.login_tags.get(ROTATION_TAG) == POSTGRES


def lambda_client(aws: AwsSession) -> Any:  # noqa: ANN401  boto3 is untyped
    """Return a client that waits for the end of an invocation, and does not repeat it."""
    return aws.session.client("lambda", region_name=aws.region, config=_INVOKE)


def _servers(outputs: Any) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:  # noqa: ANN401  JSON
    for section in SERVERS if isinstance(outputs, dict) else ():
        entries = outputs.get(section)
        for name, output in entries.items() if isinstance(entries, dict) else ():
            if isinstance(output, dict):
                yield (section, name), output
