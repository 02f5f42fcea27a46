"""Move a secret with its value from one stack to another of the same account and region.

The order, and why it can stop anywhere
---------------------------------------
1. Read both stack files and states, and the live secret. Whatever makes a move impossible is found here.
2. Add the secret to the target's stack file and state (operations.adopt), and preview the target. If an
   update would replace or delete the secret, both are put back as they were.
3. Remove it from the source's state, then from its stack file. The other order would let an update of the
   source delete the secret.

AWS is not changed until the target's next update. After an interruption the secret is in the target, in the
source, or in both; an update of either changes no value. Run the same command again to complete the move.
"""
