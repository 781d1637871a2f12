#!/usr/bin/env python3
"""Lua scripts use the library through the stock Lua bindings: descriptors, buffers, timers and signals."""
import contextlib
import signal
import socket
import subprocess
import tempfile

import stock

CONNECTIONS = 20
LINES = 300

# The bindings take a userdata that knows its descriptor; files stand in for sockets here. They delete
# an event that the script does not keep.
SCRIPT = """
local core = require("luaevent.core")
local base = core.new()
local descriptors, kept, open, answered, ticks = {}, {}, 0, 0, 0
debug.getmetatable(io.stdin).__index.getfd = function(file) return descriptors[file] end

for _, descriptor in ipairs(arg) do
  local file, input, output = io.open("/dev/null"), core.buffer.new(), core.buffer.new()
  descriptors[file], open = tonumber(descriptor), open + 1
  kept[#kept + 1] = base:addevent(file, core.EV_READ, function()
    if (input:read(file, 65536) or 0) <= 0 then
      open = open - 1
      if open == 0 then print("all closed, " .. answered .. " lines") end
      return core.LEAVE
    end
    local copy, line = core.buffer.new(), input:readline()
    while line do
      copy:add(line:upper(), "\\n")
      answered, line = answered + 1, input:readline()
    end
    output:add(copy)
    while output:length() > 0 do output:write(file) end
    return core.EV_READ
  end)
end
kept[#kept + 1] = base:addevent(nil, core.EV_TIMEOUT, function()
  ticks = ticks + 1
  if ticks == 10 then print("ten ticks") end
  return core.EV_TIMEOUT, 0.01
end, 0.01)
kept[#kept + 1] = base:addevent(%d, core.EV_SIGNAL, function()
  print("signal")
  base:loopexit()
  return core.LEAVE
end)
io.stdout:setvbuf("no")
print("libevent " .. core.libevent_version() .. " with " .. base:method())
base:loop()
print("left")
""" % signal.SIGUSR1


def talk(connections):
    """Sends lines over all, and compares the answers; returns how many were right."""
    answers = [connection.makefile("rb") for connection in connections]
    right = 0
    for start in range(0, LINES, 100):
        numbers = range(start, start + 100)
        for index, connection in enumerate(connections):
            connection.sendall(b"".join(b"line %d of %d\n" % (number, index) for number in numbers))
        for index, answer in enumerate(answers):
            wanted = b"".join(b"LINE %d OF %d\n" % (number, index) for number in numbers)
            right += answer.read(len(wanted)) == wanted
    for answer in answers:
        answer.close()
    return right


def drive(swap, report):
    with contextlib.ExitStack() as stack:
        script = stack.enter_context(tempfile.NamedTemporaryFile("w"))
        script.write(SCRIPT)
        script.flush()
        pairs = [socket.socketpair() for _ in range(CONNECTIONS)]
        for near, far in pairs:
            near.settimeout(20)
            far.setblocking(False)
        descriptors = [far.fileno() for _, far in pairs]
        lua = stack.enter_context(stock.Server(["lua5.4", script.name, *map(str, descriptors)], swap, pass_fds=descriptors))
        for _, far in pairs:
            far.close()
        lua.wait_for_output("libevent ")
        print(f"lua5.4, our library {lua.swap}: {lua.output().strip()}")
        lua.check_mapping(report)
        right = talk([near for near, _ in pairs])
        report.check("lines", right == CONNECTIONS * LINES // 100, f"{LINES * CONNECTIONS} lines over {CONNECTIONS} connections")
        for near, _ in pairs:
            near.close()
        lua.wait_for_output(f"all closed, {CONNECTIONS * LINES} lines")
        lua.wait_for_output("ten ticks")
        report.check("closed", True, "the script has seen the ends of all, and ten ticks")
        lua.process.send_signal(signal.SIGUSR1)
        status = lua.wait()
        report.check("exit", status == 0 and lua.output().endswith("signal\nleft\n"), f"status {status} after a signal")


@contextlib.contextmanager
def bindings():
    try:
        stock.run(["lua5.4", "-e", 'require("luaevent.core")'])
    except subprocess.CalledProcessError as problem:
        stock.skip(f"no bindings for Lua: {problem.stderr}")
    yield


stock.main(drive, "lua5.4", around=bindings)
