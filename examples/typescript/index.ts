import * as pulumi from "@pulumi/pulumi";
import * as secrets from "@pulumi/aws-secrets";

const config = new pulumi.Config();

const login = new secrets.PostgresLogin("shop", {
    secretName: "shop/database",
    host: config.require("host"),
    port: config.requireNumber("port"),
    database: "shop",
    username: "shop",
    adminSecretArn: config.require("adminSecretArn"),
    certificateAuthorities: config.get("certificateAuthorities"),
    grants: "owner",
    schedule: { automaticallyAfterDays: 30 },
});

const app = new secrets.Secret("app", {
    secretName: "shop/app",
    values: {
        SECRET_KEY_BASE: { random: { length: 64, special: false } },
        DATABASE_SECRET: { value: login.secretArn },
        STRIPE_KEY: { value: pulumi.secret("sk_test_example") },
        SENTRY_DSN: { filledByHand: "Sentry > Settings > Client Keys" },
    },
});

export const roles = login.roles;
export const references = login.references;
export const appSecret = app.arn;
