#!/usr/bin/env python3
"""The example program dns-example of the distribution's libevent-dev, as a resolver in all its modes and as a server."""
import os
import pathlib
import subprocess
import tempfile

import stock

SOURCE = pathlib.Path("/usr/share/doc/libevent-dev/examples/dns-example.c")
# In a network of its own, its server can take any port.
SERVER_PORT = 10053


def compiled(folder):
    """The example includes a file of the source tree, of which it needs nothing."""
    pathlib.Path(folder, "ipv6-internal.h").touch()
    os.mkdir(f"{folder}/examples")
    copy = pathlib.Path(folder, "examples", SOURCE.name)
    copy.write_text(SOURCE.read_text())
    return stock.compiled(copy, folder)


def ask(example, swap, *arguments):
    with stock.Server([example, *arguments], swap, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        said, errors = program.process.communicate(timeout=30)
        return program.process.returncode, said.splitlines()[1:], errors


def check_client(report, example, swap, folder):
    port = stock.free_port()
    server = stock.Program([stock.compiled("dns_server.c", folder), str(port)])
    with server:
        server.wait_for_output("ready")
        place = f"127.0.0.1:{port}"
        conf = pathlib.Path(folder, "resolv.conf")
        conf.write_text(f"nameserver {place}\n")
        for arguments, wanted in (
                (["-s", place, "host.test", "absent.test"], ["absent.test: No answer (3)", "host.test: 10.0.0.1", "host.test: 10.0.0.2"]),
                (["-c", str(conf), "host.test"], ["host.test: 10.0.0.1", "host.test: 10.0.0.2"]),
                (["-s", place, "-x", "10.0.0.1"], ["10.0.0.1: host.test"]),
                (["-s", place, "-g", "alias.test"], ["    alias.test ==> host.test", "[0] alias.test: 10.0.0.1", "[1] alias.test: 10.0.0.2",
                                                     "[2] alias.test: fd00::1"])):
            status, said, _ = ask(example, swap, *arguments)
            # Names in answers have the letter case of the query, which is random.
            lower = sorted(line if "No answer" in line else line.lower() for line in said)
            report.check("client", status == 0 and lower == sorted(wanted), f"{' '.join(arguments)}: {', '.join(said)}")
        status, _, errors = ask(example, swap, "-v", "-s", place, "host.test")
        report.check("client", status == 0 and "INFO: Resolve requested for host.test" in errors, f"-v: {len(errors.splitlines())} messages")
        status, _, errors = ask(example, swap, "-s", "nonsense", "host.test")
        report.check("client", status == 1 and "Couldn't configure nameservers" in errors, "a server that is none")


def check_server(report, example, swap):
    """As -T, in a network of its own, with dig in it."""
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    with stock.Server([example, "-T"], swap, before=alone) as server:
        inside = ["nsenter", "--net", f"--target={server.process.pid}", "dig", "@127.0.0.1", "-p", str(SERVER_PORT), "+short", "+tries=1"]

        def answers():
            return subprocess.run([*inside, "host.test", "A"], stdout=subprocess.PIPE, text=True, check=False).stdout == "192.168.11.11\n"
        server.wait_for(answers, "an answer")
        report.check("server", True, "-T: 192.168.11.11")
        found = stock.run([*inside, "-x", "10.0.0.1"])
        report.check("server", found == "foo.bar.example.com.\n", f"-T: the name of an address is {found.strip()}")
        server.check_mapping(report)


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        example = compiled(folder)
        check_client(report, example, swap, folder)
        if subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            check_server(report, example, swap)
        else:
            print("  skipped: a network of its own, for the example's server, cannot be had")


if not SOURCE.exists():
    stock.skip(f"{SOURCE} is not installed")
stock.main(drive, "gcc", "dig", "ip", "unshare", "nsenter")
