"""The copier: the Lambda function that copies the value of a secret to its new name, inside the account."""
