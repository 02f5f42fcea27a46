# Two calls of many secrets: given values by count, and generated, write-only ones by for_each.

module "vendor" {
  source        = "./terraform_aws_modules/secret"
  count         = var.each
  name          = format("%s/vendor-%02d", var.prefix, count.index)
  secret_string = jsonencode({ token = "made-up-token-${count.index}" })
}

module "generated" {
  source    = "./terraform_aws_modules/secret"
  for_each  = toset([for number in range(var.each) : format("%s/generated-%02d", var.prefix, number)])
  name      = each.value
  generated = true
}
