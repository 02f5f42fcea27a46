# Eight resources a secret: a KMS key and alias of its own, a resource policy, a role and policy to rotate it with.

locals {
  root = "arn:aws:iam::${data.aws_caller_identity.caller.account_id}:root"
}

data "aws_caller_identity" "caller" {}

resource "aws_kms_key" "key" {
  count                   = var.secrets
  description             = "Encrypts thoughtbot/secret-${count.index}"
  enable_key_rotation     = true
  deletion_window_in_days = 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "kms:*", Resource = "*", Principal = { AWS = local.root } },
    ]
  })
}

resource "aws_kms_alias" "alias" {
  count         = var.secrets
  name          = "alias/thoughtbot-${count.index}"
  target_key_id = aws_kms_key.key[count.index].arn
}

resource "aws_secretsmanager_secret" "secret" {
  count                   = var.secrets
  name                    = "thoughtbot/secret-${count.index}"
  description             = count.index == 0 && var.first != null ? var.first : var.description
  kms_key_id              = aws_kms_key.key[count.index].arn
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_policy" "policy" {
  count      = var.secrets
  secret_arn = aws_secretsmanager_secret.secret[count.index].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "secretsmanager:GetSecretValue"
        Resource  = "*"
        Principal = { AWS = aws_iam_role.rotation[count.index].arn }
      },
    ]
  })
}

resource "aws_secretsmanager_secret_version" "version" {
  count         = var.secrets
  secret_id     = aws_secretsmanager_secret.secret[count.index].id
  secret_string = jsonencode({ SECRET_KEY_BASE = "given-to-secret-${count.index}" })

  lifecycle {
    ignore_changes = [secret_string]
  }
}

resource "aws_iam_role" "rotation" {
  count = var.secrets
  name  = "thoughtbot-rotation-${count.index}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } },
    ]
  })
}

resource "aws_iam_policy" "rotation" {
  count = var.secrets
  name  = "thoughtbot-rotation-${count.index}"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
        Resource = aws_secretsmanager_secret.secret[count.index].arn
      },
      { Effect = "Allow", Action = "kms:Decrypt", Resource = aws_kms_key.key[count.index].arn },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "rotation" {
  count      = var.secrets
  role       = aws_iam_role.rotation[count.index].name
  policy_arn = aws_iam_policy.rotation[count.index].arn
}
