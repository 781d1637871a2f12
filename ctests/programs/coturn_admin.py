#!/usr/bin/env python3
"""The web administration of a stock coturn: HTTPS pages, a login, keep-alive, many clients at a time."""
import glob
import http.client
import os
import re
import signal
import ssl
import tempfile
import urllib.parse

import stock

REALM = "here.example"


def prepare(folder):
    """A certificate, and a database with an administrator and a user."""
    stock.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/key.pem",
               "-out", f"{folder}/cert.pem", "-days", "30", "-subj", "/CN=localhost"], cwd=folder)
    for arguments in (["-A", "-u", "boss", "-p", "secret"], ["-a", "-u", "user", "-p", "pass", "-r", REALM]):
        with stock.Program(["turnadmin", "-b", f"{folder}/db", *arguments], cwd=folder) as admin:
            if admin.wait() != 0:
                raise stock.Broken(admin.output())
            # The place of its log cannot be configured.
            for log in glob.glob(f"/*/*/turn_{admin.process.pid}_*.log") + glob.glob(f"/*/turn_{admin.process.pid}_*.log"):
                os.unlink(log)


class Administration:
    """One connection to the web pages: a login is good for it alone."""

    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=15)

    def ask(self, path, **form):
        """The status and the text of a page."""
        body = urllib.parse.urlencode(form)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        self.connection.request("POST" if form else "GET", path, body if form else None, headers)
        reply = self.connection.getresponse()
        return reply.status, re.sub(r"<[^>]*>|\s+", " ", reply.read().decode())

    def close(self):
        self.connection.close()


def check_administration(report, port):
    pages = Administration(port)
    status, text = pages.ask("/")
    report.check("https", status == 200 and "Login" in text or "password" in text, f"{status}, the page to log in")
    _, text = pages.ask("/update")
    refused = "password:" in text
    _, text = pages.ask("/logon", uname="boss", pwd="wrong")
    report.check("password", refused and "password:" in text, "no page without one, none with a wrong one")
    pages.ask("/logon", uname="boss", pwd="secret")
    lengths = [len(pages.ask(path)[1]) for path in ("/home", "/update", "/pc", "/ps")]
    report.check("pages", min(lengths) > 300 and len(set(lengths)) > 1, f"four pages of {lengths} characters")
    good = sum(pages.ask("/update")[0] == 200 for _ in range(200))
    report.check("keep-alive", good == 200, f"{good} pages over one TLS connection")
    pages.close()
    others = [Administration(port) for _ in range(30)]
    statuses = [other.ask("/")[0] for _ in range(3) for other in others]
    for other in others:
        other.close()
    report.check("30 at once", statuses == [200] * 90, f"{statuses.count(200)} pages over 30 TLS connections")


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        port, tls_port, admin_port = (stock.free_port() for _ in range(3))
        command = ["turnserver", "-n", "--log-file", f"{folder}/log", "--simple-log", "-L", "127.0.0.1", "-E", "127.0.0.1",
                   "--listening-port", str(port), "--tls-listening-port", str(tls_port), "-b", f"{folder}/db",
                   "--lt-cred-mech", "-r", REALM, "--cert", f"{folder}/cert.pem", "--pkey", f"{folder}/key.pem",
                   "--web-admin", "--web-admin-ip", "127.0.0.1", "--web-admin-port", str(admin_port), "--no-cli",
                   "--allow-loopback-peers", "--pidfile", f"{folder}/pid"]
        with stock.Server(command, swap, cwd=folder) as server:
            server.wait_for_port(admin_port)
            server.wait_for_port(tls_port)
            print(f"coturn, our library {server.swap}")
            server.check_mapping(report)
            check_administration(report, admin_port)
            # It has no handler for this signal.
            server.check_stop(report, expected=-signal.SIGTERM)


stock.main(drive, "turnserver", "turnadmin", "openssl")
