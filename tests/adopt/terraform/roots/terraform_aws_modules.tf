# One secret that a Lambda function rotates.

module "vendor" {
  source                  = "./terraform_aws_modules/secret"
  name                    = var.prefix
  description             = "Credentials of a vendor"
  tags                    = { Example = "complete" }
  recovery_window_in_days = 7
  secret_string           = jsonencode({ username = "made-up-user", token = "made-up-token-value-123456" })
  function                = var.function
}
