// Without a password: nothing is asked, and everybody is told.

import assert from 'node:assert/strict';
import { given, newPage, play } from './stage.js';

await play(async () => {
  const page = await newPage();
  await page.goto(given.page);
  await page.getByText('Anybody who reaches this page can use it').waitFor();
  await page.getByText('Who is here').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
});
