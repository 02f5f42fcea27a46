"""Stand-ins for the official `aws` and `random` plugins, for machines on which those cannot be installed.

They speak the same tokens with the same inputs, outputs, defaults, replace-or-update decisions, secretness
and error texts, for the tokens that this project uses; `tests/localcloud/test_plugin_replay.py` holds them to
calls recorded from the real provider code.

To add a resource of AWS:

1. copy its entry from the recorded schema into `aws/schema.json`;
2. write a module with a `Resource` (see `resource.py`): what is special about its properties, and four
   functions that create, read, update and delete it through boto3;
3. name it in `aws/__main__.py`.
"""
