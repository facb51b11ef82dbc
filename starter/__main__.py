"""Run the console as a module: ``python -m starter`` is the same as ``switchover``."""

from starter.console import main

main()
