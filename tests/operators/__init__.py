"""Our manifests on real parts: a kube-apiserver accepts them, the External Secrets Operator reads them."""
