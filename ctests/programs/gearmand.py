#!/usr/bin/env python3
"""A stock gearmand with four threads distributes the jobs of several clients among several workers."""
import contextlib
import json
import subprocess

import stock

CLIENTS = 4
WORKERS = 3
JOBS = 100
SIZE = 400_000


def status(port):
    """By function: jobs that are waiting or running, those that are running, and workers."""
    lines = stock.run(["gearadmin", "-h", "127.0.0.1", "-p", str(port), "--status"]).splitlines()
    return {name: tuple(map(int, counts)) for name, *counts in (line.split("\t") for line in lines if "\t" in line)}


def gearman(port, *words):
    return ["gearman", "-h", "127.0.0.1", "-p", str(port), *words]


def drive(swap, report):
    port = stock.free_port()
    command = ["gearmand", "-l", "stderr", "-L", "127.0.0.1", "-p", str(port), "-t", "4"]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(stock.Server(command, swap))
        server.wait_for_port(port)
        print(f"gearmand, our library {server.swap}")
        server.check_mapping(report)

        # Jobs in the background wait for the first worker.
        for number in range(JOBS):
            stock.run(gearman(port, "-b", "-f", "reverse", f"early {number}"))
        report.check("waiting", status(port)["reverse"] == (JOBS, 0, 0), f"{JOBS} jobs wait for a worker")
        workers = [stack.enter_context(stock.Program(gearman(port, "-w", "-f", "reverse", "--", "rev")))
                   for _ in range(WORKERS)]
        server.wait_for(lambda: status(port)["reverse"] == (0, 0, WORKERS), "end of the waiting jobs")
        report.check("background", True, f"{WORKERS} workers have done them")

        clients = [subprocess.Popen(gearman(port, "-n", "-f", "reverse"), text=True, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE) for _ in range(CLIENTS)]
        wanted = right = 0
        for number, client in enumerate(clients):
            client.stdin.write("".join(f"{number}-{job}\n" for job in range(JOBS)))
            client.stdin.close()
        for number, client in enumerate(clients):
            answers = client.stdout.read().split()
            right += client.wait() == 0 and answers == [f"{number}-{job}"[::-1] for job in range(JOBS)]
        report.check("jobs", right == CLIENTS, f"{right} of {CLIENTS} clients got {JOBS} answers each")

        content = json.dumps(list(range(SIZE // 8)))
        answer = stock.run(gearman(port, "-f", "reverse"), stdin=None, input=content)
        report.check("content", answer.strip() == content[::-1], f"{len(content):,} bytes reversed")

        for worker in workers:
            worker.stop()
        server.wait_for(lambda: "reverse" not in status(port) or status(port)["reverse"][2] == 0, "leaving of the workers")
        server.check_stop(report)


stock.main(drive, "gearmand", "gearman", "gearadmin", "rev")
