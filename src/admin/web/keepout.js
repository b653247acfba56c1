// Keeping people and tokens out: dialogs that say what will happen before it does.

import { html, useState } from './html.js';
import { access, call } from './api.js';
import { many, userName } from './format.js';
import { say } from './notice.js';
import { Dialog, useAction } from './ui.js';

const LENGTHS = [
  [3600, '1 hour'], [86_400, '24 hours'], [604_800, '7 days'], [2_592_000, '30 days'], [0, 'until it is undone'],
];

/** One question, one button. `run(expireAt)` carries it out and answers what is said then. */
function Confirm({ title, children, button, length, isDangerous = true, run, onClose }) {
  const [seconds, setSeconds] = useState(length ?? 0);
  const action = useAction(async () => {
    say(await run(seconds > 0 ? Math.ceil(access.now() / 1000) + seconds : 0));
    onClose();
  });
  const submit = event => {
    event.preventDefault();
    if (!action.isRunning) action.run();
  };
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <form onSubmit=${submit}>
        ${children}
        ${length !== undefined && html`
          <label class="field">For how long
            <select value=${seconds} onChange=${event => setSeconds(Number(event.target.value))}>
              ${LENGTHS.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
            </select></label>`}
        ${action.error && html`<p class="wrong" role="alert">${action.error}</p>`}
        <div class="buttons">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class=${isDangerous ? 'danger' : 'primary'}
            disabled=${action.isRunning}>${button}</button>
        </div>
      </form>
    <//>`;
}

const ended = number => (number === 0 ? 'No session is open now' : `${many(number, 'session')} will be closed`);

export const BlockDialog = ({ user, sessions, onDone, onClose }) => html`
  <${Confirm} title=${`Block ${userName(user)}`} button="Block" length=${86_400} onClose=${onClose}
    run=${async expire_at => {
      await call('block_user', { user, expire_at });
      onDone();
      return `${user} is blocked.`;
    }}>
    <p><b>${ended(sessions)}</b>, and ${user} cannot connect while the block holds.
      Clients are told 3507 “user is blocked” and stay away.</p>
  <//>`;

export const UnblockDialog = ({ user, onDone, onClose }) => html`
  <${Confirm} title=${`Let ${user} in again`} button="Unblock" isDangerous=${false} onClose=${onClose}
    run=${async () => {
      await call('unblock_user', { user });
      onDone();
      return `${user} may connect again.`;
    }}>
    <p>The block ends now. Clients do not come back by themselves: their user has to open the app again.</p>
  <//>`;

export const RevokeDialog = ({ uid, sessions, onDone, onClose }) => html`
  <${Confirm} title="Revoke this token" button="Revoke" length=${2_592_000} onClose=${onClose}
    run=${async expire_at => {
      await call('revoke_token', { uid, expire_at });
      onDone();
      return 'The token is revoked.';
    }}>
    <p><b>${ended(sessions)}</b>, and nobody can connect with <code>${uid}</code> any more.
      Other tokens of this user stay good.
      Choose a time that is longer than the token lives.</p>
  <//>`;

export const InvalidateDialog = ({ user, sessions, onDone, onClose }) => html`
  <${Confirm} title=${`Invalidate all tokens of ${user}`} button="Invalidate all" length=${2_592_000}
    onClose=${onClose}
    run=${async expire_at => {
      await call('invalidate_user_tokens', { user, expire_at });
      onDone();
      return `All tokens of ${user} issued before now are invalid.`;
    }}>
    <p>Every token issued before now is refused, and <b>sessions that came with one are closed${
      sessions > 0 ? ` (${many(sessions, 'session')} open now)` : ''}</b>.
      Who signs in again gets a new token and is welcome.
      Tokens without a time of issue (<code>iat</code>) cannot be called old and stay good.</p>
  <//>`;
