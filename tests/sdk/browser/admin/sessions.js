// The list of sessions: filters, groups, order, what comes and goes, and closing what is meant.

import assert from 'node:assert/strict';
import { CHROME, SAFARI, api, device, go, newPage, open, play, until } from './stage.js';

const rows = page => page.locator('[data-client]');
const users = page => rows(page).locator('.cell.user').allTextContents();
const dialog = page => page.getByRole('dialog');

async function shows(page, expected) {
  await until(`the list shows ${expected}`, async () => {
    const shown = await users(page);
    return shown.join() === expected.join() && shown;
  });
}

await play(async () => {
  const eu = { labels: { region: 'eu', plan: 'gold' } };
  const us = { labels: { region: 'us' } };
  const [ann, bob, cem, dan] = [
    await device('ann', { name: 'ios', version: '5.1', agent: SAFARI, claims: eu }),
    await device('bob', { claims: us }),
    await device('cem', { name: 'android', agent: CHROME }),
    await device('dan', { claims: { meta: { level: 7 } } }),
  ];
  const page = await newPage();
  await open(page, '#/sessions?sort=user');
  await shows(page, ['ann', 'bob', 'cem', 'dan']);

  await filters(page);
  await comingAndGoing(page);
  await closing(page, { ann, bob, cem, dan });
  await closed(page);
  await byKeyboard(page);
});

async function filters(page) {
  const search = page.getByRole('search', { name: 'Filter sessions' });
  const set = async (label, value, expected) => {
    await search.getByLabel(label, { exact: true }).fill(value);
    await shows(page, expected);
    await search.getByLabel(label, { exact: true }).fill('');
    await shows(page, ['ann', 'bob', 'cem', 'dan']);
  };
  await set('User', 'bob', ['bob']);
  await set('User', 'b*', ['bob']);
  await set('App', 'ios', ['ann']);
  await set('Labels', 'region=eu, plan!=free', ['ann']);
  await set('Labels', '!region', ['cem', 'dan']);
  await search.getByRole('button', { name: 'More' }).click();
  await set('App version', '5.1', ['ann']);
  await set('Newer than', '1h', ['ann', 'bob', 'cem', 'dan']);
  await set('CEL expression', "has(meta.level) && meta.level > 6", ['dan']);

  // They stand in the address, so a list can be shared.
  await search.getByLabel('Transport').selectOption('sse');
  await page.getByText('No session matches').waitFor();
  assert.match(page.url(), /#\/sessions\?.*transport=sse/);
  await page.getByRole('button', { name: 'Clear the filters' }).click();
  await search.getByLabel('Protocol').selectOption('json');
  await shows(page, ['ann', 'bob', 'cem', 'dan']);
  await search.getByRole('button', { name: 'Clear' }).click();

  // What is wrong is told where it is.
  await search.getByLabel('Older than').fill('soon');
  await page.getByText('A length of time, such as').waitFor();
  await search.getByLabel('Older than').fill('');
  await search.getByLabel('CEL expression').fill('meta.level >');
  await page.getByRole('alert').getByText('expression').waitFor();
  await search.getByLabel('CEL expression').fill('');
  await shows(page, ['ann', 'bob', 'cem', 'dan']);

  await page.getByLabel('Group by').selectOption('Label …');
  await page.getByPlaceholder('label, such as region').fill('region');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /^us\s*1$/ }).click();
  await shows(page, ['bob']);
  await go(page, '#/sessions?sort=-user');
  await shows(page, ['dan', 'cem', 'bob', 'ann']);
  await page.getByRole('button', { name: 'User' }).click();
  await shows(page, ['ann', 'bob', 'cem', 'dan']);
}

