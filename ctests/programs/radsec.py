#!/usr/bin/env python3
"""A client made with stock libradsec asks a RADIUS server over UDP, TCP and TLS, also with lost packets or a wrong secret."""
import contextlib
import hashlib
import hmac
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

import stock

HERE = pathlib.Path(__file__).resolve().parent
REQUEST, ACCEPT, REJECT = 1, 2, 3
# RSE_MSG_AUTH_WRONG and RSE_SOCKERR.
WRONG_SECRET, NO_CONNECTION = ["error", "34"], ["error", "10"]


def attribute(request, wanted):
    """The value of an attribute of a packet."""
    rest = request[20:]
    while rest:
        kind, length = rest[0], rest[1]
        if kind == wanted:
            return rest[2:length]
        rest = rest[length:]
    return b""


def answer(request, secret):
    """A user called alice may enter."""
    code = ACCEPT if attribute(request, 1) == b"alice" else REJECT
    message = b"\x50\x12" + bytes(16)
    head = bytes([code, request[1]]) + (20 + len(message)).to_bytes(2, "big")
    message = b"\x50\x12" + hmac.new(secret, head + request[4:20] + message, "md5").digest()
    return head + hashlib.md5(head + request[4:20] + message + secret).digest() + message


class RadiusServer:
    """Answers over UDP, TCP and TLS, each on a port of its own."""

    def __init__(self, key, cert):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.dropped = 0
        self.streams = {name: socket.create_server(("127.0.0.1", 0)) for name in ("TCP", "TLS")}
        self.ports = {name: sock.getsockname()[1] for name, sock in [("UDP", self.datagrams), *self.streams.items()]}
        threading.Thread(target=self.serve_datagrams, daemon=True).start()
        for name, listener in self.streams.items():
            threading.Thread(target=self.accept, args=(name, listener), daemon=True).start()

    def serve_datagrams(self):
        seen = set()
        while True:
            request, peer = self.datagrams.recvfrom(4096)
            # The first packet for a user of this name gets lost.
            if attribute(request, 1) == b"lost" and request[4:20] not in seen:
                seen.add(request[4:20])
                self.dropped += 1
            else:
                self.datagrams.sendto(answer(request.replace(b"\x01\x06lost", b"\x01\x07alice"), b"secret"), peer)

    def accept(self, name, listener):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.serve, args=(name, connection), daemon=True).start()

    def serve(self, name, connection):
        with contextlib.suppress(OSError), connection:
            if name == "TLS":
                connection = self.context.wrap_socket(connection, server_side=True)
            input = connection.makefile("rb")
            while head := input.read(4):
                request = head + input.read(int.from_bytes(head[2:], "big") - 4)
                # The shared secret of RADIUS over TLS is fixed by the standard.
                connection.sendall(answer(request, b"secret"))


def realm(name, kind, port, cert, secret="secret", seconds=20):
    return f"""
realm {name} {{
    type = "{kind}"
    timeout = {seconds}
    retries = 9
    cacertfile = "{cert}"
    certfile = "{cert}"
    certkeyfile = "{cert.with_name('key.pem')}"
    server {{
        hostname = "{"localhost" if kind == "TLS" else "127.0.0.1"}"
        service = "{port}"
        secret = "{secret}"
    }}
}}
"""


@contextlib.contextmanager
def around():
    if not pathlib.Path("/usr/include/radsec/radsec.h").exists():
        stock.skip("libradsec-dev is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program = folder / "radsec"
        stock.run(["gcc", "-O1", "-g", "-w", "-o", str(program), str(HERE / "radsec.c"), "-lradsec"], 60)
        key, cert, _ = stock.certificate(folder)
        server = RadiusServer(key, cert)
        config = folder / "radsec.conf"
        config.write_text("".join(realm(kind, kind, port, cert) + realm(f"wrong{kind}", kind, port, cert, "another")
                                  + realm(f"nobody{kind}", kind, stock.free_port(), cert)
                                  for kind, port in server.ports.items())
                          + realm("lossy", "UDP", server.ports["UDP"], cert, seconds=1))
        yield program, config, server


def drive(swap, report, surroundings):
    program, config, server = surroundings
    with stock.Server([str(program), str(config)], swap, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        def ask(user, name):
            client.process.stdin.write(f"{user} {name}\n")
            client.process.stdin.flush()
            # The library logs messages in between.
            said = next(line for line in client.process.stdout if line.startswith(f"{user} {name} "))
            return said.split()[2:]

        for kind in server.ports:
            accepted, refused = ask("alice", kind), ask("mallory", kind)
            report.check(kind, accepted == ["code", str(ACCEPT)] and refused == ["code", str(REJECT)],
                         f"alice: {' '.join(accepted)}, mallory: {' '.join(refused)}")
            many = [ask("alice", kind) for _ in range(20)]
            report.check(f"{kind}, 20 more", many == [accepted] * 20, f"{sum(one == accepted for one in many)} times as before")
            wrong, nobody = ask("alice", f"wrong{kind}"), ask("alice", f"nobody{kind}")
            report.check(f"{kind}, errors", wrong == WRONG_SECRET and nobody == NO_CONNECTION,
                         f"with another secret: {' '.join(wrong)}, without a server: {' '.join(nobody)}")
        lost = ask("lost", "lossy")
        report.check("UDP, loss", lost == ["code", str(ACCEPT)] and server.dropped > 0,
                     f"{server.dropped} datagrams got lost: {' '.join(lost)}")
        client.check_mapping(report)
        client.process.stdin.close()
        report.check("exit", client.wait() == 0, "ended behind its input")


stock.main(drive, "gcc", "openssl", around=around)
