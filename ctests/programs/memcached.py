#!/usr/bin/env python3
"""A stock memcached with four threads stores and returns 10,000 keys."""
import time

import stock

KEYS = 10_000
CONNECTIONS = 8
BATCH = 50


def value(number):
    """Contents that depend on the key, from 1 byte to 3 KiB."""
    return (b"%d." % number * 600)[:1 + number * 37 % 3000]


def store(connection, numbers):
    """Stores in batches; returns how many were accepted."""
    stored = 0
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start:start + BATCH]
        connection.send(b"".join(b"set key%d 0 0 %d\r\n%s\r\n" % (number, len(value(number)), value(number))
                                 for number in batch))
        stored += sum(connection.line() == b"STORED" for _ in batch)
    return stored


def fetch(connection, numbers):
    """Fetches in batches; returns how many came back as they were stored."""
    right = 0
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start:start + BATCH]
        connection.send(b"".join(b"get key%d\r\n" % number for number in batch))
        for number in batch:
            right += fetched(connection) == (b"key%d" % number, value(number))
    return right


def fetched(connection):
    """One answer to a get: key and contents, or None for a miss."""
    answer = connection.line().split()
    if answer[:1] != [b"VALUE"]:
        return None
    data = connection.bytes(int(answer[3]))
    connection.line()
    return (answer[1], data) if connection.line() == b"END" else None


def statistics(connection):
    connection.send(b"stats\r\n")
    found = {}
    while (line := connection.line()) != b"END":
        _, name, text = line.decode().split(maxsplit=2)
        found[name] = text
    return found


def drive(swap, report):
    port = stock.free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4", "-m", "256", "-u", "root"]
    with stock.Server(command, swap) as server:
        server.wait_for_port(port)
        connections = [stock.Line(port) for _ in range(CONNECTIONS)]
        figures = statistics(connections[0])
        print(f"memcached {figures['version']} with {figures['threads']} threads, our library {server.swap}")
        server.check_mapping(report)

        # Each share of the keys is fetched over a different connection from the one that stored it.
        shares = [range(first, KEYS, CONNECTIONS) for first in range(CONNECTIONS)]
        started = time.monotonic()
        stored = sum(map(store, connections, shares))
        right = sum(map(fetch, connections[1:] + connections[:1], shares))
        seconds = time.monotonic() - started
        report.check("keys", stored == right == KEYS,
                     f"{stored:,} stored, {right:,} fetched and right, over {CONNECTIONS} connections, in {seconds:.2f} s")

        figures = statistics(connections[-1])
        agree = figures["cmd_set"] == figures["get_hits"] == str(KEYS) and figures["get_misses"] == "0"
        report.check("statistics", agree and figures["libevent"].startswith("2.1."),
                     f"{figures['curr_items']} items, {figures['cmd_set']} sets, {figures['get_hits']} hits, "
                     f"{figures['total_connections']} connections, libevent {figures['libevent']}")
        for connection in connections:
            connection.close()
        server.check_stop(report)


stock.main(drive, "memcached")
