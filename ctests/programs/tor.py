#!/usr/bin/env python3
"""Five stock tors form a network of their own, with an authority: downloads and uploads through three of them."""
import concurrent.futures
import contextlib
import hashlib
import http.server
import pathlib
import random
import re
import tempfile
import threading

import stock

RELAYS = 3
# A network that votes every few seconds, and whose relays may all be on this machine.
COMMON = """
TestingTorNetwork 1
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
V3AuthNIntervalsValid 2
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
PathsNeededToBuildCircuits 0.25
AssumeReachable 1
ExtendAllowPrivateAddresses 1
ClientRejectInternalAddresses 0
ExitPolicyRejectPrivate 0
EnforceDistinctSubnets 0
Address 127.0.0.1
ContactInfo nobody
ShutdownWaitLength 1
Log notice stdout
"""
RELAY = "SocksPort 0\nExitRelay 1\nExitPolicy accept *:*\n"
CONTENT = random.Random(1).randbytes(2_000_000)


class Website(http.server.BaseHTTPRequestHandler):
    """Serves the content, and answers uploads with their hash."""
    protocol_version = "HTTP/1.1"

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(CONTENT)

    def do_POST(self):
        self.reply(hashlib.md5(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def website():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Website) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class Network:
    """The configuration of the tors, each with a folder below this one."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        keys = self.folder / "authority" / "keys"
        keys.mkdir(parents=True)
        self.port, directory = stock.free_port(), stock.free_port()
        stock.run(["tor-gencert", "--create-identity-key", "-m", "12", "-a", f"127.0.0.1:{directory}", "-i",
                   str(keys / "authority_identity_key"), "-s", str(keys / "authority_signing_key"), "-c",
                   str(keys / "authority_certificate"), "--passphrase-fd", "0"], input="unused\n", stdin=None)
        identity = re.search(r"^fingerprint (\w+)", (keys / "authority_certificate").read_text(), re.MULTILINE)[1]
        self.authority = f"DirAuthority authority orport={self.port} no-v2 v3ident={identity} 127.0.0.1:{directory} "
        own = f"ORPort {self.port}\nDirPort {directory}\nAuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\n" + RELAY
        said = stock.run(["tor", "--list-fingerprint", "-f", self.configure("authority", own, "0" * 40)])
        self.fingerprint = "".join(said.splitlines()[-1].split()[1:])
        self.configure("authority", own)

    def configure(self, name, own, fingerprint=None):
        """The file with the configuration of a tor."""
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "torrc"
        file.write_text(f"{COMMON}{self.authority}{fingerprint or self.fingerprint}\nDataDirectory {folder}\nNickname {name}\n{own}")
        return str(file)


def through(socks, url, *options, user="user"):
    """What curl gets; each user gets a way of its own through the network. In a network that is some seconds old and
    elects anew every ten, tor refuses now and then until it has built another way."""
    return stock.subprocess.run(["curl", "-sS", "-m", "60", "--retry", "5", "--retry-delay", "1", "--retry-all-errors", "-x", f"socks5h://{user}:x@127.0.0.1:{socks}", *options, url],
                                stdout=stock.subprocess.PIPE, check=True).stdout


def check_traffic(report, socks, url, folder):
    upload = pathlib.Path(folder, "upload")
    upload.write_bytes(CONTENT)
    came = sum(through(socks, url, user=f"user{number}") == CONTENT for number in range(5))
    report.check("downloads", came == 5, f"{came} of 5 times {len(CONTENT):,} bytes, each on a way of its own")
    said = through(socks, url, "--data-binary", f"@{upload}").decode()
    report.check("upload", said == hashlib.md5(CONTENT).hexdigest(), f"{len(CONTENT):,} bytes arrived with the MD5 {said}")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        came = sum(clients.map(lambda _: through(socks, url) == CONTENT, range(8)))
    report.check("at once", came == 8, f"{came} of 8 downloads at once on one way")


def drive(swap, report, url):
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        network = Network(folder)

        def start(file):
            return running.enter_context(stock.Server(["tor", "-f", file], swap))

        tors = [start(str(network.folder / "authority" / "torrc"))]
        for number in range(RELAYS):
            tors.append(start(network.configure(f"relay{number}", f"ORPort {stock.free_port()}\n{RELAY}")))
        socks = stock.free_port()
        client = start(network.configure("client", f"SocksPort {socks}\n"))
        print(f"tor, our library {client.swap}")
        client.wait_for(lambda: "Bootstrapped 100%" in client.output(), "way through the network", 100)
        client.check_mapping(report)
        check_traffic(report, socks, url, folder)
        for tor in [client, *tors]:
            tor.process.send_signal(stock.signal.SIGINT)
        ends = [tor.wait() for tor in [client, *tors]]
        report.check("exit", ends == [0] * 5, f"SIGINT ended them with {ends}")


stock.main(drive, "tor", "tor-gencert", "curl", around=website)
