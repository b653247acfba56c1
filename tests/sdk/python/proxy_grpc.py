"""A backend over gRPC, its code generated from docs/proxy.proto. Every question is printed as a line of JSON,
with its metadata; the answer is what the client's data asks for, as Protobuf in JSON, and for a refresh what
the user's name asks for:

    {"result": {"user": "ann"}}   this answer
    {"code": "UNAVAILABLE"}       this status
    {"then": "hang"}              none, until the other end leaves; then {"left": true} is printed

Usage: proxy_grpc.py PORT PROTO [CERTIFICATE KEY]
"""

import base64
import concurrent.futures
import importlib
import json
import pathlib
import sys
import tempfile
import threading

import grpc
from google.protobuf import json_format
from grpc_tools import protoc

speaking = threading.Lock()


def say(line):
    with speaking:
        print(json.dumps(line), flush=True)


def generated(proto):
    """The modules that protoc makes of a file, as any user of it makes them."""
    folder = tempfile.mkdtemp()
    path = pathlib.Path(proto)
    arguments = ["", f"-I{path.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, path.name]) == 0, "protoc refuses the file"
    sys.path.insert(0, folder)
    return importlib.import_module("proxy_pb2"), importlib.import_module("proxy_pb2_grpc")


pb, pb_grpc = generated(sys.argv[2])


class Backend(pb_grpc.CentrifugoProxyServicer):
    def Connect(self, request, context):
        return self.answer("Connect", request, context, pb.ConnectResponse(), request.data)

    def Refresh(self, request, context):
        return self.answer("Refresh", request, context, pb.RefreshResponse(), request.user)

    def answer(self, method, request, context, response, wanted):
        metadata = [[name, value if isinstance(value, str) else base64.b64encode(value).decode()]
                    for name, value in context.invocation_metadata()]
        question = json_format.MessageToDict(request, preserving_proto_field_name=True)
        say({"method": method, "metadata": metadata, "question": question,
             "seconds": context.time_remaining()})
        wanted = json.loads(wanted or "{}")
        if wanted.get("then") == "hang":
            left = threading.Event()
            context.add_callback(left.set)
            left.wait()
            say({"left": True})
        if "code" in wanted:
            context.abort(grpc.StatusCode[wanted["code"]], "TOPSECRET-details")
        return json_format.ParseDict(wanted, response)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
pb_grpc.add_CentrifugoProxyServicer_to_server(Backend(), server)
address = f"127.0.0.1:{sys.argv[1]}"
if len(sys.argv) > 3:
    certificate, key = [pathlib.Path(path).read_bytes() for path in sys.argv[3:5]]
    port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port(address)
server.start()
say({"listens": port})
server.wait_for_termination()
