// The server goes away and another process comes: the page says so, and is true again afterwards.

import assert from 'node:assert/strict';
import { device, go, newPage, open, play, server, until, whileItIsAway } from './stage.js';

await play(async () => {
  const first = await device('42', { name: 'first' });
  await device('7', { name: 'leaves' }).then(({ sdk }) => sdk.disconnect());
  const [list, user, overview] = [await newPage(), await newPage(), await newPage()];
  await open(list, '#/sessions');
  await open(user, '#/user/42');
  await open(overview, '#/overview');
  await list.getByText('live', { exact: true }).waitFor();
  await user.getByRole('article').waitFor();
  await overview.getByText('Who is here').waitFor();

  await whileItIsAway(async () => {
    await server('stop');
    for (const page of [list, user, overview])
      await page.getByRole('alert').getByText('The server does not answer.').waitFor();
    assert.equal(await overview.getByText('Nothing is wrong.').count(), 0);
    await list.getByText('not live: connecting again …').waitFor();
    await server('start');
    for (const page of [list, user, overview]) {
      await page.getByText('The server was restarted').waitFor();
      await page.getByRole('alert').waitFor({ state: 'detached' });
    }
    await until('the SDK is back', () => first.connects === 2);
  });
  // Nothing has jumped: what was there is gone, what is there is new.
  await list.getByRole('button', { name: '1 new, 1 gone · Update' }).click();
  await list.getByText('1 session', { exact: true }).waitFor();
  await list.getByText('live', { exact: true }).waitFor();
  await user.getByRole('button', { name: '1 new session · Show' }).click();
  await until('one card is there', async () => await user.getByRole('article').count() === 1);
  await device('42', { name: 'second' });
  await list.getByRole('button', { name: '1 new · Update' }).waitFor();
  await go(overview, '#/sessions');
  await overview.getByText('2 sessions', { exact: true }).waitFor();
});
