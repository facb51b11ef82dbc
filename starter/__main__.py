"""The console as a module: ``python -m starter``, the same as ``switchover``."""

from starter.console import main

main()
