#!/usr/bin/env python3
"""A resolver made with the library queries unbound, nsd and dnsmasq: 5,000 names at once, aliases, TCP, an outage."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import stock

NAMES = 5000
MANY = 200  # addresses of one name, far more than a datagram holds


def address(number):
    return f"10.1.{number // 250}.{number % 250}"


def records():
    """Owner, type and data of what each server knows."""
    yield "alias.test", "CNAME", "middle.test."
    yield "middle.test", "CNAME", "real.test."
    yield "real.test", "A", "10.9.9.9"
    yield "real.test", "AAAA", "fd00::99"
    yield "only4.test", "A", "10.8.8.8"
    for number in range(MANY):
        yield "many.test", "A", f"10.2.0.{number}"
    for number in range(NAMES):
        yield f"n{number}.test", "A", address(number)


def write_zone(folder, name, origin, lines):
    zone = pathlib.Path(folder, name)
    zone.write_text(f"$ORIGIN {origin}\n$TTL 60\n@ SOA ns.test. root.test. 1 1000 1000 1000 30\n@ NS ns.test.\n"
                    + "".join(f"{line}\n" for line in lines))
    return zone


def start_nsd(folder, port):
    test = write_zone(folder, "zone", "test.", [f"{owner}. {kind} {data}" for owner, kind, data in records()] + ["ns.test. A 127.0.0.1"])
    back = write_zone(folder, "back", "10.in-addr.arpa.", ["9.9.9.10.in-addr.arpa. PTR real.test."])
    config = pathlib.Path(folder, "nsd.conf")
    config.write_text(f"""
server:
  ip-address: 127.0.0.1@{port}
  ip-address: ::1@{port}
  username: ""
  pidfile: ""
  zonesdir: "{folder}"
  xfrdfile: "{folder}/xfrd"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zonelist"
  database: ""
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: test
  zonefile: "{test}"
zone:
  name: 10.in-addr.arpa
  zonefile: "{back}"
""")
    return stock.Program(["nsd", "-d", "-c", str(config)])


def start_unbound(folder, port):
    lines = [f"  local-data: \"{owner}. 60 {kind} {data}\"" for owner, kind, data in records() if kind != "CNAME"]
    lines.append('  local-data-ptr: "10.9.9.9 real.test"')
    config = pathlib.Path(folder, "unbound.conf")
    config.write_text(f"""
server:
  directory: "{folder}"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  num-threads: 1
  interface: 127.0.0.1@{port}
  interface: ::1@{port}
  do-not-query-localhost: no
  module-config: "iterator"
  root-hints: ""
  local-zone: "test." static
  local-zone: "10.in-addr.arpa." static
""" + "\n".join(lines) + "\n")
    # It runs on the system's libevent.
    return stock.Program(["unbound", "-d", "-c", str(config)])


def start_dnsmasq(folder, port):
    hosts = pathlib.Path(folder, "hosts")
    hosts.write_text("".join(f"{data} {owner}\n" for owner, kind, data in records() if kind in ("A", "AAAA")))
    return stock.Program(["dnsmasq", "--keep-in-foreground", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                          f"--addn-hosts={hosts}", f"--port={port}", "--listen-address=127.0.0.1,::1", "--bind-interfaces",
                          "--cname=alias.test,real.test", "--local=/test/", "--user=root", f"--pid-file={folder}/pid"])


SERVERS = {"nsd": start_nsd, "unbound": start_unbound, "dnsmasq": start_dnsmasq}


# The first target of an alias; unbound's local data does not follow chains.
FIRST_STEP = {"nsd": "middle.test", "dnsmasq": "real.test"}


def ask(client, swap, servers, questions):
    with stock.Server([client, *servers], swap, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        process = program.process
        said, errors = process.communicate("".join(f"{question}\n" for question in questions), timeout=60)
        if process.returncode:
            raise stock.Broken(f"the client ended with {process.returncode}: {errors}")
        return said.splitlines()


def check_server(report, name, client, swap, servers):
    said = ask(client, swap, servers[:1], [f"a n{number}.test" for number in range(NAMES)])
    right = sum(answer == address(number) for number, answer in enumerate(said))
    report.check(name, right == NAMES, f"{right} of {NAMES} names at once are found")
    questions = {"aaaa real.test": "fd00::99", "a absent.test": "name does not exist", "aaaa only4.test": "no records in the reply",
                 "ptr 10.9.9.9": "real.test", "info only4.test": "10.8.8.8",
                 "info absent.test": "nodename nor servname provided, or not known"}
    if name in FIRST_STEP:
        questions |= {"a alias.test": "10.9.9.9", "info alias.test": f"{FIRST_STEP[name]} 10.9.9.9 fd00::99"}
    for server in servers:
        said = dict(zip(questions, ask(client, swap, [server], questions)))
        # Queries have names in random letter case, which answers may point to.
        wrong = {question: answer for question, answer in said.items() if answer.lower() != questions[question]}
        report.check(name, not wrong, f"{len(questions)} questions over {'IPv6' if '[' in server else 'IPv4'}"
                                      + (f": wrong are {wrong}" if wrong else ""))
    said = ask(client, swap, servers[:1], ["a many.test"])
    found = set(said[0].split())
    report.check(name, len(found) == 32 and all(one.startswith("10.2.0.") for one in found),
                 f"{len(found)} of {MANY} addresses of a name, which take TCP")


def family(process_id):
    """A process and all that it has started."""
    children = pathlib.Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [process_id] + [one for child in children for one in family(int(child))]


def check_outage(report, client, swap, folder, port):
    """The server stands still while names are looked up, and goes on."""
    with start_nsd(folder, port) as server:
        server.wait_for_port(port)
        processes = family(server.process.pid)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        with stock.Server([client, f"127.0.0.1:{port}"], swap, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as program:
            program.process.stdin.write("".join(f"a n{number}.test\n" for number in range(100)) + "wait 10\n")
            program.process.stdin.flush()
            time.sleep(0.7)
            for process in processes:
                os.kill(process, signal.SIGCONT)
            # What was asked in the meantime is asked again.
            said, _ = program.process.communicate("a real.test\n", timeout=60)
        said = said.splitlines()
        right = sum(answer == address(number) for number, answer in enumerate(said[:100]))
        report.check("outage", right == 100 and said[100] == "10.9.9.9", f"{right} of 100 names asked while the server stood still")


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        client = stock.compiled("dns_client.c", folder)
        for name, start in SERVERS.items():
            port = stock.free_port()
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(start(folder, port))
                server.wait_for_port(port)
                check_server(report, name, client, swap, [f"127.0.0.1:{port}", f"[::1]:{port}"])
        check_outage(report, client, swap, folder, stock.free_port())
        dead = stock.free_port()
        port = stock.free_port()
        with start_nsd(folder, port) as server:
            server.wait_for_port(port)
            said = ask(client, swap, [f"127.0.0.1:{dead}", f"127.0.0.1:{port}"], [f"a n{number}.test" for number in range(500)])
            right = sum(answer == address(number) for number, answer in enumerate(said))
            report.check("dead server", right == 500, f"{right} of 500 names are found although one of two servers is dead")


stock.main(drive, "gcc", "nsd", "unbound", "dnsmasq")
