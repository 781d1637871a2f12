#!/usr/bin/env python3
"""Stock Open MPI runs a job of two processes that add and exchange numbers; both launcher and job use libevent."""
import json
import os
import sys

import stock

# One process of the job: Python with the MPI library through its C interface.
JOB = r"""
import array, ctypes, json, os, sys
mpi = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
handle = lambda name: ctypes.byref(ctypes.c_char.in_dll(mpi, name))
world, number, add = handle("ompi_mpi_comm_world"), handle("ompi_mpi_int"), handle("ompi_mpi_op_sum")
rank, size, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
mpi.MPI_Init(None, None)
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
mpi.MPI_Comm_size(world, ctypes.byref(size))
right = 0
for turn in range(1000):
    mine = ctypes.c_int(turn * (rank.value + 1))
    mpi.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(total), 1, number, add, world)
    right += total.value == turn * 3
count = 1 << 18
out, into = (ctypes.c_int * count)(*[rank.value + 7] * count), (ctypes.c_int * count)()
other = 1 - rank.value
mpi.MPI_Sendrecv(out, count, number, other, 0, into, count, number, other, 0, world, None)
exchanged = sum(into) == count * (other + 7)
with open("/proc/self/maps") as maps:
    files = {line.split()[5] for line in maps if "/libevent" in line}
with open("/proc/%d/maps" % os.getppid()) as maps:
    launcher = {line.split()[5] for line in maps if "/libevent" in line}
mpi.MPI_Finalize()
print(json.dumps(dict(rank=rank.value, size=size.value, right=right, exchanged=exchanged,
                      files=sorted(files), launcher=sorted(launcher))))
"""


def answers(said):
    """The objects in the output. mpirun may pass on the line end of one process behind another's text."""
    decoder = json.JSONDecoder()
    position = said.find("{")
    while position >= 0:
        answer, position = decoder.raw_decode(said, position)
        yield answer
        position = said.find("{", position)


def drive(swap, report):
    other = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    command = ["mpirun", *other, "--oversubscribe", "--mca", "btl", "self,vader,tcp", "--mca", "btl_tcp_if_include", "lo",
               "--mca", "oob_tcp_if_include", "lo", "-np", "2", sys.executable, "-c", JOB]
    with stock.Server(command, swap) as job:
        print(f"openmpi, our library {job.swap}")
        status = job.wait(30)
        said = job.output()
        found = list(answers(said))
        for which in ("launcher", "files"):
            files = {file for one in found for file in one[which]}
            holds = files and all(file.startswith(str(stock.LIBRARIES)) for file in files)
            report.check("libraries", holds, f"{'launcher' if which == 'launcher' else 'job'}: {', '.join(sorted(files))}")
        holds = sorted(one["rank"] for one in found) == [0, 1] and all(
            one["size"] == 2 and one["right"] == 1000 and one["exchanged"] for one in found)
        report.check("job", holds, f"{len(found)} processes, 1,000 sums each, a megabyte exchanged")
        report.check("exit", status == 0, f"status {status}")
        if status != 0 or not holds:
            print(said)


stock.main(drive, "mpirun")
