"""Have the readers of a renewed secret read it again.

Source: External Secrets Operator, "force-sync"; AWS Lambda Developer Guide, "Parameters and Secrets Lambda
extension".
"""

import shlex
import time
from collections.abc import Callable
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from operations.renewal import services
from operations.renewal.model import Failure, ReaderOutcome, ReaderPlan
from operations.renewal.rotations import explained
from operations.status.aws import AwsSession
from program.arns import Account
from stack_file.workloads import Kubernetes, Redeploy

Tell = Callable[[str], None]

_PAUSE = 2.0  # seconds


def planned(plan: ReaderPlan, account: Account) -> ReaderOutcome:
    """Return what is done for a reader, before it is done."""
    declared, name = plan.workload.declared, plan.workload.name
    if declared.ecs and declared.ecs.redeploy:
        service = declared.ecs.redeploy
        return ReaderOutcome(
            name=name,
            outcome="planned",
            text=f"ECS service {service.cluster}/{service.service} is deployed again.",
        )
    if declared.ecs:
        return ReaderOutcome(
            name=name,
            outcome="by-hand",
            text="The stack file does not say which ECS service it is (ecs.redeploy). Deploy it again.",
            commands=("aws ecs update-service --cluster CLUSTER --service SERVICE --force-new-deployment",),
        )
    if declared.kubernetes:
        return ReaderOutcome(
            name=name,
            outcome="by-hand",
            text="This command has no access to the cluster. Have the operator read the secret now, then "
            "restart the pods; pods that restart themselves on a new value need only the first.",
            commands=_kubectl(plan, declared.kubernetes),
        )
    role = plan.workload.role_arn(account) or ""
    return ReaderOutcome(
        name=name,
        outcome="by-hand",
        text="The Parameters and Secrets extension of Lambda caches a value for 5 minutes by default "
        "(SECRETS_MANAGER_TTL), so functions that ask it each time need nothing. Those that read only at "
        "start keep the old value until their environment ends. List them, then restart each.",
        commands=(
            "aws lambda list-functions --output text --query "
            + shlex.quote(f"Functions[?Role=='{role}'].FunctionName"),
            'aws lambda update-function-configuration --function-name NAME --description "Restarted"',
        ),
    )


def _kubectl(plan: ReaderPlan, pod: Kubernetes) -> tuple[str, ...]:
    kubectl = f"kubectl --namespace {shlex.quote(pod.namespace)}"
    name = plan.workload.name
    restart = (
        f"{kubectl} get deployments,statefulsets,daemonsets --output json | jq -r "
        + shlex.quote(
            '.items[] | select((.spec.template.spec.serviceAccountName // "default") == '
            f'"{pod.service_account}") | "\\(.kind)/\\(.metadata.name)"'
        )
        + f" | xargs --no-run-if-empty {kubectl} rollout restart"
    )
    if pod.operator != "external-secrets":
        return (restart,)
    of_workload = shlex.quote(f'.items[] | select(.spec.secretStoreRef.name == "{name}") | .metadata.name')
    annotate = f'{kubectl} annotate externalsecret NAME force-sync="$(date +%s)" --overwrite'
    sync = (
        f"{kubectl} get externalsecrets --output json | jq -r {of_workload} "
        f"| xargs --no-run-if-empty -I NAME {annotate}"
    )
    return sync, restart


def restart(plan: ReaderPlan, aws: AwsSession, account: Account, timeout: float, tell: Tell) -> ReaderOutcome:
    """Restart a reader where that is possible from here, and wait until it is stable."""
    outcome = planned(plan, account)
    ecs = plan.workload.declared.ecs
    if outcome.outcome != "planned" or ecs is None or ecs.redeploy is None:
        return outcome
    try:
        outcome.text = _deploy(aws, ecs.redeploy, changed(aws, plan.secrets), timeout, tell)
        outcome.outcome = "done"
    except Failure as failure:
        outcome.outcome, outcome.text = "failed", str(failure)
        outcome.commands = (services.describing(ecs.redeploy),)
    return outcome


def changed(aws: AwsSession, secrets: tuple[str, ...]) -> datetime:
    """Return when the latest of the secrets changed, by AWS's clock."""
    client = aws.client("secretsmanager")
    try:
        latest: datetime = max(client.describe_secret(SecretId=name)["LastChangedDate"] for name in secrets)
    except (ClientError, BotoCoreError) as error:
        raise explained(error, "secretsmanager:DescribeSecret") from None
    return latest


def _deploy(aws: AwsSession, service: Redeploy, changed: datetime, timeout: float, tell: Tell) -> str:
    ecs, words = aws.client("ecs"), services.words(service)
    try:
        deployment = services.deploy(ecs, service, changed)
        tell(f"{words} is being deployed again.")
        deadline = time.monotonic() + timeout
        while True:
            found = services.describe(ecs, service)
            progress = services.progress(found, deployment)
            if progress.state == "done":
                return f"{words} was deployed again, and is stable."
            if progress.state == "replaced":  # by one that reads the new value, too
                deployment = progress.primary
            if progress.state == "failed" or time.monotonic() > deadline:
                how = "failed" if progress.state == "failed" else f"is not stable after {timeout:g} seconds"
                raise Failure(
                    f"The deployment of {words} {how}. ECS says: {services.last_event(found)}. Tasks of the "
                    "earlier deployment go on with the old value, which no longer works. Correct the cause, "
                    "then run this command again."
                )
            time.sleep(_PAUSE)
    except (ClientError, BotoCoreError) as error:
        action = getattr(error, "operation_name", "DescribeServices")
        raise explained(error, f"ecs:{action}") from None
