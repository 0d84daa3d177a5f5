"""Commands of the command line: one file or folder a command, found by discovery."""
