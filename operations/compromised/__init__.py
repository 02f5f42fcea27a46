"""Answer a leak: renew what leaked, end its sessions, restart its readers, and report the rest.

The order, and why it can stop anywhere
---------------------------------------
1. Rotate logins and random keys through Secrets Manager, each as often as values stay valid, then end the
   logins' sessions. The ids of the new versions follow from the start of the incident (--since) and the
   secret, so AWS itself shows which rotations this incident already had.
2. Raise the generations of generated keys in the stack file, then update the stack. A comment next to each
   one has the start of the incident; without it, or with an earlier one, the key is regenerated again.
3. Deploy the readers again, unless a deployment began after their secrets' last change.
4. Report what was done, what failed, and what a person must do.

A repetition with the same --since goes on where the last one stopped. If in doubt, it renews again: a value
too many is harmless, one too few is not. The failure of one secret stops no other.
"""
