"""Rename a secret in AWS: give it a second name with the same value, and remove the first one later.

AWS cannot rename a secret. The stages, each of which can stop anywhere and is run again:

1. `rename OLD NEW` adds an entry NEW with `renamedFrom: OLD` to the stack file. The next update creates NEW
   and copies OLD's value, by a function in the account that may read OLD and write NEW and nothing else.
2. While both exist, OLD is the one that changes. Each update, and each run of the command, copies its value
   again. NEW has the version IDs of OLD, so both are equal if the same ID is current.
3. `rename OLD NEW --finish`, once the readers use NEW, removes OLD and `renamedFrom` from the stack file. The
   next update removes OLD with its recovery window.

No value leaves the account. The command edits the stack file and invokes the function; updates do the rest.
"""
