"""The command line: `understudy rollout apply` is `rollout_apply.py`.

A new command is a new file, with its options, its help and what it does as `command`, and one line
in the group that lists it: `main.py`, `rollout.py` or `dead_letters.py`.
"""
