#!/usr/bin/env python3
"""The distribution's example le-proxy as a TLS client of openssl, gnutls, socat and nginx: echo, bulk data, closing."""
import contextlib
import hashlib
import os
import pathlib
import socket
import tempfile
import threading

import stock

EXAMPLES = pathlib.Path("/usr/share/doc/libevent-dev/examples")
# How le-proxy reaches the TLS server: through a filter on a socket, or a TLS socket.
MODES = {"filter": ["-s"], "socket": ["-s", "-W"]}


@contextlib.contextmanager
def around():
    if not (EXAMPLES / "le-proxy.c").exists():
        stock.skip("libevent-dev has no examples")
    with tempfile.TemporaryDirectory() as folder:
        # The example includes these for old versions of OpenSSL and other systems; they are not installed.
        for header in "openssl-compat.h", "util-internal.h":
            pathlib.Path(folder, header).write_text("")
        program = stock.linked(f"{folder}/le-proxy", [EXAMPLES / "le-proxy.c"], f"-I{folder}", "-levent_openssl", "-levent",
                                 "-lssl", "-lcrypto")
        yield program, stock.certificate(folder), pathlib.Path(folder)


def echo_servers(certificate):
    """TLS echo servers by name: the command for a port."""
    key, cert, both = map(str, certificate)
    return {
        "gnutls-serv": lambda port: ["gnutls-serv", "--echo", "--port", str(port), "--x509keyfile", key, "--x509certfile", cert],
        "socat": lambda port: ["socat", "-T5", f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={both},verify=0", "PIPE"],
        "socat, TLS 1.2": lambda port: ["socat", "-T5", f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,cert={both},verify=0,"
                                        "openssl-max-proto-version=TLS1.2", "PIPE"],
    }


def echoed(port, size):
    """Whether bytes come back as they were sent, by a client that sends and reads at once."""
    data = os.urandom(size)
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        got = b""
        while len(got) < size and (part := client.recv(1 << 16)):
            got += part
        sender.join()
    return hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


def check_echo(swap, report, program, certificate):
    for name, command in echo_servers(certificate).items():
        for mode, options in MODES.items():
            far, near = stock.free_port(), stock.free_port()
            with stock.Program(command(far)) as server:
                server.wait_for_port(far)
                with stock.Server([program, *options, f"127.0.0.1:{near}", f"127.0.0.1:{far}"], swap) as proxy:
                    proxy.wait_for_port(near)
                    # gnutls-serv echoes line by line; socat stalls when its pipe is full.
                    sizes = [1, 1000] if name == "gnutls-serv" else [1, 5000, 60_000]
                    if name == "gnutls-serv":
                        right = []
                        for size in sizes:
                            line = stock.Line(near)
                            line.send(b"x" * size + b"\n")
                            right.append(line.line() == b"x" * size)
                            line.close()
                    else:
                        right = [echoed(near, size) for size in sizes]
                    report.check(name, all(right), f"{sum(right)} of {len(sizes)} sizes echoed through a {mode}")
                    proxy.check_mapping(report)
                    proxy.stop()
                server.stop()


def check_reversed(swap, report, program, certificate):
    """openssl s_server sends each line back reversed."""
    key, cert, _ = map(str, certificate)
    for version in "-tls1_2", "-tls1_3":
        for mode, options in MODES.items():
            far, near = stock.free_port(), stock.free_port()
            with stock.Program(["openssl", "s_server", "-accept", f"127.0.0.1:{far}", "-key", key, "-cert", cert, "-rev", version,
                                "-quiet"]) as server:
                server.wait_for_port(far)
                with stock.Server([program, *options, f"127.0.0.1:{near}", f"127.0.0.1:{far}"], swap) as proxy:
                    proxy.wait_for_port(near)
                    line = stock.Line(near)
                    right = 0
                    for number in range(50):
                        line.send(b"line %d\n" % number)
                        right += line.line() == (b"line %d" % number)[::-1]
                    line.close()
                    report.check("s_server", right == 50, f"{right} of 50 lines reversed through a {mode}, {version[1:]}")
                    proxy.stop()
                server.stop()


def check_nginx(swap, report, program, certificate, folder):
    """A file of some megabytes, fetched by curl in plain HTTP through the proxy, which ends with its server."""
    key, cert, _ = certificate
    data = os.urandom(5_000_000)
    (folder / "file").write_bytes(data)
    folder.chmod(0o755)
    far = stock.free_port()
    config = folder / "nginx.conf"
    config.write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
server {{ listen 127.0.0.1:{far} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}; }} }}
""")
    with stock.Program(["nginx", "-c", str(config), "-e", f"{folder}/error.log"]) as server:
        server.wait_for_port(far)
        for mode, options in MODES.items():
            near = stock.free_port()
            with stock.Server([program, *options, f"127.0.0.1:{near}", f"127.0.0.1:{far}"], swap) as proxy:
                proxy.wait_for_port(near)
                fetched = folder / "fetched"
                stock.run(["curl", "-sS", "-H", "Connection: close", "-o", str(fetched), f"http://127.0.0.1:{near}/file"])
                report.check("nginx", fetched.read_bytes() == data, f"{len(data):,} bytes fetched through a {mode}")
                proxy.stop()
        server.stop()


def drive(swap, report, surroundings):
    program, certificate, folder = surroundings
    check_echo(swap, report, program, certificate)
    check_reversed(swap, report, program, certificate)
    check_nginx(swap, report, program, certificate, folder)


stock.main(drive, "gcc", "openssl", "gnutls-serv", "socat", "nginx", "curl", around=around)
