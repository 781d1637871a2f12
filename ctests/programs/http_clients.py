#!/usr/bin/env python3
"""Servers made with evhttp answer curl, wrk, ab and Python: uploads, chunks, keep-alive, load."""
import http.client
import pathlib
import re
import shutil
import signal
import socket
import tempfile

import stock

EXAMPLE = pathlib.Path("/usr/share/doc/libevent-dev/examples/http-server.c")
LARGE = 8 << 20


def large():
    """The contents of the server's file."""
    numbers = (n * 2654435761 & 0xffffffff for n in range(LARGE // 4))
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def curl(*arguments):
    return stock.run(["curl", "-sS", "--max-time", "15", *arguments])


def check_curl(report, url, folder, content):
    """Whatever way curl sends data, it comes back."""
    file = pathlib.Path(folder, "upload")
    file.write_bytes(content)
    back = pathlib.Path(folder, "back")
    ways = {"POST": ["--data-binary", f"@{file}"], "PUT": ["-T", str(file)],
            "chunks": ["-H", "Transfer-Encoding: chunked", "-T", str(file)],
            "100-continue": ["-H", "Expect: 100-continue", "--data-binary", f"@{file}"]}
    right = []
    for way, options in ways.items():
        curl("-o", str(back), *options, f"{url}/echo")
        if back.read_bytes() == content:
            right.append(way)
    report.check("uploads", right == list(ways), f"{len(content):,} bytes came back after {', '.join(right)}")
    curl("-o", str(back), f"{url}/large")
    report.check("a file", back.read_bytes() == content, f"{len(content):,} bytes of a file")
    said = curl(f"{url}/pieces")
    report.check("pieces", said == "".join(f"piece {n}\n" for n in range(200)), f"{said.count('piece')} pieces in order")
    said = curl("-w", " %{num_connects}", *[f"{url}/small"] * 50)
    connects = sum(int(number) for number in re.findall(r" (\d)", said))
    report.check("keep-alive", said.count("small") == 50 and connects == 1, f"50 replies over {connects} connection")
    said = curl("-0", "-w", " %{http_version} %{http_code}", f"{url}/small")
    report.check("HTTP/1.0", said.startswith("small 1") and said.endswith(" 200"), f"{said}")


def check_methods(report, url):
    """Methods with and without bodies, and what is refused politely."""
    seen = []
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        said = curl("-i", "-X", method, *([] if method == "GET" else ["-d", "body"]), f"{url}/echo")
        seen.append(f"X-Method: {method}\n" in said and said.endswith("\n\n" + ("" if method == "GET" else "body")))
    report.check("methods", all(seen), f"{sum(seen)} methods with their bodies")
    said = curl("-I", "-w", "%{http_code} %{size_download}", f"{url}/large")
    report.check("HEAD", said.endswith("200 0") and f"Content-Length: {LARGE}\n" in said, "the length and no body")
    said = curl("-r", "0-9", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", f"{url}/large")
    report.check("ranges", said == f"200 {LARGE}", f"a range is answered with the whole: {said}")
    said = curl(f"{url}/query?a=1&b=x+y%21&c=")
    report.check("queries", said == "a is 1\nb is x y!\nc is \n", repr(said))
    codes = [curl("-o", "/dev/null", "-w", "%{http_code}", *options) for options in
             ([f"{url}/nowhere"], [f"{url}/query?broken"], ["-H", "X: " + 9000 * "x", f"{url}/small"],
              ["-X", "FOO", f"{url}/small"], ["-H", "Content-Length: 200000000", "-d", "x", f"{url}/echo"])]
    report.check("refusals", codes == ["404", "400", "400", "501", "413"], ", ".join(codes))


def check_local(report, path):
    said = curl("--unix-socket", str(path), "-d", "by a local socket", "http://localhost/echo")
    report.check("local socket", said == "by a local socket", said)


def check_pipeline(report, port):
    """Requests sent at once are answered in their order, in the time of each."""
    connection = stock.Line(port)
    for number in range(200):
        body = f"{number}".encode()
        path = b"/late" if number % 50 == 7 else b"/echo"
        connection.send(b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body))
    replies = []
    for _ in range(200):
        length = 0
        while line := connection.line():
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        replies.append(connection.bytes(length))
    connection.close()
    wanted = [b"small" if n % 50 == 7 else b"%d" % n for n in range(200)]
    report.check("pipeline", replies == wanted, f"{len(replies)} replies to 200 requests in a row")


def check_python(report, port, content):
    """Python's client on one connection, with bodies of both forms."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    right = 0
    for number in range(100):
        body = content[number:number * 37 + number]
        chunks = (body[place:place + 100] for place in range(0, len(body), 100))
        connection.request("POST", "/echo", chunks if number % 2 else body, encode_chunked=number % 2 == 1,
                           headers={"Content-Type": f"text/x{number}", **({"Transfer-Encoding": "chunked"} if number % 2 else {})})
        reply = connection.getresponse()
        right += reply.read() == body and reply.getheader("X-Type") == f"text/x{number}" and not reply.will_close
    connection.close()
    report.check("http.client", right == 100, f"{right} bodies came back over one connection")


def check_load(report, url):
    """Load generators count no error."""
    if shutil.which("wrk"):
        said = stock.run(["wrk", "-t1", "-c100", "-d2s", f"{url}/small"])
        requests = int(re.search(r"(\d+) requests in", said)[1])
        report.check("wrk", requests > 100 and "Non-2xx" not in said and "Socket errors" not in said,
                     f"{requests} replies over 100 connections in two seconds")
    if shutil.which("ab"):
        for name, options in (("ab", []), ("ab -k", ["-k"])):
            said = stock.run(["ab", "-q", "-n", "2000", "-c", "50", *options, f"{url}/small"])
            failed, complete = (int(re.search(rf"{what} requests:\s+(\d+)", said)[1]) for what in ("Failed", "Complete"))
            report.check(name, (complete, failed) == (2000, 0) and "Non-2xx" not in said, f"{complete} replies, {failed} failed")


def check_leavers(report, port):
    """Clients that disconnect in the middle do no harm."""
    for request in (b"GET /lar", b"GET /large HTTP/1.1\r\n\r\n", b"GET /pieces HTTP/1.1\r\n\r\n", b"GET /late HTTP/1.1\r\n\r\n",
                    b"POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc") * 20:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            connection.recv(1) if b"large" in request else None
    said = curl(f"http://127.0.0.1:{port}/small")
    report.check("leavers", said == "small", "100 clients went away in the middle")


def drive_ours(swap, report, folder, content):
    port, path = stock.free_port(), pathlib.Path(folder, f"socket-{swap}")
    with stock.Server([stock.compiled("http_server.c", folder), str(port), str(path)], swap) as server:
        server.wait_for_port(port)
        print(f"a server of evhttp, our library {server.swap}")
        server.check_mapping(report)
        url = f"http://127.0.0.1:{port}"
        check_curl(report, url, folder, content)
        check_methods(report, url)
        check_local(report, path)
        check_pipeline(report, port)
        check_python(report, port, content)
        check_load(report, url)
        check_leavers(report, port)
        server.check_stop(report)


def drive_example(swap, report, folder):
    """The distribution's own example, as it is."""
    root = pathlib.Path(folder, "root")
    root.mkdir(exist_ok=True)
    text = "".join(f"line {n}\n" for n in range(5000))
    (root / "page.html").write_text(text)
    # It includes ../util-internal.h, which no package has, and of that needs this.
    internal = pathlib.Path(folder, "internal", "inside")
    internal.mkdir(parents=True, exist_ok=True)
    (internal.parent / "util-internal.h").write_text("#include <sys/un.h>\n")
    port = stock.free_port()
    with stock.Server([stock.compiled(EXAMPLE, folder, "-I", str(internal)), "-p", str(port), str(root)], swap) as server:
        server.wait_for_port(port)
        print(f"the distribution's http-server.c, our library {server.swap}")
        server.check_mapping(report)
        url = f"http://127.0.0.1:{port}"
        said = curl("-i", f"{url}/page.html")
        report.check("a page", said.endswith(text) and "Content-Type: text/html" in said, f"{len(text)} bytes")
        said = curl(f"{url}/")
        report.check("a directory", '<a href="page.html">' in said, "lists the page")
        said = curl("--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/../secret")
        report.check("outside", said in ("404", "400"), f"a path outside is refused with {said}")
        said = curl("-d", "dumped", f"{url}/dump")
        report.check("dump", said == "", "a POST is written out")
        server.check_stop(report, signal.SIGINT)


def drive(swap, report):
    content = large()
    with tempfile.TemporaryDirectory() as folder:
        drive_ours(swap, report, folder, content)
        if EXAMPLE.exists():
            drive_example(swap, report, folder)


stock.main(drive, "curl", "gcc")
