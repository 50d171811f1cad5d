"""The one kind of error that is the user's to mend."""


class UserError(Exception):
    """Bad usage or bad input: the message is one line that names the thing and the fix.

    The command prints it and exits with 2; nothing has been written.
    """
