// The page that describes the server API in a real browser, used as a person would use it, by the
// keyboard and at the width of a phone. Says every thing that is wrong, or what it has called.
//
// Usage: swagger.js BROWSER PAGE API_KEY USER. A server with two sessions of this user.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [browserPath, address, key, user] = process.argv.slice(2);
const complaints = [];
const browser = await chromium.launch({ executablePath: browserPath, headless: true });
try {
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 360, height: 740 } });
    page.on('console', message => {
      // A refusal is a refusal: the browser notes each as an error of the network.
      if (message.text().includes('status of 401')) return;
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', error => complaints.push(error.stack));
    page.on('request', request => {
      if (new URL(request.url()).origin !== new URL(address).origin)
        complaints.push(`another host is asked: ${request.url()}`);
    });
    await use(page);
    await page.close();
  }
} finally {
  await browser.close();
}
assert.deepEqual(complaints, []);
console.log('called connections, watch');

async function use(page) {
  await page.goto(address);
  const document = await (await page.request.get(new URL('openapi.json', address).href)).json();
  const listed = page.locator('details.call');
  await listed.first().waitFor();
  assert.equal(await listed.count(), Object.keys(document.paths).length);

  // Without the key the call is refused, and the page says why.
  await page.locator('#connections > summary').focus();
  await page.keyboard.press('Enter');
  const call = page.locator('#connections');
  const body = call.getByLabel('Body');
  await body.fill(JSON.stringify({ user }));
  await body.press('Control+Enter');
  await call.getByRole('status').getByText('401').waitFor();

  await page.getByLabel('Key').fill(key);
  await call.getByRole('button', { name: 'Send' }).press('Enter');
  await call.getByRole('status').getByText('200').waitFor();
  const reply = JSON.parse(await call.getByLabel('Reply').textContent());
  const users = Object.values(reply.result.connections).map(info => info.user);
  assert.deepEqual(users, [user, user]);
  const curl = await call.getByText('curl \'').textContent();
  assert.ok(curl.includes('/api/connections') && !curl.includes(key), curl);
  for (const [field, { description }] of
    Object.entries(document.components.schemas.ConnectionsRequest.properties)) {
    const term = call.locator('dt', { has: page.locator(`code:text-is("${field}")`) }).first();
    assert.equal(await term.locator('+ dd').textContent(), description, field);
  }

  // A stream shows what comes, and ends when it is told to.
  const watch = page.locator('#watch');
  await watch.locator('summary').click();
  await watch.getByLabel('Body').fill(JSON.stringify({ user }));
  await watch.getByRole('button', { name: 'Send' }).click();
  await watch.locator('.reply', { hasText: '"type":"ready"' }).waitFor();
  await watch.getByRole('button', { name: 'Stop' }).click();
  await watch.getByRole('status').getByText('Stopped.').waitFor();

  // Every call opened: nothing is wider than a phone.
  await listed.evaluateAll(calls => calls.forEach(call => { call.open = true; }));
  await page.locator('details.call > div').nth(await listed.count() - 1).waitFor();
  const [wide, wanted] = await page.evaluate(() =>
    [window.document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= wanted, `${wide} of ${wanted} pixels`);
}
