# Secrets of the root module, with names of the workspace, and one of the default workspace that others share.

locals {
  is_default = terraform.workspace == "default"
}

resource "random_password" "web" {
  for_each = toset(["api", "cable"])
  length   = 24
  special  = false
}

resource "random_id" "web" {
  byte_length = 16
}

resource "aws_secretsmanager_secret" "web" {
  for_each                = toset(["api", "cable"])
  name                    = "${var.prefix}/${terraform.workspace}/${each.value}"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "web" {
  for_each  = aws_secretsmanager_secret.web
  secret_id = each.value.id

  secret_string = jsonencode({
    PASSWORD = random_password.web[each.key].result
    ID       = random_id.web.hex
    HOST     = "made-up-host"
  })
}

resource "aws_secretsmanager_secret" "shared" {
  count = local.is_default ? 1 : 0
  name  = "${var.prefix}/shared"
}

resource "aws_secretsmanager_secret_version" "shared" {
  count         = local.is_default ? 1 : 0
  secret_id     = aws_secretsmanager_secret.shared[0].id
  secret_string = "made-up-text"
}

data "aws_secretsmanager_secret" "shared" {
  count = local.is_default ? 0 : 1
  name  = "${var.prefix}/shared"
}

data "aws_caller_identity" "caller" {}

resource "aws_secretsmanager_secret_policy" "shared" {
  count      = local.is_default ? 0 : 1
  secret_arn = data.aws_secretsmanager_secret.shared[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
      Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.caller.account_id}:root" }
    }]
  })
}
