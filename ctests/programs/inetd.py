#!/usr/bin/env python3
"""A stock inetd (OpenBSD's) runs built-in services and programs for many clients at once, and rereads its list on SIGHUP."""
import contextlib
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import stock

CONNECTIONS = 100

# Its names and ports are fixed, the addresses are not.
SETTINGS = """
{address}:echo stream tcp nowait root internal
{address}:discard stream tcp nowait root internal
{address}:chargen stream tcp nowait root internal
{address}:daytime stream tcp nowait root internal
{address}:time stream tcp nowait root internal
{address}:{cat} stream tcp nowait root /bin/cat cat
{address}:{once} dgram udp wait root {answer} answer
{folder}/unix stream unix nowait root /bin/cat cat
"""
# It writes its number to a file of a fixed name.
PRIVATE = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh"]
# Answers one datagram on its standard input, and ends; until then inetd must not touch the others.
ANSWER = """#!%s -S
import socket
with socket.socket(fileno=0) as waiting:
    said, peer = waiting.recvfrom(100)
    waiting.sendto(b"answer to " + said, peer)
"""


def exchange(where, data):
    """What comes back for the data until the other side closes."""
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as client:
        client.settimeout(20)
        client.connect(where)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def check_internal(report, address):
    echo = exchange((address, 7), b"a line\n" * 1000)
    discard = exchange((address, 9), b"a line\n" * 1000)
    when = struct.unpack("!I", exchange((address, 37), b""))[0] - 2_208_988_800
    day = exchange((address, 13), b"")
    with socket.create_connection((address, 19), 20) as client, client.makefile("rb") as lines:
        characters = [lines.readline() for _ in range(95)]
    holds = echo == b"a line\n" * 1000 and not discard and abs(when - time.time()) < 60 and day.endswith(b"\r\n")
    holds = holds and all(len(line) == 74 for line in characters) and len(set(characters)) == 95
    report.check("internal", holds, f"{len(echo)} bytes of an echo, {len(characters)} lines of characters, {day.decode().strip()}")


def check_many(report, address, port):
    """All are connected before the first one sends anything."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((address, port), 20)) for _ in range(CONNECTIONS)]
        for number, client in enumerate(clients):
            client.sendall(b"client %d\n" % number)
            client.shutdown(socket.SHUT_WR)
        answers = [stack.enter_context(client.makefile("rb")).read() for client in clients]
    right = sum(answer == b"client %d\n" % number for number, answer in enumerate(answers))
    report.check("many", right == CONNECTIONS, f"{right} of {CONNECTIONS} programs at once answer right")


def check_datagrams(report, address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect((address, port))
        for number in range(3):
            client.send(b"%d" % number)
        answers = [client.recv(100) for _ in range(3)]
    report.check("datagrams", answers == [b"answer to %d" % number for number in range(3)], f"{len(answers)}, each by a program of its own")


def children(process_id):
    return pathlib.Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()


def drive(swap, report):
    address = "127." + ".".join(str(random.randrange(2, 250)) for _ in range(3))
    ports = [stock.free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        answer = pathlib.Path(folder, "answer")
        answer.write_text(ANSWER % sys.executable)
        answer.chmod(0o755)
        settings = pathlib.Path(folder, "inetd.conf")
        text = SETTINGS.format(address=address, cat=ports[0], once=ports[1], answer=answer, folder=folder)
        settings.write_text(text)
        with stock.Server(["inetd", "-i", "-R", "10000", str(settings)], swap, before=PRIVATE) as server:
            server.wait_for_socket(f"{folder}/unix")
            print(f"inetd, our library {server.swap}")
            server.check_mapping(report)
            check_internal(report, address)
            check_many(report, address, ports[0])
            check_datagrams(report, address, ports[1])
            report.check("by name", exchange(f"{folder}/unix", b"hello") == b"hello", "a socket with a name answers")
            settings.write_text(text.replace(f":{ports[0]} ", f":{ports[2]} ").replace(f"{address}:echo", "#"))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(lambda: socket.socket().connect_ex((address, ports[2])) == 0, "new service")
            gone = [socket.socket().connect_ex((address, port)) for port in (7, ports[0])]
            report.check("SIGHUP", all(gone) and exchange((address, ports[2]), b"hello") == b"hello", "one service more, two less")
            server.wait_for(lambda: not children(server.process.pid), "end of all programs")
            server.check_stop(report)


if os.geteuid() != 0 or subprocess.run([*PRIVATE, "true"], stderr=subprocess.DEVNULL).returncode:
    stock.skip("inetd wants to be root, and private mounts keep its files apart")
stock.main(drive, "inetd")
