# Where AWS is, and with which credentials, comes from the environment.

terraform {
  required_providers {
    aws    = { source = "hashicorp/aws" }
    random = { source = "hashicorp/random" }
  }
}

provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

# The names of secrets begin with it.
variable "prefix" {
  type    = string
  default = "recorded"
}

# How many secrets each module call with for_each or count makes.
variable "each" {
  type    = number
  default = 20
}

# ARN of the function that rotates terraform-aws-modules' secret.
variable "function" {
  type    = string
  default = null
}
