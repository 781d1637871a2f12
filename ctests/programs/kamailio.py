#!/usr/bin/env python3
"""A stock kamailio calls a JSON-RPC server, whose name its module looks up, and reconnects when the server restarts."""
import contextlib
import json
import pathlib
import socket
import tempfile

import stock

CONFIG = """
debug=2
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:127.0.0.1:{sip}
{modules}
modparam("rtimer", "timer", "name=soon;interval=1;mode=1;")
modparam("rtimer", "exec", "timer=soon;route=ASK")
modparam("janssonrpcc", "server", "conn=work;addr={host};port={port};priority=1;weight=1")
route[ASK] {{ janssonrpc_request("work", "sum", "[1, 2]", "route=ANSWER;timeout=20000"); }}
route[ANSWER] {{ xlog("L_NOTICE", "answered $var(jsrpc_result)\\n"); }}
request_route {{ exit; }}
"""
MODULES = "tm", "sl", "pv", "xlog", "rtimer", "jansson", "janssonrpcc"


def accept(listener):
    connection, _ = listener.accept()
    connection.settimeout(20)
    return connection


def read_request(connection):
    """A request, which is framed as a netstring."""
    received = b""
    while b":" not in received or len(received) < int(received.split(b":")[0]) + received.index(b":") + 2:
        more = connection.recv(1000)
        if not more:
            raise stock.Broken("kamailio has closed the connection before its request was whole")
        received += more
    return json.loads(received.split(b":", 1)[1][:-1])


def check(swap, before, report, host):
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as name:
        listener.settimeout(20)
        config = pathlib.Path(name, "config")
        config.write_text(CONFIG.format(sip=stock.free_port(), host=host, port=listener.getsockname()[1],
                                        modules="\n".join(f'loadmodule "{module}.so"' for module in MODULES)))
        with stock.Server(["kamailio", "-f", str(config), "-DD", "-E", "-m", "32", "-M", "4", "-Y", name], swap, before) as server:
            with contextlib.closing(accept(listener)) as connection:
                request = read_request(connection)
                report.check("request", (request["method"], request["params"]) == ("sum", [1, 2]), f"{host} was found, and asked {request}")
                answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": 3}).encode()
                connection.sendall(b"%d:%s," % (len(answer), answer))
                server.wait_for_output("answered")
                report.check("answer", '{"result":3}' in server.output(), "its script was told the answer")
            accept(listener).close()
            report.check("again", True, "a connection that ended was made again")
            server.check_mapping(report)
            server.check_stop(report)


def drive(swap, report, surroundings):
    _, private = surroundings
    check(swap, private or (), report, "there.test" if private else "localhost")


stock.main(drive, "kamailio", "dnsmasq", "unshare", around=lambda: stock.name_server("--host-record=there.test,127.0.0.1"))
