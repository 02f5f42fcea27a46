"""Stand-ins for the official `aws` and `random` plugins, for machines on which those cannot be installed.

They speak the same tokens with the same inputs, outputs, defaults, replace-or-update decisions, secretness
and error texts, for the tokens of this project; `tools/localcloud/tests/test_plugin_replay.py` holds them to
calls recorded from the real provider code.

`values.py` is the engine's protocol, `archives.py` the bytes of its archives, `property_types.py` what Check
says of types, `resource.py` all that resources have in common, `serve.py` the gRPC service. A resource's
module holds its calls to AWS only.

To add a resource of AWS:

1. copy its entry from the recorded schema into `aws/schema.json`, with the object types that it names;
2. write a module with a `Resource` (see `resource.py`): what is special about its properties, and four
   functions that create, read, update and delete it through boto3, with the provider's words in `doing()`;
3. name it in `aws/plugin.py`, and its recorded calls in `tools/localcloud/tests/provider_calls`.

To add a function, write it in `aws/functions.py` or a module of its own and name it in `FUNCTIONS`.

Where they differ from the official plugins on purpose:

- a name that is scheduled for deletion is tried for LOCALCLOUD_RETRY_SECONDS (2) instead of two minutes, and
  nothing waits for AWS to become consistent: the emulator is at once;
- no message holds a property's value where the official one would quote it: it may be a secret;
- a version that keeps labels which Pulumi did not set fails to be deleted at once, not after two minutes;
- RandomPassword without any class of characters is refused by Check; the official plugin crashes in Create;
- random.RandomBytes is not served: its value is its id, which Pulumi's state holds in plain text;
- a Secret whose kmsKeyId is removed moves to AWS's own key; the official plugin tells AWS nothing then
  (terraform-provider-aws issue 21623), so that the secret stays with its key and each update tries again;
- a Function is deployed from an archive only, without layers, file systems, code signing and the like, which
  are refused with a message; nobody waits for it to become active;
- a SecretRotation that was cancelled outside reads as gone and is created again; the official plugin keeps it
  with rotationEnabled false and updates it: both attach the function again;
- some settings of the provider are refused with a message, for example aws:ignoreTags.
"""
