#!/usr/bin/env python3
"""A stock groonga-suggest-httpd learns and suggests words over HTTP, in several threads on one listening socket."""
import concurrent.futures
import http.client
import json
import pathlib
import tempfile
import time
import urllib.parse

import stock

PREFIXES = ["e", "en", "eng", "engi", "engin"]
USERS = 12


def get(port, path, method="GET", body=None):
    """Status, headers and body of a reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request(method, path, body)
    reply = connection.getresponse()
    result = reply.status, dict(reply.getheaders()), reply.read().decode()
    connection.close()
    return result


def completion(prefix, **more):
    return "/?" + urllib.parse.urlencode({"q": prefix, "n": "query", "t": "complete", "frequency_threshold": 1, **more})


def teach(port):
    """Each user types a word, letter by letter. Returns how often the answer was right."""
    right = 0
    for user in range(USERS):
        for step, prefix in enumerate([*PREFIXES, "engine"]):
            question = {"i": f"user{user}", "s": (user + 1) * 1_000_000 + step * 500, "q": prefix, "l": "query"}
            if prefix == "engine":
                question["t"] = "submit"
            status, _, body = get(port, "/?" + urllib.parse.urlencode(question))
            right += (status, body) == (200, "{}")
    return right


def completed(port, prefix, **more):
    return get(port, completion(prefix, **more))[2]


def drive_learning(swap, report, folder, commands):
    """With the learner behind it: what was taught is proposed."""
    port, receive, send = (stock.free_port() for _ in range(3))
    learner = [commands[0], "-s", f"tcp://127.0.0.1:{receive}", "-r", f"tcp://127.0.0.1:{send}", f"{folder}/db"]
    # With more threads, each tells the learner a part of what a user types, in no order.
    httpd = [commands[1], "-p", str(port), "-t", "1", "-s", f"tcp://127.0.0.1:{send}",
             "-r", f"tcp://127.0.0.1:{receive}", "-l", f"{folder}/logs-{swap}", f"{folder}/db"]
    with stock.Server(learner, swap) as behind, stock.Server(httpd, swap) as server:
        server.wait_for_port(port)
        print(f"groonga-suggest-httpd with its learner, our library {server.swap}")
        server.check_mapping(report)
        behind.check_mapping(report)
        # What is sent before the two have found each other is lost.
        time.sleep(1)
        before = score(completed(port, "en"))
        right = teach(port)
        report.check("teaching", right == USERS * (len(PREFIXES) + 1), f"{right} keystrokes taken")
        stock.wait_until(lambda: score(completed(port, "en")) == before + USERS, "what was taught")
        report.check("completion", score(completed(port, "en")) == before + USERS, completed(port, "en"))
        said = completed(port, "en", callback="cb")
        report.check("callback", said.startswith("cb({") and said.rstrip().endswith(");"), said)
        logs = list(pathlib.Path(folder).glob(f"logs-{swap}*"))
        report.check("logs", len(logs) >= 1, f"{len(logs)} files")


def score(text):
    """How often the one word has been taught."""
    rows = json.loads(text)["complete"][2:]
    return rows[0][1] if rows else 0


def drive_alone(swap, report, folder, commands):
    port = stock.free_port()
    with stock.Server([commands[1], "-p", str(port), "-t", "3", f"{folder}/db"], swap) as server:
        server.wait_for_port(port)
        print(f"groonga-suggest-httpd alone, our library {server.swap}")
        server.check_mapping(report)
        status, headers, body = get(port, "/")
        report.check("reply", (status, body) == (200, "{}") and int(headers["Content-Length"]) == len(body), f"{headers}")
        report.check("POST", "complete" in get(port, completion("en"), "POST", "body")[2], "answered from its address")
        status, _, body = get(port, completion("en"), "HEAD")
        report.check("HEAD", (status, body) == (200, ""), "no body")
        answers = [get(port, completion(prefix))[0] for prefix in ("\u00e9\u4e2d", "x" * 7000, "a&b=c;d#e", "%00", "+ +")]
        report.check("odd queries", answers == [200] * 5, f"{answers}")
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(lambda number: get(port, completion(f"e{number}"))[0], range(1000)))
        report.check("100 at once", statuses == [200] * 1000, f"{statuses.count(200)} of 1000 replies")
        time.sleep(0.1)
        server.check_stop(report)


def drive(swap, report):
    commands = ["groonga-suggest-learner", "groonga-suggest-httpd"]
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "db").mkdir()
        stock.run(["groonga-suggest-create-dataset", f"{folder}/db/db", "query"])
        drive_alone(swap, report, f"{folder}/db", commands)
        drive_learning(swap, report, f"{folder}/db", commands)


stock.main(drive, "groonga-suggest-httpd", "groonga-suggest-learner", "groonga-suggest-create-dataset")
