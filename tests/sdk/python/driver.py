"""The official Python client: one JSON line per command on stdin, per event on stdout. It ends
with its stdin."""

import asyncio
import json
import sys

from centrifuge import CentrifugeError, Client, ClientEventHandler, ReplyError


def say(**event):
    print(json.dumps(event), flush=True)


class Driven(ClientEventHandler):
    """One client and what is asked of it."""

    def __init__(self, command):
        self.label = command["as"]
        self.binary = command["protocol"] == "protobuf"
        self.tokens = None
        self.sdk = Client(
            command["endpoint"],
            events=self,
            token=command["token"],
            get_token=self.get_token,
            use_protobuf=self.binary,
            name=command["name"],
            version=command["version"],
            max_server_ping_delay=command["ping_slack_ms"] / 1000,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.2,
            proxy=None,
        )

    def say(self, event, **more):
        say(**{"as": self.label, "event": event}, **more)

    async def get_token(self):
        wanted = asyncio.get_running_loop().create_future()
        self.tokens = wanted
        self.say("token_wanted")
        return await wanted

    async def on_connecting(self, ctx):
        self.say("connecting", code=ctx.code, reason=ctx.reason)

    async def on_connected(self, ctx):
        data = ctx.data.decode() if isinstance(ctx.data, bytes) else ctx.data
        self.say("connected", client=ctx.client, data=data)

    async def on_disconnected(self, ctx):
        self.say("disconnected", code=ctx.code, reason=ctx.reason)

    async def on_error(self, ctx):
        self.say("error", code=ctx.code, error=repr(ctx.error))

    async def rpc(self, method, data):
        sent = json.dumps(data).encode() if self.binary else data
        try:
            answer = (await self.sdk.rpc(method, sent)).data
            self.say("reply", data=json.loads(answer) if self.binary else answer)
        except ReplyError as error:
            self.say("reply", error={"code": error.code, "message": error.message})
        except CentrifugeError as error:
            self.say("reply", error={"message": repr(error)})


async def main():
    clients, running = {}, set()
    loop = asyncio.get_running_loop()
    say(event="ready")
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        label, does = command["as"], command["do"]
        if does == "token":
            clients[label].tokens.set_result(command["token"])
            continue
        if does == "connect":
            clients[label] = Driven(command)
            work = clients[label].sdk.connect()
        elif does == "rpc":
            work = clients[label].rpc(command["method"], command["data"])
        else:
            work = clients[label].sdk.disconnect()
        task = loop.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)


asyncio.run(main())
