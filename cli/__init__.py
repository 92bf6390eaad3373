"""The command line `audiogan`: one file a command, shared parts underscored.

Nothing here imports Keras before a command that needs it has checked its
options, so that `--help`, `list` and every mistake in a flag answer at once.
"""
