"""What must hold before, and while, traffic is moved: readings in, findings out. Pure.

A prerequisite holds *until* a stage whose work ends it: replication runs until it is suspended.
That is how the same list serves stage 0 and the look again after a long wait.
"""
