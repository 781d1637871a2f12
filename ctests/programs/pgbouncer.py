#!/usr/bin/env python3
"""A stock pgbouncer pools the connections of psql and pgbench to a PostgreSQL server."""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import signal
import tempfile

import stock

POOL = 4
CLIENTS = 20
TRANSACTIONS = 50
ROWS = 20_000

SETTINGS = """
[databases]
pooled = host={folder} port={database_port} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
admin_users = postgres
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 200
"""


@contextlib.contextmanager
def database():
    """A PostgreSQL server on a socket in a new folder; gives folder and port number."""
    with tempfile.TemporaryDirectory() as folder:
        other = {}
        if os.geteuid() == 0:
            other = {"user": stock.UNPRIVILEGED}
            shutil.chown(folder, stock.UNPRIVILEGED)
        port = stock.free_port()
        stock.run(["initdb", "--no-sync", "--auth=trust", "--username=postgres", f"--pgdata={folder}/data"],
                  60, cwd=folder, **other)
        command = ["postgres", "-D", f"{folder}/data", "-k", folder, "-p", str(port), "-c", "listen_addresses=",
                   "-c", "fsync=off"]
        with stock.Program(command, cwd=folder, **other) as server:
            server.wait_for_socket(pathlib.Path(folder, f".s.PGSQL.{port}"))
            server.wait_for_output("ready to accept connections")
            # The tables of pgbench with one branch and no accounts, which take long to make.
            direct = ["-h", folder, "-p", str(port), "-U", "postgres"]
            stock.run(["pgbench", "-q", "-i", "-I", "dtp", *direct, "postgres"])
            stock.run(["psql", "-X", *direct, "-c", "insert into pgbench_branches values (1, 0)", "postgres"])
            yield folder, port
            server.stop(signal.SIGINT)


def connection(port):
    return ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]


def psql(port, database, statement):
    return stock.run(["psql", "-X", "-A", "-t", *connection(port), "-c", statement, database])


def check_results(report, port):
    """Small and large answers, and errors, come through correctly."""
    total = psql(port, "pooled", "select sum(n) from generate_series(1, 1000) n").strip()
    rows = psql(port, "pooled", f"copy (select n, repeat(md5(n::text), 3) from generate_series(1, {ROWS}) n) to stdout")
    wanted = "".join(f"{n}\t{hashlib.md5(str(n).encode()).hexdigest() * 3}\n" for n in range(1, ROWS + 1))
    report.check("queries", total == "500500" and rows == wanted,
                 f"sum {total}, {rows.count(chr(10)):,} rows of {len(rows):,} bytes as expected")


def check_pool(report, port):
    """Many clients share the few connections of the pool."""
    said = stock.run(["pgbench", "-n", *connection(port), "-c", str(CLIENTS), "-j", "2",
                      "-N", "-t", str(TRANSACTIONS), "pooled"])
    done = re.search(r"actually processed: (\d+)/(\d+)", said)
    failed = re.search(r"failed transactions: (\d+)", said)
    history = psql(port, "pooled", "select count(*) from pgbench_history").strip()
    servers = len([line for line in psql(port, "pgbouncer", "show servers").splitlines() if "|pooled|" in line])
    holds = done and done[1] == done[2] == str(CLIENTS * TRANSACTIONS) and failed[1] == "0" and 0 < servers <= POOL
    report.check("pool", holds, f"pgbench: {done and done[0]}, {failed and failed[0]}; {history} in the table; "
                 f"{CLIENTS} clients over {servers} connections to the server")
    psql(port, "pooled", "truncate pgbench_history")


def check_cancel(report, port):
    """An interrupted psql cancels its query over another connection."""
    with stock.Program(["psql", *connection(port), "-c", "select pg_sleep(60)", "pooled"]) as client:
        stock.wait_until(lambda: "pg_sleep" in psql(port, "pooled", "select query from pg_stat_activity where "
                                                    "state = 'active' and pid <> pg_backend_pid()"), "running query")
        status = client.stop(signal.SIGINT)
        said = client.output().strip()
    report.check("cancel", status == 1 and "canceling statement" in said, said.splitlines()[-1])


def check_control(report, port):
    """Commands to pgbouncer itself: pause, resume, reload."""
    for command in ("pause", "resume", "reload"):
        psql(port, "pgbouncer", command)
    answer = psql(port, "pooled", "select 'after the pause'").strip()
    version = psql(port, "pgbouncer", "show version").strip()
    report.check("control", answer == "after the pause", f"{version} paused, resumed and reloaded")


def drive(swap, report, server):
    folder, database_port = server
    port = stock.free_port()
    settings = pathlib.Path(folder, "pgbouncer.ini")
    settings.write_text(SETTINGS.format(folder=folder, database_port=database_port, port=port, pool=POOL))
    settings.with_name("users").write_text('"postgres" ""\n')
    other = ["-u", stock.UNPRIVILEGED] if os.geteuid() == 0 else []
    with stock.Server(["pgbouncer", *other, str(settings)], swap) as server:
        server.wait_for_port(port)
        print(f"pgbouncer, our library {server.swap}")
        server.check_mapping(report)
        check_results(report, port)
        check_pool(report, port)
        check_cancel(report, port)
        check_control(report, port)
        server.check_stop(report, signal.SIGINT)


stock.main(drive, "pgbouncer", "postgres", "initdb", "psql", "pgbench", around=database)
