"""Signatures that mark special values wherever the engine writes properties as JSON.

Source: pulumi/sdk, resource/sig.go; the marker of an unknown text is in resource/plugin/rpc.go.
"""

KEY = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a marker, not a password
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
