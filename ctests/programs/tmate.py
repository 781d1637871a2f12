#!/usr/bin/env python3
"""A stock tmate resolves its server's name, from the hosts file and through a name server in resolv.conf."""
import contextlib
import pathlib
import socket
import tempfile

import stock


@contextlib.contextmanager
def tmate(swap, before, host, port):
    """Runs tmate with a server of this name."""
    with tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home, "config")
        config.write_text(f"set -g tmate-server-host {host}\nset -g tmate-server-port {port}\n")
        with stock.Server(["tmate", "-F", "-S", f"{home}/socket", "-f", str(config)], swap, before,
                          env={"HOME": home, "TERM": "xterm"}) as client:
            yield client


def connect(swap, before, report, host):
    """The server is a socket here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with tmate(swap, before, host, listener.getsockname()[1]) as client:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                said = connection.recv(100)
            report.check("server", said.startswith(b"SSH-2.0-"), f"{host} was found, and hears {said.decode(errors='replace').strip()}")
            client.check_mapping(report)
            client.check_stop(report)


def drive(swap, report, surroundings):
    names, private = surroundings
    connect(swap, (), report, "localhost")
    if not private:
        return
    connect(swap, private, report, "alias.test")
    seen = names.output().lower()
    report.check("questions", "query[a] alias.test" in seen, f"the name server was asked {seen.count('query[')} times")
    with tmate(swap, private, "absent.test", 1) as client:
        client.wait_for_output("lookup failure")
        report.check("no name", "absent.test" in client.output(), client.output().strip().splitlines()[-1])


stock.main(drive, "tmate", "dnsmasq", "unshare",
           around=lambda: stock.name_server("--host-record=there.test,127.0.0.1", "--cname=alias.test,there.test", "--local=/test/"))
