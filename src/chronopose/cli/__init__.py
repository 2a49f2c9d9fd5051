"""The command line, one file a subcommand; heavy imports happen inside the commands."""
