// Ten thousand sessions: a list of which only what is in sight exists.

import assert from 'node:assert/strict';
import { api, go, newPage, open, play, until } from './stage.js';

const ROWS_MAX = 80;

await play(async () => {
  const page = await newPage();
  await open(page, '#/sessions?sort=user');
  await page.getByText('10,000 sessions', { exact: true }).waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  await go(page, '#/overview');
  await page.locator('.figure', { hasText: 'Memory per session' }).getByText(/^[\d.]+ k?B$/).waitFor();
  await go(page, '#/sessions?sort=user');
  const rows = page.locator('[data-client]');
  await rows.first().waitFor();
  assert.ok(await rows.count() < ROWS_MAX, 'rows that nobody sees');

  // From end to end, a window at a time: never a gap, never many rows.
  const gaps = await page.locator('.scroller').evaluate(async (scroller, most) => {
    const wrong = [];
    const frame = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    for (let top = 0; top < scroller.scrollHeight; top += 40 * scroller.clientHeight) {
      scroller.scrollTop = top;
      await frame();
      const all = [...scroller.querySelectorAll('[data-client]')];
      const [up, down] = [scroller.getBoundingClientRect().top, scroller.getBoundingClientRect().bottom];
      const inSight = all.filter(row => row.getBoundingClientRect().bottom > up && row.getBoundingClientRect().top < down);
      const height = inSight.reduce((sum, row) => sum + row.getBoundingClientRect().height, 0);
      if (all.length > most || height < down - up - 44) wrong.push({ top, rows: all.length, height });
    }
    return wrong;
  }, ROWS_MAX);
  assert.deepEqual(gaps, []);

  // A few rows further on: those that stay in sight are left alone.
  const touched = await page.locator('.scroller').evaluate(async scroller => {
    const frame = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    scroller.scrollTop = 200 * 44;
    await frame();
    const before = new Set(scroller.querySelectorAll('[data-client]'));
    const taken = new Set();
    const watcher = new MutationObserver(records => records.forEach(({ removedNodes }) =>
      removedNodes.forEach(node => taken.add(node))));
    watcher.observe(scroller.querySelector('.canvas'), { childList: true });
    scroller.scrollTop += 5 * 44;
    await frame();
    watcher.disconnect();
    const stay = [...before].filter(row => row.isConnected);
    return { stay: stay.length, moved: stay.filter(row => taken.has(row)).length };
  });
  assert.ok(touched.stay > 10, JSON.stringify(touched));
  assert.equal(touched.moved, 0);

  await rows.first().focus();
  await page.keyboard.press('End');
  await page.locator('[aria-rowindex="10001"]').waitFor();
  await page.keyboard.press('Home');
  await page.locator('[data-client][aria-rowindex="2"]').waitFor();

  // Groups of them all.
  await page.getByLabel('Group by').selectOption('Label …');
  await page.getByPlaceholder('label, such as region').fill('plan');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /^team/ }).waitFor();
  const groups = (await api('connections', { all_users: true, count_only: true, group_by: 'label:plan' })).groups;
  for (const [plan, sessions] of Object.entries(groups))
    await page.getByRole('button', { name: new RegExp(`^${plan}\\s*${sessions.toLocaleString('en')}$`) }).waitFor();

  // Many selected rows are closed by many orders in a few bodies.
  await page.getByLabel('User', { exact: true }).fill('s000000001');
  await page.getByText('1,000 sessions', { exact: true }).waitFor();
  await page.getByLabel('Select all rows').check();
  await page.getByRole('button', { name: 'Close 1,000 …' }).click();
  await page.getByLabel('Type 1,000 to confirm').fill('1000');
  await page.getByRole('button', { name: 'Close 1,000 sessions' }).click();
  await page.getByText('1,000 sessions closed.').waitFor();
  const left = async () => (await api('connections', { all_users: true, count_only: true })).count;
  await until('they have gone', async () => await left() === 9000);
  await page.getByRole('button', { name: '1,000 gone · Update' }).click();
  await page.getByText('No session matches').waitFor();
});
