// The API console: forms from the document, the line for curl, replies, streams.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { device, given, go, newPage, open, play, until } from './stage.js';

await play(async () => {
  await device('42', { claims: { meta: { exact: 9007199254740993n.toString() } } });
  const page = await newPage();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page, '#/console');
  const described = await (await page.request.get(new URL('openapi.json', given.page).href)).json();
  const methods = Object.keys(described.paths).map(path => path.slice(1));
  assert.deepEqual(await page.getByRole('navigation', { name: 'Calls' }).getByRole('link').allTextContents(), methods);

  // Every call has a form with every one of its fields.
  for (const method of methods) {
    await go(page, `#/console/${method}`);
    await page.getByRole('heading', { name: method, exact: true }).waitFor();
    const { $ref } = described.paths[`/${method}`].post.requestBody.content['application/json'].schema;
    for (const name of Object.keys(described.components.schemas[$ref.split('/').at(-1)].properties ?? {}))
      await page.locator('.call form code').getByText(name, { exact: true }).first().waitFor();
  }

  await go(page, '#/console/connections');
  await page.getByLabel('user', { exact: false }).first().fill('42');
  await page.getByLabel(/^limit/).fill('many');
  await page.getByText('A whole number.').waitFor();
  await page.getByLabel(/^limit/).fill('5');
  await page.keyboard.press('Control+Enter');
  await page.getByText('200 OK').waitFor();
  const reply = JSON.parse(await page.getByRole('region', { name: 'Reply' }).textContent());
  assert.equal(reply.result.count, 1);

  // The line does what the page did.
  await page.getByRole('button', { name: 'Copy the line for curl' }).click();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(line.includes('"limit":5') && !line.includes(given.key), line);
  const said = execFileSync('sh', ['-c', `${line} -s`], { env: { ...process.env, KEY: given.key } });
  assert.deepEqual(JSON.parse(said.toString()).result.clients, reply.result.clients);

  // What is written by hand is what the form shows.
  await page.getByRole('button', { name: 'JSON' }).click();
  await page.getByRole('textbox', { name: 'Request' }).fill('{"user": "42", "group_by"');
  await page.getByText('This is not JSON').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await page.getByRole('textbox', { name: 'Request' }).fill('{"user": "42", "group_by": "transport"}');
  await page.getByRole('button', { name: 'Form' }).click();
  assert.equal(await page.getByLabel(/^group_by/).inputValue(), 'transport');

  // A mistake is the server's to explain.
  await page.getByLabel(/^group_by/).fill('weather');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('region', { name: 'Reply' }).getByText('"error"').waitFor();

  // What changes something is asked about first.
  await go(page, '#/console/disconnect');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('dialog').getByText('can change things').waitFor();
  await page.getByRole('button', { name: 'Send it' }).click();
  await until('it is closed', async () =>
    (await page.getByRole('region', { name: 'Reply' }).textContent()).includes('"closed": 1'));

  await go(page, '#/console/watch');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('region', { name: 'Reply' }).getByText('"ready"').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
});
