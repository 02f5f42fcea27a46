"""The stand-in plugin pulumi-resource-aws."""

from tools.localcloud.plugins.aws import caches, rds
from tools.localcloud.plugins.aws.configuration import check_config, configure
from tools.localcloud.plugins.aws.event_rule import EVENT_RULE
from tools.localcloud.plugins.aws.event_target import EVENT_TARGET
from tools.localcloud.plugins.aws.functions import FUNCTIONS
from tools.localcloud.plugins.aws.iam import ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT
from tools.localcloud.plugins.aws.iam_policy import POLICY
from tools.localcloud.plugins.aws.iam_user import USER, USER_POLICY
from tools.localcloud.plugins.aws.kms import ALIAS, KEY
from tools.localcloud.plugins.aws.lambda_function import FUNCTION
from tools.localcloud.plugins.aws.lambda_invocation import INVOCATION
from tools.localcloud.plugins.aws.lambda_permission import PERMISSION
from tools.localcloud.plugins.aws.log_group import LOG_GROUP
from tools.localcloud.plugins.aws.metric_alarm import METRIC_ALARM
from tools.localcloud.plugins.aws.pod_identity_association import POD_IDENTITY_ASSOCIATION
from tools.localcloud.plugins.aws.secret import SECRET
from tools.localcloud.plugins.aws.secret_policy import SECRET_POLICY
from tools.localcloud.plugins.aws.secret_rotation import SECRET_ROTATION
from tools.localcloud.plugins.aws.secret_version import SECRET_VERSION
from tools.localcloud.plugins.serve import Plugin

RESOURCES = (
    ALIAS,
    EVENT_RULE,
    EVENT_TARGET,
    FUNCTION,
    INVOCATION,
    KEY,
    LOG_GROUP,
    METRIC_ALARM,
    PERMISSION,
    POD_IDENTITY_ASSOCIATION,
    POLICY,
    ROLE,
    ROLE_POLICY,
    ROLE_POLICY_ATTACHMENT,
    SECRET,
    SECRET_POLICY,
    SECRET_ROTATION,
    SECRET_VERSION,
    USER,
    USER_POLICY,
)

PLUGIN = Plugin(
    name="aws",
    version="7.51.1",
    check_config=check_config,
    configure=configure,
    default_tags=lambda account: account.default_tags,
    region=lambda account: account.region,
    resources={resource.token: resource for resource in RESOURCES},
    functions={**FUNCTIONS, **rds.FUNCTIONS, **caches.FUNCTIONS},
)
