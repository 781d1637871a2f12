#!/usr/bin/env python3
"""A stock memcached with four threads serves 64 connections that write and read without a pause.

LOAD_SECONDS says for how long, 3 when not said.
"""
import os
import selectors
import socket
import time

import stock

CONNECTIONS = 64
BATCH = 40
SECONDS = float(os.environ.get("LOAD_SECONDS", "3"))


class Client:
    """Writes a batch of keys of its own and reads them back, again and again."""

    def __init__(self, number, port):
        self.number = number
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.batches = self.wrong = 0
        self.start()

    def start(self):
        """The next batch: the commands to send and the answers that must come."""
        self.commands = self.expected = b""
        for key in range(BATCH):
            name = b"c%d.%d" % (self.number, key)
            value = b"%d/%d." % (self.batches, key) * (1 + (self.batches * 7 + key * 13) % 200)
            self.commands += b"set %b 0 0 %d\r\n%b\r\nget %b\r\n" % (name, len(value), value, name)
            self.expected += b"STORED\r\nVALUE %b 0 %d\r\n%b\r\nEND\r\n" % (name, len(value), value)
        self.received = b""

    def interest(self):
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.commands else 0)

    def turn(self, ready):
        """Sends and takes what is possible; true when a batch is over."""
        if ready & selectors.EVENT_WRITE and self.commands:
            self.commands = self.commands[self.socket.send(self.commands):]
        if ready & selectors.EVENT_READ:
            data = self.socket.recv(1 << 18)
            if not data:
                raise stock.Broken(f"connection {self.number} was closed")
            self.received += data
        if len(self.received) < len(self.expected):
            return False
        self.wrong += self.received != self.expected
        self.batches += 1
        return True


def load(clients, seconds):
    """Keeps all clients busy for that long; each finishes its last batch."""
    waiting = selectors.DefaultSelector()
    for client in clients:
        waiting.register(client.socket, client.interest(), client)
    end = time.monotonic() + seconds
    while waiting.get_map():
        answered = waiting.select(5)
        if not answered:
            raise stock.Broken("no answer for 5 seconds")
        for key, ready in answered:
            client = key.data
            if client.turn(ready):
                if time.monotonic() > end:
                    waiting.unregister(client.socket)
                    continue
                client.start()
            waiting.modify(client.socket, client.interest(), client)


def drive(swap, report):
    port = stock.free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4", "-m", "256", "-u", "root"]
    with stock.Server(command, swap) as server:
        server.wait_for_port(port)
        print(f"memcached under load, our library {server.swap}")
        clients = [Client(number, port) for number in range(CONNECTIONS)]
        load(clients, SECONDS)
        server.check_mapping(report)
        batches, wrong = sum(client.batches for client in clients), sum(client.wrong for client in clients)
        least = min(client.batches for client in clients)
        report.check("load", wrong == 0 and least > 0,
                     f"{batches * BATCH * 2:,} commands over {CONNECTIONS} connections in {SECONDS:.0f} s, "
                     f"{least * BATCH * 2:,} at least on each, {wrong} wrong")
        for client in clients:
            client.socket.close()
        server.check_stop(report)


stock.main(drive, "memcached")
