// More sessions than are followed one by one: pages that stand still, and say of when they are.

import assert from 'node:assert/strict';
import { newPage, open, play, until } from './stage.js';

await play(async () => {
  const page = await newPage();
  await open(page, '#/sessions');
  await page.getByText('21,000 sessions', { exact: true }).waitFor();
  await page.getByText(/^as of \d\d:\d\d:\d\d$/).waitFor();
  const scroller = page.locator('.scroller');
  const grid = page.getByRole('grid');
  const loaded = async () => Number(await grid.getAttribute('aria-rowcount')) - 1;
  await until('a page is there', async () => await loaded() === 200);
  await scroller.evaluate(it => { it.scrollTop = it.scrollHeight; });
  await until('the next page is there', async () => await loaded() === 400);

  // What is closed here is marked, though nothing is told of it.
  await page.locator('[data-client]').last().getByRole('button').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close 1 session' }).click();
  await page.getByText('Closed with 3503: force disconnect').waitFor();
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.getByText('20,999 sessions', { exact: true }).waitFor();
  assert.equal(await page.getByText('Closed with 3503').count(), 0);
});
