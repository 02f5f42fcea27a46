"""Type tokens of the components, as the engine records them in state and events.

Part of every resource's URN: to change one is to replace every secret.
"""

PREFIX = "aws-secrets:index:"
CACHE_LOGIN = f"{PREFIX}CacheLogin"
ENCRYPTION_KEY = f"{PREFIX}EncryptionKey"
ECS_REDEPLOYMENT = f"{PREFIX}EcsRedeployment"
MASTER_ROTATION = f"{PREFIX}MasterRotation"
MYSQL_LOGIN = f"{PREFIX}MysqlLogin"
PARTNER_ROTATION = f"{PREFIX}PartnerRotation"
NOTICES = f"{PREFIX}Notices"
POSTGRES_LOGIN = f"{PREFIX}PostgresLogin"
PREVIEW_ACCESS = f"{PREFIX}PreviewAccess"
READ_ACCESS = f"{PREFIX}ReadAccess"
ROTATION = f"{PREFIX}Rotation"
ROTATION_FUNCTION = f"{PREFIX}RotationFunction"
SCHEDULED_REHEARSAL = f"{PREFIX}ScheduledRehearsal"
SECRET = f"{PREFIX}Secret"
SECRET_COPIER = f"{PREFIX}SecretCopier"
SMTP_CREDENTIALS = f"{PREFIX}SmtpCredentials"
UPDATE_ACCESS = f"{PREFIX}UpdateAccess"
VALUE_WRITER = f"{PREFIX}ValueWriter"