/** Nothing moves until the reader asks for it. */
async function comingAndGoing(page) {
  const aaron = await device('aaron');
  await page.getByRole('button', { name: '1 new · Update' }).waitFor();
  await page.getByText('5 sessions', { exact: true }).waitFor();
  assert.deepEqual(await users(page), ['ann', 'bob', 'cem', 'dan']);
  await page.getByRole('button', { name: '1 new · Update' }).click();
  await shows(page, ['aaron', 'ann', 'bob', 'cem', 'dan']);

  const places = () => rows(page).evaluateAll(all => all.map(row => row.getBoundingClientRect().top));
  const before = await places();
  aaron.sdk.disconnect();
  await page.getByText('Left by itself').waitFor();
  assert.deepEqual(await places(), before);
  await page.getByRole('button', { name: '1 gone · Update' }).click();
  await shows(page, ['ann', 'bob', 'cem', 'dan']);

  // A page that nobody sees follows nothing, and catches up when somebody does.
  const hide = isHidden => page.evaluate(isHidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: isHidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await hide(true);
  await page.getByText('not live').waitFor();
  const zoe = await device('zoe');
  await hide(false);
  await page.getByRole('button', { name: '1 new · Update' }).click();
  await shows(page, ['ann', 'bob', 'cem', 'dan', 'zoe']);
  zoe.sdk.disconnect();
  await page.getByRole('button', { name: '1 gone · Update' }).click();
  await shows(page, ['ann', 'bob', 'cem', 'dan']);

  // What changes while one looks is shown in its place.
  await api('update_labels', { user: 'cem', set: { region: 'mars' } });
  await page.getByRole('row', { name: /cem/ }).getByText('region=mars').waitFor();
}

async function closing(page, { ann, bob, cem, dan }) {
  const check = user => page.getByRole('row', { name: new RegExp(user) }).getByRole('checkbox').check();

  // One, with a code and a reason of one's own.
  await page.getByRole('button', { name: 'Close the session of ann' }).click();
  await dialog(page).getByText('1 session will be closed: of ann.').waitFor();
  await dialog(page).getByLabel(/Own code/).check();
  await dialog(page).getByLabel('Code', { exact: true }).fill('99');
  await dialog(page).getByText('from 3000 to 4999').waitFor();
  assert.ok(await dialog(page).getByRole('button', { name: /^Close 1/ }).isDisabled());
  await dialog(page).getByLabel('Code', { exact: true }).fill('4501');
  await dialog(page).getByText('official SDKs stay away').waitFor();
  await dialog(page).getByLabel('Reason', { exact: true }).fill('lost phone');
  await dialog(page).getByRole('button', { name: 'Close 1 session' }).click();
  await page.getByText('1 session closed.').waitFor();
  await page.getByText('Closed with 4501: lost phone').waitFor();
  await until('its client heard it', () => ann.ended);
  assert.deepEqual(ann.ended, { code: 4501, reason: 'lost phone' });

  // The selected ones; they are told to come back, and do.
  await check('bob');
  await check('cem');
  await page.getByRole('button', { name: 'Close 2 …' }).click();
  await dialog(page).getByText('2 sessions will be closed').waitFor();
  await dialog(page).getByLabel(/Reconnect/).check();
  await dialog(page).getByRole('button', { name: 'Close 2 sessions' }).click();
  await until('both are back', () => bob.connects === 2 && cem.connects === 2);
  await page.getByRole('button', { name: '2 new, 3 gone · Update' }).click();
  await shows(page, ['bob', 'cem', 'dan']);

  // All but the selected ones.
  await check('dan');
  await page.getByRole('button', { name: 'Close all others …' }).click();
  await dialog(page).getByText('2 sessions will be closed').waitFor();
  await dialog(page).getByLabel('Type 2 to confirm').fill('2');
  await dialog(page).getByRole('button', { name: 'Close 2 sessions' }).click();
  await until('they are out', () => bob.ended?.code === 3503 && cem.ended?.code === 3503);
  assert.equal(dan.ended, null);

  // Everybody: the number has to be typed.
  await page.getByRole('button', { name: '2 gone · Update' }).click();
  await page.getByRole('button', { name: 'Close all 1 …' }).click();
  const last = dialog(page).getByRole('button', { name: 'Close 1 session' });
  await last.waitFor();
  assert.ok(await last.isDisabled());
  await dialog(page).getByLabel('Type 1 to confirm').fill('1');
  await last.click();
  await until('it is out', () => dan.ended?.code === 3503);
  assert.deepEqual((await api('connections', { all_users: true })).connections, {});
  await page.getByRole('button', { name: '1 gone · Update' }).click();
  await page.getByText('Nobody is connected').waitFor();
}

async function closed(page) {
  await page.getByLabel('Show').selectOption('recently closed');
  await page.getByRole('row', { name: /ann.*Closed with 4501: lost phone/ }).waitFor();
  assert.ok(await page.getByLabel('Select all rows').isDisabled(), 'nothing is left to close');
  await page.getByLabel('Show').selectOption('connected now');
  await page.getByText('Nobody is connected').waitFor();
}

async function byKeyboard(page) {
  const [eve, fay] = [await device('eve'), await device('fay'), await device('gil')];
  await until('all are here', async () => (await api('connections', { all_users: true, count_only: true })).count === 3);
  await page.getByText('3 sessions', { exact: true }).waitFor();
  await page.getByRole('button', { name: /new · Update/ }).click();
  await shows(page, ['eve', 'fay', 'gil']);
  await page.locator('.scroller [data-client]').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await dialog(page).getByRole('link', { name: 'fay', exact: true }).waitFor();
  await page.keyboard.press('Escape');
  // The focus comes back to where it was.
  await until('the row has it', () => page.evaluate(() => document.activeElement.textContent.includes('fay')));
  await page.keyboard.press('Delete');
  await dialog(page).getByText('1 session will be closed: of fay.').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Space');
  await page.keyboard.press('Home');
  await page.getByRole('button', { name: 'Close 1 …' }).waitFor();
  await page.keyboard.press('Shift+Space');
  await page.getByRole('button', { name: 'Close 2 …' }).press('Enter');
  await dialog(page).getByText('2 sessions will be closed').waitFor();
  await dialog(page).getByRole('button', { name: 'Close 2 sessions' }).press('Enter');
  await until('both are out', () => eve.ended && fay.ended);
}
