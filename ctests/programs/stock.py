"""Stock programs of the distribution on our libraries: start, wait, talk, look, stop, report.

A driver is a file beside this one that says what a program must do:

    def drive(swap, report):
        with stock.Server(["memcached", ...], swap) as server:
            server.wait_for_port(port)
            ...
            report.check("keys", ..., "what was seen")
            server.check_mapping(report)
            server.check_stop(report)

    stock.main(drive, "memcached")

usage of every driver: DRIVER [path|preload ...]   how our library gets in; both when not said
"""
import contextlib
import glob
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = PROJECT / "build" / "lib"
# How our libraries get into a program: the option of with-libevent-rs, and its name in reports.
SWAPS = {"path": ([], "through LD_LIBRARY_PATH"), "preload": (["--preload"], "through LD_PRELOAD")}
# Servers that refuse to run as root do so as this user.
UNPRIVILEGED = "nobody"
# The distribution keeps some programs outside the path of a user.
os.environ["PATH"] = ":".join([os.environ["PATH"], "/usr/sbin", "/sbin", *glob.glob("/usr/lib/postgresql/*/bin")])
# Variables that would send clients elsewhere.
for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith(("PG", "TMUX"))]:
    del os.environ[name]


class Broken(Exception):
    """The program did something after which it is pointless to continue."""


def skip(reason):
    """Ends the driver: this machine cannot run the program."""
    print(f"skipped: {reason}")
    print("0 passed, 0 failed")
    sys.exit(0)


def in_network_of_its_own(program):
    """Restarts the driver in a network namespace of its own, for a program whose ports or addresses are fixed."""
    if "OWN_NETWORK" not in os.environ:
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        if os.geteuid() != 0 or subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode:
            skip(f"this user or machine cannot give {program} a network of its own")
        os.execvpe("unshare", [*command, sys.executable, *sys.argv], {**os.environ, "OWN_NETWORK": "yes"})


def main(drive, *commands, around=contextlib.nullcontext):
    """Runs drive(swap, report) for each way to swap, and ends the process.

    `commands` must be installed. What `around()` sets up is there for all ways; when it gives
    something, drive gets it as the third argument.
    """
    for command in commands:
        if not shutil.which(command):
            skip(f"{command} is not installed")
    report = Report()
    with around() as surroundings:
        for swap in sys.argv[1:] or SWAPS:
            try:
                drive(swap, report, *([] if surroundings is None else [surroundings]))
            except (Broken, OSError, subprocess.SubprocessError) as problem:
                report.check("run", False, f"{problem}\n{getattr(problem, 'stderr', None) or ''}")
    sys.exit(report.finish())


def run(command, seconds=20, **options):
    """What a client program writes on stdout; it must succeed."""
    return subprocess.run(command, timeout=seconds, check=True, text=True, stdin=options.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options).stdout


def compiled(source, folder, *options):
    """A program made from a C file of this folder, or of elsewhere, for the distribution's libevent."""
    source = pathlib.Path(__file__).parent / source
    program = pathlib.Path(folder, source.stem)
    if not program.exists():
        run(["gcc", "-w", "-O1", "-g", "-o", str(program), str(source), "-levent", *options], 60)
    return str(program)


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Broken(f"no {what} after {seconds} seconds")
        time.sleep(0.02)


def free_port():
    """A loopback port that nobody has now. It is not one that the kernel gives to connections, or
    another program's could take it before the server does."""
    lowest, _ = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    while True:
        port = random.randrange(10_000, max(int(lowest), 20_000))
        with contextlib.suppress(OSError), socket.socket() as stream, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
            return port


def certificate(folder):
    """A key and a certificate for localhost, signed with it, and both together in a third file."""
    key, cert, both = (pathlib.Path(folder, name) for name in ("key.pem", "cert.pem", "both.pem"))
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
    both.write_text(key.read_text() + cert.read_text())
    for file in key, cert, both:
        file.chmod(0o644)
    return key, cert, both


def linked(program, sources, *options):
    """Compiles C files for our library; what it links with comes last."""
    run(["gcc", "-O1", "-g", "-w", "-o", str(program), f"-I{PROJECT / 'include'}", f"-L{LIBRARIES}", *map(str, sources), *options],
        seconds=60)
    return str(program)


def mapped(process_id):
    """The libevent files in the memory of a process."""
    lines = pathlib.Path(f"/proc/{process_id}/maps").read_text().splitlines()
    files = {pathlib.Path(line.split(maxsplit=5)[5]) for line in lines if len(line.split(maxsplit=5)) == 6}
    return sorted(file for file in files if file.name.startswith("libevent"))


