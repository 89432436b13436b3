"""`python -m discover`: the command line."""

from discover.cli import main

main()
