#!/usr/bin/env python3
"""A stock scanssh scans a virtual network for SSH servers."""
import contextlib
import os
import subprocess
import sys

import stock

HOSTS = 12

# One end of a cable, with all hosts: each sends a greeting on port 22 and refuses everything else.
SERVERS = r"""
import os, socketserver, subprocess, time
print("new network", flush=True)
while not os.path.exists("/proc/sys/net/ipv4/conf/right"):
    time.sleep(0.02)
for host in range(%d):
    subprocess.run(["ip", "address", "add", "10.8.0.%%d/24" %% (host + 1), "dev", "right"], check=True)
subprocess.run("ip link set lo up && ip link set right up", shell=True, check=True)
class Greeting(socketserver.BaseRequestHandler):
    def handle(self):
        host = self.request.getsockname()[0].rpartition(".")[2]
        self.request.sendall(b"SSH-2.0-Server_%%s of the test\r\n" %% host.encode())
        self.request.recv(100)
with socketserver.ThreadingTCPServer(("0.0.0.0", 22), Greeting) as server:
    print("ready", flush=True)
    server.serve_forever()
""" % HOSTS
# The other end, with scanssh. The output of cat says that all is ready; it ends with the driver.
NEAR = """
ip link set lo up
ip link add left type veth peer name right netns %d && ip address add 10.8.0.250/24 dev left && ip link set left up &&
echo ready && exec cat
"""


@contextlib.contextmanager
def network():
    """Gives the command that runs another one at the near end."""
    if os.geteuid() != 0:
        stock.skip("only root can set up a network for scanssh")
    with stock.Program(["unshare", "--net", sys.executable, "-c", SERVERS]) as far:
        far.wait_for_output("new network")
        with stock.Program(["unshare", "--net", "sh", "-c", NEAR % far.process.pid], stdin=subprocess.PIPE) as near:
            try:
                near.wait_for_output("ready")
            except stock.Broken as problem:
                stock.skip(f"no virtual network here: {problem}")
            far.wait_for_output("ready")
            yield ["nsenter", "--net", f"--target={near.process.pid}"]


def drive(swap, report, before):
    addresses = [f"10.8.0.{host + 1}" for host in range(HOSTS)]
    with stock.Server(["scanssh", "-n", "22,80", "-s", "ssh", *addresses], swap, before=before) as scanner:
        print(f"scanssh, our library {scanner.swap}")
        scanner.wait_for(lambda: stock.mapped(scanner.process.pid), "libevent")
        scanner.check_mapping(report)
        status = scanner.wait()
        found = set(scanner.output().splitlines())
        greetings = {f"10.8.0.{host + 1}:22 SSH-2.0-Server_{host + 1} of the test" for host in range(HOSTS)}
        refusals = {f"{address}:80 <refused>" for address in addresses}
        report.check("scan", found >= greetings | refusals,
                     f"{len(found & greetings)} greetings and {len(found & refusals)} refusals of {HOSTS} hosts")
        # This is its normal end, with any libevent.
        report.check("exit", status == 1, f"status {status} when all was scanned")


stock.main(drive, "scanssh", "unshare", "nsenter", "ip", around=network)
