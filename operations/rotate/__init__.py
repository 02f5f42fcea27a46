"""Rotate secrets, then restart their readers in the declared order, with health checks between.

The order, and why it can stop anywhere
---------------------------------------
1. Check everything that could stop the command later: nothing has been changed yet.
2. Rotate one secret after another. The ids of the new versions follow from the start of the run (--since), so
   AWS itself shows which rotations this run already had.
3. Restart one reader after another, unless a deployment began since its secrets changed, and wait until it is
   healthy. The first failure ends the run; the readers after it keep the old value.

A repetition with the same --since goes on where the last one stopped. The way back (--back) makes the earlier
values current again, then restarts those readers that have read the new ones, in the reverse order.
"""
