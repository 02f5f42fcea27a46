"""ComponentResources for application secrets in AWS Secrets Manager, one a file.

They take everything as arguments and read no configuration, so any Pulumi program can use them.
"""
