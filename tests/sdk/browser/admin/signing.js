// Signing in and out: wrong passwords, too many of them, a sign-in that the server no longer accepts.

import assert from 'node:assert/strict';
import { device, given, go, newPage, play, server, signIn, until, whileItIsAway } from './stage.js';

await play(async () => {
  await device('42');
  const page = await newPage();
  await page.goto(`${given.page}#/user/42`);
  await signIn(page, 'not this one');
  await page.getByRole('alert').getByText('That password is not right.').waitFor();
  await signIn(page);
  // The place that was asked for, not a front page.
  await page.getByRole('heading', { name: '42' }).waitFor();
  assert.equal(await page.getByRole('article').count(), 1);

  // Another tab is in already.
  const other = await page.context().newPage();
  await other.goto(`${given.page}#/sessions`);
  await other.getByText('1 session', { exact: true }).waitFor();
  await other.close();

  // Another secret: every sign-in has expired. What was being done is there afterwards.
  await go(page, '#/sessions?transport=websocket');
  await page.getByRole('row', { name: /42/ }).getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Close 1 …' }).waitFor();
  await whileItIsAway(async () => {
    await server('stop');
    await server('change the secret');
    await server('start');
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
    assert.equal(await page.getByRole('navigation').count(), 0, 'nothing is to be seen');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await until('it stays', () => page.getByLabel('Password').isVisible());
    await signIn(page);
    await page.getByText('live', { exact: true }).waitFor();
  });
  assert.equal(new URL(page.url()).hash, '#/sessions?transport=websocket');

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Password').waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in to Rollcall' }).waitFor();

  // What one tab may, the others may.
  const third = await page.context().newPage();
  await third.goto(given.page);
  await signIn(third);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor({ state: 'detached' });
  await third.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
  await third.close();

  // Guessing is stopped, and the page says for how long.
  await until('guessing is stopped', async () => {
    const isStopped = await page.getByText(/Try again in \d+ s/).isVisible();
    if (!isStopped && await page.getByRole('button', { name: 'Sign in' }).isEnabled()) await signIn(page, 'a guess');
    return isStopped;
  });
  assert.ok(await page.getByRole('button', { name: 'Sign in' }).isDisabled());
});
