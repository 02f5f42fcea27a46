"""The writer: the Lambda function that writes the values of secrets inside the account."""
