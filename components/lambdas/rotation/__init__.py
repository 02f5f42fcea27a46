"""The rotation function, which rotates any number of secrets of AWS Secrets Manager."""
