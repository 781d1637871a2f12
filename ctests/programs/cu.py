#!/usr/bin/env python3
"""A stock cu (opencu) passes bytes between a terminal and a line, both pseudo-terminals, through two bufferevents."""
import contextlib
import os
import pty
import select
import time
import tty

import stock

MUCH = b"0123456789abcde\n" * 2000


class Terminal:
    """A pseudo-terminal of raw bytes: what the program has open, and our end of it."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)

    def read_until(self, end, seconds=20):
        """What comes, up to these last bytes."""
        seen, over = b"", time.monotonic() + seconds
        while not seen.endswith(end) and time.monotonic() < over:
            if select.select([self.ours], [], [], 0.1)[0]:
                seen += os.read(self.ours, 65536)
        return seen

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def passes(report, topic, source, target, data):
    """Bytes go in at one terminal and come out at the other."""
    seen, left = b"", data
    while left:
        left = left[os.write(source.ours, left[:1000]):]
        seen += target.read_until(data[len(seen):len(data) - len(left)])
    report.check(topic, seen == data, f"{len(seen)} of {len(data)} bytes came through")


def drive(swap, report):
    with contextlib.closing(Terminal()) as line, contextlib.closing(Terminal()) as screen:
        with stock.Server(["cu", "-l", os.ttyname(line.theirs), "-s", "115200"], swap,
                          stdin=screen.theirs, stdout=screen.theirs, stderr=screen.theirs, start_new_session=True) as program:
            greeting = screen.read_until(b")\r\n")
            report.check("start", b"Connected" in greeting, greeting.decode(errors="replace").strip())
            passes(report, "typed", screen, line, b"typed\r")
            passes(report, "answered", line, screen, b"an answer\r\n")
            passes(report, "much", line, screen, MUCH)
            program.check_mapping(report)
            os.write(screen.ours, b"\r~.")
            status = program.wait()
            report.check("exit", status == 0, f"the escape ended it with status {status}")


stock.main(drive, "cu")
