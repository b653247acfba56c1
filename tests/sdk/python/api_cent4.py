"""The HTTP API as cent 4.1 speaks it: the grammar of Centrifugo v3, every call it has.

Usage: api_cent4.py API_URL API_KEY, with cent 4.1 on the path. A server with two sessions of 42.
"""

import sys

import cent

USER = "42"


def main(url, key):
    client = cent.Client(url, api_key=key, timeout=20)
    assert client.info()["nodes"][0]["num_clients"] == 2
    assert client.channels() == {}
    client.unsubscribe(USER, "news")
    refused = {
        "subscribe": (102, (USER, "news")),
        "publish": (108, ("news", {"a": 1})),
        "broadcast": (108, (["news"], {"a": 1})),
        "presence": (108, ("news",)),
        "presence_stats": (108, ("news",)),
        "history": (108, ("news",)),
        "history_remove": (108, ("news",)),
    }
    for name, (code, arguments) in refused.items():
        try:
            getattr(client, name)(*arguments)
            raise AssertionError(f"{name}: an error was expected")
        except cent.ResponseError as error:
            assert f"code: {code}" in str(error) or str(code) in str(error), (name, error)
    # Calls it has no method for, several in one body.
    client.add("user_connections", {"user": USER})
    client.add("info", {})
    listed, info = (reply["result"] for reply in client.send())
    assert len(listed["connections"]) == 2, listed
    assert all(it["transport"] == "uni_http_stream" for it in listed["connections"].values())
    assert info["nodes"][0]["num_users"] == 1, info
    client.disconnect(USER)
    client.add("user_connections", {"user": USER})
    assert client.send()[0]["result"] == {"connections": {}}
    print("called")


if __name__ == "__main__":
    main(*sys.argv[1:])
