"""``python -m turnout.cli``: the command, by the interpreter at hand."""

from turnout.cli import main

main()
