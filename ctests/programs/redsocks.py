#!/usr/bin/env python3
"""A stock redsocks forwards connections to SOCKS and HTTP proxies, with data both ways and half-closed connections."""
import contextlib
import hashlib
import pathlib
import random
import socket
import socketserver
import struct
import tempfile
import threading

import stock

CONNECTIONS = 40
SIZE = 300_000

BASE = """
base { log_debug = off; log_info = on; log = stderr; daemon = off; redirector = generic; }
"""
SECTION = """
redsocks { local_ip = 127.0.0.1; local_port = %d; ip = 127.0.0.1; port = %d; type = %s; login = "user"; password = "secret"; }
"""


def line(stream):
    return stream.readline().rstrip(b"\r\n")


def socks4(stream, write):
    """The destination's port after a handshake."""
    _, _, port, _ = struct.unpack("!BBH4s", stream.read(8))
    while stream.read(1) not in (b"\0", b""):
        pass
    write(struct.pack("!BBH4s", 0, 90, port, bytes(4)))
    return port


def socks5(stream, write):
    stream.read(stream.read(2)[1])
    write(b"\x05\x02")
    stream.read(1)
    name, password = (stream.read(stream.read(1)[0]) for _ in range(2))
    write(b"\x01\x00" if (name, password) == (b"user", b"secret") else b"\x01\x01")
    stream.read(4)
    _, port = struct.unpack("!4sH", stream.read(6))
    write(struct.pack("!BBBB4sH", 5, 0, 0, 1, bytes(4), port))
    return port


def http_connect(stream, write):
    """Asks for a password, as proxies do."""
    asked, allowed = line(stream), False
    while header := line(stream):
        allowed = allowed or header == b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="
    if not allowed:
        write(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\n'
              b"Content-Length: 0\r\n\r\n")
        return None
    write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return int(asked.split()[1].rpartition(b":")[2])


class Proxy(socketserver.StreamRequestHandler):
    """A proxy that is also the destination: after the handshake it echoes, then reports what it has seen."""

    def handle(self):
        port = self.server.handshake(self.rfile, self.wfile.write)
        if port is None:
            return
        self.server.destinations.add(port)
        content = hashlib.sha256()
        while data := self.rfile.read1(65536):
            content.update(data)
            self.wfile.write(data)
        self.wfile.write(content.digest())


class Listener(socketserver.ThreadingTCPServer):
    request_queue_size = 2 * CONNECTIONS
    daemon_threads = True


@contextlib.contextmanager
def proxies():
    """Proxies by the name that redsocks has for the kind."""
    servers = {}
    for kind, handshake in (("socks4", socks4), ("socks5", socks5), ("http-connect", http_connect)):
        server = Listener(("127.0.0.1", 0), Proxy)
        server.handshake, server.destinations = handshake, set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers[kind] = server
    yield servers
    for server in servers.values():
        server.shutdown()
        server.server_close()


class Client(threading.Thread):
    """Sends data, shuts down its side of the connection, and compares what comes back."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.port, self.number, self.right = port, number, False
        self.start()

    def run(self):
        content = random.Random(self.number).randbytes(SIZE + self.number)
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            sender = threading.Thread(target=self.send, args=(connection, content), daemon=True)
            sender.start()
            received = b""
            while data := connection.recv(65536):
                received += data
            sender.join()
        self.right = received == content + hashlib.sha256(content).digest()

    @staticmethod
    def send(connection, content):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)


def drive(swap, report, servers):
    ports = {kind: stock.free_port() for kind in servers}
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder, "redsocks.conf")
        sections = [SECTION % (ports[kind], server.server_address[1], kind) for kind, server in servers.items()]
        settings.write_text(BASE + "".join(sections))
        with stock.Server(["redsocks", "-c", str(settings)], swap) as server:
            for port in ports.values():
                server.wait_for_port(port)
            print(f"redsocks, our library {server.swap}")
            server.check_mapping(report)
            for kind, proxy in servers.items():
                proxy.destinations.clear()
                clients = [Client(ports[kind], number) for number in range(CONNECTIONS)]
                for client in clients:
                    client.join(20)
                right = sum(client.right for client in clients)
                report.check(kind, right == CONNECTIONS and proxy.destinations == {ports[kind]},
                             f"{right} of {CONNECTIONS} connections echoed {SIZE:,} bytes each through the proxy")
            server.check_stop(report)


stock.main(drive, "redsocks", around=proxies)
