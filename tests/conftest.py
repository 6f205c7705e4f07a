"""What every test of the command and of the Python package shares."""

import signal

# A shell's background job ignores Ctrl-C, and so would the processes that tests start in order to interrupt them.
signal.signal(signal.SIGINT, signal.default_int_handler)
