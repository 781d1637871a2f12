#!/usr/bin/env python3
"""A stock coturn relays for its own clients over UDP, TCP, TLS and DTLS, for many at a time."""
import concurrent.futures
import contextlib
import pathlib
import re
import tempfile

import stock


@contextlib.contextmanager
def around():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield stock.certificate(folder), folder


def relay(port, *options):
    """What a client says of messages that went through the server and back."""
    return stock.run(["turnutils_uclient", "-y", "-n", "20", "-z", "5", "-u", "user", "-w", "secret", "-p", str(port), *options,
                      "127.0.0.1"], seconds=40)


def check_relay(report, title, least, said):
    """coturn loses a third of its own client's messages over TLS, on any libevent."""
    sent = sum(map(int, re.findall(r"tot_send_msgs=(\d+)", said)[-1:]))
    passed = sum(map(int, re.findall(r"tot_recv_msgs=(\d+)", said)[-1:]))
    report.check(title, sent and passed >= least * sent, f"{passed} of {sent} messages came through")


def drive(swap, report, surroundings):
    (key, cert, _), folder = surroundings
    plain, secure = stock.free_port(), stock.free_port()
    with stock.Server(["turnserver", "-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", str(plain), "--tls-listening-port", str(secure),
                       "--cert", str(cert), "--pkey", str(key), "-a", "-u", "user:secret", "-r", "test", "--allow-loopback-peers",
                       "--cli-password", "test", "--no-cli", "--no-rfc5780", "--log-file", "stdout", "--simple-log", "-m", "2",
                       "--db", str(folder / "turndb"), "--pidfile", str(folder / "pid")], swap) as server:
        server.wait_for_port(plain)
        server.wait_for_port(secure)
        relays = [("UDP", 1, plain, []), ("TCP", 1, plain, ["-t"]), ("TLS", 0.3, secure, ["-t", "-S"]), ("DTLS", 1, secure, ["-S"]),
                  ("TLS, many", 0.3, secure, ["-t", "-S", "-m", "10", "-l", "1000"])]
        # At the same time, because they mostly wait.
        with concurrent.futures.ThreadPoolExecutor(len(relays)) as pool:
            for (title, least, _, _), said in zip(relays, pool.map(lambda one: relay(one[2], *one[3]), relays)):
                check_relay(report, title, least, said)
        server.check_mapping(report)
        server.check_stop(report, expected=-15)


stock.main(drive, "turnserver", "turnutils_uclient", "openssl", around=around)