def check_mapping(report, process_id):
    """Whether the process has our library and no other libevent."""
    files = mapped(process_id)
    foreign = [str(file) for file in files if file.parent != LIBRARIES]
    ours = [file.name for file in files if file.parent == LIBRARIES]
    report.check("libraries", "libevent-2.1.so.7" in ours and not foreign,
                 f"process {process_id} has mapped {', '.join(ours) or 'none'} of build/lib and "
                 f"{', '.join(foreign) or 'no other libevent'}")


class Report:
    """Prints one line for each thing that was checked, and counts."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, topic, holds, seen):
        """`seen` says what happened, in words; it is the message either way."""
        self.passed += bool(holds)
        self.failed += not holds
        print(f"  {'' if holds else 'FAILED '}{topic:<13}{seen}")

    def finish(self):
        """The last line, and the exit status."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


class Program:
    """A running program, not on our library. Further keyword arguments are those of Popen."""

    def __init__(self, command, **options):
        self.name = pathlib.Path(command[0]).name
        self.log = tempfile.TemporaryFile("a+")
        options = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": subprocess.STDOUT, **options}
        self.process = subprocess.Popen(command, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def output(self):
        """What the program has written so far. The place in the file at which we read must not be the one that the
        program has: it would move while we read."""
        with open(f"/proc/self/fd/{self.log.fileno()}", errors="replace") as log:
            return log.read()

    def wait_for(self, condition, what, seconds=20):
        """Waits until the condition holds; the program must not end before."""
        def holds():
            if self.process.poll() is not None:
                raise Broken(f"{self.name} ended with status {self.process.returncode} before {what}:\n{self.output()}")
            return condition()
        wait_until(holds, f"{what} of {self.name}", seconds)

    def wait_for_port(self, port):
        def accepts():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.wait_for(accepts, f"listening on port {port}")

    def wait_for_socket(self, path):
        """The name exists before anybody listens."""
        def accepts():
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(path)) == 0
        self.wait_for(accepts, f"listening on {path}")

    def wait_for_output(self, text):
        self.wait_for(lambda: text in self.output(), f'message "{text}"')

    def wait(self, seconds=20):
        """The exit status, negative for a signal, or None if the program does not end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, how=signal.SIGTERM):
        """Asks the program to end, and waits for it."""
        self.process.send_signal(how)
        return self.wait()


class Server(Program):
    """A program on our library. All its symbols are bound at once, so that a missing one shows."""

    def __init__(self, command, swap, before=(), **options):
        """`before` is a command that runs another one; it goes before everything else."""
        how, self.swap = SWAPS[swap]
        options["env"] = {**os.environ, **options.get("env", {}), "LD_BIND_NOW": "1"}
        super().__init__([*before, PROJECT / "with-libevent-rs", "--quiet", *how, *command], **options)
        self.name = pathlib.Path(command[0]).name

    def check_mapping(self, report):
        check_mapping(report, self.process.pid)

    def check_stop(self, report, how=signal.SIGTERM, expected=0):
        """A clean end. `expected` is the status, negative for a signal."""
        status = self.stop(how)
        report.check("exit", status == expected, f"{how.name} ended it with status {status}")
        if status != expected:
            print(self.output())


@contextlib.contextmanager
def name_server(*options):
    """A dnsmasq with these options that knows nothing else: the program, and what runs another command where /etc/resolv.conf
    names it and nobody else, or nothing where this machine allows no private mounts."""
    with tempfile.NamedTemporaryFile("w") as file:
        port = free_port()
        file.write(f"nameserver 127.0.0.1:{port}\n")
        file.flush()
        os.chmod(file.name, 0o644)
        private = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', file.name]
        allowed = not subprocess.run([*private, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        if not allowed:
            print("  left out: a name server of its own, as this machine allows no private mounts")
        with Program(["dnsmasq", "-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--log-queries",
                      "--log-facility=-", f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", *options]) as server:
            server.wait_for_output("started")
            yield server, private if allowed else None


class Line:
    """A connection on which both sides exchange lines and known numbers of bytes."""

    def __init__(self, port, seconds=20):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.input = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line without its end."""
        return self.input.readline().rstrip(b"\r\n")

    def bytes(self, count):
        return self.input.read(count)

    def close(self):
        self.input.close()
        self.socket.close()
