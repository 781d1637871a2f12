#!/usr/bin/env python3
"""A stock tcpbench sends to another as fast as it can for a second, over several connections and as datagrams."""
import pathlib

import stock

CONNECTIONS = 4


def figures(said):
    """The lines of a program as words, without the heads."""
    return [line.split() for line in said.splitlines() if ":" in line or line.split()[0].isdigit()]


def streams(said):
    """The bytes of all connections that it reports, once for each time that it does."""
    return sum(int(row[1]) for row in figures(said) if row[0].isdigit())


def fastest(said):
    """Packets per second."""
    return max((int(row[-1]) for row in figures(said) if "PPS:" in row), default=0)


def takes_datagrams(port):
    """Whether a UDP socket is bound to the port."""
    lines = pathlib.Path("/proc/net/udp").read_text().splitlines()
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines[1:])


def drive(swap, report):
    port = stock.free_port()
    common = ["tcpbench", "-4", "-r", "200", "-p", str(port)]
    with stock.Server([*common, "-s"], swap) as server, stock.Server([*common, "-u", "-s"], swap) as datagram_server:
        server.wait_for_port(port)
        datagram_server.wait_for(lambda: takes_datagrams(port), "socket")
        print(f"tcpbench, our library {server.swap}")
        server.check_mapping(report)
        with stock.Server([*common, "-t", "1", "-n", str(CONNECTIONS), "127.0.0.1"], swap) as client, \
                stock.Server([*common, "-u", "-t", "1", "127.0.0.1"], swap) as sender:
            statuses = client.wait(), sender.wait()
            sent, packets = streams(client.output()), fastest(sender.output())
            report.check("clients", statuses == (0, 0) and sent > 1 << 20 and packets > 0,
                         f"statuses {statuses}, {sent >> 20} MB and {packets} packets in a second sent")
        # It reports five times a second, and says when all connections have ended.
        server.wait_for(lambda: streams(server.output()) and "Conn:   0 " in server.output(), "end of connections")
        datagram_server.wait_for(lambda: fastest(datagram_server.output()) > 0, "packets")
        received, packets = streams(server.output()), fastest(datagram_server.output())
        report.check("servers", received > 1 << 20, f"{received >> 20} MB and {packets} packets in a second received")
        for one in server, datagram_server:
            status = one.stop()
            report.check("exit", "Terminated by signal 15" in one.output(), f"SIGTERM ended it with status {status}")


# Its server listens at all addresses.
stock.in_network_of_its_own("tcpbench")
stock.main(drive, "tcpbench")
