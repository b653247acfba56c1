"""The server API as Python clients speak it: code generated from docs/api.proto calls every method,
reflection and health answer the standard libraries.

Usage: api_grpc.py GRPC_ADDRESS API_KEY API_PROTO. A server with two sessions of user 42.
"""

import importlib
import json
import pathlib
import sys
import tempfile

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

SERVICE = "centrifugal.centrifugo.api.CentrifugoApi"
USER, UID, PATIENCE_S = "42", "t-1", 20


def generated(proto: str):
    """The modules that protoc makes of a file, as any user of it makes them."""
    folder = tempfile.mkdtemp()
    path = pathlib.Path(proto)
    arguments = ["", f"-I{path.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, path.name]) == 0, "protoc refuses the file"
    sys.path.insert(0, folder)
    name = path.stem
    return importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")


def check_sessions(pb, call):
    listed = call("Connections", pb.ConnectionsRequest(user=USER))
    assert len(listed.result.connections) == 2, listed
    for client, info in listed.result.connections.items():
        assert len(client) == 36 and info.user == USER, listed
        assert json.loads(info.state.meta) == {"plan": "gold"}, listed
        assert info.state.connection_token.uid == UID, listed
    flat = call("UserConnections", pb.UserConnectionsRequest(user=USER))
    assert flat.result.connections.keys() == listed.result.connections.keys(), flat
    info = call("Info", pb.InfoRequest())
    assert info.result.nodes[0].num_clients == 2, info
    assert info.result.nodes[0].metrics.items["rollcall.sessions_opened"] == 2, info
    refreshed = call("Refresh", pb.RefreshRequest(user=USER, expire_at=4_000_000_000))
    assert refreshed.HasField("result"), refreshed
    commands = [
        pb.Command(connections=pb.ConnectionsRequest(user=USER)),
        pb.Command(disconnect=pb.DisconnectRequest()),
        pb.Command(info=pb.InfoRequest()),
    ]
    batch = call("Batch", pb.BatchRequest(commands=commands, parallel=True))
    assert [reply.ListFields()[0][0].name for reply in batch.replies] == [
        "connections",
        "error",
        "info",
    ], batch
    client = next(iter(listed.result.connections))
    reason = pb.Disconnect(code=4001, reason="bye")
    request = pb.DisconnectRequest(user=USER, whitelist=[client], disconnect=reason)
    assert call("Disconnect", request).HasField("result")
    left = call("Connections", pb.ConnectionsRequest(user=USER))
    assert list(left.result.connections) == [client], left


def check_channels(pb, call):
    assert not call("Channels", pb.ChannelsRequest()).result.channels
    assert call("Unsubscribe", pb.UnsubscribeRequest(user=USER)).HasField("result")
    assert call("Subscribe", pb.SubscribeRequest(channel="news")).error.code == 102


def check_watch(pb, stub, metadata):
    """A watch begins with the sessions there are; it ends when its caller has had enough."""
    events = stub.Watch(pb.WatchRequest(user=USER), metadata=metadata, timeout=PATIENCE_S)
    snapshot, ready = next(events), next(events)
    assert [info.user for info in snapshot.connections.values()] == [USER], snapshot
    assert (ready.type, ready.count) == ("ready", 1), ready
    events.cancel()


def check_errors(pb, stub, metadata):
    failed = stub.Disconnect(pb.DisconnectRequest(), metadata=metadata, timeout=PATIENCE_S)
    assert failed.error.code == 107 and "nobody is selected" in failed.error.message, failed
    by_status = (*metadata, ("x-centrifugo-error-mode", "transport"))
    try:
        stub.Disconnect(pb.DisconnectRequest(), metadata=by_status, timeout=PATIENCE_S)
        raise AssertionError("an error was expected")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert error.details() == failed.error.message, error
    try:
        stub.Info(pb.InfoRequest(), metadata=(("authorization", "apikey wrong"),), timeout=PATIENCE_S)
        raise AssertionError("an error was expected")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error


def check_every_method_is_there(pb, stub, metadata):
    """What a request without parameters is told is a response, never a status."""
    methods = pb.DESCRIPTOR.services_by_name["CentrifugoApi"].methods
    for method in methods:
        if method.server_streaming:
            continue
        request = getattr(pb, method.input_type.name)()
        call = getattr(stub, method.name)
        response = call(
            request, metadata=metadata, timeout=PATIENCE_S, compression=grpc.Compression.Gzip
        )
        assert response.DESCRIPTOR.name == method.output_type.name, response
    return [method.name for method in methods]


def check_reflection(channel, pb):
    """As grpcurl walks: services, their methods, every message these need."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services(), database.get_services()
    pool = descriptor_pool.DescriptorPool(database)
    for name in database.get_services():
        for method in pool.FindServiceByName(name).methods:
            assert method.input_type.fields is not None and method.output_type.fields is not None
    told = pool.FindServiceByName(SERVICE)
    known = pb.DESCRIPTOR.services_by_name["CentrifugoApi"]
    assert [method.name for method in told.methods] == [method.name for method in known.methods]
    for name, message in pb.DESCRIPTOR.message_types_by_name.items():
        fields = pool.FindMessageTypeByName(f"centrifugal.centrifugo.api.{name}").fields
        same = [(field.name, field.number, field.type) for field in fields]
        assert same == [(field.name, field.number, field.type) for field in message.fields], name


def main(address: str, key: str, proto: str):
    pb, pb_grpc = generated(proto)
    metadata = (("authorization", f"apikey {key}"),)
    with grpc.insecure_channel(address) as channel:
        stub = pb_grpc.CentrifugoApiStub(channel)

        def call(method, request):
            return getattr(stub, method)(request, metadata=metadata, timeout=PATIENCE_S)

        check_sessions(pb, call)
        check_channels(pb, call)
        check_watch(pb, stub, metadata)
        check_errors(pb, stub, metadata)
        methods = check_every_method_is_there(pb, stub, metadata)
        check_reflection(channel, pb)
        health = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service=SERVICE)
        told = health.Check(asked, timeout=PATIENCE_S)
        assert told.status == health_pb2.HealthCheckResponse.SERVING, told
        watched = next(iter(health.Watch(asked, timeout=PATIENCE_S)))
        assert watched.status == health_pb2.HealthCheckResponse.SERVING, watched
    print("called", *methods)


if __name__ == "__main__":
    main(*sys.argv[1:])
