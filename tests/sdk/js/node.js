// The official JavaScript client in Node: one JSON line per command on stdin, per event on stdout.
// It ends with its stdin.

import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';
import { driver } from './driver.js';

const say = event => process.stdout.write(JSON.stringify(event) + '\n');
const obey = driver({
  sdk: { json: Centrifuge, protobuf: ProtobufCentrifuge },
  environment: { websocket: WebSocket, eventsource: EventSource },
  say,
});
createInterface({ input: process.stdin })
  .on('line', line => obey(JSON.parse(line)))
  .on('close', () => process.exit());
say({ event: 'ready' });
