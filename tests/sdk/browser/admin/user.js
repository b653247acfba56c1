// One user: the sessions as cards, closing them, keeping the user or a token out.

import assert from 'node:assert/strict';
import { SAFARI, api, device, given, newPage, now, open, play, until } from './stage.js';

const dialog = page => page.getByRole('dialog');
const card = (page, name) => page.getByRole('article', { name });
const confirm = (page, name) => dialog(page).getByRole('button', { name, exact: true }).click();

await play(async () => {
  const page = await newPage();
  const phone = await device('42', {
    name: 'ios', version: '5.2.1', agent: SAFARI,
    claims: { jti: 'token-1', iat: now() - 7200, meta: { plan: 'gold' }, labels: { region: 'eu' } },
  });
  const web = await device('42', { claims: { jti: 'token-2' } });
  await api('update_user_status', { users: ['42'], state: 'away' });

  // By the search of the frame, as support staff would.
  await open(page);
  await page.getByText('Who is here').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('42');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: '42' }).waitFor();
  assert.equal(page.url(), `${given.page}#/user/42`);

  await cards(page);
  await closing(page, phone);
  await keepingOut(page, web);
  await odd(page);
});

async function cards(page) {
  const phone = card(page, 'Safari on iPhone, ios 5.2.1');
  const facts = (await phone.textContent()).replaceAll(/\s+/g, ' ');
  for (const fact of ['127.0.0.1', 'websocket', 'json', 'token-1', 'issued 2 h ago', 'region=eu', '"plan": "gold"', 'today'])
    assert.ok(facts.includes(fact), `${fact} in ${facts}`);
  await card(page, 'Chrome on Mac, web 1.0').waitFor();
  await page.getByText('2 sessions', { exact: true }).waitFor();
  await page.getByText('state “away”').waitFor();
}

async function closing(page, phone) {
  // A new device announces itself, and moves nothing.
  const tablet = await device('42', { name: 'tablet' });
  await page.getByRole('button', { name: '1 new session · Show' }).waitFor();
  assert.equal(await page.getByRole('article').count(), 2);
  await page.getByRole('button', { name: '1 new session · Show' }).click();
  await card(page, 'Chrome on Mac, tablet 1.0').waitFor();

  await card(page, /iPhone/).getByRole('button', { name: 'Close …', exact: true }).click();
  await dialog(page).getByText('1 session will be closed: of 42.').waitFor();
  await dialog(page).getByLabel('Keep them out for').selectOption('1 minute');
  await confirm(page, 'Close 1 session');
  await until('the phone is out', () => phone.ended);
  assert.deepEqual(phone.ended, { code: 3503, reason: 'force disconnect' });
  await card(page, /iPhone/).getByText('Closed with 3503: force disconnect').waitFor();
  await page.getByRole('heading', { name: 'Recently closed' }).waitFor();
  await page.getByText('was here').waitFor();

  await card(page, /tablet/).getByRole('button', { name: 'Close others …' }).click();
  await dialog(page).getByText('1 session will be closed: all of 42 but this one.').waitFor();
  await dialog(page).getByLabel(/Reconnect/).check();
  await confirm(page, 'Close 1 session');
  await page.getByRole('button', { name: '1 new session · Show' }).click();
  await until('two are there', async () => await page.getByRole('article').count() === 2);

  await page.getByRole('button', { name: 'Close all …' }).click();
  await dialog(page).getByText('2 sessions will be closed: all of 42.').waitFor();
  await page.keyboard.press('Escape');
  await dialog(page).waitFor({ state: 'detached' });
  assert.equal(tablet.ended, null);
}

async function keepingOut(page, web) {
  await card(page, /web 1.0/).getByRole('button', { name: 'Revoke token …' }).click();
  await dialog(page).getByText('1 session will be closed').waitFor();
  await confirm(page, 'Revoke');
  await until('its session has ended', () => web.ended?.code === 3500);

  const young = await device('42', { name: 'young', claims: { iat: now() - 5 } });
  await page.getByRole('button', { name: 'Invalidate tokens …' }).click();
  await dialog(page).getByText('2 sessions open now').waitFor();
  await dialog(page).getByLabel('For how long').selectOption('7 days');
  await confirm(page, 'Invalidate all');
  await until('its session has ended', () => young.ended?.code === 3500);
  await page.getByText('offline').waitFor();

  const again = await device('42', { name: 'again', claims: { iat: now() + 1 } });
  await page.getByText('1 session', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Block …', exact: true }).click();
  await dialog(page).getByText('1 session will be closed').waitFor();
  await dialog(page).getByLabel('For how long').selectOption('1 hour');
  await confirm(page, 'Block');
  await until('it is told why', () => again.ended?.code === 3507);
  await page.getByText(/^blocked until/).waitFor();
  assert.equal((await device('42', { claims: { iat: now() + 1 } })).ended?.code, 3507);

  await page.getByRole('button', { name: 'Unblock …' }).click();
  await confirm(page, 'Unblock');
  await page.getByText(/^blocked until/).waitFor({ state: 'detached' });
  const back = await device('42', { name: 'back', claims: { iat: now() + 1 } });
  assert.equal(back.ended, null);
  await page.getByText('1 session', { exact: true }).waitFor();
}

/** Ids are any text. */
async function odd(page) {
  const user = 'a/b?c#d "e" <i>é</i> %41';
  await device(user);
  await page.goto(`${given.page}#/user/${encodeURIComponent(user)}`);
  await page.getByRole('heading', { name: user }).waitFor();
  await until('the card is there', async () => await page.getByRole('article').count() === 1);
  await page.goto(`${given.page}#/sessions`);
  await page.getByRole('link', { name: user, exact: true }).click();
  await page.getByRole('heading', { name: user }).waitFor();
  await page.goto(`${given.page}#/user/nobody`);
  await page.getByText('nobody is not connected').waitFor();
}
