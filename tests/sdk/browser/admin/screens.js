// Every screen in light and in dark, on a desk and on a phone: whole, without a complaint.

import assert from 'node:assert/strict';
import { device, fits, given, go, newPage, open, play, until } from './stage.js';

const PLACES = [
  ['#/overview', 'Who is here'], ['#/sessions', '2 sessions'], ['#/sessions?group=transport', '1 value.'],
  ['#/user/42', 'online'], ['#/user/nobody', 'nobody is not connected'], ['#/console', 'Pick a call'],
  ['#/console/disconnect', 'The same by curl'], ['#/nothing', 'There is nothing here'],
];

await play(async () => {
  await device('42', { claims: { meta: { a: 'x'.repeat(300) }, labels: { ['k'.repeat(40)]: 'v'.repeat(80) } } });
  await device('u'.repeat(200), { name: 'n'.repeat(100) });
  for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await newPage({ viewport, colorScheme });
      await open(page);
      for (const [place, text] of PLACES) {
        await go(page, place);
        await page.locator('main').getByText(text, { exact: true }).first().waitFor();
        await fits(page, `${place} ${viewport.width} ${colorScheme}`);
        await named(page, place);
      }
      await page.context().close();
    }
  }
  await overview();
  await colours();
});

/** Whoever does not see the page hears what each control is. */
async function named(page, place) {
  const nameless = await page.locator('button, a, input, select, textarea').evaluateAll(all => all
    .filter(element => element.checkVisibility() && !element.closest('[aria-hidden="true"]'))
    .filter(element => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length))
    .map(element => element.outerHTML));
  assert.deepEqual(nameless, [], place);
}

async function overview() {
  const page = await newPage();
  await open(page, '#/overview');
  const figure = name =>
    page.locator('.figure', { has: page.getByText(name, { exact: true }) }).locator('.value').textContent();
  await until('sessions are counted', async () => await figure('Sessions') === '2');
  assert.equal(await figure('Users'), '2');
  assert.equal(await figure('Memory per session'), '–');
  assert.equal(await page.getByRole('table').getByRole('row').count(), 1 + 4);
  // Charts move by themselves.
  await device('43');
  await until('one more is counted', async () => await figure('Sessions') === '3');
  await page.getByRole('img', { name: /Who is here: sessions 3, users 3/ }).waitFor();
  assert.equal(await page.locator('.plot canvas').count(), 4);
}

async function colours() {
  const page = await newPage({ colorScheme: 'light' });
  await open(page);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Dark colours' }).click();
  const dark = await background();
  assert.notEqual(dark, light);
  await page.reload();
  await page.getByRole('button', { name: 'Light colours' }).waitFor();
  assert.equal(await background(), dark);
  assert.equal(new URL(page.url()).pathname, new URL(given.page).pathname);
}
