#!/usr/bin/env python3
"""A stock memcaslap with two threads sets and gets over many connections, and finds what it has set."""
import os
import re

import stock

OPERATIONS = 16_000
CONNECTIONS = 64


def drive(swap, report):
    port = stock.free_port()
    user = ["-u", stock.UNPRIVILEGED] if os.geteuid() == 0 else []
    with stock.Server(["memcached", *user, "-l", "127.0.0.1", "-p", str(port), "-U", "0"], swap) as server:
        server.wait_for_port(port)
        common = ["memcaslap", "-s", f"127.0.0.1:{port}", "-T", "2", "-c", str(CONNECTIONS), "-v", "1"]
        for topic, options in (("one by one", ["-x", str(OPERATIONS)]), ("ten at once", ["-x", str(OPERATIONS), "-d", "10"]),
                               ("binary", ["-x", str(OPERATIONS), "-B"])):
            with stock.Server([*common, *options], swap) as client:
                if topic == "one by one":
                    print(f"memcaslap, our library {server.swap}")
                    client.wait_for(lambda: stock.mapped(client.process.pid), "libevent")
                    client.check_mapping(report)
                status = client.wait()
                said = client.output()
                numbers = dict(re.findall(r"^(\w+): (\d+)$", said, re.MULTILINE))
                operations = sum(int(numbers.get(name, 0)) for name in ("cmd_get", "cmd_set"))
                # Each connection does the same number of them.
                right = status == 0 and operations == OPERATIONS // CONNECTIONS * CONNECTIONS
                right = right and all(numbers.get(name, "0") == "0" for name in ("get_misses", "verify_misses", "verify_failed"))
                report.check(topic, right, f"{operations} operations, {numbers.get('verify_failed')} of them wrong, status {status}")
                if not right:
                    print(said)


stock.main(drive, "memcaslap", "memcached")
