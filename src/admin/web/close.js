// Closing sessions: a dialog that says how many it will be before anything is done.

import { html, useEffect, useState } from './html.js';
import { batch, call } from './api.js';
import { comesBack, count, many } from './format.js';
import { say } from './notice.js';
import { Dialog, useAction } from './ui.js';

const ANSWERS = [
  {
    id: 'out', title: 'Log out', code: 3503, reason: 'force disconnect',
    note: 'Clients stay away until their user signs in again.',
  },
  {
    id: 'again', title: 'Reconnect', code: 3011, reason: 'force reconnect',
    note: 'Clients come back at once, with a new connection.',
  },
  { id: 'own', title: 'Own code', note: 'A code and a reason of your application.' },
];

/** Beyond so many the number has to be typed. */
const TYPED_FROM = 1000;
/** What fits into the close frame of a WebSocket. */
const REASON_BYTES_MAX = 123;

/**
 * What is meant: `clients` (a list of ids), or `selector` without those in `except`.
 * `order` carries it out with these further keys and answers `{matched, closed, pending, clients}`.
 */
export function orderOf({ clients, selector, except }) {
  if (!clients) {
    const whitelist = except?.length > 0 ? { whitelist: except } : {};
    return keys => call('disconnect', { ...selector, ...whitelist, ...keys });
  }
  return async keys => {
    const total = { matched: 0, closed: 0, clients: [] };
    try {
      for await (const replies of batch(clients.map(client => ({ disconnect: { client, ...keys } })))) {
        for (const { error, disconnect } of replies) {
          if (error) throw new Error(error.message);
          total.matched += disconnect.matched;
          total.closed += disconnect.closed;
          total.clients.push(...disconnect.clients ?? []);
        }
      }
    } catch (error) {
      if (total.closed === 0) throw error;
      throw new Error(`${many(total.closed, 'session')} closed, then: ${error.message}`);
    }
    return total;
  };
}

/** `target`: as above, with `title` and `what` in words; `onDone(clients, code, reason)`. */
export function CloseDialog({ target, onClose, onDone }) {
  const [order] = useState(() => orderOf(target));
  const [answer, setAnswer] = useState('out');
  const [code, setCode] = useState('4500');
  const [reason, setReason] = useState('signed out by support');
  const [fence, setFence] = useState('');
  const [typed, setTyped] = useState('');
  const [matched, setMatched] = useState(null);

  const counting = useAction(async () => setMatched((await order({ dry_run: true })).matched));
  useEffect(() => { counting.run(); }, []);

  const chosen = answer === 'own' ? { code: Number(code), reason } : ANSWERS.find(({ id }) => id === answer);
  const mistake = mistakeOf(chosen);
  const mustType = matched >= TYPED_FROM || target.isEverybody;
  const isReady = matched > 0 && !mistake && (!mustType || typed.replaceAll(/[ ,.']/g, '') === String(matched));

  const closing = useAction(async () => {
    const fenced = fence ? { fence: Number(fence) } : {};
    const disconnect = { code: chosen.code, reason: chosen.reason };
    const receipt = await order({ disconnect, return_clients: true, ...fenced });
    onDone?.(receipt.clients ?? [], chosen.code, chosen.reason);
    say(told(receipt));
    onClose();
  });
  const submit = event => {
    event.preventDefault();
    if (isReady && !closing.isRunning) closing.run();
  };

  return html`
    <${Dialog} title=${target.title} onClose=${onClose}>
      <form onSubmit=${submit} novalidate>
        <p class="how-many" role="status">${howMany(matched, counting, target)}</p>
        ${counting.error && html`<p class="wrong" role="alert">${counting.error}</p>`}
        <fieldset class="choices"><legend>What clients are told</legend>
          ${ANSWERS.map(({ id, title, note, code }) => html`
            <label key=${id} class="choice">
              <input type="radio" name="answer" checked=${answer === id} onChange=${() => setAnswer(id)} />
              <span><b>${title}</b>${code && html`<code>${code}</code>`}<small>${note}</small></span>
            </label>`)}
        </fieldset>
        ${answer === 'own' && html`
          <div class="fields">
            <label class="field short">Code
              <input inputmode="numeric" value=${code} onInput=${event => setCode(event.target.value)}
                aria-describedby="code-note" /></label>
            <label class="field">Reason
              <input value=${reason} onInput=${event => setReason(event.target.value)} /></label>
          </div>
          <p id="code-note" class=${mistake ? 'wrong' : 'note'}>${mistake
            ?? `With this code official SDKs ${comesBack(Number(code)) ? 'come back by themselves' : 'stay away'}.`}</p>`}
        ${target.canFence && html`
          <label class="field">Keep them out for
            <select value=${fence} onChange=${event => setFence(event.target.value)}>
              <option value="">no time</option><option value="60">1 minute</option>
              <option value="600">10 minutes</option><option value="3600">1 hour</option>
            </select></label>`}
        ${mustType && matched > 0 && html`
          <label class="field">Type ${count(matched)} to confirm
            <input inputmode="numeric" autocomplete="off" value=${typed}
              onInput=${event => setTyped(event.target.value)} /></label>`}
        ${closing.error && html`<p class="wrong" role="alert">${closing.error}</p>`}
        <div class="buttons">
          <button type="button" onClick=${onClose}>Cancel</button>
          <button type="submit" class="danger" disabled=${!isReady || closing.isRunning}>
            ${closing.isRunning ? 'Closing …' : `Close ${matched === null ? '' : many(matched, 'session')}`}</button>
        </div>
      </form>
    <//>`;
}

function howMany(matched, counting, { what }) {
  if (counting.error) return 'How many it would be is not known.';
  if (matched === null) return 'Counting …';
  if (matched === 0) return html`<b>No session</b> is there any more: ${what}.`;
  return html`<b>${many(matched, 'session')}</b> will be closed: ${what}.`;
}

function told({ matched, closed, pending }) {
  if (pending) return `${many(closed, 'session')} closed, ${count(pending)} follow.`;
  if (closed < matched) return `${many(closed, 'session')} closed; ${count(matched - closed)} had ended already.`;
  return `${many(closed, 'session')} closed.`;
}

function mistakeOf({ code, reason }) {
  if (!(Number.isInteger(code) && code >= 3000 && code <= 4999)) return 'A code is a number from 3000 to 4999.';
  const bytes = new TextEncoder().encode(reason).length;
  if (bytes > REASON_BYTES_MAX) return `A reason has at most ${REASON_BYTES_MAX} bytes; this one has ${bytes}.`;
  return null;
}
