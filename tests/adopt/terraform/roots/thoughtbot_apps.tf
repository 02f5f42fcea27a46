# Secrets with a generated key, by for_each.

module "app" {
  source   = "./thoughtbot/random_secret"
  for_each = toset([for number in range(var.each) : format("%s-app-%02d", var.prefix, number)])
  name     = each.value
  keys     = { SECRET_KEY_BASE = {} }
}
