#!/usr/bin/env python3
"""The stock libunbound resolves names inside Python, with the loop in a thread of the program and in a process that it
forked, and inside unbound-host."""
import contextlib
import json
import pathlib
import subprocess
import tempfile

import stock

PYTHON = "/usr/bin/python3"
NAMES = 150

# Asks for all names at once, takes one question back, polls for the answers, and then asks in the way that blocks. It stays
# until its standard input ends.
CLIENT = """
import json, sys, time, unbound
context = unbound.ub_ctx()
context.config(sys.argv[1])
context.set_async(sys.argv[2] == "thread")
found = {}
def answered(name, status, result):
    found[name] = result.data.address_list[0] if status == 0 and result.havedata else f"status {status}"
names = [f"name{number}.example.zz" for number in range(int(sys.argv[3]))]
for name in names:
    context.resolve_async(name, name, answered, unbound.RR_TYPE_A, unbound.RR_CLASS_IN)
_, taken_back = context.resolve_async("name0.example.zz", "taken back", answered, unbound.RR_TYPE_A, unbound.RR_CLASS_IN)
context.cancel(taken_back)
end = time.monotonic() + 20
while len(found) < len(names) and time.monotonic() < end:
    context.process()
    time.sleep(0.005)
status, last = context.resolve("name1.example.zz", unbound.RR_TYPE_A, unbound.RR_CLASS_IN)
_, missing = context.resolve("missing.example.zz", unbound.RR_TYPE_A, unbound.RR_CLASS_IN)
print("found", json.dumps([found, last.data.address_list, bool(missing.nxdomain)]), flush=True)
sys.stdin.read()
"""


def address(number):
    return f"10.1.{number // 100}.{number % 100}"


@contextlib.contextmanager
def origin(folder):
    """A name server that knows the names; its port."""
    port = stock.free_port()
    hosts = pathlib.Path(folder, "hosts")
    hosts.write_text("".join(f"{address(number)} name{number}.example.zz\n" for number in range(NAMES)))
    hosts.chmod(0o644)
    with stock.Program(["dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}", "--local=/zz/",
                        "--pid-file=", "--log-facility=-", f"--port={port}", "--listen-address=127.0.0.1",
                        "--bind-interfaces"]) as server:
        server.wait_for_output("read ")
        yield port


def settings(folder, port):
    file = pathlib.Path(folder, "unbound.conf")
    file.write_text('server:\n  do-not-query-localhost: no\n  module-config: "iterator"\n  username: ""\n  chroot: ""\n'
                    f'forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@{port}\n')
    return str(file)


def check_python(report, swap, configuration, how):
    with stock.Server([PYTHON, "-c", CLIENT, configuration, how, str(NAMES)], swap, stdin=subprocess.PIPE) as client:
        client.wait_for(lambda: any(line.startswith("found ") and line.endswith("]") for line in client.output().split("\n")),
                        "the answers", 40)
        line = next(line for line in client.output().split("\n") if line.startswith("found "))
        found, last, missing = json.loads(line.removeprefix("found "))
        right = sum(found.get(f"name{number}.example.zz") == address(number) for number in range(NAMES))
        report.check(f"by a {how}", right == NAMES and "taken back" not in found and last == [address(1)] and missing,
                     f"{right} of {NAMES} answers right, one more {last}, {'and' if missing else 'but not'} that a name is missing")
        client.check_mapping(report)
        client.process.stdin.close()
        report.check("exit", client.wait() == 0, f"status {client.process.returncode}")


def check_host(report, swap, configuration):
    with stock.Server(["unbound-host", "-C", configuration, "-t", "A", "name7.example.zz"], swap) as program:
        status = program.wait()
        report.check("unbound-host", status == 0 and f"has address {address(7)}" in program.output(), program.output().strip())


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        with origin(folder) as port:
            configuration = settings(folder, port)
            print(f"libunbound, our library {stock.SWAPS[swap][1]}")
            for how in "thread", "process":
                check_python(report, swap, configuration, how)
            check_host(report, swap, configuration)


if subprocess.run([PYTHON, "-c", "import unbound"], stderr=subprocess.DEVNULL).returncode:
    stock.skip("python3-unbound is not installed")
stock.main(drive, "unbound-host", "dnsmasq")
