#!/usr/bin/env python3
"""A stock ocproxy carries TCP connections made to its loopback ports as packets into a network of its own."""
import os
import random
import signal
import socket
import sys
import threading

import stock

CONNECTIONS = 8
SIZE = 100_000

# The far end of the tunnel: a network namespace in which the kernel answers. It passes packets on
# between the tunnel and its network device, and has an echo server at port 7.
NETWORK = r"""
import fcntl, os, socketserver, struct, subprocess, sys, threading
tunnel = int(sys.argv[1])
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
subprocess.run("ip address add 10.9.0.1/24 dev tun0 && ip link set tun0 up", shell=True, check=True)
def copy(source, target):
    while packet := os.read(source, 65536):
        try:
            os.write(target, packet)
        except OSError:
            pass
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
threading.Thread(target=copy, args=(tunnel, device), daemon=True).start()
threading.Thread(target=copy, args=(device, tunnel), daemon=True).start()
socketserver.ThreadingTCPServer.request_queue_size = 64
with socketserver.ThreadingTCPServer(("10.9.0.1", 7), Echo) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


def through_socks(port):
    """A connection to the echo server by ocproxy's SOCKS server."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(b"\x05\x01\x00")
    answer = connection.recv(2, socket.MSG_WAITALL)
    connection.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("10.9.0.1") + b"\x00\x07")
    answer += connection.recv(10, socket.MSG_WAITALL)
    if answer[:4] != b"\x05\x00\x05\x00":
        raise stock.Broken(f"SOCKS: {answer}")
    return connection


def echoes(connection, number):
    """Whether content comes back as it was sent."""
    content = random.Random(number).randbytes(SIZE)
    sender = threading.Thread(target=connection.sendall, args=(content,), daemon=True)
    sender.start()
    received = b""
    while len(received) < SIZE and (data := connection.recv(65536)):
        received += data
    sender.join()
    connection.close()
    return received == content


def check(report, topic, connect):
    right = []
    clients = [threading.Thread(target=lambda number=number: right.append(echoes(connect(), number)), daemon=True)
               for number in range(CONNECTIONS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(20)
    report.check(topic, right == [True] * CONNECTIONS,
                 f"{sum(right)} of {CONNECTIONS} connections echoed {SIZE:,} bytes each through the tunnel")


def drive(swap, report):
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        stock.skip("only root can set up a network for ocproxy, and needs /dev/net/tun")
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    forward, socks = stock.free_port(), stock.free_port()
    with ours, other, stock.Program(["unshare", "--net", sys.executable, "-c", NETWORK, str(other.fileno())],
                                    pass_fds=[other.fileno()]) as network:
        network.wait_for_output("ready")
        environment = {"VPNFD": str(ours.fileno()), "INTERNAL_IP4_ADDRESS": "10.9.0.2", "INTERNAL_IP4_MTU": "1400",
                       "INTERNAL_IP4_DNS": "10.9.0.1"}
        with stock.Server(["ocproxy", "-L", f"{forward}:10.9.0.1:7", "-D", str(socks)], swap, env=environment,
                          pass_fds=[ours.fileno()]) as server:
            server.wait_for_port(forward)
            server.wait_for_port(socks)
            print(f"ocproxy, our library {server.swap}")
            server.check_mapping(report)
            check(report, "forward", lambda: socket.create_connection(("127.0.0.1", forward), 20))
            check(report, "socks", lambda: through_socks(socks))
            server.check_stop(report, expected=-signal.SIGTERM)


stock.main(drive, "ocproxy", "unshare", "ip")
