#!/usr/bin/env python3
"""The HTTP client of a stock PHP fetches many pages at once in an event loop, and gives up on one that comes too late."""
import contextlib
import http.server
import pathlib
import shutil
import subprocess
import tempfile
import threading

import stock

PAGES = 60

SCRIPT = r"""<?php
[, $port, $pages] = $argv;
$client = new http\Client("curl");
$client->configure(["use_eventloop" => true, "max_total_connections" => 20, "pipelining" => false]);
$right = 0;
$check = function ($response) use (&$right) {
    $number = (int) substr($response->getTransferInfo("effective_url"), strrpos($response->getTransferInfo("effective_url"), "/") + 1);
    $right += $response->getResponseCode() == 200 && $response->getBody()->toString() == str_repeat("page $number\n", $number * 100);
    return true;
};
for ($round = 0; $round < 2; $round++) {
    for ($number = 0; $number < $pages; $number++)
        $client->enqueue(new http\Client\Request("GET", "http://127.0.0.1:$port/$number"), $check);
    $client->send();
}
echo "pages $right\n";
for ($number = 0; $number < 10; $number++) {
    $request = new http\Client\Request("POST", "http://127.0.0.1:$port/echo");
    $request->getBody()->append(str_repeat("$number", 300000));
    $client->enqueue($request, function ($response) use (&$sent, $number) {
        $sent += $response->getBody()->toString() == str_repeat("$number", 300000);
        return true;
    });
}
$client->send();
echo "bodies $sent\n";
$request = new http\Client\Request("GET", "http://127.0.0.1:$port/never");
$request->setOptions(["timeout" => 0.2]);
$client->enqueue($request);
try {
    $client->send();
    echo "late ", $client->getResponse($request)?->getResponseCode() ?: "none", " ", $client->getTransferInfo($request)->error, "\n";
} catch (http\Exception $problem) {
    echo "late ", $problem->getMessage(), "\n";
}
echo "end ", readline(), "\n";
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/never":
            self.server.over.wait()
            self.close_connection = True
            return
        number = int(self.path[1:])
        self.answer(b"page %d\n" % number * (number * 100))

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.over = threading.Event()
    server.socket.listen(128)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder, web_server() as server:
        script = pathlib.Path(folder, "client.php")
        script.write_text(SCRIPT)
        command = ["php8.2", str(script), str(server.server_address[1]), str(PAGES)]
        with stock.Server(command, swap, stdin=subprocess.PIPE) as client:
            print(f"PHP's HTTP client, our library {client.swap}")
            client.wait_for(lambda: "late" in client.output(), "answers")
            client.check_mapping(report)
            client.process.stdin.write(b"of input\n")
            client.process.stdin.close()
            status = client.wait()
            said = dict(line.split(" ", 1) for line in client.output().splitlines() if " " in line)
            report.check("pages", said.get("pages") == str(2 * PAGES), f"{said.get('pages')} of {2 * PAGES} pages right")
            report.check("bodies", said.get("bodies") == "10", f"{said.get('bodies')} of 10 long bodies came back")
            report.check("late", "timed out" in said.get("late", "").lower(), said.get("late"))
            report.check("exit", status == 0 and said.get("end") == "of input", f"status {status}")


if not shutil.which("php8.2") or "http" not in subprocess.run(["php8.2", "-m"], capture_output=True, text=True).stdout.split():
    stock.skip("php8.2-http is not installed")
stock.main(drive, "php8.2")
