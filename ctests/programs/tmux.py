#!/usr/bin/env python3
"""A stock tmux: session, split, keys, capture, resize, detach and reattach of a terminal, control mode."""
import fcntl
import os
import pathlib
import pty
import struct
import subprocess
import tempfile
import termios
import threading

import stock

LINES = 5_000


class Terminal:
    """A client of the session on a terminal of its own; keeps what it shows."""

    def __init__(self, tmux, swap, columns, rows):
        self.side, other = pty.openpty()
        self.resize(columns, rows)
        self.client = stock.Server([*tmux, "attach-session", "-t", "work"], swap, stdin=other, stdout=other, stderr=other,
                                   start_new_session=True, env={"TERM": "xterm"},
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(other)
        self.shown = b""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                self.shown += os.read(self.side, 65536)
            except OSError:
                return

    def resize(self, columns, rows):
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.side, keys)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        os.close(self.side)


class Session:
    """The commands of tmux on one server; every one of them is a client on our library."""

    def __init__(self, tmux, swap):
        self.tmux, self.swap = tmux, swap

    def command(self, *words, stdin=None):
        with stock.Server([*self.tmux, *words], self.swap, **({"stdin": stdin} if stdin else {})) as client:
            status = client.wait()
            if status != 0:
                raise stock.Broken(f"tmux {' '.join(words)}: status {status}\n{client.output()}")
            return client.output()

    def ask(self, name, target="work"):
        return self.command("display-message", "-p", "-t", target, f"#{{{name}}}").strip()

    def capture(self, target, *options):
        return self.command("capture-pane", "-p", "-t", target, *options)

    def type(self, target, text):
        self.command("send-keys", "-t", target, "-l", text)
        self.command("send-keys", "-t", target, "Enter")

    def wait_for_text(self, target, text):
        stock.wait_until(lambda: text in self.capture(target), f'"{text}" in pane {target}')


def check_panes(report, session):
    """Two panes with a shell each, which get keys of their own."""
    session.command("split-window", "-h", "-t", "work", "sh")
    panes = session.command("list-panes", "-t", "work", "-F", "#{pane_index}:#{pane_width}x#{pane_height}").split()
    for pane in (0, 1):
        session.type(f"work:0.{pane}", f"echo pane-$((40 + {pane}))")
        session.wait_for_text(f"work:0.{pane}", f"pane-{40 + pane}")
    strange = [pane for pane in (0, 1) if f"pane-{41 - pane}" in session.capture(f"work:0.{pane}")]
    report.check("panes", len(panes) == 2 and not strange, f"split into {' and '.join(panes)}, each shows its own output")


def check_output(report, session):
    """Long output of a program is in the history, without a gap."""
    session.command("clear-history", "-t", "work:0.0")
    session.type("work:0.0", f"clear; seq 1 {LINES}; echo all-$((1 + 1))")
    session.wait_for_text("work:0.0", "all-2")
    history = [line for line in session.capture("work:0.0", "-S", "-").split("\n") if line.isdigit()]
    report.check("output", history == [str(number) for number in range(1, LINES + 1)],
                 f"{len(history):,} of {LINES:,} lines in the history, in order")


def check_buffer(report, session, folder):
    """A text goes to the server and comes back, in pieces, over the connection of a client."""
    text = "".join(f"line {number} of a text\n" for number in range(20_000))
    source, saved = pathlib.Path(folder, "text"), pathlib.Path(folder, "saved")
    source.write_text(text)
    with source.open() as stdin:
        session.command("load-buffer", "-b", "text", "-", stdin=stdin)
    session.command("save-buffer", "-b", "text", str(saved))
    shown = session.command("save-buffer", "-b", "text", "-")
    report.check("buffer", saved.read_text() == text == shown, f"{len(text):,} bytes loaded, saved and shown")


