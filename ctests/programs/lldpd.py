#!/usr/bin/env python3
"""Two stock lldpd discover each other over a virtual cable in a network namespace, and report it to lldpcli."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

import stock

# A network of its own, and a /run of its own for the files that lldpd has there. The output of cat
# says that all is ready; it ends with this process.
NETWORK = """
mount -t tmpfs tmpfs /run && mkdir /run/lldpd
ip link set lo up
ip link add left type veth peer name right && ip link set left up && ip link set right up && echo ready
exec cat
"""
QUESTIONS = 50


@contextlib.contextmanager
def network():
    """Gives the command that runs another one in the network."""
    if os.geteuid() != 0:
        stock.skip("only root can set up a network for lldpd")
    with stock.Program(["unshare", "--net", "--mount", "sh", "-c", NETWORK], stdin=subprocess.PIPE) as holder:
        try:
            holder.wait_for_output("ready\n")
        except stock.Broken as problem:
            stock.skip(f"no virtual network here: {problem}")
        yield ["nsenter", "--net", "--mount", f"--target={holder.process.pid}"]


def children(process_id):
    return pathlib.Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()


class Daemon:
    """lldpd on one end of the cable."""

    def __init__(self, before, swap, folder, name):
        self.before, self.socket = before, f"{folder}/{name}"
        self.server = stock.Server(["lldpd", "-d", "-u", self.socket, "-I", name, "-S", f"the {name} end", "-M", "4"],
                                   swap, before=before)

    def __enter__(self):
        self.server.wait_for_socket(self.socket)
        self.server.wait_for_output("should resume operations")
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def check_stop(self, report):
        """A clean end: the daemon has notified its neighbor and removed its socket. Its monitoring process
        sometimes exits with 1 instead of 0, on any library: 4 times in 157 runs with the distribution's."""
        status = self.server.stop()
        gone = not os.path.exists(self.socket)
        report.check("exit", status in (0, 1) and gone, f"SIGTERM ended it with status {status}, socket taken away: {gone}")

    def command(self, *words):
        return stock.run([*self.before, "lldpcli", "-u", self.socket, "-f", "json0", *words])

    def neighbors(self):
        """Descriptions of the neighbors that were discovered."""
        found = json.loads(self.command("show", "neighbors"))["lldp"][0].get("interface", [])
        return [chassis["descr"][0]["value"] for interface in found for chassis in interface["chassis"]]


def drive(swap, report, before):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with Daemon(before, swap, folder, "left") as left, Daemon(before, swap, folder, "right") as right:
            print(f"lldpd, our library {left.server.swap}")
            for process in (left.server.process.pid, *children(left.server.process.pid)):
                stock.check_mapping(report, process)
            for daemon in (left, right):
                daemon.command("configure", "lldp", "tx-interval", "1")
            stock.wait_until(lambda: left.neighbors() and right.neighbors(), "neighbors")
            report.check("neighbors", left.neighbors() == ["the right end"] and right.neighbors() == ["the left end"],
                         f"left sees {left.neighbors()}, right sees {right.neighbors()}")
            right.command("configure", "system", "description", "changed")
            stock.wait_until(lambda: left.neighbors() == ["changed"], "new description")
            answers = {left.command("show", "neighbors", "details").count("changed") for _ in range(QUESTIONS)}
            report.check("change", answers == {1}, f"new description seen, {QUESTIONS} questions answered alike")
            right.check_stop(report)
            stock.wait_until(lambda: not left.neighbors(), "end of the neighbor")
            left.check_stop(report)


stock.main(drive, "lldpd", "lldpcli", "unshare", "nsenter", "ip", around=network)
