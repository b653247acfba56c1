// The official JavaScript client in a page of a real browser: serves the page on a port of its
// own, so that its origin is not the server's, and passes commands and events on. The first
// argument is the browser's program.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const FILES = {
  '/': ['./page.html', 'text/html; charset=utf-8'],
  '/driver.js': ['../js/driver.js', 'text/javascript'],
  '/centrifuge.js': ['../node_modules/centrifuge/dist/centrifuge.js', 'text/javascript'],
  '/centrifuge.protobuf.js':
    ['../node_modules/centrifuge/dist/centrifuge.protobuf.js', 'text/javascript'],
};

const site = createServer(async (request, response) => {
  const [file, type] = FILES[request.url] ?? [];
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': type });
  response.end(await readFile(new URL(file, import.meta.url)));
});
await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${site.address().port}`;

const say = event => process.stdout.write(JSON.stringify(event) + '\n');
const browser = await chromium.launch({ executablePath: process.argv[2], headless: true });
const page = await browser.newPage();
page.on('console', message => console.error(`page: ${message.text()}`));
page.on('pageerror', error => console.error(`page: ${error.stack}`));
await page.exposeFunction('say', say);
await page.goto(origin);
await page.waitForFunction(() => globalThis.obey);

createInterface({ input: process.stdin })
  .on('line', line => page.evaluate(command => { obey(command); }, JSON.parse(line)))
  .on('close', async () => {
    await browser.close();
    process.exit();
  });
say({ event: 'ready', origin });
