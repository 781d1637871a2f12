#!/usr/bin/env python3
"""A stock ustreamer without a camera serves its picture: snapshots, many streams, a UNIX socket, a password."""
import http.client
import json
import pathlib
import socket
import tempfile

import stock

CLIENTS = 20


def get(port, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request("GET", path, headers=headers or {})
    reply = connection.getresponse()
    result = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return result


class Stream:
    """A client of the stream, which is an answer without end."""

    def __init__(self, port):
        self.line = stock.Line(port)
        self.line.send(b"GET /stream HTTP/1.0\r\n\r\n")
        self.status = self.line.line()
        while self.line.line():
            pass

    def picture(self):
        """The next picture of the stream."""
        length = 0
        while not length or line:
            line = self.line.line()
            if line.startswith(b"Content-Length:"):
                length = int(line[15:])
        return self.line.bytes(length)


def check_streams(report, port, picture):
    streams = [Stream(port) for _ in range(CLIENTS)]
    right = sum(stream.picture() == picture for _ in range(3) for stream in streams)
    report.check("streams", right == 3 * CLIENTS, f"{right} pictures to {CLIENTS} clients at a time")

    def watching():
        return json.loads(get(port, "/state")[2])["result"]["stream"]["clients"]
    report.check("state", watching() == CLIENTS, f"counts {watching()} clients")
    for stream in streams[:-1]:
        stream.line.close()
    stock.wait_until(lambda: watching() == 1, "end of the clients that went away")
    report.check("leavers", streams[-1].picture() == picture, "the last one goes on while the others have left")
    streams[-1].line.close()


def check_local(report, path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(15)
        connection.connect(str(path))
        connection.sendall(b"GET /state HTTP/1.0\r\n\r\n")
        said = connection.makefile("rb").read()
    report.check("local socket", b'{"ok": true' in said, f"{len(said)} bytes")


def drive_open(swap, report, folder):
    port = stock.free_port()
    pathlib.Path(folder, "page.html").write_text("<p>a page</p>")
    with stock.Server(["ustreamer", "--port", str(port), "--static", folder, "--device", f"{folder}/none"], swap) as server:
        server.wait_for_port(port)
        print(f"ustreamer, our library {server.swap}")
        server.check_mapping(report)
        status, headers, picture = get(port, "/snapshot")
        report.check("snapshot", status == 200 and picture.startswith(b"\xff\xd8") and headers["Content-Type"] == "image/jpeg",
                     f"{len(picture)} bytes of a picture")
        status, headers, body = get(port, "/page.html")
        report.check("a file", (status, body) == (200, b"<p>a page</p>") and headers["Content-Type"] == "text/html", f"{headers}")
        codes = [get(port, path)[0] for path in ("/nowhere", "/../../etc/passwd", "/%2e%2e/x")]
        report.check("refusals", codes == [404, 404, 404], f"{codes}")
        check_streams(report, port, picture)
        server.check_stop(report)


def drive_guarded(swap, report, folder):
    path = pathlib.Path(folder, f"socket-{swap}")
    port = stock.free_port()
    with stock.Server(["ustreamer", "--unix", str(path), "--device", f"{folder}/none"], swap) as server:
        server.wait_for_socket(path)
        check_local(report, path)
        server.check_stop(report)
    command = ["ustreamer", "--port", str(port), "--user", "me", "--passwd", "secret", "--device", f"{folder}/none"]
    with stock.Server(command, swap) as server:
        server.wait_for_port(port)
        codes = [get(port, "/state", headers)[0] for headers in
                 ({}, {"Authorization": "Basic bWU6d3Jvbmc="}, {"Authorization": "Basic bWU6c2VjcmV0"})]
        report.check("password", codes == [401, 401, 200], f"none, a wrong one, the right one: {codes}")
        server.check_stop(report)


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        drive_open(swap, report, folder)
        drive_guarded(swap, report, folder)


stock.main(drive, "ustreamer")
