"""The HTTP API as cent 5 speaks it: every call it has, and what each is told here.

Usage: api_cent.py API_URL API_KEY. A server with two sessions of user 42.
"""

import asyncio
import inspect
import sys

import cent
from cent import dto

USER = "42"
# Calls that need channels, or parts of Centrifugo that are not here, and what they are told.
REFUSED = {
    "publish": 108, "broadcast": 108, "presence": 108, "presence_stats": 108, "history": 108,
    "history_remove": 108, "subscribe": 102,
    "device_register": 104, "device_update": 104, "device_remove": 104, "device_list": 104,
    "device_topic_list": 104, "device_topic_update": 104, "user_topic_list": 104,
    "user_topic_update": 104, "send_push_notification": 104, "update_push_status": 104,
    "cancel_push": 104,
}
CARRIED_OUT = [
    "block_user", "unblock_user", "revoke_token", "invalidate_user_tokens",
    "update_user_status", "get_user_status", "delete_user_status",
]


def request_of(name):
    """A request of this call, with every required field filled."""
    model = getattr(dto, "".join(word.title() for word in name.split("_")) + "Request")
    fields = {"user": "nobody", "users": ["nobody"], "uid": "none"}
    values = {}
    for field, about in model.model_fields.items():
        if not about.is_required():
            continue
        kind = about.annotation
        values[field] = fields.get(field, [] if "List" in str(kind) or "list" in str(kind) else "x")
        if inspect.isclass(kind) and hasattr(kind, "model_fields"):
            values[field] = kind.model_construct()
    return model.model_construct(**values)


def check(client, call):
    listed = call(client.connections, dto.ConnectionsRequest(user=USER, expression=""))
    assert len(listed.connections) == 2, listed
    for info in listed.connections.values():
        assert info.user == USER and info.transport == "uni_http_stream", info
    info = call(client.info, dto.InfoRequest())
    assert info.nodes[0].num_clients == 2, info
    call(client.refresh, dto.RefreshRequest(user=USER, expire_at=4_000_000_000))
    call(client.unsubscribe, dto.UnsubscribeRequest(user=USER, channel="news"))
    assert call(client.channels, dto.ChannelsRequest()).channels == {}
    batch = [dto.InfoRequest(), dto.DisconnectRequest(user="nobody")]
    told = call(client.batch, dto.BatchRequest(requests=batch))
    assert told.replies[0].nodes[0].num_clients == 2, told
    keep = next(iter(listed.connections))
    call(client.disconnect, dto.DisconnectRequest(user=USER, whitelist=[keep]))
    left = call(client.connections, dto.ConnectionsRequest(user=USER, expression=""))
    assert list(left.connections) == [keep], left
    checked = {"connections", "info", "refresh", "unsubscribe", "channels", "batch", "disconnect"}
    for name in CARRIED_OUT:
        call(getattr(client, name), request_of(name))
        checked.add(name)
    for name, code in REFUSED.items():
        try:
            call(getattr(client, name), request_of(name))
            raise AssertionError(f"{name}: an error was expected")
        except cent.CentApiResponseError as error:
            assert error.code == code, (name, error.code, error.message)
        checked.add(name)
    known = {name for name, _ in inspect.getmembers(cent.Client, inspect.isfunction)}
    unchecked = {name for name in known if not name.startswith("_")} - checked - {"close"}
    assert not unchecked, unchecked
    return sorted(checked)


async def check_async(url, key):
    client = cent.AsyncClient(url, key)
    listed = await client.connections(dto.ConnectionsRequest(user=USER, expression=""))
    assert len(listed.connections) == 1, listed
    await client.close()


def main(url, key):
    client = cent.Client(url, key)
    checked = check(client, lambda method, *request: method(*request))
    try:
        cent.Client(url, "wrong").info(dto.InfoRequest())
        raise AssertionError("an error was expected")
    except cent.CentUnauthorizedError:
        pass
    asyncio.run(check_async(url, key))
    print("called", *checked)


if __name__ == "__main__":
    main(*sys.argv[1:])
