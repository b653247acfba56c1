// How the page words what it shows, and which selector its filters mean: its modules, asked in a page.

import assert from 'node:assert/strict';
import { CHROME, SAFARI, newPage, open, play } from './stage.js';

const DEVICES = [
  [{ user_agent: SAFARI }, 'phone', 'Safari on iPhone'],
  [{ user_agent: CHROME }, 'desktop', 'Chrome on Mac'],
  [{ user_agent: `${CHROME} Edg/142.0.0.0` }, 'desktop', 'Edge on Mac'],
  [{ user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0' }, 'desktop', 'Firefox on Linux'],
  [{ user_agent: 'Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/AB1) Chrome/142.0 Mobile Safari/537.36' }, 'phone', 'Chrome on Pixel 10'],
  [{ user_agent: 'Mozilla/5.0 (iPad; CPU OS 26_0 like Mac OS X) Version/26.0 Safari/604.1' }, 'tablet', 'Safari on iPad'],
  [{ user_agent: 'MyApp/5.2 (Android 16; Galaxy S26)' }, 'phone', 'Galaxy S26'],
  [{ user_agent: 'okhttp/5.0.0', app_name: 'bot' }, 'program', 'okhttp'],
  [{ app_name: 'sensor', transport: 'websocket' }, 'program', 'sensor'],
  [{ transport: 'sse' }, 'program', 'sse'],
];

const LENGTHS = [[0, '0 s', '0 s'], [59_999, '59 s', '59 s'], [60_000, '1 min', '1 min'],
  [3_725_000, '1 h', '1 h 2 min'], [90_000_000, '1 d', '1 d 1 h']];

const SELECTORS = [
  [{}, { all_users: true }],
  [{ user: '42' }, { users: ['42'] }],
  [{ user: '""' }, { users: [''] }],
  [{ user: '"bob*"' }, { users: ['bob*'] }],
  [{ user: '"bob' }, { users: ['"bob'] }],
  [{ user: 'a"b*' }, { all_users: true, expression: 'user.startsWith("a\\"b")' }],
  [{ protocol: 'json', expression: 'a || b' }, { all_users: true, expression: '(protocol == "json") && (a || b)' }],
  [{ app: 'ios', version: '1', transport: 'sse' }, { all_users: true, app_name: 'ios', app_version: '1', transport: 'sse' }],
  [{ label: 'a=1' }, { all_users: true, label_filter: { key: 'a', cmp: 'eq', val: '1' } }],
  [{ label: 'a^=1, !b,c' }, { all_users: true, label_filter: { op: 'and', nodes: [
    { key: 'a', cmp: 'sw', val: '1' }, { key: 'b', cmp: 'nex' }, { key: 'c', cmp: 'ex' }] } }],
];

const MISTAKES = [[{ older: '2h', newer: '1.5d' }, []], [{ older: 'soon' }, ['older']], [{ newer: '-1' }, ['newer']],
  [{ label: '=1' }, ['label']], [{ label: '!a=1' }, ['label']]];

await play(async () => {
  const page = await newPage();
  await open(page);
  const ask = (module, name, ...args) => page.evaluate(
    async ([module, name, args]) => (await import(new URL(module, location.href).href))[name](...args), [module, name, args]);
  for (const [session, kind, title] of DEVICES)
    assert.deepEqual(await ask('device.js', 'deviceOf', session), { kind, title });
  for (const [ms, short, long] of LENGTHS)
    assert.deepEqual([await ask('format.js', 'span', ms), await ask('format.js', 'longSpan', ms)], [short, long]);
  for (const [filters, selector] of SELECTORS) assert.deepEqual(await ask('selector.js', 'selectorOf', filters), selector);
  for (const user of ['', 'bob', 'bob*', '*', '"bob"', 'a"b'])
    assert.deepEqual(await ask('selector.js', 'selectorOf', { user: await ask('selector.js', 'filterOfUser', user) }), { users: [user] });
  for (const [filters, names] of MISTAKES)
    assert.deepEqual(Object.keys(await ask('selector.js', 'mistakes', filters)), names);
  for (const [code, comesBack] of [[3000, true], [3499, true], [3500, false], [4000, true], [4499, true], [4500, false], [4999, false]])
    assert.equal(await ask('format.js', 'comesBack', code), comesBack);
  // Numbers that JavaScript cannot hold stay as they are.
  const exact = '{"big":12345678901234567890,"a":[1,"x:{y"],"e":{}}';
  const shown = await ask('json.js', 'indented', exact);
  assert.equal(shown.replaceAll(/\s/g, ''), exact);
  assert.ok(shown.includes('"big": 12345678901234567890,\n'));
});
