#!/usr/bin/env python3
"""A stock litecoind, alone in its network, answers RPC calls over HTTP from several threads."""
import base64
import concurrent.futures
import http.client
import json
import tempfile

import stock

USER = "user:secret"
QUESTIONS, CLIENTS = 400, 8


class Node:
    """What a client asks litecoind over persistent connections."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def post(self, body, user=USER, method="POST", path="/"):
        """Status and body of the answer."""
        self.connection.request(method, path, body, {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def ask(self, method, *parameters):
        status, body = self.post(json.dumps({"method": method, "params": parameters, "id": 1}))
        return json.loads(body)["result"] if status == 200 else None


def check_load(report, port, genesis):
    """Each client uses one connection; litecoind refuses nothing that fits its queue of 16."""
    def asked(_):
        node = Node(port)
        return sum(node.ask("getblockhash", 0) == genesis for _ in range(QUESTIONS // CLIENTS))

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        right = sum(clients.map(asked, range(CLIENTS)))
    report.check("load", right == QUESTIONS, f"{right} of {QUESTIONS} right answers to {CLIENTS} clients at once")


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        port = stock.free_port()
        user, password = USER.split(":")
        command = ["/usr/lib/litecoin/litecoind", "-regtest", f"-datadir={folder}", f"-rpcport={port}", f"-rpcuser={user}",
                   f"-rpcpassword={password}", "-server", "-listen=0", "-dnsseed=0", "-rest"]
        with stock.Server(command, swap) as server:
            print(f"litecoind, our library {server.swap}")
            server.wait_for_port(port)
            server.wait_for(lambda: Node(port).ask("getblockcount") == 0, "first answer")
            server.check_mapping(report)
            node = Node(port)
            genesis = node.ask("getblockhash", 0)
            chain = node.ask("getblockchaininfo")
            report.check("questions", chain["chain"] == "regtest" and chain["bestblockhash"] == genesis,
                         f"chain {chain['chain']} with {chain['blocks']} blocks, first block {genesis[:16]}...")
            refused = [node.post("{}", "user:wrong")[0], Node(port).post(None, method="PUT")[0], Node(port).post("not json")[0]]
            report.check("refusals", refused == [401, 405, 500], f"a wrong password, PUT and no JSON are answered {refused}")
            status, body = Node(port).post(None, method="GET", path=f"/rest/block/{genesis}.hex")
            report.check("rest", status == 200 and len(body) > 160, f"the first block over REST: {status}, {len(body)} digits")
            batch = json.dumps([{"method": "getblockhash", "params": [0], "id": n} for n in range(5000)])
            answers = json.loads(Node(port).post(batch)[1])
            report.check("batch", [answer["result"] for answer in answers] == [genesis] * 5000,
                         f"{len(batch):,} bytes of questions in one request, {len(answers):,} right answers")
            check_load(report, port, genesis)
            said = node.ask("stop")
            status = server.wait()
            report.check("exit", status == 0, f"asked to stop, it says \"{said}\" and ends with status {status}")


stock.main(drive, "/usr/lib/litecoin/litecoind")
