#!/usr/bin/env python3
"""A stock webdis serves redis over HTTP: keep-alive, pipelining, uploads, a subscription, many clients."""
import contextlib
import json
import pathlib
import tempfile

import stock

PIPELINED = 100
CLIENTS = 40


@contextlib.contextmanager
def redis():
    """A redis without files; gives its port."""
    port = stock.free_port()
    with stock.Program(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]) as server:
        server.wait_for_port(port)
        yield port
        server.stop()


def request(path):
    return f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def answer(connection):
    """The body of the next answer on a connection."""
    length = None
    while line := connection.line():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return connection.bytes(length)


def check_curl(report, url):
    """One connection for all of curl's requests, in the formats that webdis has."""
    stored = stock.run(["curl", "-sS", f"{url}/SET/greeting/hello"])
    addresses = [f"{url}/GET/greeting{ending}" for ending in ("", ".txt", ".raw")] * 10
    said = stock.run(["curl", "-sS", "-w", "\n%{http_code} %{num_connects}\n", *addresses])
    connects = sum(int(line[4:]) for line in said.splitlines() if line.startswith("200 "))
    bodies = [said.count(body) for body in ('{"GET":"hello"}\n', "\nhello\n", "$5\nhello\n")]
    report.check("keep-alive", stored == '{"SET":[true,"OK"]}' and bodies == [10, 20, 10] and connects == 1,
                 f"{len(addresses)} right answers in three formats to curl over {connects} connection")


def check_upload(report, url, folder):
    """A megabyte goes in by PUT and comes out again."""
    data = "".join(chr(97 + n * n % 26) for n in range(1 << 20))
    file = pathlib.Path(folder, "upload")
    file.write_text(data)
    stored = stock.run(["curl", "-sS", "-T", str(file), f"{url}/SET/large"])
    fetched = stock.run(["curl", "-sS", f"{url}/GET/large.txt"])
    report.check("upload", fetched == data, f"{len(data):,} bytes stored ({stored}), {len(fetched):,} fetched")


def check_pipeline(report, port):
    """Requests sent at once are all answered. (Not in their order, on any libevent: webdis waits for
    writability once for each answer, and such events are served last in, first out.)"""
    connection = stock.Line(port)
    connection.send(request("SET/pipelined/0"))
    answer(connection)
    connection.send(request("INCR/pipelined") * PIPELINED)
    values = [json.loads(answer(connection))["INCR"] for _ in range(PIPELINED)]
    connection.close()
    report.check("pipeline", sorted(values) == list(range(1, PIPELINED + 1)),
                 f"{len(set(values))} answers to {PIPELINED} requests sent at once")


def check_clients(report, port):
    """Many connections at a time, each with requests of its own."""
    connections = [stock.Line(port) for _ in range(CLIENTS)]
    right = 0
    for turn in range(5):
        for number, connection in enumerate(connections):
            connection.send(request(f"ECHO/{turn}.{number}"))
        right += sum(json.loads(answer(connection)) == {"ECHO": f"{turn}.{number}"}
                     for number, connection in enumerate(connections))
    for connection in connections:
        connection.close()
    report.check("clients", right == 5 * CLIENTS, f"{right} answers right over {CLIENTS} connections at a time")


def check_subscription(report, port):
    """What is published arrives as chunks of an answer that does not end."""
    subscriber, publisher = stock.Line(port), stock.Line(port)
    subscriber.send(request("SUBSCRIBE/news"))
    while b"subscribe" not in subscriber.line():
        pass
    heard = []
    for number in range(20):
        publisher.send(request(f"PUBLISH/news/item{number}"))
        answer(publisher)
        while not (line := subscriber.line()).startswith(b"{"):
            pass
        heard.append(json.loads(line)["SUBSCRIBE"][2])
    subscriber.close()
    publisher.close()
    report.check("subscribe", heard == [f"item{number}" for number in range(20)], f"{len(heard)} messages in order")


def drive(swap, report, redis_port):
    port = stock.free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = pathlib.Path(folder, "webdis.json")
        settings.write_text(json.dumps({
            "redis_host": "127.0.0.1", "redis_port": redis_port, "http_host": "127.0.0.1", "http_port": port,
            "threads": 4, "pool_size": 1, "daemonize": False, "verbosity": 3, "logfile": f"{folder}/log",
            "http_max_request_size": 1 << 22}))
        with stock.Server(["webdis", str(settings)], swap) as server:
            server.wait_for_port(port)
            print(f"webdis, our library {server.swap}")
            server.check_mapping(report)
            url = f"http://127.0.0.1:{port}"
            check_curl(report, url)
            check_upload(report, url, folder)
            check_pipeline(report, port)
            check_clients(report, port)
            check_subscription(report, port)
            server.check_stop(report)


stock.main(drive, "webdis", "redis-server", "curl", around=redis)
