#!/usr/bin/env python3
"""A stock fstrm_capture writes the streams of several senders to files, without losing or mixing frames."""
import contextlib
import pathlib
import random
import signal
import struct
import tempfile

import stock

SENDERS = 6
CONNECTIONS = 3
FRAMES = 5000
START, STOP = 2, 3
KIND = b"test:frames"


def frame(data):
    return struct.pack("!I", len(data)) + data


def control(kind, fields=b""):
    return struct.pack("!I", 0) + frame(struct.pack("!I", kind) + fields)


def contents(sender):
    """What one sender sends, with its name in it."""
    lengths = random.Random(sender)
    return [b"%d %d " % (sender, number) + b"." * lengths.randrange(400) for number in range(FRAMES)]


def write_frames(file, frames):
    start = control(START, struct.pack("!II", 1, len(KIND)) + KIND)
    file.write_bytes(start + b"".join(map(frame, frames)) + control(STOP))


def read_frames(file):
    """The frames of data in a file, by sender, in their order."""
    found = {sender: [] for sender in range(SENDERS)}
    data, at = file.read_bytes(), 0
    while at < len(data):
        length, = struct.unpack_from("!I", data, at)
        if length == 0:
            length, = struct.unpack_from("!I", data, at + 4)
            at += 4
        else:
            content = data[at + 4:at + 4 + length]
            found[int(content.split()[0])].append(content)
        at += 4 + length
    return found


def send_all(folder, socket):
    """Starts a sender for each file at the same time; returns how many had everything acknowledged."""
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(stock.Program(["fstrm_replay", "-t", KIND, "-r", folder / f"{sender}", "-u", socket]))
                   for sender in range(SENDERS)]
        return sum(sender.wait() == 0 for sender in senders)


def drive(swap, report):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        wanted = {sender: contents(sender) for sender in range(SENDERS)}
        for sender, frames in wanted.items():
            write_frames(folder / f"{sender}", frames)
        socket, written, older = folder / "socket", folder / "written", folder / "older"
        command = ["fstrm_capture", "-t", KIND, "-u", socket, "-w", written, "-c", str(CONNECTIONS)]
        with stock.Server(command, swap) as server:
            server.wait_for_socket(socket)
            print(f"fstrm_capture, our library {server.swap}")
            server.check_mapping(report)
            sent = send_all(folder, socket)
            written.rename(older)
            server.process.send_signal(signal.SIGUSR1)
            server.wait_for(written.exists, "new file")
            sent += send_all(folder, socket)
            report.check("senders", sent == 2 * SENDERS, f"{sent} of {2 * SENDERS} ended well, {CONNECTIONS} at a time")
            server.check_stop(report)
            for topic, file in ("older file", older), ("newer file", written):
                found = read_frames(file)
                report.check(topic, found == wanted, f"{sum(map(len, found.values())):,} frames of {SENDERS} senders in order")


stock.main(drive, "fstrm_capture", "fstrm_replay")
