#!/usr/bin/env python3
"""A stock poolcounterd lets few of many clients do the same work at once; the others wait, give up or share a result."""
import contextlib
import random
import socket

import stock

PORT = 7531  # its own; the address is not
CLIENTS = 100


class Client(stock.Line):
    """Its address differs from that of the others."""

    def __init__(self, address):
        self.socket = socket.create_connection((address, PORT), 20)
        self.input = self.socket.makefile("rb")

    def ask(self, words):
        self.send(f"{words}\n".encode())
        return self

    def said(self):
        return self.line().decode()


def statistics(client):
    client.ask("STATS FULL")
    lines = iter(client.said, "")
    return dict(line.split(": ", 1) for line in lines)


def check_crowd(report, clients):
    """One works at a time, and then lets the next one in."""
    for client in clients:
        client.ask(f"ACQ4ME crowd 1 {CLIENTS + 1} 60")
    answers = []
    for client in clients:
        answers.append(client.said())
        answers.append(client.ask("RELEASE").said())
    report.check("one by one", answers == ["LOCKED", "RELEASED"] * CLIENTS, f"{answers.count('LOCKED')} of {CLIENTS} clients worked")


def check_shared(report, clients):
    """Clients that want the result get it as soon as one has it."""
    first, *others = clients
    begun = first.ask("ACQ4ANY page 1 1000 60").said()
    for client in others:
        client.ask("ACQ4ANY page 1 1000 60")
    stock.wait_until(lambda: statistics(first)["waiting_workers"] == str(len(others)), "waiting clients")
    first.ask("RELEASE").said()
    answers = [client.said() for client in others]
    report.check("shared", begun == "LOCKED" and answers == ["DONE"] * len(others),
                 f"{answers.count('DONE')} clients got what one had done")


def check_refusals(report, clients):
    """Too many clients, too long a wait, bad requests."""
    first, second, third, fourth, *_ = clients
    first.ask("ACQ4ME busy 1 2 60").said()
    second.ask("ACQ4ME busy 1 2 60")
    stock.wait_until(lambda: statistics(first)["waiting_workers"] == "1", "a waiting client")
    answers = [third.ask("ACQ4ME busy 1 2 60").said(), fourth.ask("ACQ4ME busy 1 3 1").said(),
               third.ask("RELEASE").said(), third.ask("NONSENSE").said()]
    report.check("refusals", answers == ["QUEUE_FULL", "TIMEOUT", "NOT_LOCKED", "ERROR BAD_COMMAND"], ", ".join(answers))
    # A client that disconnects has stopped working.
    first.close()
    said = second.said()
    report.check("gone", said == "LOCKED", f"the next one when one has gone: {said}")


def drive(swap, report):
    address = "127." + ".".join(str(random.randrange(2, 250)) for _ in range(3))
    with stock.Server(["poolcounterd", "-l", address], swap) as server, contextlib.ExitStack() as stack:
        server.wait_for(lambda: socket.socket().connect_ex((address, PORT)) == 0, "listening")
        print(f"poolcounterd, our library {server.swap}")
        server.check_mapping(report)
        clients = [Client(address) for _ in range(CLIENTS)]
        for client in clients:
            stack.callback(client.close)
        check_crowd(report, clients)
        check_shared(report, clients)
        numbers = statistics(clients[0])
        wanted = {"total_acquired": str(CLIENTS + 1), "total_releases": str(CLIENTS + 1), "waiting_workers": "0", "failed_sends": "0"}
        report.check("statistics", wanted.items() <= numbers.items(),
                     f"{numbers['total_acquired']} begun and {numbers['total_releases']} done")
        check_refusals(report, clients)
        server.check_stop(report)


stock.main(drive, "poolcounterd")
