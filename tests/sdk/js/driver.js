// The official JavaScript client on a string: commands in, events out, both JSON. The same code
// runs in Node and in a page.

const encode = data => new TextEncoder().encode(JSON.stringify(data));
const decode = bytes => (bytes.length ? JSON.parse(new TextDecoder().decode(bytes)) : undefined);

const RECONNECT = { minReconnectDelay: 50, maxReconnectDelay: 200 };

/**
 * `sdk` has the SDK's class for each protocol, `environment` what it cannot find by itself, and
 * `say` takes an event. Returns the function that obeys a command.
 */
export function driver({ sdk, environment, say }) {
  const clients = new Map();
  const commands = {
    connect(options) {
      const { as, transport, endpoint, emulation, protocol, token, data, name, version } = options;
      const client = { protocol, takeToken: () => {} };
      const binary = protocol === 'protobuf';
      const where = transport === 'websocket' ? endpoint : [{ transport, endpoint }];
      client.sdk = new sdk[protocol](where, {
        ...environment,
        ...RECONNECT,
        emulationEndpoint: emulation,
        maxServerPingDelay: options.ping_slack_ms,
        // Who brings data brings no token: a backend says who it is.
        ...(data === undefined ? { token } : { data: binary ? encode(data) : data }),
        name,
        version,
        getToken: data !== undefined ? null : () => new Promise(resolve => {
          client.takeToken = resolve;
          say({ as, event: 'token_wanted' });
        }),
      });
      clients.set(as, client);
      client.sdk
        .on('connecting', ({ code, reason }) => say({ as, event: 'connecting', code, reason }))
        .on('connected', ({ client, data }) => {
          // Where JSON has nothing, Protobuf has no bytes.
          const told = binary && data ? decode(data) : data;
          say({ as, event: 'connected', client, data: told });
        })
        .on('disconnected', ({ code, reason }) => say({ as, event: 'disconnected', code, reason }))
        .on('message', ({ data }) => say({ as, event: 'message', data }))
        .on('error', ({ type, error }) => say({ as, event: 'error', type, error }))
        .connect();
    },
    token({ as, token }) {
      clients.get(as).takeToken(token);
    },
    async rpc({ as, method, data }) {
      const { sdk: client, protocol } = clients.get(as);
      const binary = protocol === 'protobuf';
      const sent = binary ? encode(data) : data;
      try {
        const { data: answer } = await client.rpc(method, sent);
        say({ as, event: 'reply', data: binary ? decode(answer) : answer });
      } catch ({ code, message }) {
        say({ as, event: 'reply', error: { code, message } });
      }
    },
    disconnect({ as }) {
      clients.get(as).sdk.disconnect();
    },
  };
  return command => commands[command.do](command);
}
