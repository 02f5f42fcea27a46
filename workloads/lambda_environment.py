"""Environment variables of a Lambda function that lead to values and hold none."""

from workloads.contract import Workload


def lambda_environment(workload: Workload) -> dict[str, str]:
    """For each variable VARIABLE_SECRET_ARN and VARIABLE_SECRET_KEY.

    The function asks AWS's Parameters and Secrets extension for the ARN and takes the key from the JSON.
    """
    found: dict[str, str] = {}
    for variable, source in sorted(workload.environment.items()):
        found[f"{variable}_SECRET_ARN"] = source.secret_arn
        found[f"{variable}_SECRET_KEY"] = source.key
    return found