def check_terminal(report, session):
    """A terminal attaches, types, changes its size, detaches and attaches again."""
    with Terminal(session.tmux, session.swap, 100, 30) as terminal:
        stock.wait_until(lambda: session.ask("session_attached") == "1", "attached terminal")
        stock.check_mapping(report, terminal.client.process.pid)
        terminal.type(b"echo typed-$((3 * 3))\r")
        stock.wait_until(lambda: b"typed-9" in terminal.shown, "output on the terminal")
        first = session.ask("client_width") or session.ask("window_width")
        terminal.resize(132, 43)
        stock.wait_until(lambda: session.ask("window_width") == "132", "new width")
        size = session.ask("window_width") + "x" + session.ask("window_height")
        terminal.type(b"\x02d")
        status = terminal.client.wait()
        stock.wait_until(lambda: b"[detached" in terminal.shown, "farewell on the terminal")
        report.check("terminal", status == 0 and size == "132x42",
                     f"attached with {first} columns, typed, resized to {size}, detached with status {status}")
    with Terminal(session.tmux, session.swap, 90, 25) as terminal:
        stock.wait_until(lambda: b"typed-9" in terminal.shown, "old output on the new terminal")
        width = session.ask("window_width")
        session.command("detach-client", "-s", "work")
        status = terminal.client.wait()
        report.check("reattach", status == 0 and width == "90", f"{width} columns, detached by a command, status {status}")


def check_programs(report, session, folder):
    """What tmux starts itself and exchanges data with: the target of a pipe, and a condition."""
    piped = pathlib.Path(folder, "piped")
    session.command("pipe-pane", "-t", "work:0.1", f"cat > {piped}")
    session.type("work:0.1", "seq 1 2000; echo end-$((4 + 4))")
    stock.wait_until(lambda: piped.exists() and "end-8" in piped.read_text(), "output in the pipe")
    session.command("pipe-pane", "-t", "work:0.1")
    lines = [line for line in piped.read_text().splitlines() if line.isdigit()]
    session.command("if-shell", "true", "set-environment -g chosen yes", "set-environment -g chosen no")
    chosen = session.command("show-environment", "-g", "chosen").strip()
    report.check("programs", lines == [str(number) for number in range(1, 2001)] and chosen == "chosen=yes",
                 f"{len(lines):,} lines piped to cat, if-shell says {chosen}")


def check_control_mode(report, session):
    """A client that speaks the protocol of control mode on its standard input and output."""
    with stock.Server([*session.tmux, "-C", "attach-session", "-t", "work"], session.swap,
                      stdin=subprocess.PIPE) as client:
        # tmux may read commands before it has attached the client, which then sees no output of theirs.
        client.wait_for_output("%session-changed")
        for number in range(200):
            client.process.stdin.write(b"display-message -p answer-%d\n" % number)
        client.process.stdin.write(b"send-keys -t work:0.0 'echo out-$((5 * 5))' Enter\n")
        client.process.stdin.flush()
        client.wait_for_output("out-25")
        client.process.stdin.close()
        status = client.wait()
        answers = [line for line in client.output().split("\n") if line.startswith("answer-")]
        report.check("control", status == 0 and answers == [f"answer-{number}" for number in range(200)],
                     f"{len(answers)} answers in control mode, status {status}")


def drive(swap, report):
    with tempfile.TemporaryDirectory() as folder:
        tmux = ["tmux", "-f", "/dev/null", "-S", f"{folder}/socket"]
        with stock.Server([*tmux, "-D"], swap, env={"TERM": "screen", "SHELL": "/bin/sh"}) as server:
            server.wait_for_socket(pathlib.Path(folder, "socket"))
            session = Session(tmux, swap)
            session.command("set-option", "-g", "history-limit", str(2 * LINES))
            session.command("new-session", "-d", "-s", "work", "-x", "80", "-y", "24", "sh")
            print(f"{session.command('-V').strip()}, our library {server.swap}")
            server.check_mapping(report)
            check_panes(report, session)
            check_output(report, session)
            check_buffer(report, session, folder)
            check_terminal(report, session)
            check_programs(report, session, folder)
            check_control_mode(report, session)
            session.command("kill-server")
            status = server.wait()
            report.check("exit", status == 0, f"kill-server ended it with status {status}")


stock.main(drive, "tmux")
