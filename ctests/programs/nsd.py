#!/usr/bin/env python3
"""Two stock nsd: the zone of the first is transferred to the second, again after each change, and both answer dig."""
import os
import pathlib
import signal
import subprocess
import tempfile

import stock

NAMES = 150
FILES = ("pidfile", "database", "xfrdfile", "zonelistfile", "cookie-secret-file")

SETTINGS = """
server:
  server-count: 2
  ip-address: 127.0.0.1@{port}
  username: ""
  zonesdir: "{folder}"
  xfrdir: "{folder}"
  logfile: ""
  xfrd-reload-timeout: 0
  tcp-count: 200
{files}
remote-control:
  control-enable: yes
  control-interface: {folder}/{name}.control
zone:
  name: "test."
  zonefile: "{folder}/{name}.zone"
  {transfer}
"""


def settings(folder, name, port, *transfer):
    file = pathlib.Path(folder, f"{name}.conf")
    files = "\n".join(f'  {key}: "{folder}/{name}.{key}"' for key in FILES[:-1])
    file.write_text(SETTINGS.format(folder=folder, name=name, port=port, files=files, transfer="\n  ".join(transfer)))
    return str(file)


def write_zone(folder, serial):
    """The addresses say which serial they belong to."""
    lines = [f"$TTL 60\n@ SOA ns.test. me.test. {serial} 60 60 600 60\n@ NS ns\nns A 127.0.0.1"]
    lines += [f"name{number} A 10.{serial}.{number // 100}.{number % 100}" for number in range(NAMES)]
    lines += ["long TXT " + " ".join(f'"{str(number) * 50}"' for number in range(10))]
    zone = pathlib.Path(folder, "first.zone")
    written = zone.with_suffix(".new")
    written.write_text("\n".join(lines) + "\n")
    # Its modification time, in seconds, says whether it has changed.
    os.utime(written, (serial, serial))
    written.rename(zone)


def dig(port, *words):
    return stock.run(["dig", "@127.0.0.1", "-p", str(port), *words])


def has_serial(port, serial):
    """It may not be ready yet."""
    asked = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "test.", "SOA", "+short", "+tries=1", "+time=1"],
                           stdout=subprocess.PIPE, text=True)
    return f" {serial} 60 60" in asked.stdout


def check_names(report, topic, port, folder, serial, *options):
    batch = pathlib.Path(folder, "questions")
    batch.write_text("".join(f"name{number}.test A +short {' '.join(options)}\n" for number in range(NAMES)))
    found = stock.run(["dig", "@127.0.0.1", "-p", str(port), "-f", str(batch)]).split()
    wanted = [f"10.{serial}.{number // 100}.{number % 100}" for number in range(NAMES)]
    report.check(topic, found == wanted, f"{sum(a == b for a, b in zip(found, wanted))} of {NAMES} answers of zone {serial} right")


def check_others(report, port):
    missing = dig(port, "missing.test")
    refused = dig(port, "other.example")
    long = dig(port, "long.test", "TXT", "+noedns", "+short")
    transfer = dig(port, "test.", "AXFR", "+onesoa").count("name")
    holds = "status: NXDOMAIN" in missing and "status: REFUSED" in refused and long.count('"') == 20 and transfer >= NAMES
    report.check("others", holds, f"no such name, not its zone, {len(long)} bytes by TCP after truncation, {transfer} lines of a transfer")


def control(configuration, swap, *command):
    with stock.Server(["nsd-control", "-c", configuration, *command], swap) as client:
        return client.wait(), client.output().strip()


def drive(swap, report):
    ports = [stock.free_port() for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        first = settings(folder, "first", ports[0], f"notify: 127.0.0.1@{ports[1]} NOKEY", "provide-xfr: 127.0.0.1 NOKEY")
        second = settings(folder, "second", ports[1], f"request-xfr: AXFR 127.0.0.1@{ports[0]} NOKEY",
                          "allow-notify: 127.0.0.1 NOKEY", "provide-xfr: 127.0.0.1 NOKEY")
        write_zone(folder, 1)
        with stock.Server(["nsd", "-d", "-c", first], swap) as primary:
            primary.wait_for_port(ports[0])
            with stock.Server(["nsd", "-d", "-c", second], swap) as secondary:
                print(f"nsd, our library {secondary.swap}")
                secondary.wait_for(lambda: has_serial(ports[1], 1), "first zone")
                secondary.check_mapping(report)
                check_names(report, "own, UDP", ports[0], folder, 1)
                check_names(report, "own, TCP", ports[0], folder, 1, "+tcp", "+keepopen")
                check_names(report, "transferred", ports[1], folder, 1)
                check_others(report, ports[1])
                write_zone(folder, 2)
                told = control(first, swap, "reload")
                secondary.wait_for(lambda: has_serial(ports[1], 2), "second zone")
                check_names(report, f"reloaded: {told[1]}", ports[1], folder, 2)
                primary.process.send_signal(signal.SIGHUP)
                told = control(second, swap, "zonestatus")
                report.check("status", told[0] == 0 and "state: ok" in told[1], " ".join(told[1].split()))
                check_names(report, "after SIGHUP", ports[0], folder, 2, "+tcp")
                secondary.check_stop(report)
            told = control(first, swap, "stop")
            report.check("stop", told[1] == "ok" and primary.wait() == 0, f"nsd-control stop: {told[1]}")


stock.main(drive, "nsd", "nsd-control", "dig")
