#!/usr/bin/env python3
"""A stock bgplgd answers a web server's FastCGI requests with the output of bgpd's control program."""
import contextlib
import os
import pathlib
import signal
import socket
import struct
import tempfile

import stock

CLIENTS = 40

# Stands for bgpctl: says how it was called, much of it when it is asked for routes, and slowly when for memory.
CONTROL = r"""#!/bin/sh
echo "{ \"called\": \"$*\" }"
case $* in
*memory*) read line < %s ;;
*rib*) i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo "{ \"route\": $i }"; done ;;
*nexthop*) exit 3 ;;
esac
"""


def record(kind, data):
    return struct.pack("!BBHHBB", 1, kind, 1, len(data), 0, 0) + data


def parameters(**values):
    return b"".join(bytes([len(name), len(value)]) + name.encode() + value.encode() for name, value in values.items())


class Request:
    """What a web server sends for a page, and what comes back."""

    def __init__(self, name, path, query=""):
        self.socket = socket.socket(socket.AF_UNIX)
        # Its listen queue is short: further clients wait.
        self.socket.connect(name)
        self.socket.settimeout(20)
        values = parameters(REQUEST_METHOD="GET", PATH_INFO=path, QUERY_STRING=query, SERVER_PROTOCOL="HTTP/1.1", SCRIPT_NAME="/lg")
        self.socket.sendall(record(1, struct.pack("!HB5x", 1, 0)) + record(4, values) + record(4, b"") + record(5, b""))

    def answer(self):
        """The page, once its end has been told."""
        said = b""
        with contextlib.closing(self.socket), self.socket.makefile("rb") as input:
            while head := input.read(8):
                _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", head)
                data = input.read(length + padding)[:length]
                said += data if kind == 6 else b""
                if kind == 3:
                    break
        return said.decode()


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        wait = pathlib.Path(folder, "wait")
        os.mkfifo(wait, 0o666)
        os.chmod(wait, 0o666)
        control = pathlib.Path(folder, "bgpctl")
        control.write_text(CONTROL % wait)
        control.chmod(0o755)
        name = f"{folder}/socket"
        with stock.Server(["bgplgd", "-d", "-p", str(control), "-s", name, "-S", f"{folder}/none"], swap) as server:
            server.wait_for_socket(name)
            print(f"bgplgd, our library {server.swap}")
            server.check_mapping(report)
            page = Request(name, "/interfaces").answer()
            report.check("page", "show interfaces" in page and "application/json" in page, " ".join(page.split()))
            table = Request(name, "/rib", "prefix=10.0.0.0/8").answer()
            report.check("long", table.count("route") == 20_000 and "10.0.0.0/8" in table, f"{len(table)} bytes of a table")
            slow = Request(name, "/memory")
            pages = [Request(name, "/neighbors", f"neighbor=10.0.0.{number}").answer() for number in range(CLIENTS)]
            right = sum(f"10.0.0.{number} " in page.replace('"', " ") for number, page in enumerate(pages))
            report.check("many", right == CLIENTS, f"{right} of {CLIENTS} pages, while another one is still being made")
            wait.write_text("go on\n")
            page = slow.answer()
            report.check("slow", "show rib memory" in page, " ".join(page.split()))
            failures = [Request(name, *path).answer() for path in (("/nexthops",), ("/unknown",), ("/rib", "prefix=;reboot"))]
            statuses = [404 if "Status: 404" in page else 400 if "Status: 400" in page else 200 for page in failures]
            report.check("failures", statuses == [200, 404, 400], f"statuses {statuses}: bgpctl failed, no such page, wrong question")
            server.check_stop(report, expected=-signal.SIGTERM)


if os.geteuid() != 0:
    stock.skip("bgplgd wants to be root")
stock.main(drive, "bgplgd")
