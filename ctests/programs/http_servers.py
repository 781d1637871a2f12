#!/usr/bin/env python3
"""A client made with evhttp uses nginx and Python's server: keep-alive, chunks, gzip, early closes, a tunnel."""
import collections
import contextlib
import gzip
import http.server
import pathlib
import select
import shutil
import socket
import socketserver
import tempfile
import threading

import stock

EXAMPLE = pathlib.Path("/usr/share/doc/libevent-dev/examples/http-connect.c")
TEXT = "".join(f"line {n} of a text that is easily compressed\n" for n in range(20000)).encode()


def checksum(content):
    total = 0
    for byte in content:
        total = total * 31 + byte & 0xffffffff
    return total


class Client:
    """Runs the program, which is on our library."""

    def __init__(self, program, swap):
        self.program = [stock.PROJECT / "with-libevent-rs", "--quiet", *stock.SWAPS[swap][0], program]

    def outcomes(self, port, path, *headers, connections=1, requests=1, upload=0, out="-"):
        """How often the client wrote each line."""
        said = stock.run([*self.program, str(port), str(connections), str(requests), str(upload), str(out), path,
                          *headers], 60)
        return dict(collections.Counter(said.splitlines()))


@contextlib.contextmanager
def nginx(folder):
    """An nginx that closes a connection after five requests; gives its port."""
    root = pathlib.Path(folder, "root")
    root.mkdir(exist_ok=True)
    (root / "text").write_bytes(TEXT)
    (root / "small").write_bytes(b"small")
    port = stock.free_port()
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = pathlib.Path(folder, "nginx.conf")
    configuration.write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log stderr;
        events {{ worker_connections 2048; }}
        http {{
            access_log off; root {root}; {temporary} keepalive_requests 5; client_max_body_size 1m;
            gzip_types *; gzip_http_version 1.0;
            server {{
                listen 127.0.0.1:{port};
                location /text {{ }}
                location /gzip {{ gzip on; alias {root}/text; }}
                location /nothing {{ return 204; }}
                location /closed {{ return 444; }}
                location /upload {{ proxy_pass http://127.0.0.1:{port}/small; }}
            }}
        }}""")
    with stock.Program(["nginx", "-e", "stderr", "-c", str(configuration)]) as server:
        server.wait_for_port(port)
        yield port
        server.stop()


class Handler(http.server.BaseHTTPRequestHandler):
    """Replies in the forms that Python's server has."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for place in range(0, 100000, 1000):
                self.wfile.write(b"3e8\r\n" + TEXT[place:place + 1000] + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        content = TEXT[:100000]
        if self.path == "/length":
            self.send_header("Content-Length", str(len(content)))
        elif self.path == "/early":
            self.send_header("Content-Length", str(len(content) + 1))
            self.close_connection = True
        else:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self):
        """A tunnel to wherever the client asks for."""
        name, _, port = self.path.partition(":")
        with socket.create_connection((name, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            while True:
                ready, _, _ = select.select([self.connection, far], [], [], 10)
                for near in ready:
                    data = near.recv(65536)
                    (far if near is self.connection else self.connection).sendall(data)
                    if not data:
                        self.close_connection = True
                        return
                if not ready:
                    return


@contextlib.contextmanager
def python_server(version):
    """Python's server, of that version of HTTP; gives its port."""
    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
        request_queue_size = 128
    with Server(("127.0.0.1", 0), type("OneHandler", (Handler,), {"protocol_version": version})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def check_nginx(report, client, folder):
    if not shutil.which("nginx"):
        print("  nginx is not installed")
        return
    text = f"200 {len(TEXT)} {checksum(TEXT)} plain"
    with nginx(folder) as port:
        seen = client.outcomes(port, "/text", requests=23)
        report.check("keep-alive", seen == {text: 23}, f"23 requests to a server that closes after 5: {list(seen.values())}")
        out = pathlib.Path(folder, "out")
        seen = client.outcomes(port, "/gzip", "Accept-Encoding", "gzip", requests=7, out=out)
        whole = out.read_bytes()
        report.check("gzip", list(seen.values()) == [7] and gzip.decompress(whole) == TEXT and "gzip" in list(seen)[0],
                     f"{len(whole):,} bytes passed through as they came, in chunks")
        seen = client.outcomes(port, "/nothing", requests=12)
        report.check("no body", list(seen) == ["204 0 0 plain"], f"{seen}")
        seen = client.outcomes(port, "/closed", requests=3)
        report.check("closed", seen == {"failed": 3}, f"a server that closes without a reply: {seen}")
        small = f"200 5 {checksum(b'small')} plain"
        seen = client.outcomes(port, "/small", connections=500, requests=6)
        report.check("500 at once", seen == {small: 3000}, f"{seen.get(small)} replies over 500 connections")
        seen = client.outcomes(port, "/upload", upload=500_000, requests=3)
        # nginx refuses a POST to a file; the upload has gone all the way.
        report.check("uploads", set(line[:3] for line in seen) == {"405"}, f"{seen}")
        seen = client.outcomes(port, "/upload", upload=30_000_000)
        report.check("refused", set(line[:3] for line in seen) == {"413"}, f"an upload that is too large: {list(seen)}")


def check_python(report, client):
    whole = f"200 100000 {checksum(TEXT[:100000])} plain"
    for version in ("HTTP/1.0", "HTTP/1.1"):
        with python_server(version) as port:
            seen = [client.outcomes(port, path, requests=9) for path in ("/length", "/close", "/early")]
            report.check(version, seen == [{whole: 9}, {whole: 9}, {"failed": 9}],
                         f"9 replies each with a length, until the end, and cut short: {[list(s.values()) for s in seen]}")
            body = f"200 70000 {checksum(b'u' * 70000)} plain"
            seen = client.outcomes(port, "/", upload=70000, connections=10, requests=5)
            report.check("POST", seen == {body: 50}, f"{seen.get(body)} bodies came back")
            if version == "HTTP/1.1":
                seen = client.outcomes(port, "/chunks", connections=10, requests=10)
                report.check("chunks", seen == {whole: 100}, f"{seen.get(whole)} replies of 100 chunks")


def check_example(report, swap, folder):
    """The distribution's http-connect.c fetches a page through a tunnel."""
    if not EXAMPLE.exists():
        return
    program = stock.compiled(EXAMPLE, folder)
    with python_server("HTTP/1.1") as proxy, python_server("HTTP/1.0") as server:
        said = stock.run([stock.PROJECT / "with-libevent-rs", "--quiet", *stock.SWAPS[swap][0], program,
                          f"http://127.0.0.1:{proxy}/", f"http://127.0.0.1:{server}/close"])
        report.check("http-connect", said.encode() == TEXT[:100000], f"{len(said):,} bytes through a tunnel")


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        print(f"a client of evhttp, our library {stock.SWAPS[swap][1]}")
        client = Client(stock.compiled("http_client.c", folder), swap)
        check_nginx(report, client, folder)
        check_python(report, client)
        check_example(report, swap, folder)


stock.main(drive, "gcc")
