# Secrets that a person fills in, by count.

module "token" {
  source = "./thoughtbot/user_managed_secret"
  count  = var.each
  name   = format("%s-token-%02d", var.prefix, count.index)
  keys   = ["TOKEN"]
}
