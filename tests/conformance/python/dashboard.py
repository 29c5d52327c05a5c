"""Runs a command in a terminal until it has shown certain words: python dashboard.py WORD,WORD... COMMAND..."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time


def main(words, command):
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    shown, deadline = b"", time.monotonic() + 30
    missing = words.split(",")
    while missing and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
        missing = [word for word in missing if word.encode() not in shown]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if missing:
        sys.exit(f"never shown: {missing}")
    print("dashboard: all shown")


main(sys.argv[1], sys.argv[2:])
