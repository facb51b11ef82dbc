"""Checks of what must hold before and while traffic is moved: readings in, findings out. Pure.

A prerequisite holds *until* a stage whose work ends it: replication runs until it is suspended.
So the same checks serve stage 0 and the repetition after a long wait.
"""
