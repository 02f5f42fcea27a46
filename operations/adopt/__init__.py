"""Bring secrets that exist in AWS into a stack, from Terraform, CloudFormation or AWS itself.

An adoption writes stack-file entries and adds the live resources to the stack's state, so that the next
preview shows no change. No live value is read (unless key names are asked for), moved or written, and no
version is made: the only change in AWS is one staging label on each secret's current version.

How the live resources get to the state
---------------------------------------
Three ways were compared:

- `pulumi import --file`: the provider reads each resource. It copies the live value of the current version
  to the state, takes a random password's value for its id, and does not know what AWS does not keep
  (`recoveryWindowInDays`, `blockPublicPolicy`, `rotateImmediately`). The next update would then change these,
  and an update of a rotation calls RotateSecret. It is several updates, and stops in the middle.
- `import` ids that the program takes from the configuration: the same reads, within `pulumi up`, and with
  ids that have to leave the configuration again.
- `pulumi stack export` and `import` with entries that are built here: one write for all secrets, no call of
  a provider.

The third is used. The entries are not guessed: a preview of the written stack file says which resources the
program wants, with their URNs, parents, providers and inputs. What a preview cannot know (ARNs, the id of the
version, outputs) is what AWS says of the live secret.

A random password and the initial version stand in the state with a value that was never in AWS: the program
ignores changes of both, so it is written nowhere. It is there for the day on which the secret is replaced.

Database logins
---------------
A PostgreSQL login that another function rotates is declared under `databases`, and its rotation is imported
with that function. The next update takes over its roles in the database, and only then replaces the function
(components/postgres_login.py has that order). See logins.py for who may name its administrator.

The order, and why it can stop anywhere
---------------------------------------
1. Label the current version of each secret. AWS deletes versions without a label in its own time; were this
   one gone, a refresh would drop it from the state.
2. Write the stack file, at one stroke. An update now would fail because the name is taken, and change
   nothing. The other order would leave a secret in the state that the stack file does not have, and the next
   update would delete it.
3. Preview, build the state's entries, and import the state at one stroke.
4. Preview again. A secret for which it shows more than was announced leaves the state and the stack file.

A secret is in the stack file and in the state with all its resources, or it is not taken over. Run it again
after an interruption: what is done is found and left as it is, and what is missing is done.
"""
