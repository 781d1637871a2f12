#!/usr/bin/env python3
"""A stock dnsproxy forwards queries from its own network to one name server, and all others to another."""
import pathlib
import socket
import struct
import tempfile

import stock

NAMES = 300

SETTINGS = """
authoritative 127.0.0.1
authoritative-port {ports[0]}
recursive 127.0.0.1
recursive-port {ports[1]}
listen 127.0.0.1
port {port}
statistics 1
internal 127.0.0.1/32
"""


def dnsmasq(port, network):
    hosts = [f"--host-record=name{number}.test,10.{network}.{number // 100}.{number % 100}" for number in range(NAMES)]
    return stock.Program(["dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--local=/test/",
                          "--log-facility=-", f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", *hosts])


def question(number, name, recursive):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x100 if recursive else 0, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def ask(port, recursive):
    """The addresses of all names; all are asked before the first answer is read."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        # As many at once as have room for their answers.
        for first in range(0, NAMES, 50):
            for number in range(first, first + 50):
                client.send(question(number, f"name{number}.test", recursive))
            while len(found) < first + 50:
                answer = client.recv(600)
                found[struct.unpack("!H", answer[:2])[0]] = socket.inet_ntoa(answer[-4:])
    return found


def answers(port):
    """Whether a server answers there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", port))
        try:
            client.send(question(0, "name0.test", True))
            return client.recv(600)
        except OSError:
            return b""


def counts(said):
    """How many queries it says it has forwarded to each server."""
    rows = [line.split() for line in said.splitlines()]
    numbers = [row for name, row in zip(rows, rows[1:]) if name and name[0] == "ActiveQr"]
    return (int(numbers[-1][1]), int(numbers[-1][2])) if numbers else (0, 0)


def drive(swap, report):
    port, *ports = [stock.free_port() for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder, dnsmasq(ports[0], 1) as first, dnsmasq(ports[1], 2) as second:
        file = pathlib.Path(folder, "dnsproxy.conf")
        file.write_text(SETTINGS.format(ports=ports, port=port))
        for server in first, second:
            server.wait_for_output("started")
        with stock.Server(["dnsproxy", "-c", str(file)], swap) as proxy:
            print(f"dnsproxy, our library {proxy.swap}")
            proxy.wait_for(lambda: answers(port), "answer")
            for topic, network, recursive in ("recursive", 2, True), ("authoritative", 1, False), ("again", 2, True):
                found = ask(port, recursive)
                wanted = {number: f"10.{network}.{number // 100}.{number % 100}" for number in range(NAMES)}
                report.check(topic, found == wanted, f"{sum(found.get(n) == a for n, a in wanted.items())} of {NAMES} answers right")
            proxy.check_mapping(report)
            # It counts once a second.
            proxy.wait_for(lambda: counts(proxy.output()) >= (NAMES, 2 * NAMES), "count of all questions")
            report.check("statistics", True, "{} questions to the one and {} to the other".format(*counts(proxy.output())))
            # Its own status for that.
            proxy.check_stop(report, expected=1)


# It always sends from the same port.
stock.in_network_of_its_own("dnsproxy")
stock.main(drive, "dnsproxy", "dnsmasq")
