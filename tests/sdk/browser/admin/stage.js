// What all plays on the admin page need: a browser that notes every complaint, devices that are the
// official SDK, and the one line to the test that started them.
//
// Usage: PLAY.js '{"browser", "page", "websocket", "api", "key", "secret", "password"}'. Says what is
// wrong and fails, or says "played" at the end. Every other line asks for something to be done to the
// server; a line comes back when it is.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';

export const given = JSON.parse(process.argv[2]);

const PATIENCE_MS = 20_000;

const complaints = [];

/** A refusal is a refusal: the browser notes each as an error of the network. */
let expected = [/status of (400|401|429)/];

/** While the server is away requests fail, and streams break off. */
export async function whileItIsAway(act) {
  const before = expected;
  expected = [...before, /net::ERR_|status of 50[234]/];
  await act();
  expected = before;
}

const browser = await chromium.launch({ executablePath: given.browser, headless: true });

export async function newPage(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`the policy forbids ${violatedDirective} of ${blockedURI}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on('console', message => {
    if (expected.some(pattern => pattern.test(message.text()))) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(error.stack));
  page.on('request', request => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== new URL(given.page).origin)
      complaints.push(`another host is asked: ${url}`);
  });
  return page;
}

/** Opens a place of the page, and signs in when it asks. */
export async function open(page, place = '') {
  await page.goto(given.page + place);
  await signIn(page);
}

export async function signIn(page, password = given.password) {
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Password').press('Enter');
}

/** Goes to another place as a link would. */
export async function go(page, place) {
  await page.evaluate(place => { location.hash = place; }, place);
}

export async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await holds();
    if (found) return found;
    assert.ok(Date.now() < end, `never so: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

export const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 '
  + '(KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1';
export const CHROME = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 '
  + '(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

function token(claims) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', given.secret).update(signed).digest('base64url')}`;
}

/** Connects the SDK as this user; `ended` holds code and reason once it was told to stay away. */
export async function device(user, { name = 'web', version = '1.0', agent = CHROME, claims = {} } = {}) {
  class Named extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers: { 'User-Agent': agent } });
    }
  }
  const made = { connects: 0, ended: null };
  made.sdk = new Centrifuge(given.websocket, {
    websocket: Named, name, version, token: token({ sub: user, iat: now() - 60, ...claims }),
    minReconnectDelay: 50, maxReconnectDelay: 200,
  });
  made.sdk
    .on('connected', ({ client }) => {
      made.connects += 1;
      made.client = client;
    })
    .on('disconnected', ({ code, reason }) => { made.ended = { code, reason }; })
    .connect();
  await until(`${user} connects`, () => made.client ?? made.ended);
  return made;
}

export const now = () => Math.floor(Date.now() / 1000);

/** The server API, as a backend asks it. */
export async function api(method, params) {
  const response = await fetch(`${given.api}/${method}`, {
    method: 'POST', headers: { 'X-API-Key': given.key }, body: JSON.stringify(params),
  });
  const { result, error } = await response.json();
  assert.equal(error, undefined, `${method}: ${error?.message}`);
  return result;
}

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has something done to the server: `stop`, `start` or `change the secret`. */
export async function server(what) {
  console.log(what);
  await answers.next();
}

/** Everything of the page fits into the window. */
export async function fits(page, what) {
  const [wide, wanted] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= wanted, `${what}: ${wide} of ${wanted} pixels`);
}

export async function play(story) {
  try {
    await story();
    assert.deepEqual(complaints, []);
  } catch (error) {
    console.error(error, complaints);
    process.exit(1);
  }
  console.log('played');
  process.exit(0);
}
