#!/usr/bin/env python3
"""A stock unbound answers dig over UDP and TCP, from its own data and from another unbound."""
import os
import pathlib
import tempfile

import stock

NAMES = 150

SETTINGS = """
server:
  directory: "{folder}"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  verbosity: 1
  num-threads: {threads}
  interface: 127.0.0.1@{port}
  do-not-query-localhost: no
  module-config: "iterator"
  root-hints: ""
{data}
remote-control:
  control-enable: yes
  control-interface: {folder}/{name}.control
  control-use-cert: no
"""


def settings(folder, name, port, threads, data):
    file = pathlib.Path(folder, f"{name}.conf")
    file.write_text(SETTINGS.format(folder=folder, name=name, port=port, threads=threads, data=data))
    return str(file)


def origin_data():
    """The zone of the server that knows it."""
    lines = ['  local-zone: "test." static', '  local-data: "mail.test. MX 10 name1.test."',
             f"  local-data: 'long.test. TXT {' '.join(chr(34) + str(n) * 50 + chr(34) for n in range(10))}'"]
    for number in range(NAMES):
        lines.append(f'  local-data: "name{number}.test. A 10.1.{number // 100}.{number % 100}"')
        lines.append(f'  local-data: "name{number}.test. AAAA fd00::{number + 1:x}"')
    return "\n".join(lines)


def dig(port, folder, questions, *options):
    """The answers to all questions, in one run of dig."""
    batch = pathlib.Path(folder, "questions")
    batch.write_text("".join(f"{question} +short {' '.join(options)}\n" for question in questions))
    return stock.run(["dig", "@127.0.0.1", "-p", str(port), "-f", str(batch)]).split("\n")[:-1]


def check_names(report, topic, port, folder, *options):
    questions = [f"name{number}.test {kind}" for number in range(NAMES) for kind in ("A", "AAAA")]
    wanted = [address for number in range(NAMES)
              for address in (f"10.1.{number // 100}.{number % 100}", f"fd00::{number + 1:x}")]
    found = dig(port, folder, questions, *options)
    right = sum(a == b for a, b in zip(found, wanted))
    report.check(topic, found == wanted, f"{right} of {len(wanted)} answers right")


def check_others(report, port):
    """A failure, an answer that is too long for UDP, and other kinds of records."""
    command = ["dig", "@127.0.0.1", "-p", str(port)]
    missing = stock.run([*command, "missing.test"])
    long = stock.run([*command, "long.test", "TXT", "+noedns", "+short"])
    mail = stock.run([*command, "mail.test", "MX", "+short"])
    holds = "status: NXDOMAIN" in missing and long.count('"') == 20 and mail == "10 name1.test.\n"
    report.check("others", holds, f"no such name, {len(long)} bytes by TCP after truncation, mail to {mail.strip()}")


def control(configuration, swap, command):
    """What unbound-control says, which is on our library too."""
    with stock.Server(["unbound-control", "-c", configuration, command], swap) as client:
        return client.wait(), client.output()


def drive(swap, report):
    ports = [stock.free_port() for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        forward = f'forward-zone:\n  name: "test."\n  forward-addr: 127.0.0.1@{ports[0]}'
        local = '  local-zone: "test." nodefault'
        origin = settings(folder, "origin", ports[0], 1, origin_data())
        resolver = settings(folder, "resolver", ports[1], 2, f"{local}\n{forward}")
        with stock.Server(["unbound", "-d", "-p", "-c", origin], swap) as first, \
                stock.Server(["unbound", "-d", "-p", "-c", resolver], swap) as second:
            first.wait_for_port(ports[0])
            second.wait_for_port(ports[1])
            print(f"unbound, our library {second.swap}")
            second.check_mapping(report)
            check_names(report, "own, UDP", ports[0], folder)
            check_names(report, "own, TCP", ports[0], folder, "+tcp", "+keepopen")
            check_names(report, "forwarded", ports[1], folder)
            check_names(report, "cached", ports[1], folder, "+tcp")
            check_others(report, ports[1])
            status, said = control(resolver, swap, "stats_noreset")
            numbers = dict(line.split("=") for line in said.split() if "=" in line)
            asked, hits = (int(float(numbers.get(f"total.num.{what}", 0))) for what in ("queries", "cachehits"))
            report.check("statistics", status == 0 and hits >= 2 * NAMES, f"{asked} queries, {hits} from the cache")
            second.check_stop(report)
            status, said = control(origin, swap, "stop")
            report.check("stop", said == "ok\n" and first.wait() == 0, f"unbound-control stop: {said.strip()}")


stock.main(drive, "unbound", "unbound-control", "dig")
