#!/usr/bin/env python3
"""A stock links2 fetches a page, after a redirect and in slow pieces, and shows it as text."""
import contextlib
import http.server
import tempfile
import threading

import stock

PARAGRAPHS = 200


class Pages(http.server.BaseHTTPRequestHandler):
    """/old redirects to /page, which comes in pieces; half of it waits until the driver has looked at links2."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/old":
            self.send_response(301)
            self.send_header("Location", "/page")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = "".join(f"<p>Paragraph number {number}, <b>bold</b> &amp; plain.</p>\n" for number in range(PARAGRAPHS))
        body = f"<html><title>A page</title><body><h1>A page</h1>{body}</body></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.server.half_sent.set()
        self.server.looked.wait(10)
        for start in range(len(body) // 2, len(body), 1000):
            self.wfile.write(body[start:start + 1000])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def pages():
    """A web server, yielded while it runs."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def drive(swap, report, web):
    web.half_sent, web.looked = threading.Event(), threading.Event()
    with tempfile.TemporaryDirectory() as home:
        address = f"http://127.0.0.1:{web.server_port}/old"
        with stock.Server(["links2", "-dump", address], swap, env={"HOME": home}) as browser:
            print(f"links2, our library {browser.swap}")
            browser.wait_for(web.half_sent.is_set, "request")
            browser.check_mapping(report)
            web.looked.set()
            status = browser.wait()
            shown = browser.output()
            right = sum(f"Paragraph number {number}, bold & plain." in shown for number in range(PARAGRAPHS))
            report.check("page", right == PARAGRAPHS, f"{right} of {PARAGRAPHS} paragraphs, redirected to them")
            report.check("exit", status == 0, f"status {status}")


stock.main(drive, "links2", around=pages)
