"""What the core needs done, one file a port: abstract, typed activities.

An activity's name equals its action's kind, and its input's type names the action's class.
"""
