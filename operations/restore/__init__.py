"""Restore a secret that is scheduled for deletion, in AWS and in the stack's state.

The order, and why it can stop anywhere
---------------------------------------
1. Read the stack file, AWS, the state, and a preview if the state lost the secret. Whatever makes a restore
   impossible is found here, while nothing is changed.
2. RestoreSecret. The value, its versions and their labels are as they were. An update now would fail because
   the name is taken, and change nothing.
3. Add to the state what it lacks, in one write (operations.adopt), and preview. If an update would replace or
   delete the secret, the state is put back as it was.

Run it again after an interruption: a live secret that has a staging label of this project and is missing from
the state is added to it. A secret whose state is complete is left as it is.
"""
