"""Environment variables of a Lambda function that point to secrets and hold no value."""

from program.manifests.contract import Workload, sources


def lambda_environment(workload: Workload) -> dict[str, str]:
    """Return the variables that point to each value, and the path of certificate authorities.

    Each value has VARIABLE_SECRET_ARN and VARIABLE_SECRET_KEY; without the second, it is the whole secret.

    The function asks AWS's Parameters and Secrets extension for the ARN
    (http://localhost:2773/secretsmanager/get?secretId=ARN, with AWS_SESSION_TOKEN in the header
    X-Aws-Parameters-Secrets-Token) and reads the key from the JSON in the response's SecretString.

    Raises:
        ValueError: the workload has files, templates or keys by pattern, which Lambda cannot provide.

    Source: AWS Secrets Manager User Guide, "Use AWS Secrets Manager secrets in AWS Lambda functions".
    """
    if workload.files or workload.environment_from_all:
        raise ValueError(f"{workload.name}: Lambda provides neither files nor all keys of a secret")
    variables: dict[str, str] = dict(workload.authorities.environment) if workload.authorities else {}
    for variable, source in sorted(sources(workload.name, workload.environment).items()):
        variables[f"{variable}_SECRET_ARN"] = source.secret_arn
        if source.key is not None:
            variables[f"{variable}_SECRET_KEY"] = source.key
    return variables
