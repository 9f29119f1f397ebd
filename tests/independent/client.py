"""Drives a runner with an implementation of the protocol that is not ours.

    client.py SOCKET

Builds calls with PyPI a6pluginprotos (which is of protocol 0.2, before later
fields were added) and checks the replies of the example filters. Every check
prints a line; the exit status says whether all of them held.
"""

import socket
import struct
import sys

import flatbuffers
from A6 import TextEntry
from A6.Err import Code, Resp as ErrResp
from A6.HTTPReqCall import Action, Req as CallReq, Resp as CallResp, Rewrite, Stop
from A6.PrepareConf import Req as ConfReq, Resp as ConfResp

RPC_ERROR, RPC_PREPARE_CONF, RPC_HTTP_REQ_CALL = 0, 1, 2


def entries(builder, start, pairs):
    made = []
    for name, value in pairs:
        name, value = builder.CreateString(name), builder.CreateString(value)
        TextEntry.Start(builder)
        TextEntry.AddName(builder, name)
        TextEntry.AddValue(builder, value)
        made.append(TextEntry.End(builder))
    start(builder, len(made))
    for entry in reversed(made):
        builder.PrependUOffsetTRelative(entry)
    return builder.EndVector()


def prepare_conf(plugins):
    builder = flatbuffers.Builder(256)
    conf = entries(builder, ConfReq.StartConfVector, plugins)
    ConfReq.Start(builder)
    ConfReq.AddConf(builder, conf)
    builder.Finish(ConfReq.End(builder))
    return bytes(builder.Output())


def http_req_call(token, call_id, path, args, headers):
    builder = flatbuffers.Builder(1024)
    path = builder.CreateString(path)
    args = entries(builder, CallReq.StartArgsVector, args)
    headers = entries(builder, CallReq.StartHeadersVector, headers)
    address = builder.CreateByteVector(bytes([127, 0, 0, 1]))
    CallReq.Start(builder)
    CallReq.AddId(builder, call_id)
    CallReq.AddConfToken(builder, token)
    CallReq.AddSrcIp(builder, address)
    CallReq.AddPath(builder, path)
    CallReq.AddArgs(builder, args)
    CallReq.AddHeaders(builder, headers)
    builder.Finish(CallReq.End(builder))
    return bytes(builder.Output())


class Runner:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)

    def exchange(self, rpc_type, payload):
        self.socket.sendall(bytes([rpc_type]) + struct.pack(">I", len(payload))[1:] + payload)
        header = self.receive(4)
        length = struct.unpack(">I", b"\0" + header[1:])[0]
        return header[0], bytearray(self.receive(length))

    def receive(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                sys.exit("the runner closed the connection")
            data += part
        return data

    def token(self, plugins):
        rpc_type, payload = self.exchange(RPC_PREPARE_CONF, prepare_conf(plugins))
        expect("PrepareConf is answered in its type", rpc_type, RPC_PREPARE_CONF)
        return ConfResp.Resp.GetRootAs(payload).ConfToken()


FAILED = []


def expect(what, found, wanted):
    held = found == wanted
    print("ok  " if held else "FAIL", what, "" if held else f"found {found!r}, not {wanted!r}")
    if not held:
        FAILED.append(what)


def list_of(length, item):
    return [(item(i).Name().decode(), (item(i).Value() or b"").decode()) for i in range(length)]


def action(runner, token, call_id, kind):
    call = http_req_call(token, call_id, "/hello", [("a", "1")], [("host", "localhost")])
    rpc_type, payload = runner.exchange(RPC_HTTP_REQ_CALL, call)
    expect("HTTPReqCall is answered in its type", rpc_type, RPC_HTTP_REQ_CALL)
    reply = CallResp.Resp.GetRootAs(payload)
    expect("the id is echoed", reply.Id(), call_id)
    table = kind()
    if reply.Action() is not None:
        table.Init(reply.Action().Bytes, reply.Action().Pos)
    return reply.ActionType(), table


def main():
    runner = Runner(sys.argv[1])

    kind, stop = action(runner, runner.token([("stop", "{}")]), 0, Stop.Stop)
    expect("stop stops", kind, Action.Action.Stop)
    expect("its status", stop.Status(), 201)
    expect("its headers", list_of(stop.HeadersLength(), stop.Headers), [("X-Resp-A6-Runner", "Python")])
    body = bytes(stop.Body(i) for i in range(stop.BodyLength()))
    expect("its body", body, b"Hello, Python Runner of APISIX")

    kind, rewrite = action(runner, runner.token([("rewrite", "{}")]), 7, Rewrite.Rewrite)
    expect("rewrite rewrites", kind, Action.Action.Rewrite)
    expect("its path", rewrite.Path(), b"/a6/python/runner")
    expect("its headers", list_of(rewrite.HeadersLength(), rewrite.Headers), [("X-Resp-A6-Runner", "Python")])
    expect("its arguments", list_of(rewrite.ArgsLength(), rewrite.Args), [("a6_runner", "Python")])

    kind, _ = action(runner, runner.token([]), 8, Rewrite.Rewrite)
    expect("no plugin changes nothing", kind, Action.Action.NONE)

    call = http_req_call(1, 9, "/", [], [])
    unknown = runner.exchange(RPC_HTTP_REQ_CALL, call)
    expect("an unknown token is an error frame", unknown[0], RPC_ERROR)
    code = ErrResp.Resp.GetRootAs(unknown[1]).Code()
    expect("its code", code, Code.Code.CONF_TOKEN_NOT_FOUND)

    sys.exit(1 if FAILED else 0)


main()
