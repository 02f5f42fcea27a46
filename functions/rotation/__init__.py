"""The rotation function: renews the values of secrets in AWS Secrets Manager, one for many secrets."""
