#!/usr/bin/env python3
"""A stock transmission-daemon seeds a torrent to another, in a network of their own with a tracker."""
import contextlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import stock

# Peers may not have an address that only this machine has. The output of cat says that all is
# ready; it ends with this process.
NETWORK = """
ip link set lo up && ip addr add 10.9.0.1/24 dev lo && ip addr add 10.9.0.2/24 dev lo && echo ready
exec cat
"""
# Tells everybody who asks the addresses of both peers.
TRACKER = """
import http.server, socket, struct
class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        peers = b"".join(socket.inet_aton(f"10.9.0.{n}") + struct.pack(">H", 50000 + n) for n in (1, 2))
        body = b"d8:intervali60e5:peers%d:%se" % (len(peers), peers)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("10.9.0.1", 6969), Tracker).serve_forever()
"""
SIZE = 5_000_000


@contextlib.contextmanager
def network():
    """Gives the command that runs another one in the network."""
    if os.geteuid() != 0:
        stock.skip("only root can set up a network for transmission-daemon")
    with stock.Program(["unshare", "--net", "sh", "-c", NETWORK], stdin=subprocess.PIPE) as holder:
        try:
            holder.wait_for_output("ready\n")
        except stock.Broken as problem:
            stock.skip(f"no network of their own here: {problem}")
        before = ["nsenter", "--net", f"--target={holder.process.pid}"]
        with stock.Program([*before, sys.executable, "-c", TRACKER]):
            yield before


class Daemon:
    """A transmission-daemon with an address of its own."""

    def __init__(self, before, swap, folder, number, encryption):
        self.before, self.address = before, f"10.9.0.{number}"
        self.folder = pathlib.Path(folder, str(number))
        self.folder.mkdir()
        settings = {"bind-address-ipv4": self.address, "peer-port": 50000 + number, "rpc-bind-address": self.address,
                    "rpc-whitelist-enabled": False, "rpc-host-whitelist-enabled": False, "dht-enabled": False,
                    "lpd-enabled": False, "pex-enabled": False, "port-forwarding-enabled": False, "utp-enabled": False,
                    "encryption": encryption, "download-dir": str(self.folder), "rpc-authentication-required": True,
                    "rpc-username": "user", "rpc-password": "secret"}
        (self.folder / "settings.json").write_text(json.dumps(settings))
        self.server = stock.Server(["transmission-daemon", "-f", "-g", str(self.folder)], swap, before=before)

    def curl(self, *options, path="rpc"):
        return subprocess.run([*self.before, "curl", "-sS", "-m", "20", *options, f"http://{self.address}:9091/transmission/{path}"],
                              stdout=subprocess.PIPE, text=True).stdout

    def says(self, text, *words):
        """For waiting: whether an answer has the text. Asking takes the daemon's time too."""
        stock.time.sleep(0.1)
        return text in self.remote(*words)

    def remote(self, *words):
        return subprocess.run([*self.before, "transmission-remote", self.address, "-n", "user:secret", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def check_requests(report, daemon):
    """A password and a token are required; then answers come chunked and compressed."""
    codes = [daemon.curl("-o", "/dev/null", "-w", "%{http_code}", *options)
             for options in ([], ["-u", "user:wrong"], ["-u", "user:secret"])]
    token = next(line for line in daemon.curl("-u", "user:secret", "-D", "-", "-o", "/dev/null").splitlines()
                 if line.startswith("X-Transmission-Session-Id"))
    question = ["-u", "user:secret", "-H", token, "-d", '{"method":"session-get"}']
    answers = [json.loads(daemon.curl(*question, *options))["result"] for options in ([], ["--compressed"], ["--http1.0"])]
    report.check("requests", codes == ["401", "401", "409"] and answers == ["success"] * 3,
                 f"refused with {codes}; with password and token: {answers}")


def check_download(report, folder, seeder, leecher):
    content = random.Random(3).randbytes(SIZE)
    (seeder.folder / "content").write_bytes(content)
    torrent = str(pathlib.Path(folder, "content.torrent"))
    stock.run(["transmission-create", "-o", torrent, "-t", "http://10.9.0.1:6969/announce", str(seeder.folder / "content")])
    said = seeder.remote("-a", torrent)
    seeder.server.wait_for(lambda: seeder.says("100%", "-l"), "checked content")
    leecher.remote("-a", torrent)
    leecher.server.wait_for(lambda: leecher.says("100%", "-l"), "download", 60)
    came = leecher.folder / "content"
    report.check("download", "success" in said and came.read_bytes() == content, f"{SIZE:,} bytes came from the seeder, all right")


def drive(swap, report, before):
    encryption = 2 if swap == "path" else 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        seeder, leecher = (Daemon(before, swap, folder, number, encryption) for number in (1, 2))
        for daemon in seeder, leecher:
            running.enter_context(daemon.server)
            daemon.server.wait_for(lambda: daemon.says("ID", "-l"), "first answer")
            daemon.server.check_mapping(report)
        print(f"transmission-daemon, our library {seeder.server.swap}, {'encrypted' if encryption else 'in the clear'}")
        check_requests(report, seeder)
        check_download(report, folder, seeder, leecher)
        leecher.server.check_stop(report)
        seeder.server.check_stop(report)


stock.main(drive, "transmission-daemon", "transmission-remote", "transmission-create", "unshare", "nsenter", "ip", "curl",
           around=network)
