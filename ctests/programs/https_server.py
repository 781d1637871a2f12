#!/usr/bin/env python3
"""An HTTPS server made with evhttp answers curl, openssl, gnutls, socat, nginx, and plain text sent to its port."""
import concurrent.futures
import contextlib
import os
import pathlib
import tempfile

import stock

HERE = pathlib.Path(__file__).resolve().parent
REQUEST = "GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def around():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        program = stock.linked(folder / "https_server", [HERE / "https_server.c"], "-levent_openssl", "-levent", "-lssl", "-lcrypto")
        yield program, stock.certificate(folder), folder


def check_curl(report, url, cert, folder):
    base = ["curl", "-sS", "--cacert", str(cert)]
    for version in "1.2", "1.3":
        said = stock.run([*base, f"--tlsv{version}", "--tls-max", version, "-w", "%{num_connects}\n", *[f"{url}/{n}" for n in range(20)]])
        connects = sum(int(line) for line in said.splitlines() if line.isdigit())
        report.check("keep-alive", said.count("you asked for /") == 20 and connects == 1,
                     f"{said.count('you asked for /')} of 20 requests of curl over {connects} connection, TLS {version}")
    data = folder / "data"
    data.write_bytes(os.urandom(5_000_000))
    back = folder / "back"
    stock.run([*base, "--data-binary", f"@{data}", "-H", "Expect:", "-o", str(back), f"{url}/echo"])
    report.check("upload", back.read_bytes() == data.read_bytes(), f"{back.stat().st_size:,} bytes came back to curl")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda n: stock.run([*base, f"{url}/{n}"]), range(60)))
    right = sum(text == f"you asked for /{n}\n" for n, text in enumerate(said))
    report.check("many", right == 60, f"{right} of 60 right answers to 20 clients at a time")


def check_clients(report, port, cert):
    clients = {
        "s_client": ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(cert), "-verify_return_error", "-quiet"],
        "s_client, TLS 1.2": ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2", "-quiet"],
        "gnutls-cli": ["gnutls-cli", "--x509cafile", str(cert), "-p", str(port), "--logfile", "/dev/null", "localhost"],
        "socat": ["socat", "-t3", "-", f"OPENSSL:localhost:{port},cafile={cert}"],
    }
    for name, command in clients.items():
        asked = REQUEST.format(name.split(",")[0])
        # Its input stays open until the answer is there. Some call it an error that a server ends without close_notify.
        said = stock.run(["sh", "-c", '{ printf "%s" "$0"; sleep 1; } | "$@" || true', asked, *command])
        report.check(name, f"you asked for /{name.split(',')[0]}" in said, f"{len(said)} bytes of answer")


def check_nginx(report, port, folder):
    front = stock.free_port()
    (folder / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; upstream back {{ server 127.0.0.1:{port}; keepalive 2; }}
server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass https://back; proxy_http_version 1.1;
proxy_set_header Connection ""; }} }} }}
""")
    with stock.Program(["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]) as server:
        server.wait_for_port(front)
        said = stock.run(["curl", "-sS", *[f"http://127.0.0.1:{front}/{n}" for n in range(20)]])
        right = said.count("you asked for /")
        report.check("nginx", right == 20, f"{right} of 20 requests passed on by nginx")
        server.stop()


def check_plain(report, port):
    line = stock.Line(port)
    line.send(REQUEST.format("plain").encode())
    got = line.bytes(1000)
    line.close()
    report.check("plain text", b"you asked" not in got, f"{len(got)} bytes of answer to plain text, which is no HTTP")


def drive(swap, report, surroundings):
    program, (key, cert, _), folder = surroundings
    port = stock.free_port()
    with stock.Server([program, str(port), str(key), str(cert)], swap) as server:
        server.wait_for_port(port)
        check_curl(report, f"https://localhost:{port}", cert, folder)
        check_clients(report, port, cert)
        check_plain(report, port)
        check_nginx(report, port, folder)
        server.check_mapping(report)
        server.check_stop(report)


stock.main(drive, "gcc", "openssl", "curl", "gnutls-cli", "socat", "nginx", around=around)
