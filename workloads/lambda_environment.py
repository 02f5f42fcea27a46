"""Environment variables of a Lambda function that lead to values and hold none."""

from workloads.contract import Workload, sources


def lambda_environment(workload: Workload) -> dict[str, str]:
    """Return the variables that lead to each value, and the path of certificate authorities.

    They are VARIABLE_SECRET_ARN and VARIABLE_SECRET_KEY; without the second the whole secret is the value.

    The function asks AWS's Parameters and Secrets extension for the ARN
    (http://localhost:2773/secretsmanager/get?secretId=ARN, with AWS_SESSION_TOKEN in the header
    X-Aws-Parameters-Secrets-Token) and takes the key from the JSON in the answer's SecretString.

    Raises:
        ValueError: files, templates or whole sets of keys are declared, which Lambda does not make.

    Source: AWS Secrets Manager User Guide, "Use AWS Secrets Manager secrets in AWS Lambda functions".
    """
    if workload.files or workload.environment_from_all:
        raise ValueError(f"{workload.name}: Lambda makes no files of secrets, and no variables by itself")
    found: dict[str, str] = dict(workload.authorities.environment) if workload.authorities else {}
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        found[f"{variable}_SECRET_ARN"] = source.secret_arn
        if source.key is not None:
            found[f"{variable}_SECRET_KEY"] = source.key
    return found
